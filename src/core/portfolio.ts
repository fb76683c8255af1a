import type { AssetType } from './assets.ts'

/** Portfolios, what they hold and what it is worth. Money, quantities and rates are decimal text. */

export interface Portfolio {
  readonly portfolioId: number
  readonly name: string
  readonly currency: string
  readonly createdMs: number
}

export const SIDES = ['buy', 'sell'] as const
export type Side = (typeof SIDES)[number]

/** A transaction as somebody enters it. Price and fee are in the currency of the asset. */
export interface TransactionDraft {
  readonly symbol: string
  readonly side: Side
  readonly quantity: string
  readonly price: string
  readonly fee: string
  readonly executedMs: number
  readonly notes: string | null
  /** The portfolio's currency for one unit of the asset's; null: the rate of that time is looked up. */
  readonly exchangeRate: string | null
  /** Of the asset, where it is new. */
  readonly type: AssetType
  readonly currency: string | null
  readonly name: string | null
  /** Where it stands in an imported file. */
  readonly line: number | null
}

/** A transaction as positions are made from. */
export interface Transaction {
  readonly side: Side
  readonly quantity: string
  readonly price: string
  readonly fee: string
  /** The portfolio's currency for one unit of the asset's; null while it is not known. */
  readonly rate: string | null
  readonly executedMs: number
  /** Of the draft; null for what is stored already. */
  readonly line: number | null
}

/** What a portfolio holds of one asset, at average cost with fees, in the currency of the asset. */
export interface Position {
  readonly quantity: string
  readonly averageCost: string
  readonly cost: string
  readonly realized: string
  readonly fees: string
  /** In the portfolio's currency at the rates of the transactions; null while one of them is not known. */
  readonly invested: string | null
  readonly realizedMoney: string | null
  readonly firstBoughtMs: number
}

/** Why something that was entered is not taken. */
export interface Problem {
  readonly line: number | null
  readonly message: string
}

/** The position that transactions of one asset in order of time amount to. */
export type PositionMaker = (
  symbol: string,
  transactions: readonly Transaction[],
) => { readonly ok: true; readonly position: Position } | { readonly ok: false; readonly problem: Problem }

export type Appended =
  | { readonly ok: true; readonly added: number; readonly newAssets: readonly string[] }
  | { readonly ok: false; readonly problems: readonly Problem[] }

export interface TransactionStore {
  /** All of them or none, in one transaction that holds the portfolio. A dry run does the same and takes it back. */
  appendTransactions(
    portfolioId: number,
    drafts: readonly TransactionDraft[],
    make: PositionMaker,
    options: { readonly dryRun: boolean; readonly nowMs: number },
  ): Promise<Appended>
}

/** The moments whose values are compared, oldest last; `now` first. */
export const HORIZONS = ['now', 'day', 'week', 'month', 'year'] as const
export type Horizon = (typeof HORIZONS)[number]
export type Period = Exclude<Horizon, 'now'>

/** Something with a value at a time. */
export interface Dated {
  readonly value: string
  readonly atMs: number
}

/** Prices and exchange rates at the horizons; what is not known is not there. */
export interface MarketData {
  readonly nowMs: number
  price(assetId: number, horizon: Horizon): Dated | null
  /** Units of `to` for one of `from`; 1 for equal currencies. */
  rate(from: string, to: string, horizon: Horizon): Dated | null
}

/** What went in and out of a holding since a horizon, in the portfolio's currency; null where a rate is not known. */
export interface Flow {
  readonly period: Period
  /** Bought minus sold. */
  readonly quantity: string
  readonly paid: string | null
  readonly received: string | null
}

export interface Holding extends Position {
  readonly assetId: number
  readonly symbol: string
  readonly name: string
  readonly type: AssetType
  /** Of its prices; null while it is not known. */
  readonly currency: string | null
  readonly flows: readonly Flow[]
}

export interface PortfolioContents {
  readonly portfolio: Portfolio
  /** Counts changes; a value belongs to one of them. */
  readonly revision: string
  readonly holdings: readonly Holding[]
}

export interface Change {
  readonly money: string
  /** Of what was there then and was paid in since; null when that is nothing. */
  readonly percent: string | null
}

/** A holding with its value; null where a price or rate is not known. */
export interface ValuedHolding {
  readonly symbol: string
  readonly name: string
  readonly type: AssetType
  readonly currency: string | null
  readonly quantity: string
  readonly averageCost: string
  readonly invested: string | null
  readonly price: string | null
  readonly priceAt: string | null
  readonly exchangeRate: string | null
  readonly value: string | null
  readonly profit: string | null
}

/** What is not known and therefore left out. */
export interface Missing {
  readonly symbol: string
  readonly what: 'price' | 'currency' | 'exchange_rate' | 'purchase_rate'
}

export interface Performance {
  readonly portfolioId: number
  readonly revision: string
  readonly currentValue: string
  readonly invested: string
  readonly profit: string
  readonly profitPercent: string | null
  readonly realized: string
  readonly changes: Readonly<Record<Period, Change | null>>
  readonly positions: number
  readonly missing: readonly Missing[]
  /** Of the prices used, Unix ms; null when none was. */
  readonly oldestPriceMs: number | null
  readonly holdings: readonly ValuedHolding[]
  readonly valuedMs: number
}

export interface ValuationStore {
  /** Positions whose money was not known: made again where rates have come. Returns how many portfolios changed. */
  refreshPositions(make: PositionMaker, nowMs: number): Promise<number>
  loadMarketData(horizonsMs: Readonly<Record<Horizon, number>>): Promise<MarketData>
  /** Portfolios with an id above `afterId`, by id. */
  loadContents(
    afterId: number,
    limit: number,
    horizonsMs: Readonly<Record<Horizon, number>>,
  ): Promise<readonly PortfolioContents[]>
  /** One statement: the cached row and the day's snapshot. False when the transactions have changed since. */
  savePerformance(performance: Performance): Promise<boolean>
}

export interface RecalculationReport {
  readonly portfolios: number
  readonly failed: number
  readonly durationMs: number
}

/** Values every portfolio anew. Never throws for what one portfolio does. */
export interface PortfolioRecalculation {
  recalculateAllPortfolios(signal: AbortSignal): Promise<RecalculationReport>
}
