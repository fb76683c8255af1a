import { PRICE_ONE, priceText, sizeText } from './decimal.ts'

/** Which of a market's two tokens: 0 is the first outcome. */
export type Outcome = 0 | 1
export type BookSide = 'bid' | 'ask'

/** One price level of the first outcome, with its wire text for both outcomes. */
export interface BookLevel {
  readonly units: number
  readonly hundredths: number
  /** Compact JSON as the first outcome sees it, and as the second sees it at 1 − p. */
  readonly own: string
  readonly mirror: string
}

/**
 * A market has one book, kept from the first outcome's view: bids ascending, asks descending, best level last.
 * The second outcome's book is its mirror: its bids are these asks at 1 − p, in the same order.
 */
export interface MarketBook {
  readonly bids: BookLevel[]
  readonly asks: BookLevel[]
}

export function emptyBook(): MarketBook {
  return { bids: [], asks: [] }
}

/** Sets one level to an absolute size in hundredths; 0 removes it. */
export function setLevel(book: MarketBook, side: BookSide, units: number, hundredths: number): void {
  const levels = side === 'bid' ? book.bids : book.asks
  const index = placeOf(levels, side, units)
  const found = levels[index]?.units === units
  if (hundredths === 0) {
    if (found) levels.splice(index, 1)
    return
  }
  const size = sizeText(hundredths)
  const level = {
    units,
    hundredths,
    own: `{"price":"${priceText(units)}","size":"${size}"}`,
    mirror: `{"price":"${priceText(PRICE_ONE - units)}","size":"${size}"}`,
  }
  levels.splice(index, found ? 1 : 0, level)
}

/** The size at a price in hundredths; 0 when there is no such level. */
export function sizeAt(book: MarketBook, side: BookSide, units: number): number {
  const levels = side === 'bid' ? book.bids : book.asks
  const level = levels[placeOf(levels, side, units)]
  return level?.units === units ? level.hundredths : 0
}

function placeOf(levels: readonly BookLevel[], side: BookSide, units: number): number {
  let low = 0
  let high = levels.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const at = levels[middle]?.units ?? 0
    if (side === 'bid' ? at < units : at > units) low = middle + 1
    else high = middle
  }
  return low
}

/** Best prices of the first outcome in units; null when a side is empty. */
export function bestOf(book: MarketBook): { readonly bid: number | null; readonly ask: number | null } {
  return { bid: book.bids.at(-1)?.units ?? null, ask: book.asks.at(-1)?.units ?? null }
}

/** Best prices as one outcome sees them, as text; '' when a side is empty. */
export function bestText(book: MarketBook, outcome: Outcome): { readonly bid: string; readonly ask: string } {
  const { bid, ask } = bestOf(book)
  if (outcome === 0) return { bid: bid === null ? '' : priceText(bid), ask: ask === null ? '' : priceText(ask) }
  return {
    bid: ask === null ? '' : priceText(PRICE_ONE - ask),
    ask: bid === null ? '' : priceText(PRICE_ONE - bid),
  }
}

/** One side of one outcome's book as compact JSON levels. */
export function sideText(book: MarketBook, outcome: Outcome, side: BookSide): string {
  const fromBids = (outcome === 0) === (side === 'bid')
  const levels = fromBids ? book.bids : book.asks
  let text = ''
  for (const level of levels) {
    const one = outcome === 0 ? level.own : level.mirror
    text += text === '' ? one : `,${one}`
  }
  return text
}
