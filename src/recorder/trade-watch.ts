import type { BookSnapshot, Trade } from '../core/events.ts'
import type { TokenId } from '../core/ids.ts'

/** A book that followed a match, and whose trade did not come. */
export interface MissingTrade {
  readonly token: TokenId
  readonly market: string
  /** Venue time of the book, Unix ms. */
  readonly venueMs: number
  /** When the book was received, Unix µs. */
  readonly atUs: number
}

interface Market {
  /** Matches whose trade is due, in the order of their books; one for all books of the same time. */
  readonly due: MissingTrade[]
  /** Trades that came before their book. */
  readonly early: { readonly venueMs: number; readonly atUs: number }[]
  /** The latest ones: many fills of one transaction are one match, and two connections tell of each. */
  readonly transactions: string[]
  /** Venue time of the newest book after a match, and the books of that time. */
  newestMs: number
  readonly newest: Map<TokenId, Set<string | null>>
  /** How many matches there were at that time: as many as one token had different books. */
  newestMatches: number
}

/** The venue sends a match's trades 34 to 88 ms after its books. */
export const TRADE_WAIT_US = 2_000_000
/** A trade's own time may lie a little before its book's. */
const VENUE_SLACK_MS = 5
const TRANSACTIONS_MAX = 8
const MARKETS_MAX = 20_000
const PER_MARKET_MAX = 64

/** Watches that every book after a match is followed by its trade. Bounded: what was quiet longest is forgotten. */
export class TradeWatch {
  readonly #markets = new Map<string, Market>()
  /** What is to be looked at again, in the order of its time: most turns have nothing to do. */
  #queue: { readonly market: string; readonly atUs: number }[] = []

  book(event: BookSnapshot, atUs: number): void {
    if (!event.afterTrade) return
    const market = this.#market(event.market)
    if (!isAnotherMatch(market, event)) return
    const early = market.early.findIndex((trade) => atUs - trade.atUs < TRADE_WAIT_US && isAfter(trade, event))
    if (early >= 0) {
      market.early.splice(0, early + 1)
      return
    }
    if (market.due.length >= PER_MARKET_MAX) market.due.shift()
    market.due.push({ token: event.token, market: event.market, venueMs: event.venueMs, atUs })
    this.#queue.push({ market: event.market, atUs })
  }

  trade(event: Trade, atUs: number): void {
    const market = this.#market(event.market)
    if (event.transactionHash !== '' && market.transactions.includes(event.transactionHash)) return
    market.transactions.push(event.transactionHash)
    if (market.transactions.length > TRANSACTIONS_MAX) market.transactions.shift()
    const due = market.due.findLastIndex((book) => isAfter(event, book))
    if (due >= 0) {
      market.due.splice(due, 1)
      return
    }
    if (market.early.length >= PER_MARKET_MAX) market.early.shift()
    market.early.push({ venueMs: event.venueMs, atUs })
    this.#queue.push({ market: event.market, atUs })
  }

  /** Those whose trade did not come in time, by tape time `atUs`. */
  expire(atUs: number): MissingTrade[] {
    const missing: MissingTrade[] = []
    let looked = 0
    for (const { market: name, atUs: sinceUs } of this.#queue) {
      if (atUs - sinceUs < TRADE_WAIT_US) break
      looked += 1
      const market = this.#markets.get(name)
      if (market === undefined) continue
      const { due, early } = market
      while (due[0] !== undefined && atUs - due[0].atUs >= TRADE_WAIT_US) missing.push(due.shift() as MissingTrade)
      while (early[0] !== undefined && atUs - early[0].atUs >= TRADE_WAIT_US) early.shift()
      if (due.length + early.length === 0) this.#markets.delete(name)
    }
    if (looked > 0) this.#queue = this.#queue.slice(looked)
    return missing
  }

  release(market: string): void {
    this.#markets.delete(market)
  }

  #market(name: string): Market {
    const known = this.#markets.get(name)
    if (known !== undefined) return known
    if (this.#markets.size >= MARKETS_MAX) this.#markets.delete(this.#markets.keys().next().value as string)
    const market: Market = {
      ...{ due: [], early: [], transactions: [] },
      ...{ newestMs: 0, newest: new Map(), newestMatches: 0 },
    }
    this.#markets.set(name, market)
    return market
  }
}

function isAfter(trade: { readonly venueMs: number }, book: { readonly venueMs: number }): boolean {
  return trade.venueMs >= book.venueMs - VENUE_SLACK_MS
}

/** False for the sibling's book of a match that is known, and for a repeat. */
function isAnotherMatch(market: Market, { venueMs, token, hash }: BookSnapshot): boolean {
  if (venueMs < market.newestMs) return false
  if (venueMs > market.newestMs) {
    market.newestMs = venueMs
    market.newest.clear()
    market.newestMatches = 0
  }
  const books = market.newest.get(token) ?? new Set()
  market.newest.set(token, books.add(hash))
  if (books.size <= market.newestMatches) return false
  market.newestMatches = books.size
  return true
}
