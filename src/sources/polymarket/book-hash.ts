import { hash } from 'node:crypto'
import type { BookLevels, BookSide } from '../../core/books.ts'

/**
 * The venue's book hash: lower-case hex SHA-1 of the book as compact JSON with an empty `hash` and a fixed key order.
 * The form grew over the years: 6 fields until 2025, 9 since October 2025, 10 since December 2025, 11 on V2 markets.
 */
export type BookForm = 6 | 9 | 10 | 11

/** What the hash covers beyond the levels, as the venue writes it. */
export interface BookHashFacts {
  readonly minOrderSize: string
  readonly tickSize: string
  readonly negRisk: boolean
  /** Three decimals, one value for both tokens of a market; '' before the first trade. Forms 10 and 11. */
  readonly lastTradePrice: string
}

/** The preimage up to and with the asks: what never changes while the other facts are being searched for. */
export function bookHashHead(market: string, token: string, venueMs: number, levels: BookLevels): string {
  const bids = levelsText(levels.bids)
  const asks = levelsText(levels.asks)
  const names = `{"market":${JSON.stringify(market)},"asset_id":"${token}","timestamp":"${venueMs}"`
  return `${names},"hash":"","bids":[${bids}],"asks":[${asks}]`
}

/** The rest of the preimage. */
export function bookHashTail(form: BookForm, facts: BookHashFacts): string {
  if (form === 6) return '}'
  const order = `,"min_order_size":"${facts.minOrderSize}","tick_size":"${facts.tickSize}","neg_risk":${facts.negRisk}`
  if (form === 9) return `${order}}`
  const trade = `${order},"last_trade_price":"${facts.lastTradePrice}"`
  return form === 10 ? `${trade}}` : `${trade},"version":"v2"}`
}

export function bookHash(head: string, tail: string): string {
  return hash('sha1', head + tail)
}

function levelsText({ prices, sizes }: BookSide): string {
  let text = ''
  for (let index = 0; index < prices.length; index += 1) {
    const comma = index === 0 ? '' : ','
    text += `${comma}{"price":"${prices[index]?.text}","size":"${sizes[index]}"}`
  }
  return text
}
