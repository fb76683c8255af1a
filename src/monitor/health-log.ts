import type { Clock } from '../core/clock.ts'
import { healthLines } from '../core/health.ts'
import type { Logger } from '../core/log.ts'
import type { StatusBoard } from '../core/status.ts'

export interface HealthLogOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
  readonly board: () => StatusBoard
  readonly intervalMs: number
}

/**
 * Logs the health lines at every interval until the signal aborts. Never rejects: when it dies it says so once, is
 * not restarted and harms nobody.
 */
export async function runHealthLog(options: HealthLogOptions): Promise<void> {
  const { clock, log, signal, board, intervalMs } = options
  const startMs = clock.monotonicMs()
  try {
    for (let tick = 1; ; ) {
      await clock.sleep(startMs + tick * intervalMs - clock.monotonicMs(), signal)
      if (signal.aborted) return
      for (const line of healthLines(board())) log.info({}, line)
      // After a long standstill there is one report, not one for every missed interval.
      tick = Math.max(tick + 1, Math.ceil((clock.monotonicMs() - startMs) / intervalMs))
    }
  } catch (error) {
    log.error({ err: error }, 'the health log has died; everything else goes on')
  }
}
