import type { Clock } from '../core/clock.ts'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'

export interface UpkeepOptions {
  /** Names the work in the log. */
  readonly what: string
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
  readonly intervalMs: number
  readonly round: () => Promise<void>
}

/** After a failed round the next one comes this soon, ms. */
const AFTER_FAILURE_MS = 60_000

/** Does housekeeping at an interval until the signal aborts. A failed round is logged and tried again soon. */
export async function runUpkeep({ what, clock, log, signal, intervalMs, round }: UpkeepOptions): Promise<void> {
  let pauseMs = AFTER_FAILURE_MS
  while (!signal.aborted) {
    await clock.sleep(Math.min(pauseMs, intervalMs), signal)
    if (signal.aborted) return
    try {
      await round()
      pauseMs = intervalMs
    } catch (error) {
      pauseMs = AFTER_FAILURE_MS
      // Away or busy databases are told of elsewhere, and once.
      log.debug({ err: error }, `${what} failed and comes again: ${describeError(error)}`)
    }
  }
}
