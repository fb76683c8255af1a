import { type BookSide, bestText, type Outcome } from './book.ts'
import { type BookText, bookHash } from './book-hash.ts'
import { PRICE_ONE, priceText, sizeText } from './decimal.ts'
import { bookText, type SimMarket, tickText } from './market.ts'

/** The market channel's text, member by member in the order and spacing that the venue uses. */

/** One book of the initial dump: compact, with tick size and last trade price. */
export function dumpBook(market: SimMarket, outcome: Outcome): string {
  const book = bookText(market, outcome)
  return (
    `{"market":"${book.market}","asset_id":"${book.assetId}","timestamp":"${book.timestamp}"` +
    `,"hash":"${bookHash(book)}","bids":[${book.bids}],"asks":[${book.asks}]` +
    `,"tick_size":"${book.tickSize}","event_type":"book"` +
    `,"last_trade_price":"${book.lastTradePrice}"${book.version === 'v2' ? ',"version":"v2"}' : '}'}`
  )
}

/** The dump is one compact array with a final newline; the only frame that is either. */
export function dumpFrame(books: readonly string[]): string {
  return `[${books.join(',')}]\n`
}

/** A book after a trade: no tick size and no last trade price, though its hash covers the new one. */
export function tradedBookFrame(market: SimMarket, outcome: Outcome): string {
  const book: BookText = bookText(market, outcome)
  return (
    `{"market":"${book.market}", "asset_id":"${book.assetId}", "bids":[${spaced(book.bids)}]` +
    `, "asks":[${spaced(book.asks)}], "hash":"${bookHash(book)}", "timestamp":"${book.timestamp}"` +
    `, "event_type":"book"${book.version === 'v2' ? ', "version":"v2"}' : '}'}`
  )
}

// Levels hold digits only, so every comma is a separator.
function spaced(levels: string): string {
  return levels.replaceAll(',', ', ')
}

/** One order's effect on the book, in the first outcome's terms; `primary` is the token it was placed on. */
export interface LevelSet {
  readonly side: BookSide
  readonly units: number
  readonly hundredths: number
  readonly primary: Outcome
}

/** What both tokens' items share after a batch: hash and best prices of each. */
export type BatchState = readonly [TokenState, TokenState]

export interface TokenState {
  readonly hash: string
  readonly bid: string
  readonly ask: string
}

/** The state of both books; call it when the whole batch is in the book. */
export function batchState(market: SimMarket): BatchState {
  const state = (outcome: Outcome): TokenState => {
    const { bid, ask } = bestText(market.book, outcome)
    return { hash: bookHash(bookText(market, outcome)), bid, ask }
  }
  return [state(0), state(1)]
}

/** One change, mirrored on both outcomes, the order's own token first. */
export function priceChangeFrame(market: SimMarket, change: LevelSet, state: BatchState): string {
  const second: Outcome = change.primary === 0 ? 1 : 0
  return (
    `{"market":"${market.conditionId}", "price_changes":[${changeItem(market, change, change.primary, state)}` +
    `, ${changeItem(market, change, second, state)}], "timestamp":"${market.changedMs}", "event_type":"price_change"}`
  )
}

/** A change in one outcome's terms: buying at p is selling the other at 1 − p. */
export function changeOf(change: LevelSet, outcome: Outcome): { price: string; size: string; side: 'BUY' | 'SELL' } {
  return {
    price: priceText(outcome === 0 ? change.units : PRICE_ONE - change.units),
    size: sizeText(change.hundredths),
    side: (outcome === 0) === (change.side === 'bid') ? 'BUY' : 'SELL',
  }
}

function changeItem(market: SimMarket, change: LevelSet, outcome: Outcome, state: BatchState): string {
  const { price, size, side } = changeOf(change, outcome)
  const { hash, bid, ask } = state[outcome]
  return (
    `{"asset_id":"${market.tokens[outcome]}", "price":"${price}", "size":"${size}"` +
    `, "side":"${side}", "hash":"${hash}", "best_bid":"${bid}", "best_ask":"${ask}"}`
  )
}

/** A fill as the channel and the Data API tell it. `venueMs` is the trade's own time. */
export interface Fill {
  /** Counts all fills of the venue from 1. */
  readonly sequence: number
  readonly market: SimMarket
  readonly outcome: Outcome
  /** Price of that outcome, in units. */
  readonly units: number
  readonly hundredths: number
  readonly side: 'BUY' | 'SELL'
  readonly venueMs: number
  readonly transactionHash: string
  readonly wallet: string
}

export function tradeFrame(fill: Fill): string {
  const { market } = fill
  return (
    `{"market":"${market.conditionId}", "asset_id":"${market.tokens[fill.outcome]}"` +
    `, "price":"${priceText(fill.units)}", "size":"${sizeText(fill.hundredths)}", "fee_rate_bps":"0"` +
    `, "side":"${fill.side}", "timestamp":"${fill.venueMs}", "event_type":"last_trade_price"` +
    `, "transaction_hash":"${fill.transactionHash}"}`
  )
}

export function bestBidAskFrame(market: SimMarket, outcome: Outcome): string {
  const { bid, ask } = bestText(market.book, outcome)
  const best = market.book.asks.at(-1)
  const deepest = market.book.bids.at(-1)
  const spread = best && deepest ? priceText(best.units - deepest.units) : ''
  return (
    `{"market":"${market.conditionId}", "asset_id":"${market.tokens[outcome]}", "best_bid":"${bid}"` +
    `, "best_ask":"${ask}", "spread":"${spread}", "timestamp":"${market.changedMs}", "event_type":"best_bid_ask"}`
  )
}

export function tickSizeFrame(market: SimMarket, outcome: Outcome, oldTick: string): string {
  return (
    `{"event_type":"tick_size_change", "asset_id":"${market.tokens[outcome]}", "market":"${market.conditionId}"` +
    `, "old_tick_size":"${oldTick}", "new_tick_size":"${tickText(market)}", "timestamp":"${market.changedMs}"}`
  )
}

/** Compact, as recorded; told to every connection that asked for the custom features. */
export function newMarketFrame(market: SimMarket, nowMs: number): string {
  const description = descriptionOf(market)
  return JSON.stringify({
    id: market.id,
    question: market.question,
    market: market.conditionId,
    slug: market.slug,
    description,
    assets_ids: market.tokens,
    outcomes: market.outcomes,
    event_message: { id: market.eventId, ticker: market.slug, slug: market.slug, title: market.question, description },
    timestamp: String(nowMs),
    event_type: 'new_market',
    tags: [],
    condition_id: market.conditionId,
    active: true,
    clob_token_ids: market.tokens,
    sports_market_type: '',
    line: '',
    game_start_time: '',
    order_price_min_tick_size: tickText(market),
    group_item_title: '',
    taker_base_fee: '1000',
    fees_enabled: true,
    fee_schedule: { exponent: '1', rate: '0.04', taker_only: true, rebate_rate: '0.25' },
  })
}

export function marketResolvedFrame(market: SimMarket, winner: Outcome, nowMs: number): string {
  return JSON.stringify({
    event_type: 'market_resolved',
    id: market.id,
    market: market.conditionId,
    assets_ids: market.tokens,
    winning_asset_id: market.tokens[winner],
    winning_outcome: market.outcomes[winner],
    timestamp: String(nowMs),
    tags: [],
  })
}

export function descriptionOf(market: SimMarket): string {
  return `A simulated market. It pays one dollar on "${market.outcomes[0]}" or "${market.outcomes[1]}" when it ends.`
}
