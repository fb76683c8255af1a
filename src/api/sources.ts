import type { LiveBooks } from '../core/books.ts'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/log.ts'
import type { StatusBoard } from '../core/status.ts'
import type { Sessions } from '../ledger/ledger.ts'
import type { EventHub } from '../monitor/event-hub.ts'
import type { LogStore } from '../monitor/log-store.ts'
import type { StatisticsTracker } from '../monitor/statistics-tracker.ts'
import type { Desk } from './desk.ts'

/** Where answers come from. The board, the statistics and the events are in memory; the rest may be away. */
export interface Sources {
  readonly clock: Clock
  readonly log: Logger
  readonly board: () => StatusBoard
  readonly statistics: Pick<StatisticsTracker, 'getStatistics'>
  readonly logs: Pick<LogStore, 'getRecentLogs'>
  readonly events: EventHub
  readonly books: LiveBooks
  /** Reads only. */
  readonly ledger: Pick<Sessions, 'view'>
  /** What changes portfolios and assets. */
  readonly desk: Desk
}

/** The collector that the fetcher endpoints are about. */
export const FETCHER = 'assets.prices'
