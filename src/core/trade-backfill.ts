import type { Side } from './events.ts'
import type { ConditionId, TokenId } from './ids.ts'
import type { TradeOrigin } from './rows.ts'

/** What filling holes needs of the ledger and of the tape. Each call is one transaction. */
export interface TradeBackfillStore {
  /** Closed gaps of this recorder's stream whose turn has come, those that ended first first. */
  loadGapsToFill(nowMs: number, limit: number): Promise<readonly GapToFill[]>
  /**
   * Writes down what an attempt came to and counts what was recovered. False when the row is not as it was handed
   * out: then it waits for another attempt.
   */
  saveGapAttempt(gap: GapToFill, attempt: FillAttempt): Promise<boolean>
  /** Trades of these tokens in [fromMs, toMs) with one of these transactions, or with none named. */
  loadTrades(query: StoredTradesQuery): Promise<readonly StoredTrade[]>
  /** Closed UTC hours that are not compared yet and whose turn has come, oldest first. */
  loadHoursToReconcile(query: HoursQuery): Promise<readonly HourToReconcile[]>
  /** Markets with stored trades or a change of volume in [fromMs, toMs). */
  loadTradedMarkets(fromMs: number, toMs: number): Promise<readonly TradedMarket[]>
  /**
   * Writes down what an attempt for these hours came to. What was recovered in them outside of every gap row gets one
   * of its own; returns how many.
   */
  saveHoursAttempt(hoursMs: readonly number[], attempt: HoursAttempt): Promise<{ readonly gaps: number }>
  loadBacklog(): Promise<BackfillBacklog>
}

export interface GapToFill {
  readonly gapId: number
  readonly startedMs: number
  readonly endedMs: number
  /** As stored, Unix µs: tells whether the row has changed meanwhile. */
  readonly endedUs: number
  readonly attempts: number
  /** Markets of the tokens that may have missed something. */
  readonly conditionIds: readonly ConditionId[]
  /** Tokens that may have missed something and whose market is unknown: nothing can be asked for them. */
  readonly strangers: number
}

export interface FillAttempt {
  readonly nowMs: number
  /** null: not settled yet. */
  readonly complete: boolean | null
  /** When to try again, Unix ms; null unless `complete` is. */
  readonly nextMs: number | null
  /** What is wrong or still awaited, in words. */
  readonly error: string | null
  /** What was reached, for people. */
  readonly reached: Readonly<Record<string, number | string>>
}

export interface HoursAttempt extends FillAttempt {
  readonly markets: number
}

export interface StoredTradesQuery {
  readonly tokenIds: readonly TokenId[]
  readonly transactionHashes: readonly string[]
  readonly fromMs: number
  readonly toMs: number
}

export interface StoredTrade {
  readonly tokenId: string
  /** Unix ms; of a backfilled one a whole second. */
  readonly venueMs: number
  readonly price: number
  readonly size: number
  readonly side: Side
  readonly transactionHash: string
  readonly origin: TradeOrigin
}

export interface HourToReconcile {
  /** Its start, Unix ms. */
  readonly hourMs: number
  readonly attempts: number
}

export interface HoursQuery {
  readonly nowMs: number
  /** Hours must have ended this long ago, ms. */
  readonly settleMs: number
  /** Older hours are left alone, ms. */
  readonly maxAgeMs: number
  readonly limit: number
}

export interface TradedMarket {
  readonly conditionId: ConditionId
  /** Since when it is followed, Unix ms: earlier trades are not missing. */
  readonly sinceMs: number
  /** Stored trades in the time asked for. */
  readonly trades: number
}

export interface BackfillBacklog {
  /** Closed gaps that are not settled. */
  readonly gaps: number
  /** Gaps that were not filled to the end. */
  readonly gapsIncomplete: number
  /** Hours that were tried and are not settled. */
  readonly hours: number
  /** End of the oldest gap that waits, Unix ms. */
  readonly oldestMs: number | null
}

/** How far a stream has come on its way through the tape into the ledger. */
export interface StreamReach {
  /** Everything received before this time is in the ledger; Unix ms, −∞ when nothing is known. */
  reachedMs(): Promise<number>
  /** Resolves with true once everything received before `atMs` is in the ledger; with false after `withinMs`. */
  until(atMs: number, withinMs: number, signal: AbortSignal): Promise<boolean>
}
