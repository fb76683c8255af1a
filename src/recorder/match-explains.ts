import type { BookLevels, BookSide } from '../core/books.ts'
import { bestOf } from './book-side.ts'

/**
 * Whether a match alone makes the first book the second: it takes from the best levels of one side, and what is left
 * of the taker's order may rest as the new best level of the other, at a limit that reaches what it took. Anything else
 * was changed by a message that did not come. Sides have their best level last.
 */
export function matchExplains(before: BookLevels, after: BookLevels): boolean {
  const changes = [changeOf(before.bids, after.bids), changeOf(before.asks, after.asks)]
  if (changes.includes('other')) return false
  if (!changes.includes('added')) return changes.includes('none')
  if (!changes.includes('taken')) return false
  // A limit below what was there to be taken took nothing of it.
  const [bids, asks] = changes[0] === 'added' ? [after.bids, before.asks] : [before.bids, after.asks]
  return priceOf(bestOf(bids)) >= priceOf(bestOf(asks))
}

/** The book as it is now, for later comparison. */
export function copyOf({ bids, asks }: BookLevels): BookLevels {
  return { bids: copySide(bids), asks: copySide(asks) }
}

type Change = 'none' | 'taken' | 'added' | 'other'

function changeOf(before: BookSide, after: BookSide): Change {
  let same = 0
  while (isSame(before, after, same)) same += 1
  const [had, has] = [before.prices.length - same, after.prices.length - same]
  if (had === 0) return has === 0 ? 'none' : has === 1 ? 'added' : 'other'
  const samePrice = has > 0 && before.prices[same]?.value === after.prices[same]?.value
  const growth = Number(after.sizes[same]) - Number(before.sizes[same])
  return has === 0 || (has === 1 && samePrice && growth < 0) ? 'taken' : 'other'
}

function priceOf(price: { readonly value: number } | undefined): number {
  return price?.value ?? Number.NaN
}

function isSame(before: BookSide, after: BookSide, index: number): boolean {
  const price = before.prices[index]
  if (price === undefined || after.prices[index]?.value !== price.value) return false
  const [had, has] = [before.sizes[index], after.sizes[index]]
  return had === has || Number(had) === Number(has)
}

function copySide({ prices, sizes }: BookSide): BookSide {
  return { prices: [...prices], sizes: [...sizes] }
}
