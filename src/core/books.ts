import type { BookSnapshot, TickSizeChange, Trade } from './events.ts'
import type { TokenId } from './ids.ts'

/** A price kept once for all books: the venue's text and its value for ordering. */
export interface BookPrice {
  readonly text: string
  readonly value: number
}

/**
 * Shares. A number stands for the venue's text that is its shortest decimal form, which nearly all are: `String()`
 * gives the text back, and no level costs a string. Any other text is kept as it came.
 */
export type BookSize = number | string

/** One side of a book, worst level first and best level last: bids ascend, asks descend. */
export interface BookSide {
  readonly prices: readonly BookPrice[]
  /** One for each price. */
  readonly sizes: readonly BookSize[]
}

export interface BookLevels {
  readonly bids: BookSide
  readonly asks: BookSide
}

export interface LiveLevel {
  readonly price: number
  /** Shares. */
  readonly size: number
}

/** An order book as the stream has led to it by now. */
export interface LiveBook {
  /** Its last change at the venue, Unix ms. */
  readonly venueMs: number
  /** Best first. */
  readonly bids: readonly LiveLevel[]
  readonly asks: readonly LiveLevel[]
  /** Null when a side is empty. */
  readonly spread: number | null
  readonly midpoint: number | null
}

export interface LiveBooks {
  /** At most `depth` levels a side; null while there is no such book, or something of it may be missing. */
  liveBook(token: TokenId, depth: number): LiveBook | null
}

/**
 * Where the levels of a claim come from. `snapshot`: from the very frame that carries the hash, so that a failure
 * says nothing about missed messages. `changes`: rebuilt here, so that a failure is evidence of one.
 */
export type ClaimOrigin = 'snapshot' | 'changes'

/** The venue's statement that the token's whole book had this hash at this time. */
export interface BookClaim {
  readonly token: TokenId
  readonly market: string
  /** Venue time, Unix ms. */
  readonly venueMs: number
  readonly hash: string
  readonly origin: ClaimOrigin
  /** Tape time when the claim could be checked, Unix µs. */
  readonly atUs: number
  /** Tape time of the newest line that the book is made of; a match proves it as of then. */
  readonly toldUs?: number
  /** The last proof of the book before this claim, Unix µs: a later one says nothing about what was lost till then. */
  readonly goodUs?: number
  /** Counts the snapshots of this book: tells a claim on an earlier book from one on the present book. */
  readonly generation: number
}

/** `unverifiable`: facts unknown, or a form in which even a fresh dump does not verify. `skipped`: not checked. */
export type CheckOutcome = 'match' | 'mismatch' | 'unverifiable' | 'skipped'

/** A claim that was `pending` and is now decided. */
export interface SettledClaim {
  readonly claim: BookClaim
  readonly outcome: CheckOutcome
  /** The book holds a trade whose own frame did not come in time. */
  readonly tradeMissing: boolean
}

/** Knows a venue's book hash. Never throws on a venue's input; keeps a bounded state per market. */
export interface BookChecker {
  /** Notes what a book frame says of its market beyond the levels; call it before the frame's own claim. */
  noteBook(event: BookSnapshot): void
  /** Notes a trade, which may decide pending claims. */
  noteTrade(event: Trade): void
  noteTickSize(event: TickSizeChange): void
  /** `pending`: a frame that decides it may still come; the outcome comes out of `settle`. */
  check(claim: BookClaim, levels: BookLevels): CheckOutcome | 'pending'
  /** Takes a pending claim back because its batch goes on; false when there is none. */
  withdraw(claim: Pick<BookClaim, 'token' | 'market' | 'venueMs' | 'hash'>): boolean
  /**
   * Decides what has waited long enough at tape time `atUs` (Unix µs) and returns all claims decided since the last
   * call. Stops working when `mayWork` says so and goes on at the next call.
   */
  settle(atUs: number, mayWork: () => boolean): readonly SettledClaim[]
  /** The end of a tape: what would have decided the rest is not on it, so they come out as `skipped`. */
  abandon(): readonly SettledClaim[]
  /** Forgets a market that is over. */
  release(market: string): void
  /** Claims of the market on books rebuilt from changes that wait for a verdict. */
  undecided(market: string): readonly BookClaim[]
  /** Claims that wait. */
  readonly pending: number
  /** Forms in which fresh dumps do not verify and none ever did: something for a person to look at. */
  readonly unverifiableForms: readonly string[]
}
