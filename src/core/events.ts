import { assertNever } from './errors.ts'
import type { ConditionId, TokenId } from './ids.ts'

/** A price level as the venue wrote it: decimal text, never a number. Sizes are shares, absolute. */
export interface Level {
  readonly price: string
  readonly size: string
}

export type Side = 'BUY' | 'SELL'

/** What a stream says, independent of the venue. Times are Unix ms of the venue. */
export type MarketEvent =
  | BookSnapshot
  | PriceChange
  | Trade
  | TickSizeChange
  | BestBidAsk
  | NewMarket
  | MarketResolved
  | UnknownEvent

/** One token's whole order book. */
export interface BookSnapshot {
  readonly kind: 'book'
  readonly token: TokenId
  readonly market: string
  readonly venueMs: number
  /** The venue's hash of this book, or null when it gave none. */
  readonly hash: string | null
  readonly bids: readonly Level[]
  readonly asks: readonly Level[]
  readonly tickSize: string | null
  /** null when the frame does not say; '' when the venue says that nothing was traded yet. */
  readonly lastTradePrice: string | null
  readonly minOrderSize: string | null
  readonly negRisk: boolean | null
  readonly version: string | null
  /** Sent because of a match, whose trade follows; false for the answer to a subscription. */
  readonly afterTrade: boolean
}

export interface PriceChange {
  readonly kind: 'price_change'
  readonly market: string
  readonly venueMs: number
  readonly changes: readonly LevelChange[]
}

/** One level of one token set to a new absolute size; `0` removes it. */
export interface LevelChange {
  readonly token: TokenId
  readonly side: Side
  readonly price: string
  readonly size: string
  /** Hash of the token's whole book after the last change with the same token, time and hash. */
  readonly hash: string | null
  readonly bestBid: string | null
  readonly bestAsk: string | null
}

export interface Trade {
  readonly kind: 'trade'
  readonly token: TokenId
  readonly market: string
  readonly venueMs: number
  readonly price: string
  readonly size: string
  readonly side: Side
  readonly feeRateBps: string
  /** Not unique: one transaction can hold many fills. '' when the venue gave none. */
  readonly transactionHash: string
  /** Set when it was fetched later instead of streamed; `venueMs` is then a whole second. */
  readonly backfill?: {
    /** Tells identical backfilled trades apart: which of them this is, from 0. */
    readonly ordinal: number
  }
}

export interface TickSizeChange {
  readonly kind: 'tick_size_change'
  readonly token: TokenId
  readonly market: string
  readonly venueMs: number
  readonly oldTickSize: string
  readonly newTickSize: string
}

export interface BestBidAsk {
  readonly kind: 'best_bid_ask'
  readonly token: TokenId
  readonly market: string
  readonly venueMs: number
  readonly bestBid: string
  readonly bestAsk: string
}

export interface NewMarket {
  readonly kind: 'new_market'
  readonly market: ConditionId
  readonly venueMs: number
  readonly question: string
  readonly slug: string
  readonly tokens: readonly TokenId[]
  readonly outcomes: readonly string[]
  readonly tickSize: string | null
  /** The whole event as compact JSON, for what we do not know yet. */
  readonly raw: string
}

export interface MarketResolved {
  readonly kind: 'market_resolved'
  readonly market: ConditionId
  readonly venueMs: number
  readonly tokens: readonly TokenId[]
  readonly winningToken: TokenId | null
  readonly winningOutcome: string | null
  readonly raw: string
}

/** Well-formed JSON of a type that this build does not know: counted, kept on the tape. */
export interface UnknownEvent {
  readonly kind: 'unknown'
  readonly eventType: string
}

/** The tokens that an event speaks of. */
export function tokensOf(event: MarketEvent): readonly TokenId[] {
  switch (event.kind) {
    case 'book':
    case 'trade':
    case 'tick_size_change':
    case 'best_bid_ask':
      return [event.token]
    case 'price_change':
      return event.changes.map((change) => change.token)
    case 'new_market':
    case 'market_resolved':
      return event.tokens
    case 'unknown':
      return []
    default:
      return assertNever(event)
  }
}

/** What a decoder made of one payload: good parts and bad parts side by side. */
export interface Decoded {
  readonly events: readonly MarketEvent[]
  /** One reason per part that could not be read; the payload itself is on the tape. */
  readonly rejects: readonly string[]
  /** Keys that this build does not know, as `event_type.key`: schema drift, counted. */
  readonly drift: readonly string[]
}

/** Pure: the same payload always yields the same result. Never throws. */
export type DecodeFrame = (payload: Buffer) => Decoded
