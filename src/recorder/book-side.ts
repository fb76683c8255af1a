import type { BookPrice, BookSide, BookSize } from '../core/books.ts'
import type { Level } from '../core/events.ts'

/** One side of a book as it is kept: two plain arrays, best level last, because most changes are near the best. */
export interface MutableSide extends BookSide {
  readonly prices: BookPrice[]
  readonly sizes: BookSize[]
  /** 1 when prices ascend (bids), −1 when they descend (asks). */
  readonly direction: 1 | -1
}

const PRICES_MAX = 65_536

/** Interns prices: a venue has a few thousand of them, and a book is mostly prices. */
export type InternPrice = (text: string) => BookPrice

/** Beyond its limit the table starts anew; the prices that are in use stay valid. */
export function createPriceTable(): InternPrice {
  const table = new Map<string, BookPrice>()
  return (text) => {
    const known = table.get(text)
    if (known !== undefined) return known
    if (table.size >= PRICES_MAX) table.clear()
    const price = { text, value: Number(text) }
    table.set(text, price)
    return price
  }
}

export function createSide(direction: 1 | -1): MutableSide {
  return { prices: [], sizes: [], direction }
}

/** Sets one level to a new absolute size; `0` removes it. Returns by how many levels the side grew. */
export function setLevel(side: MutableSide, price: BookPrice, size: string): -1 | 0 | 1 {
  const { prices, sizes } = side
  const index = firstNotWorse(side, price.value)
  const found = prices[index]?.value === price.value
  if (isZero(size)) {
    if (!found) return 0
    for (let at = index + 1; at < prices.length; at += 1) {
      prices[at - 1] = prices[at] as BookPrice
      sizes[at - 1] = sizes[at] as BookSize
    }
    prices.pop()
    sizes.pop()
    return -1
  }
  if (found) {
    prices[index] = price
    sizes[index] = packSize(size)
    return 0
  }
  const packed = packSize(size)
  prices.push(price)
  sizes.push(packed)
  for (let at = prices.length - 1; at > index; at -= 1) {
    prices[at] = prices[at - 1] as BookPrice
    sizes[at] = sizes[at - 1] as BookSize
  }
  prices[index] = price
  sizes[index] = packed
  return 1
}

/** Replaces the whole side. The venue's order (best level last) needs no sorting. */
export function replaceLevels(side: MutableSide, levels: readonly Level[], intern: InternPrice): void {
  const { prices, sizes, direction } = side
  // Set to its final length at once, an array has no room to spare: with 20,000 books that is a fifth of them all.
  prices.length = 0
  prices.length = levels.length
  sizes.length = 0
  sizes.length = levels.length
  let best: BookPrice | null = null
  for (let index = 0; index < levels.length; index += 1) {
    const { price: text, size } = levels[index] as Level
    const price = intern(text)
    if (isZero(size) || (best !== null && (price.value - best.value) * direction <= 0)) {
      replaceUnordered(side, levels, intern)
      return
    }
    prices[index] = price
    sizes[index] = packSize(size)
    best = price
  }
}

/** Of levels at one price the last counts. */
function replaceUnordered({ prices, sizes, direction }: MutableSide, levels: readonly Level[], intern: InternPrice) {
  const byValue = new Map<number, { price: BookPrice; size: string }>()
  for (const { price: text, size } of levels) {
    const price = intern(text)
    if (isZero(size)) byValue.delete(price.value)
    else byValue.set(price.value, { price, size })
  }
  prices.length = 0
  sizes.length = 0
  for (const { price, size } of [...byValue.values()].sort((a, b) => (a.price.value - b.price.value) * direction)) {
    prices.push(price)
    sizes.push(packSize(size))
  }
}

export function bestOf(side: BookSide): BookPrice | undefined {
  return side.prices[side.prices.length - 1]
}

/** Index of the first level that is not worse than `value`; the length when all are worse. */
function firstNotWorse({ prices, direction }: MutableSide, value: number): number {
  let low = 0
  let high = prices.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (((prices[middle] as BookPrice).value - value) * direction < 0) low = middle + 1
    else high = middle
  }
  return low
}

function packSize(text: string): BookSize {
  const value = Number(text)
  return String(value) === text ? value : text
}

function isZero(size: string): boolean {
  const first = size.charCodeAt(0)
  return (first === 48 || first === 46) && Number(size) === 0
}
