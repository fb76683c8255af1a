import type { ConditionId } from './ids.ts'
import type { Market, OrderBookSnapshot, PriceSnapshot, Resolution, TokenFacts } from './market.ts'

/** Narrow ports that the ledger implements and `daemon.ts` hands to the collectors. Each call is one transaction. */

export interface MarketStore {
  /** Inserts or updates markets and their tokens; returns how many rows were new or changed. */
  saveMarkets(markets: readonly Market[], observedMs: number): Promise<number>
  /** Every token of a market that is open and accepts orders, by 24 h volume, at most `limit` markets. */
  loadTrackedTokens(limitMarkets: number): Promise<readonly TrackedToken[]>
}

export interface TrackedToken extends TokenFacts {
  readonly volume24h: string | null
}

export interface PriceStore {
  /** Stores the rows whose price or volume changed, or whose last row is an hour old; returns how many. */
  savePrices(prices: readonly PriceSnapshot[], observedMs: number): Promise<number>
}

export interface OrderBookStore {
  /** Stores the books whose hash changed since their last row; returns how many. */
  saveOrderBooks(books: readonly OrderBookSnapshot[], observedMs: number): Promise<number>
}

export interface ResolutionStore {
  /** Markets without a resolution that are closed, past their end or no longer listed; oldest check first. */
  loadUnresolved(nowMs: number, limit: number): Promise<readonly ConditionId[]>
  /** Notes that these were asked for, so that the next cycle asks for others first. */
  markChecked(conditionIds: readonly ConditionId[], nowMs: number): Promise<void>
  /** Inserts resolutions that are not yet known; returns how many. Also updates the markets given. */
  saveResolutions(resolutions: readonly Resolution[], markets: readonly Market[], observedMs: number): Promise<number>
}

/** Rows of a collector's bad input: counted and kept where a person can look. */
export interface DeadLetterStore {
  saveDeadLetters(letters: readonly DeadLetter[]): Promise<void>
}

export interface DeadLetter {
  /** Unix ms. */
  readonly atMs: number
  /** The collector or stream. */
  readonly source: string
  readonly reason: string
  /** The input as text; cut by the store at its limit. */
  readonly raw: string
}

/** One finished cycle of a polling collector. */
export interface CycleStore {
  saveCycle(cycle: FinishedCycle): Promise<void>
}

/** Told of every cycle, good or bad, in order. Must not wait. */
export interface CycleListener {
  /** `startedMs` is Unix ms. */
  cycleStarted?(collector: string, startedMs: number): void
  /** `cause` is what a failed cycle threw, null for a good one. */
  cycleFinished(cycle: FinishedCycle, cause: unknown): void
}

export interface FinishedCycle {
  readonly collector: string
  readonly startedMs: number
  readonly durationMs: number
  readonly ok: boolean
  readonly items: number
  readonly error: string | null
  readonly details: Readonly<Record<string, number | string>>
}
