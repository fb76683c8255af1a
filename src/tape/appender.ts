import type { Clock } from '../core/clock.ts'
import { assert, TransientError } from '../core/errors.ts'
import type { MarkKind, TapeAppender, TapePosition, TapeRecord } from '../core/tape.ts'
import type { Handover } from './follower.ts'
import { withoutFinalNewline } from './line-reader.ts'
import { Pack, type PackMessage, packBytesFor } from './pack.ts'

/** Buffers that come back are filled again, up to this many. */
const MOST_SPARE_BUFFERS = 8
/** So that a pack of tiny frames still makes a batch of reasonable size. */
const MOST_RECORDS = 4096
/** What a record costs in memory beside its payload. */
const RECORD_OVERHEAD = 64

export interface PackAppenderOptions {
  readonly clock: Clock
  /** A pack is sent when it holds this much, or is this old. */
  readonly packBytes: number
  readonly packDelayMs: number
  /** Bytes taken and not yet synced, beyond which nothing is taken. */
  readonly pendingBytes: number
  /** Bytes taken and not yet synced, beyond which records are kept neither for the readers nor to be sent again. */
  readonly cacheBytes: number
  readonly send: (pack: PackMessage) => void
  /** Whether there is a reader at all: otherwise no record is handed over. */
  readonly isFollowed: () => boolean
}

/** A pack on its way to the medium. */
interface Sent {
  /** null when memory was too short to keep them. */
  readonly records: readonly TapeRecord[] | null
  /** Whether there was a reader when the pack was sent: it has missed nothing before it. */
  readonly followed: boolean
  readonly frames: number
  readonly payloadBytes: number
  /** What it costs in memory. */
  readonly bytes: number
}

interface Waiter {
  readonly pack: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** The receiving thread's side: copies frames into packs, sends them, and learns when they were synced. */
export class PackAppender implements TapeAppender {
  readonly #options: PackAppenderOptions
  readonly #spare: ArrayBuffer[] = []
  readonly #stop = new AbortController()
  #pack: Pack
  #records: TapeRecord[] = []
  #frames = 0
  #payloadBytes = 0
  /** One wait at a time; whatever the pack holds then is sent. */
  #timed = false
  /** Sent and not yet accepted, oldest first. */
  #sent: Sent[] = []
  #sentCount = 0
  #acceptedCount = 0
  #trouble: string | null = null
  #closed = false
  /** A frame did not fit; cleared when there is room again. */
  #full = false
  #pendingBytes = 0
  #flushWaiters: Waiter[] = []
  readonly #acceptWaiters = new Set<() => void>()
  framesRefused = 0

  constructor(options: PackAppenderOptions) {
    this.#options = options
    this.#pack = new Pack(new ArrayBuffer(options.packBytes))
  }

  get accepting(): boolean {
    return this.#trouble === null && !this.#closed && !this.#full
  }

  get pendingBytes(): number {
    return this.#pendingBytes
  }

  append(connection: string, atUs: number, payload: Buffer): boolean {
    if (!this.#takes(payload.length, atUs)) {
      this.framesRefused += 1
      return false
    }
    this.#pack.addFrame(connection, atUs, payload)
    this.#frames += 1
    this.#added(payload.length, { kind: 'frame', atUs, connection, payload: withoutFinalNewline(payload) })
    return true
  }

