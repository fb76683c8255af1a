import { describeError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { redactText } from '../../runtime/redact.ts'
import { BoundedQueue } from '../bounded-queue.ts'

const WAITING_MAX = 100

/** Sends one thing after the other, tries each once, and lets nobody wait. What does not fit is dropped and counted. */
export class Courier {
  readonly #what: string
  readonly #log: Logger
  readonly #queue = new BoundedQueue<(signal: AbortSignal) => Promise<void>>(WAITING_MAX, WAITING_MAX)
  readonly #stop = new AbortController()
  #running: Promise<void> | null = null
  #failed = 0
  #isWell = true

  constructor(what: string, log: Logger) {
    this.#what = what
    this.#log = log
  }

  get counts(): { readonly failed: number; readonly dropped: number } {
    return { failed: this.#failed, dropped: this.#queue.dropped }
  }

  send(job: (signal: AbortSignal) => Promise<void>): void {
    if (this.#stop.signal.aborted) return
    if (!this.#queue.offer(job, 1)) this.#tell('there are too many that wait')
    this.#running ??= this.#work().finally(() => {
      this.#running = null
    })
  }

  /** Forgets what waits. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #work(): Promise<void> {
    for (let [job] = this.#queue.peek(1); job !== undefined; [job] = this.#queue.peek(1)) {
      this.#queue.take(1)
      if (this.#stop.signal.aborted) continue
      try {
        await job(this.#stop.signal)
        if (!this.#isWell) this.#log.info({ ...this.counts }, `${this.#what} are taken again`)
        this.#isWell = true
      } catch (error) {
        this.#failed += 1
        if (!this.#stop.signal.aborted) this.#tell(redactText(describeError(error)))
      }
    }
  }

  /** Once, until it goes well again. */
  #tell(trouble: string): void {
    if (this.#isWell) this.#log.warn({}, `${this.#what} are not taken: ${trouble}`)
    this.#isWell = false
  }
}
