import type { Socket } from 'node:net'
import type { Clock } from '../core/clock.ts'
import type { Random } from '../core/random.ts'

/** How a line carries bytes, in each direction. 0 is none of it, or no limit. */
export interface LineConditions {
  readonly latencyMs: number
  /** Up to so much is added to the latency; bytes never overtake each other. */
  readonly jitterMs: number
  readonly bytesPerSecond: number
  /** Most bytes of one write. */
  readonly sliceBytes: number
}

export const GOOD_LINE: LineConditions = { latencyMs: 0, jitterMs: 0, bytesPerSecond: 0, sliceBytes: 0 }

export interface PipeOptions {
  readonly from: Socket
  readonly to: Socket
  readonly clock: Clock
  readonly random: Random
  /** Asked for every piece. */
  conditions(): LineConditions
  /** Told how many bytes went through, or were thrown away. */
  count(what: 'forwarded' | 'discarded', bytes: number): void
}

/** null: the sender has nothing more to say. */
interface Piece {
  readonly dueMs: number
  readonly data: Buffer | null
}

/** What waits here; beyond it the sender waits. */
const QUEUED_BYTES_MAX = 256 * 1024

/** One direction of a connection. */
export class Pipe {
  readonly #options: PipeOptions
  readonly #end = new AbortController()
  #queue: Piece[] = []
  #queuedBytes = 0
  #lastDueMs = 0
  #wake: (() => void) | null = null
  /** Bytes that may still pass; infinite unless it is being cut off. */
  #left = Number.POSITIVE_INFINITY
  #discarding = false

  constructor(options: PipeOptions) {
    this.#options = options
    const { from } = options
    from.on('data', (data: Buffer) => this.#take(data))
    from.on('end', () => this.#push(null))
    void this.#run()
  }

  /** Passes nothing more on and says nothing of it: what comes is taken and thrown away. */
  discard(): void {
    this.#discarding = true
    for (const { data } of this.#queue) this.#options.count('discarded', data?.length ?? 0)
    this.#queue = []
    this.#queuedBytes = 0
    this.#options.from.resume()
  }

  get discarding(): boolean {
    return this.#discarding
  }

  /** Passes so many bytes more and then ends the connection, in the middle of whatever that is. */
  truncateAfter(bytes: number): void {
    this.#left = bytes
  }

  /** Ends the loop; what waits is not sent. */
  stop(): void {
    this.#end.abort()
    this.#wake?.()
  }

  #take(data: Buffer): void {
    if (this.#discarding) {
      this.#options.count('discarded', data.length)
      return
    }
    this.#push(data)
    this.#queuedBytes += data.length
    if (this.#queuedBytes > QUEUED_BYTES_MAX) this.#options.from.pause()
  }

  #push(data: Buffer | null): void {
    const { clock, random } = this.#options
    const { latencyMs, jitterMs } = this.#options.conditions()
    const dueMs = Math.max(this.#lastDueMs, clock.monotonicMs() + latencyMs + jitterMs * random())
    this.#lastDueMs = dueMs
    this.#queue.push({ dueMs, data })
    this.#wake?.()
  }

  async #run(): Promise<void> {
    const { signal } = this.#end
    const { clock, to } = this.#options
    while (!signal.aborted) {
      const piece = this.#queue[0]
      if (piece === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        this.#wake = null
        continue
      }
      const waitMs = piece.dueMs - clock.monotonicMs()
      if (waitMs > 0) await clock.sleep(waitMs, signal)
      // While it waited, the line may have gone dead.
      if (signal.aborted || this.#queue[0] !== piece) continue
      this.#queue.shift()
      if (piece.data === null) to.end()
      else await this.#pass(piece.data)
    }
  }

  async #pass(whole: Buffer): Promise<void> {
    const { clock, from, to, conditions, count } = this.#options
    const { signal } = this.#end
    this.#queuedBytes -= whole.length
    if (this.#queuedBytes < QUEUED_BYTES_MAX / 2) from.resume()
    const data = whole.subarray(0, this.#left)
    this.#left -= data.length
    const { bytesPerSecond, sliceBytes } = conditions()
    const most = sliceBytes > 0 ? sliceBytes : data.length
    let taken = true
    for (let at = 0; at < data.length; at += most) taken = to.write(data.subarray(at, at + most))
    count('forwarded', data.length)
    if (this.#left <= 0) {
      to.end()
      from.destroy()
      return
    }
    if (!taken) await untilWritable(to)
    if (bytesPerSecond > 0) await clock.sleep((data.length * 1_000) / bytesPerSecond, signal)
  }
}

function untilWritable(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      socket.off('drain', go)
      socket.off('close', go)
      resolve()
    }
    socket.on('drain', go)
    socket.on('close', go)
    if (socket.destroyed || !socket.writableNeedDrain) go()
  })
}