  mark(connection: string, atUs: number, mark: MarkKind, detail: Readonly<Record<string, unknown>>): boolean {
    const json = JSON.stringify(detail)
    const payload = markPayload(mark, json)
    if (!this.#takes(payload.length, atUs)) return false
    this.#pack.addMark(connection, atUs, payload)
    this.#added(payload.length, { kind: 'mark', atUs, connection, mark, detail: JSON.parse(json) })
    return true
  }

  flushed(): Promise<void> {
    this.#sendPack()
    if (this.#acceptedCount === this.#sentCount) return Promise.resolve()
    if (this.#trouble !== null) return Promise.reject(notSynced(this.#trouble))
    return new Promise((resolve, reject) => this.#flushWaiters.push({ pack: this.#sentCount, resolve, reject }))
  }

  untilAccepting(signal: AbortSignal): Promise<void> {
    if (this.accepting || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const end = () => {
        this.#acceptWaiters.delete(end)
        signal.removeEventListener('abort', end)
        resolve()
      }
      this.#acceptWaiters.add(end)
      signal.addEventListener('abort', end)
    })
  }

  /** The oldest packs have been synced. Returns what readers may see now. */
  accepted(
    ends: readonly TapePosition[],
    buffers: readonly ArrayBuffer[],
  ): (Handover & Pick<Sent, 'frames' | 'payloadBytes'>)[] {
    const sent = this.#sent.splice(0, ends.length)
    this.#acceptedCount += ends.length
    for (const { bytes } of sent) this.#pendingBytes -= bytes
    for (const buffer of buffers) {
      const usual = buffer.byteLength === this.#options.packBytes
      if (usual && this.#spare.length < MOST_SPARE_BUFFERS) this.#spare.push(buffer)
    }
    // Half empty before it is opened again, so that the caller does not stop and start with every frame.
    if (this.#pendingBytes <= this.#options.pendingBytes / 2) this.#full = false
    while ((this.#flushWaiters[0]?.pack ?? Number.POSITIVE_INFINITY) <= this.#acceptedCount) {
      this.#flushWaiters.shift()?.resolve()
    }
    this.#wakeIfAccepting()
    return sent.map((pack, index) => {
      const { frames, payloadBytes, bytes, followed } = pack
      return { frames, payloadBytes, bytes, records: followed ? pack.records : null, end: ends[index] as TapePosition }
    })
  }

  /** Whether everything that was sent and is not accepted is still in memory. */
  get canSendAgain(): boolean {
    return this.#sent.every(({ records }) => records !== null)
  }

  /** Sends what is not accepted to another thread, in packs as before. Returns how many. */
  sendAgain(): number {
    for (const { records } of this.#sent) {
      assert(records !== null, 'what is sent again is in memory')
      this.#options.send(packOf(records).message())
    }
    return this.#sent.length
  }

  /** Nothing is taken until `recovered`. */
  failed(trouble: string): void {
    this.#trouble = trouble
    const waiters = this.#flushWaiters
    this.#flushWaiters = []
    for (const waiter of waiters) waiter.reject(notSynced(trouble))
  }

  recovered(): void {
    this.#trouble = null
    this.#wakeIfAccepting()
  }

  /** Sends what is left and takes nothing more. */
  close(): void {
    this.#sendPack()
    this.#closed = true
    this.#stop.abort()
  }

  #takes(length: number, atUs: number): boolean {
    assert(Number.isSafeInteger(atUs) && atUs >= 0, 'a receive time is a whole number of microseconds')
    if (!this.accepting) return false
    if (this.#pendingBytes > 0 && this.#pendingBytes + length + RECORD_OVERHEAD > this.#options.pendingBytes) {
      this.#full = true
      this.#sendPack()
      return false
    }
    if (!this.#pack.fits(length)) {
      this.#sendPack()
      if (!this.#pack.fits(length)) this.#pack = new Pack(new ArrayBuffer(packBytesFor(length)))
    }
    return true
  }

  #added(length: number, record: TapeRecord): void {
    this.#records.push(record)
    this.#payloadBytes += length
    this.#pendingBytes += length + RECORD_OVERHEAD
    if (!this.#timed) void this.#sendLater()
    if (this.#records.length >= MOST_RECORDS || this.#pack.used >= this.#options.packBytes) this.#sendPack()
  }

  async #sendLater(): Promise<void> {
    this.#timed = true
    await this.#options.clock.sleep(this.#options.packDelayMs, this.#stop.signal)
    this.#timed = false
    if (!this.#closed) this.#sendPack()
  }

  #sendPack(): void {
    if (this.#records.length === 0) return
    const { cacheBytes, packBytes, send, isFollowed } = this.#options
    const message = this.#pack.message()
    this.#sent.push({
      records: this.#pendingBytes <= cacheBytes ? this.#records : null,
      followed: isFollowed(),
      frames: this.#frames,
      payloadBytes: this.#payloadBytes,
      bytes: this.#payloadBytes + this.#records.length * RECORD_OVERHEAD,
    })
    this.#sentCount += 1
    this.#records = []
    this.#frames = 0
    this.#payloadBytes = 0
    this.#pack = new Pack(this.#spare.pop() ?? new ArrayBuffer(packBytes))
    send(message)
  }

  #wakeIfAccepting(): void {
    if (!this.accepting) return
    for (const wake of [...this.#acceptWaiters]) wake()
  }
}

function packOf(records: readonly TapeRecord[]): Pack {
  const payloads = records.map((record) =>
    record.kind === 'frame' ? record.payload : markPayload(record.mark, JSON.stringify(record.detail)),
  )
  const bytes = payloads.reduce((sum, payload) => sum + packBytesFor(payload.length), 0)
  const pack = new Pack(new ArrayBuffer(bytes))
  records.forEach(({ kind, connection, atUs }, index) => {
    const payload = payloads[index] as Buffer
    if (kind === 'frame') pack.addFrame(connection, atUs, payload)
    else pack.addMark(connection, atUs, payload)
  })
  return pack
}

function markPayload(mark: MarkKind, detail: string): Buffer {
  return Buffer.from(`${mark}\n${detail}`)
}

function notSynced(trouble: string): TransientError {
  return new TransientError(`not on the tape yet: ${trouble}`)
}
