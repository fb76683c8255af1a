import type { BookSide, LiveBook, LiveLevel } from '../core/books.ts'
import { midpointOf, subtractDecimals } from '../core/decimal.ts'
import { bestOf } from './book-side.ts'
import type { RebuiltBook } from './books.ts'

/** A rebuilt book for people: numbers, the best level first, at most `depth` levels a side. */
export function liveBookOf({ venueMs, bids, asks }: RebuiltBook, depth: number): LiveBook {
  const [bid, ask] = [bestOf(bids)?.text, bestOf(asks)?.text]
  const twoSided = bid !== undefined && ask !== undefined
  return {
    venueMs,
    bids: bestFirst(bids, depth),
    asks: bestFirst(asks, depth),
    spread: twoSided ? Number(subtractDecimals(ask, bid)) : null,
    midpoint: twoSided ? Number(midpointOf(bid, ask)) : null,
  }
}

function bestFirst({ prices, sizes }: BookSide, depth: number): LiveLevel[] {
  const first = Math.max(0, prices.length - depth)
  const levels = prices.slice(first).map(({ value }, at) => ({ price: value, size: Number(sizes[first + at]) }))
  return levels.reverse()
}
