import type { StoredTrade } from '../../core/trade-backfill.ts'
import type { DataTrade } from './data-trade-parser.ts'

/** A trade that the API has and the ledger has not. */
export interface MissingTrade<Row extends DataTrade = DataTrade> {
  readonly trade: Row
  /** Which of identical backfilled trades it is, from 0. */
  readonly ordinal: number
}

export interface Matched<Row extends DataTrade = DataTrade> {
  /** In the order of the API's rows. */
  readonly missing: readonly MissingTrade<Row>[]
  /** Rows that tell stored trades in other words: as one sum, or with a rounded price. */
  readonly toldDifferently: number
  /** Transactions of which less is stored than such rows tell; what is missing cannot be told apart. */
  readonly partly: readonly string[]
}

/** A stored trade without a hash, or an API row without one, is the same trade when it is this close. */
const HASHLESS_MS = 60_000
/** Shares: sizes are rounded on either way. */
const SIZE_TOLERANCE = 0.011

/**
 * What the API has more of than the ledger, as multisets: the key is transaction, token, price, size and side, numbers
 * as numbers, and identical fills count. Times do not: the API's are those of a block.
 *
 * The API gives one row per taker and transaction where the stream gave one per match, with the average as its price.
 * So a row without its equal is not missing while its transaction holds stored trades that the API does not tell.
 */
export function matchTrades<Row extends DataTrade>(rows: readonly Row[], stored: readonly StoredTrade[]): Matched<Row> {
  const unmatched = subtract(rows, stored)
  const hashless = matchHashless(unmatched.rows, unmatched.stored)
  const unexplained = unmatched.rows.filter((row) => !hashless.rows.has(row))
  const groups = groupBy(
    unmatched.stored.filter((trade) => !hashless.stored.has(trade)),
    transactionKey,
  )
  const backfilled = countBy(stored, (trade) => (trade.origin === 'backfill' ? identityKey(trade) : null))
  const missing: MissingTrade<Row>[] = []
  const told = new Map<string, number>()
  for (const trade of unexplained) {
    const transaction = transactionKey(trade)
    if (trade.transactionHash !== '' && groups.has(transaction)) {
      told.set(transaction, (told.get(transaction) ?? 0) + Number(trade.size))
      continue
    }
    const key = identityKey({ ...trade, venueMs: trade.timestampSeconds * 1000 })
    const ordinal = backfilled.get(key) ?? 0
    backfilled.set(key, ordinal + 1)
    missing.push({ trade, ordinal })
  }
  const sizeOf = (key: string) => (groups.get(key) ?? []).reduce((sum, trade) => sum + trade.size, 0)
  const partly = [...told].filter(([key, size]) => size > sizeOf(key) + SIZE_TOLERANCE).map(([key]) => key)
  return { missing, toldDifferently: unexplained.length - missing.length, partly }
}

/** Both multisets without what they share. */
function subtract<Row extends DataTrade>(rows: readonly Row[], stored: readonly StoredTrade[]) {
  const counts = countBy(stored, exactKey)
  const leftRows = rows.filter((row) => {
    const key = exactKey({ ...row, venueMs: row.timestampSeconds * 1000 })
    const count = counts.get(key) ?? 0
    if (count > 0) counts.set(key, count - 1)
    return count === 0
  })
  const leftStored = stored.filter((trade) => {
    const count = counts.get(exactKey(trade)) ?? 0
    if (count > 0) counts.set(exactKey(trade), count - 1)
    return count > 0
  })
  return { rows: leftRows, stored: leftStored }
}

/**
 * Pairs of equals of which one names no transaction. In an order of their own, with identical rows side by side: which
 * of them was written earlier must not decide who is whose, or the same rows would leave another one missing next time.
 */
function matchHashless<Row extends DataTrade>(rows: readonly Row[], stored: readonly StoredTrade[]) {
  const similar = groupBy(
    [...stored].sort((a, b) => a.venueMs - b.venueMs || compare(a.transactionHash, b.transactionHash)),
    (trade) => fillKey({ ...trade, transactionHash: '' }),
  )
  const matched = { rows: new Set<Row>(), stored: new Set<StoredTrade>() }
  const inOrder = [...rows].sort(
    (a, b) => compare(a.transactionHash, b.transactionHash) || a.timestampSeconds - b.timestampSeconds,
  )
  for (const row of inOrder) {
    const equal = similar.get(fillKey({ ...row, transactionHash: '' }))?.find((trade) => {
      if (trade.transactionHash !== '' && row.transactionHash !== '') return false
      return !matched.stored.has(trade) && Math.abs(trade.venueMs - row.timestampSeconds * 1000) <= HASHLESS_MS
    })
    if (equal === undefined) continue
    matched.stored.add(equal)
    matched.rows.add(row)
  }
  return matched
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

interface Fill {
  readonly tokenId: string
  readonly price: string | number
  readonly size: string | number
  readonly side: string
  readonly transactionHash: string
}

/** Without a transaction only the time tells two trades apart. */
function exactKey(fill: Fill & { readonly venueMs: number }): string {
  return fill.transactionHash === '' ? identityKey(fill) : fillKey(fill)
}

function fillKey(fill: Fill): string {
  return `${transactionKey(fill)}|${Number(fill.price)}|${Number(fill.size)}`
}

function transactionKey({ transactionHash, tokenId, side }: Omit<Fill, 'price' | 'size'>): string {
  return `${transactionHash}|${tokenId}|${side}`
}

function identityKey(fill: Fill & { readonly venueMs: number }): string {
  return `${fillKey(fill)}|${fill.venueMs}`
}

/** How often each key occurs; null counts nowhere. */
function countBy<Item>(items: readonly Item[], keyOf: (item: Item) => string | null): Map<string, number> {
  const counts = new Map<string, number>()
  for (const item of items) {
    const key = keyOf(item)
    if (key !== null) counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}
