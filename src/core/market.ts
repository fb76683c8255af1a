import type { Level } from './events.ts'
import type { ConditionId, TokenId } from './ids.ts'

/** A prediction market, independent of the venue. Absent facts are null, never guessed. Times are ISO 8601 or null. */
export interface Market {
  readonly conditionId: ConditionId
  readonly venueMarketId: string | null
  readonly question: string
  readonly slug: string
  readonly description: string | null
  readonly category: string | null
  readonly eventId: string | null
  readonly eventTitle: string | null
  readonly active: boolean
  readonly closed: boolean
  readonly archived: boolean
  readonly acceptingOrders: boolean
  readonly negRisk: boolean
  /** Decimal text as the venue's hash needs it, for example `0.01` and `5`. */
  readonly tickSize: string | null
  readonly minOrderSize: string | null
  readonly version: string | null
  readonly startAt: string | null
  readonly endAt: string | null
  readonly closedAt: string | null
  /** USDC, decimal text. */
  readonly volume: string | null
  readonly volume24h: string | null
  readonly liquidity: string | null
  readonly resolutionStatus: string | null
  /** In the order of the venue's outcomes. */
  readonly tokens: readonly MarketToken[]
  /** Everything the venue sent that has no column of its own, as a JSON object. */
  readonly raw: Readonly<Record<string, unknown>>
}

export interface MarketToken {
  readonly tokenId: TokenId
  readonly outcome: string
  readonly outcomeIndex: number
  /** 0 to 1, decimal text; null when the venue gave none. */
  readonly price: string | null
}

/** One observed price of one token. */
export interface PriceSnapshot {
  readonly tokenId: TokenId
  readonly conditionId: ConditionId
  /** Decimal text, 0 to 1. */
  readonly price: string
  /** USDC, decimal text. */
  readonly volume24h: string | null
}

/** One observed order book: best level first on both sides. */
export interface OrderBookSnapshot {
  readonly tokenId: TokenId
  readonly conditionId: ConditionId
  /** Time of the book's last change at the venue, Unix ms. */
  readonly venueMs: number
  readonly hash: string
  readonly bids: readonly Level[]
  readonly asks: readonly Level[]
  /** Decimal text; null when a side is empty. */
  readonly spread: string | null
  readonly midpoint: string | null
}

export type DetectionMethod = 'gamma' | 'clob' | 'gamma+clob'

/** How a market ended. A split or an unknown result has no winner. */
export interface Resolution {
  readonly conditionId: ConditionId
  readonly result: 'winner' | 'split'
  /** The winning outcome's name; null for a split. */
  readonly outcome: string | null
  readonly winnerTokenId: TokenId | null
  /** What one share of the winning outcome pays, decimal text: `1`, or `0.5` for a split. */
  readonly payoutPrice: string
  /** ISO 8601: the venue's closing time, else the time of detection. */
  readonly resolvedAt: string
  readonly detectionMethod: DetectionMethod
}

/** What the book check needs to know of a token beyond its frames. */
export interface TokenFacts {
  readonly tokenId: TokenId
  readonly conditionId: ConditionId
  readonly tickSize: string | null
  readonly minOrderSize: string | null
  readonly negRisk: boolean | null
  readonly version: string | null
}

export interface TokenDirectory {
  facts(token: TokenId): TokenFacts | undefined
}
