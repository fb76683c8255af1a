import type { BookSide } from '../core/books.ts'
import type { WitnessedBook } from '../core/coverage.ts'
import type { Level } from '../core/events.ts'
import type { TokenId } from '../core/ids.ts'
import type { BookComparisonCounts } from '../core/status.ts'
import type { RebuiltBook } from './books.ts'
import type { Suspicion } from './mark-details.ts'

export interface BookComparisonOptions {
  /** The book that the stream has led to; null when there is none whose changes count. */
  readonly bookOf: (token: TokenId) => RebuiltBook | null
  /** The book was right and whole at this time, Unix µs. */
  readonly onEqual: (token: TokenId, atUs: number, hash: string) => void
  readonly onSuspicion: (suspicion: Suspicion) => void
}

/** What the stream says later than a fetched book may simply still be under way. */
const GRACE_US = 5_000_000
const WAITING_MAX = 50_000
const TOKENS_PER_MARK_MAX = 500

/** Without its levels: what waits for a reader that is far behind must be small. */
interface Waiting {
  readonly token: TokenId
  readonly venueMs: number
  readonly observedUs: number
}

/**
 * Compares books that were fetched over REST with those that the stream has led to: a token that is silent while its
 * book has moved is not quiet. Times are receive times; a fetched book is judged when the stream has been read further.
 */
export class BookComparison {
  readonly counts: BookComparisonCounts = { equal: 0, older: 0, ahead: 0, skipped: 0 }
  readonly #options: BookComparisonOptions
  #waiting: Waiting[] = []

  constructor(options: BookComparisonOptions) {
    this.#options = options
  }

  compare(books: readonly WitnessedBook[], observedUs: number): void {
    for (const book of books) {
      if (this.#settles(book, observedUs)) continue
      const { token, venueMs } = book
      if (this.#waiting.length >= WAITING_MAX) this.counts.skipped += 1
      else this.#waiting.push({ token, venueMs, observedUs })
    }
  }

  /** Tape time is `atUs`. */
  turn(atUs: number): void {
    const silent: { rebuilt: RebuiltBook; fetched: Waiting }[] = []
    let judged = 0
    for (const fetched of this.#waiting) {
      if (atUs - fetched.observedUs < GRACE_US) break
      judged += 1
      const rebuilt = this.#options.bookOf(fetched.token)
      if (rebuilt === null) this.counts.skipped += 1
      else if (rebuilt.venueMs >= fetched.venueMs) this.counts.older += 1
      else silent.push({ rebuilt, fetched })
    }
    if (judged > 0) this.#waiting = this.#waiting.slice(judged)
    for (let start = 0; start < silent.length; start += TOKENS_PER_MARK_MAX) {
      this.#suspect(silent.slice(start, start + TOKENS_PER_MARK_MAX))
    }
  }

  /** True when nothing speaks against the token; false while the fetched book is ahead of the stream. */
  #settles(book: WitnessedBook, observedUs: number): boolean {
    const rebuilt = this.#options.bookOf(book.token)
    if (rebuilt === null) {
      this.counts.skipped += 1
      return true
    }
    if (rebuilt.provenHash === book.hash) {
      this.counts.equal += 1
      this.#options.onEqual(book.token, observedUs, book.hash)
      return true
    }
    if (rebuilt.venueMs >= book.venueMs) {
      this.counts.older += 1
      return true
    }
    // A venue that stamps each answer anew gives another time and hash to the same book.
    if (!equalSides(rebuilt.bids, book.bids) || !equalSides(rebuilt.asks, book.asks)) return false
    this.counts.equal += 1
    this.#options.onEqual(book.token, observedUs, book.hash)
    return true
  }

  #suspect(silent: readonly { rebuilt: RebuiltBook; fetched: Waiting }[]): void {
    this.counts.ahead += silent.length
    const [first] = silent
    if (first === undefined) return
    this.#options.onSuspicion({
      cause: 'stall',
      tokens: silent.map(({ fetched }) => fetched.token),
      fromUs: Math.min(...silent.map(({ rebuilt }) => rebuilt.atUs)),
      toUs: null,
      verdict: null,
      evidence: {
        reason: 'the book moved over REST and not on the stream',
        fetched_us: first.fetched.observedUs,
        fetched_venue_ms: first.fetched.venueMs,
        stream_venue_ms: first.rebuilt.venueMs,
      },
    })
  }
}

/** `rebuilt` has its best level last, `fetched` first. */
function equalSides(rebuilt: BookSide, fetched: readonly Level[]): boolean {
  const { prices, sizes } = rebuilt
  if (prices.length !== fetched.length) return false
  return fetched.every(({ price, size }, index) => {
    const place = prices.length - 1 - index
    return prices[place]?.value === Number(price) && Number(sizes[place]) === Number(size)
  })
}
