import type { Clock } from '../core/clock.ts'
import { type CycleBook, CycleCounters, type CycleStatistics } from '../core/statistics.ts'
import type { Sessions } from '../ledger/ledger.ts'
import { deleteStatisticsBefore, insertStatistics } from '../ledger/statistics.ts'

export interface StatisticsTrackerOptions {
  readonly clock: Clock
  readonly ledger: Sessions
  readonly recorderId: string
  /** How long stored rows are kept, ms. */
  readonly retentionMs: number
}

/** The statistics of one collector now. Durations are ms. */
export interface CollectorStatistics extends CycleStatistics {
  readonly uptimeMs: number
}

const PURGE_BATCH_ROWS = 5_000
const PURGE_BATCHES_MAX = 20

/**
 * Counts the cycles of every collector. There is one such book in the program: the supervisor writes it, the status
 * board and the API read it, and its numbers are stored from time to time.
 */
export class StatisticsTracker implements CycleBook {
  readonly #options: StatisticsTrackerOptions
  readonly #counters = new CycleCounters()
  readonly #startedMs: number
  readonly #startMs: number

  constructor(options: StatisticsTrackerOptions) {
    this.#options = options
    this.#startedMs = options.clock.wallMs()
    this.#startMs = options.clock.monotonicMs()
  }

  /** When this book was begun, Unix ms. */
  get startedMs(): number {
    return this.#startedMs
  }

  /** Since then, on the monotonic clock, ms. */
  uptimeMs(): number {
    return this.#options.clock.monotonicMs() - this.#startMs
  }

  recordCycleStart(collector: string): void {
    this.#counters.recordCycleStart(collector)
  }

  recordCycleEnd(collector: string, ok: boolean, durationMs: number): void {
    this.#counters.recordCycleEnd(collector, ok, durationMs)
  }

  statisticsOf(collector: string): CycleStatistics {
    return this.#counters.statisticsOf(collector)
  }

  getStatistics(collector: string): CollectorStatistics {
    return { ...this.#counters.statisticsOf(collector), uptimeMs: this.uptimeMs() }
  }

  /** Stores the present numbers of every collector. Throws TransientError when the database cannot be reached. */
  async persistStatistics(): Promise<void> {
    const { clock, ledger, recorderId } = this.#options
    const [atMs, startedMs, uptimeSeconds] = [clock.wallMs(), this.#startedMs, this.uptimeMs() / 1000]
    const rows = this.#counters.names().map((collector) => {
      const { isRunning: _, ...numbers } = this.#counters.statisticsOf(collector)
      return { ...numbers, atMs, startedMs, recorderId, collector, uptimeSeconds }
    })
    await ledger.write((session) => insertStatistics(session, rows))
  }

  /** Deletes stored rows older than the retention; returns how many. */
  async purgeOldStatistics(): Promise<number> {
    const { clock, ledger, retentionMs } = this.#options
    const beforeMs = clock.wallMs() - retentionMs
    let total = 0
    for (let batch = 0; batch < PURGE_BATCHES_MAX; batch += 1) {
      const deleted = await ledger.write((session) => deleteStatisticsBefore(session, beforeMs, PURGE_BATCH_ROWS))
      total += deleted
      if (deleted < PURGE_BATCH_ROWS) break
    }
    return total
  }
}
