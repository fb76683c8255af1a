import { subtractDecimals } from '../../src/core/decimal.ts'
import type { Obligation } from './evidence.ts'

/** The venue sends a match's trades 34 to 88 ms after its books. */
const FILLS_WITHIN_MS = 100

interface Told extends Obligation {
  readonly kind: string
  readonly venueMs: number
  readonly price: string
  readonly side: string
  readonly recorded: boolean
}

/** The books of both outcomes and the fills that a match is told by. */
interface Match {
  readonly books: readonly Told[]
  readonly fills: readonly Told[]
}

/**
 * Of what was lost, that of which nothing on the stream can tell:
 *
 *  - a change, when the next recorded batch of its token sets the same level anew, or a match took from that level;
 *  - a book after a match, when the next recorded message is a book, or sets the level of every fill anew;
 *  - the fills of such a match as well, when both of its books are lost with them, and the last trade price, which
 *    hashes cover, is what it was before or what a later match made it. The Data API has those: the hour is compared.
 */
export function findOverwritten(
  lost: readonly Obligation[],
  obligations: readonly Obligation[],
  received: ReadonlyMap<string, number>,
): Obligation[] {
  const told = obligations.map((obligation): Told => {
    const [kind = '', , venueMs, price = '', , side = ''] = obligation.key.split('|')
    return { ...obligation, kind, venueMs: Number(venueMs), price, side, recorded: received.has(obligation.key) }
  })
  const of = new Map(told.map((one, index) => [obligations[index], one]))
  return lost.filter((one) => {
    const own = of.get(one) as Told
    if (own.kind === 'change') return isSetAnew(own, told)
    const match = matchOf(own, told)
    if (match.books.length === 0 || match.fills.length === 0) return false
    const isKnown = match.fills.every(({ recorded }) => recorded)
    if (!isKnown && !isForgotten(match, told)) return false
    return match.books.every((book) => book.recorded || isToldAnew(book, match.fills, told))
  })
}

function isSetAnew(change: Told, told: readonly Told[]): boolean {
  const next = nextMessage(change, told)
  const [first] = next
  if (first?.kind !== 'book') return next.some(({ price, side }) => price === change.price && side === change.side)
  return matchOf(first, told).fills.some((fill) => {
    const isOwn = fill.token === change.token
    const price = Number(isOwn ? fill.price : complement(fill.price))
    // Whoever sells this outcome takes from its bids, and so does who buys the other one.
    const taken = isOwn === (fill.side === 'SELL') ? 'BUY' : 'SELL'
    return taken === change.side && (taken === 'BUY' ? price <= Number(change.price) : price >= Number(change.price))
  })
}

/** The recorded message of the token that follows: a book, or all changes of one time. */
function nextMessage(after: Told, told: readonly Told[]): Told[] {
  const later = told
    .slice(told.indexOf(after) + 1)
    .filter(({ token, recorded, kind }) => token === after.token && recorded && kind !== 'trade')
  return later.filter(({ kind, venueMs }) => kind === later[0]?.kind && venueMs === later[0]?.venueMs)
}

function isToldAnew(book: Told, fills: readonly Told[], told: readonly Told[]): boolean {
  const next = nextMessage(book, told)
  if (next[0]?.kind === 'book') return true
  const levels = new Set(next.map(({ price }) => price))
  return fills.every(({ token, price }) => levels.has(token === book.token ? price : complement(price)))
}

/** Nothing of the match is recorded, and the last trade price does not show it either. */
function isForgotten({ books, fills }: Match, told: readonly Told[]): boolean {
  if ([...books, ...fills].some(({ recorded }) => recorded)) return false
  const outcomes = new Set(books.map(({ token }) => token))
  const isTrade = ({ kind, token, recorded }: Told) => kind === 'trade' && outcomes.has(token) && recorded
  const before = told.slice(0, told.indexOf(books[0] as Told)).findLast(isTrade)
  const last = fills.at(-1) as Told
  if (before !== undefined && [before.price, complement(before.price)].includes(last.price)) return true
  return books.every((book) => nextMessage(book, told)[0]?.kind === 'book')
}

/** The match that a book or a fill belongs to. */
function matchOf(own: Told, told: readonly Told[]): Match {
  const isNear = (book: Told, fill: Told) =>
    fill.venueMs >= book.venueMs && fill.venueMs - book.venueMs <= FILLS_WITHIN_MS
  const first = own.kind === 'book' ? own : told.findLast((book) => isBookOf(own, book) && isNear(book, own))
  if (first === undefined) return { books: [], fills: [] }
  // The journal tells both at the same microsecond; other markets may have a match in the same millisecond.
  const books = told.filter(({ kind, atMs }) => kind === 'book' && atMs === first.atMs)
  const outcomes = new Set(books.map(({ token }) => token))
  const fills = told.filter((fill) => fill.kind === 'trade' && outcomes.has(fill.token) && isNear(first, fill))
  return { books, fills }
}

function isBookOf(fill: Told, book: Told): boolean {
  return book.kind === 'book' && book.token === fill.token
}

/** The same level of the other outcome. */
function complement(price: string): string {
  return subtractDecimals('1', price)
}
