/** Assets, their prices, and the ports between price sources and the ledger. Prices are decimal text. */

export const ASSET_TYPES = ['stock', 'etf', 'crypto', 'fund', 'currency', 'commodity', 'outcome'] as const
export type AssetType = (typeof ASSET_TYPES)[number]

export function isAssetType(value: unknown): value is AssetType {
  return ASSET_TYPES.some((type) => type === value)
}

export interface Asset {
  readonly assetId: number
  /** As the price source writes it (`AAPL`, `BTC-USD`, `EURUSD=X`), or the id of an outcome token. */
  readonly symbol: string
  readonly name: string
  readonly type: AssetType
  readonly exchange: string | null
  /** Of its prices; null until the first one said so. */
  readonly currency: string | null
}

/** One price, with the day so far. */
export interface Quote {
  /** When the price was made, Unix ms. */
  readonly atMs: number
  readonly price: string
  readonly open: string | null
  readonly high: string | null
  readonly low: string | null
  readonly volume: string | null
  readonly currency: string
  /** What the source calls it; null where it does not say. */
  readonly name: string | null
  readonly exchange: string | null
}

/** One request for a price, and what came of it. An asset may be asked for more than once in a cycle. */
export interface QuoteAttempt {
  readonly asset: Asset
  readonly startedMs: number
  readonly durationMs: number
  readonly answer: { readonly ok: true; readonly quote: Quote } | { readonly ok: false; readonly error: string }
}

/** One whole day. */
export interface DayBar {
  /** `2026-05-01`, as the exchange counts days. */
  readonly day: string
  readonly open: string | null
  readonly high: string | null
  readonly low: string | null
  readonly close: string
  readonly volume: string | null
}

export interface DayRange {
  /** Both included. */
  readonly fromDay: string
  readonly toDay: string
}

export interface History {
  readonly bars: readonly DayBar[]
  readonly currency: string
}

/** Where prices come from: quotes for many, history for one. */
export interface PriceSource {
  readonly name: string
  serves(type: AssetType): boolean
  /**
   * Asks for each asset; every request is an attempt in the answer, and every asset has one at least. Never throws
   * for what one asset, or the source as a whole, does: that is in the attempts.
   */
  quotes(assets: readonly Asset[], context: QuoteContext): Promise<readonly QuoteAttempt[]>
  /**
   * The days that the source has, in order. Throws TransientError (`rateLimited` where it asks to wait), or
   * UnknownAssetError when it never heard of the asset.
   */
  history(asset: Asset, range: DayRange, signal: AbortSignal): Promise<History>
}

export interface QuoteContext {
  readonly signal: AbortSignal
  /** On the monotonic clock: nothing new is asked after this, ms. */
  readonly deadlineMs: number
}

/** The source does not know this asset, and asking again will not change that. */
export class UnknownAssetError extends Error {
  override readonly name = 'UnknownAssetError'
}

/** An attempt together with the name of its source. */
export interface SourcedAttempt extends QuoteAttempt {
  readonly source: string
}

export interface AssetPriceStore {
  /** Tracked and active assets, the longest not asked for first; tracks the currency pairs that portfolios need. */
  loadTrackedAssets(): Promise<readonly Asset[]>
  /** Logs every attempt and stores the prices, in one transaction; returns how many rows of prices were new. */
  saveAttempts(attempts: readonly SourcedAttempt[]): Promise<number>
}

/** The newest price of an outcome token, from our own recording. */
export interface OutcomePrice {
  readonly tokenId: string
  readonly price: string
  readonly atMs: number
  readonly name: string | null
}

/** Prices of outcome tokens. A resolved market is worth its payout. */
export interface OutcomePriceReader {
  /** Those that are known; the others are left out. */
  loadOutcomePrices(tokenIds: readonly string[]): Promise<readonly OutcomePrice[]>
  loadOutcomeDays(tokenId: string, range: DayRange): Promise<readonly DayBar[]>
}

export const BACKFILL_STATES = ['pending', 'in_progress', 'rate_limited', 'completed', 'failed'] as const
export type BackfillState = (typeof BACKFILL_STATES)[number]

/** One asset whose history is being fetched. */
export interface BackfillTask {
  readonly asset: Asset
  /** Including this one. */
  readonly attempts: number
  /** What is missing, oldest first, days not to be had left out. */
  readonly gaps: readonly DayRange[]
}

/** How an attempt ended. `retryAtMs` is Unix ms. */
export type BackfillEnd =
  | { readonly state: 'completed' }
  | { readonly state: 'pending' | 'rate_limited'; readonly retryAtMs: number; readonly error: string }
  | { readonly state: 'failed'; readonly error: string }

export interface BackfillStore {
  /** Queues what transactions need and finished rows that have gaps; returns how many rows became due. */
  enqueueBackfills(nowMs: number): Promise<number>
  /** Takes the next due row, also one that was in progress and is stale; null when nothing is due. */
  claimBackfill(claimant: string, nowMs: number): Promise<BackfillTask | null>
  /** Days of a range as the source gave them; what the range lacks is noted as not to be had. Returns new rows. */
  saveHistory(asset: Asset, source: string, range: DayRange, history: History, nowMs: number): Promise<number>
  endBackfill(assetId: number, end: BackfillEnd, nowMs: number): Promise<void>
  /** When the next row becomes due, Unix ms; null when none waits. */
  nextBackfillMs(): Promise<number | null>
  /** Puts rows that this claimant left in progress back in line. */
  releaseBackfills(claimant: string, nowMs: number): Promise<number>
}

/** Tells of new transactions over a connection of its own. */
export interface TransactionSignal {
  /**
   * Calls `onSignal` once connected and then for every change of transactions. Returns when the signal aborts; throws
   * TransientError when the connection is lost.
   */
  listenForTransactions(onSignal: () => void, signal: AbortSignal): Promise<void>
}

/** `EURUSD=X` is worth USD for one EUR, `JPY=X` yen for one dollar; null when it is no pair. */
export function currencyPairOf(symbol: string): { readonly base: string; readonly quote: string } | null {
  const match = /^([A-Z]{3})?([A-Z]{3})=X$/.exec(symbol)
  if (match === null) return null
  return { base: match[1] ?? 'USD', quote: match[2] ?? '' }
}

const DAY_MS = 86_400_000

/** Midnight that ends the day, Unix ms. */
export function endOfDayMs(day: string): number {
  return Date.parse(`${day}T00:00:00Z`) + DAY_MS
}
