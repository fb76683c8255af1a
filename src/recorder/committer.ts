import type { Clock } from '../core/clock.ts'
import { describeError, TransientError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { StreamBatch, StreamCommit, StreamLedger } from '../core/rows.ts'

const BACKOFF_MS = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000] as const
const LOG_INTERVAL_MS = 60_000

export interface CommitterOptions {
  readonly ledger: StreamLedger
  readonly clock: Clock
  readonly log: Logger
  readonly onCommitted: (batch: StreamBatch, commit: StreamCommit) => void
}

/**
 * Hands one batch at a time to the ledger and repeats the same batch for ever while the ledger cannot be reached.
 * Meanwhile the reader can prepare the next one, and no more: memory stays flat.
 */
export class Committer {
  readonly #options: CommitterOptions
  #running: Promise<void> | null = null
  #failure: { readonly error: unknown } | null = null
  readonly #patience = new AbortController()
  #trouble: string | null = null
  #loggedMs = Number.NEGATIVE_INFINITY
  #failures = 0

  constructor(options: CommitterOptions) {
    this.#options = options
  }

  get busy(): boolean {
    return this.#running !== null
  }

  /** The last batch failed for good; `idle` throws why. */
  get failed(): boolean {
    return this.#failure !== null
  }

  /** Why the ledger does not take rows, in words; null while it does. */
  get trouble(): string | null {
    return this.#trouble
  }

  /** From now on a ledger that cannot be reached is not waited for: the drain. */
  losePatience(): void {
    this.#patience.abort()
  }

  /** Begins with this batch; the one before must be done. */
  start(batch: StreamBatch, signal: AbortSignal): void {
    this.#running = this.#commit(batch, signal)
      .catch((error: unknown) => {
        this.#failure = { error }
      })
      .finally(() => {
        this.#running = null
      })
  }

  /**
   * Resolves when no batch is on its way, or when the signal aborts: a ledger may hang.
   * Throws what made the last one fail for good.
   */
  async idle(signal: AbortSignal): Promise<void> {
    if (this.#running !== null && !signal.aborted) {
      let abort = () => {}
      const aborted = new Promise<void>((resolve) => {
        abort = resolve
      })
      signal.addEventListener('abort', abort)
      await Promise.race([this.#running, aborted])
      signal.removeEventListener('abort', abort)
    }
    if (this.#failure !== null) throw this.#failure.error
  }

  /** Repeats a ledger call with backoff while it fails for a passing reason. */
  async insist<Result>(work: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    for (;;) {
      try {
        const result = await work()
        this.#noteSuccess()
        return result
      } catch (error) {
        if (!(error instanceof TransientError) || this.#patience.signal.aborted || signal.aborted) throw error
        const delayMs = Math.max(
          BACKOFF_MS[Math.min(this.#failures, BACKOFF_MS.length - 1)] ?? 0,
          error.retryAfterMs ?? 0,
        )
        this.#noteFailure(error, delayMs)
        await this.#options.clock.sleep(delayMs, AbortSignal.any([signal, this.#patience.signal]))
        if (signal.aborted || this.#patience.signal.aborted) throw error
      }
    }
  }

  async #commit(batch: StreamBatch, signal: AbortSignal): Promise<void> {
    const commit = await this.insist(() => this.#options.ledger.commitStream(batch), signal)
    this.#options.onCommitted(batch, commit)
  }

  /** The first failure is logged, then one line a minute however often it is tried. */
  #noteFailure(error: TransientError, delayMs: number): void {
    this.#failures += 1
    this.#trouble = describeError(error)
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs - this.#loggedMs < LOG_INTERVAL_MS) return
    this.#loggedMs = nowMs
    const context = { err: error, attempts: this.#failures, nextAttemptMs: delayMs }
    this.#options.log.warn(context, `the ledger takes no rows, the tape goes on: ${this.#trouble}`)
  }

  #noteSuccess(): void {
    if (this.#trouble !== null) this.#options.log.info({ attempts: this.#failures }, 'the ledger takes rows again')
    this.#failures = 0
    this.#trouble = null
    this.#loggedMs = Number.NEGATIVE_INFINITY
  }
}
