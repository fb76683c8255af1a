import type { z } from 'zod'
import type { HealthBody } from './health-body.ts'
import type * as common from './schemas/common.ts'
import type * as coverage from './schemas/coverage.ts'
import type * as markets from './schemas/markets.ts'
import type * as monitor from './schemas/monitor.ts'
import type * as portfolios from './schemas/portfolios.ts'
import type * as signals from './schemas/signals.ts'

/**
 * What goes over the HTTP API, as types only: the page imports this file and nothing else of the program. They are
 * read off the schemas that check requests and make `/api/openapi.json`. Queries are as they arrive after reading;
 * times are ISO 8601 UTC, money is decimal text.
 */

/** Every error, as `application/problem+json`. */
export type Problem = z.infer<typeof common.problem>

/** GET /api/health */
export type Health = HealthBody
/** GET, POST, DELETE /api/session */
export type Session = z.infer<typeof monitor.session>
/** Body of POST /api/session */
export type SignIn = z.infer<typeof monitor.signIn>

/** GET /api/fetcher/status */
export type FetcherStatus = z.infer<typeof monitor.fetcherStatus>
/** GET /api/fetcher/logs */
export type Logs = z.infer<typeof monitor.logs>
export type LogsQuery = z.input<typeof monitor.logsQuery>
export type LogEntry = z.infer<typeof monitor.logEntry>
export type LogLevel = LogEntry['level']
/** GET /api/fetcher/statistics */
export type FetcherStatistics = z.infer<typeof monitor.fetcherStatistics>
/** GET /api/fetcher/recent-updates */
export type RecentUpdates = z.infer<typeof monitor.recentUpdates>
export type PriceUpdate = z.infer<typeof monitor.priceUpdate>

/** GET /api/collectors */
export type Collectors = z.infer<typeof monitor.collectors>
/** GET /api/collectors/:name */
export type Collector = z.infer<typeof monitor.collector>
/** GET /api/collectors/:name/statistics */
export type CollectorStatistics = z.infer<typeof monitor.collectorStatistics>
/** GET /api/collectors/:name/cycles */
export type Cycles = z.infer<typeof monitor.cycles>
export type Cycle = z.infer<typeof monitor.cycle>

/** GET /api/markets */
export type Markets = z.infer<typeof markets.markets>
export type MarketsQuery = z.input<typeof markets.marketsQuery>
export type Market = z.infer<typeof markets.market>
export type MarketToken = z.infer<typeof markets.marketToken>
export type TokenCoverage = z.infer<typeof markets.tokenCoverage>
/** GET /api/markets/:condition_id */
export type MarketDetail = z.infer<typeof markets.marketDetail>
export type Resolution = z.infer<typeof markets.resolution>

/** GET /api/tokens/:token_id/trades */
export type Trades = z.infer<typeof markets.trades>
export type Trade = z.infer<typeof markets.trade>
/** GET /api/tokens/:token_id/prices */
export type Prices = z.infer<typeof markets.prices>
export type PricePoint = z.infer<typeof markets.pricePoint>
/** GET /api/tokens/:token_id/books */
export type Books = z.infer<typeof markets.books>
export type Book = z.infer<typeof markets.book>
/** GET /api/tokens/:token_id/book */
export type NewestBook = z.infer<typeof markets.newestBook>
/** GET /api/tokens/:token_id/candles */
export type Candles = z.infer<typeof markets.candles>
export type Candle = z.infer<typeof markets.candle>
/** GET /api/tokens/:token_id/coverage */
export type Coverage = z.infer<typeof coverage.coverage>
export type CoverageInterval = z.infer<typeof coverage.coverageInterval>

/** GET /api/gaps */
export type Gaps = z.infer<typeof coverage.gaps>
export type GapsQuery = z.input<typeof coverage.gapsQuery>
export type Gap = z.infer<typeof coverage.gap>

/** GET /api/portfolios */
export type Portfolios = z.infer<typeof portfolios.portfolios>
/** Body of POST /api/portfolios */
export type NewPortfolio = z.input<typeof portfolios.newPortfolio>
export type Portfolio = z.infer<typeof portfolios.portfolio>
export type Performance = z.infer<typeof portfolios.performance>
/** GET /api/portfolios/:portfolio */
export type PortfolioDetail = z.infer<typeof portfolios.portfolioDetail>
export type Position = z.infer<typeof portfolios.position>
/** GET /api/portfolios/:portfolio/snapshots */
export type Snapshots = z.infer<typeof portfolios.snapshots>
/** GET /api/portfolios/:portfolio/transactions */
export type Transactions = z.infer<typeof portfolios.transactions>
/** Body of POST /api/portfolios/:portfolio/transactions */
export type NewTransaction = z.input<typeof portfolios.newTransaction>
export type AddedTransaction = z.infer<typeof portfolios.added>
/** Body of POST /api/portfolios/:portfolio/import */
export type NewImport = z.input<typeof portfolios.newImport>
export type Imported = z.infer<typeof portfolios.imported>

/** GET /api/assets */
export type Assets = z.infer<typeof portfolios.assets>
export type Asset = z.infer<typeof portfolios.asset>
/** Body of POST /api/assets */
export type NewAsset = z.input<typeof portfolios.newAsset>
/** GET /api/backfills */
export type Backfills = z.infer<typeof portfolios.backfills>

/** GET /api/signals */
export type Signals = z.infer<typeof signals.signals>
export type SignalsQuery = z.input<typeof signals.signalsQuery>
export type Signal = z.infer<typeof signals.signal>
/** GET /api/signals/:signal_id */
export type SignalDetail = z.infer<typeof signals.signalDetail>
/** GET /api/scrape-runs */
export type ScrapeRuns = z.infer<typeof signals.scrapeRuns>
export type ScrapeRun = z.infer<typeof signals.scrapeRun>

/** Changed when health's verdict, its reasons or a collector's state has. */
export interface StatusChange {
  readonly status: Health['status']
  readonly reasons: readonly string[]
  readonly collectors: Readonly<Record<string, Collector['state']>>
}

/** GET /api/events: the name of each server-sent event, and its data. */
export interface ServerEvents {
  /** First of every connection, and whenever it changes. */
  status: StatusChange
  cycle: Cycle
  log: LogEntry
  /** Opened, changed or closed. */
  gap: Gap
  price: PriceUpdate
  /** So many events did not fit: load afresh what they would have changed. */
  dropped: { readonly count: number }
}
