import type { BookChecker, BookClaim, BookPrice, CheckOutcome, ClaimOrigin, SettledClaim } from '../core/books.ts'
import type { Clock } from '../core/clock.ts'
import type { MarketEvent } from '../core/events.ts'
import { isTokenId, type TokenId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import type { BookCheckCounts } from '../core/status.ts'
import type { TapeMark } from '../core/tape.ts'
import { bestOf } from './book-side.ts'
import { type Book, Books, type BooksCounts } from './books.ts'
import { Budget } from './budget.ts'

/** Evidence that something was missed. Times are tape time, Unix µs. */
export interface BookFinding {
  /** `mismatch`: a rebuilt book is not the venue's. `trade_missing`: a book holds a trade that never came. */
  readonly kind: 'mismatch' | 'trade_missing'
  readonly token: TokenId
  readonly market: string
  /** Venue time of the book, Unix ms. */
  readonly venueMs: number
  readonly atUs: number
}

export interface BookKeeperOptions {
  readonly checker: BookChecker
  readonly clock: Clock
  readonly log: Logger
  readonly onFinding?: ((finding: BookFinding) => void) | undefined
  /** Share of the elapsed time that hash checks may take. */
  readonly checkShare?: number
  readonly booksMax?: number
  readonly levelsMax?: number
}

const CHECK_SHARE = 0.15
const CHECK_BURST_MS = 100
/** A book that changes is checked at least this often, whatever the budget says. Tape time. */
const CHECK_DUE_SECONDS = 45
/** 2020: seconds since then are small integers until 2088. */
const EPOCH_US = 1_577_836_800_000_000
/** Searches for a hidden value cost milliseconds each; the event loop must turn between them. */
const SETTLE_SLICE_MS = 8
const LOG_INTERVAL_MS = 60_000

/** Keeps the order books of one stream and checks them against the venue's hashes. */
export class BookKeeper {
  readonly books: Books
  readonly checks: BookCheckCounts = { match: 0, mismatch: 0, unverifiable: 0, skipped: 0 }
  /** Batches after which the best prices were not those that the venue gave. */
  bestDisagreements = 0
  readonly #options: BookKeeperOptions
  readonly #budget: Budget
  readonly #alerted = new Set<string>()
  #atUs = 0
  #loggedMs = Number.NEGATIVE_INFINITY
  #unlogged = 0

  constructor(options: BookKeeperOptions) {
    const { checkShare, ...limits } = options
    this.#options = options
    this.#budget = new Budget(options.clock, checkShare ?? CHECK_SHARE, CHECK_BURST_MS)
    this.books = new Books({
      ...limits,
      onBatch: (book) => this.#checkBatch(book),
      onReopened: (book) => this.#reopen(book),
      onSkipped: () => this.#count('skipped'),
    })
  }

  get counts(): Readonly<BooksCounts> {
    return this.books.counts
  }

  /** Applies one event as it stands on the tape. */
  apply(event: MarketEvent, connection: string, atUs: number): void {
    this.#atUs = atUs
    switch (event.kind) {
      case 'price_change':
        for (const change of event.changes) this.books.applyChange(change, event.venueMs, connection)
        return
      case 'book': {
        const book = this.books.applySnapshot(event, connection)
        if (book === null) return
        this.#options.checker.noteBook(event)
        if (event.hash !== null) this.#check(book, event.venueMs, event.hash, 'snapshot')
        return
      }
      case 'trade':
        this.#budget.spend(() => this.#options.checker.noteTrade(event))
        return
      case 'tick_size_change':
        this.#budget.spend(() => this.#options.checker.noteTickSize(event))
        return
      case 'market_resolved':
        for (const token of event.tokens) this.books.complete(token)
        this.#options.checker.release(event.market)
        for (const token of event.tokens) this.books.release(token)
        return
      default:
    }
  }

  mark({ connection, mark, detail, atUs }: TapeMark): void {
    this.#atUs = atUs
    const { connections } = this.books
    switch (mark) {
      case 'open':
        connections.of(connection)
        return
      case 'close':
        connections.close(connection)
        return
      case 'start':
      case 'stop':
        connections.closeAll()
        return
      case 'refused':
      case 'gap':
        connections.of(connection).losses += 1
        return
      case 'unsubscribe':
        for (const token of tokensIn(detail)) this.books.unsubscribe(token, connection)
        return
      default:
    }
  }

  /** Once per turn of the reader: time moves, quiet batches are complete, what waited is decided. */
  turn(): void {
    this.books.turn(this.#options.clock.monotonicMs())
    this.#budget.refill()
    this.#settle(this.#atUs, this.#budget.slice(SETTLE_SLICE_MS))
  }

  /** A turn without frames, while caught up with the tape: tape time is now. */
  idle(): void {
    this.#atUs = Math.max(this.#atUs, this.#options.clock.wallUs())
    this.turn()
  }

  /** The end of the tape: nothing more will come that could complete or decide anything. */
  finish(): void {
    this.books.finish()
    this.#settle(this.#atUs, () => true)
    for (const item of this.#options.checker.abandon()) this.#decided(item)
  }

  #checkBatch(book: Book): void {
    if (!agrees(bestOf(book.bids), book.batchBid, 0) || !agrees(bestOf(book.asks), book.batchAsk, 1)) {
      this.bestDisagreements += 1
    }
    if (book.batchHash !== null) this.#check(book, book.batchMs, book.batchHash, 'changes')
  }

  #check(book: Book, venueMs: number, hash: string, origin: ClaimOrigin): void {
    const second = Math.floor((this.#atUs - EPOCH_US) / 1_000_000)
    const due = Math.abs(second - book.checkedSecond) >= CHECK_DUE_SECONDS
    if (!due && !this.#budget.allows) {
      this.#count('skipped')
      return
    }
    const { token, market, generation } = book
    const claim: BookClaim = { token, market, venueMs, hash, origin, atUs: this.#atUs, generation }
    const outcome = this.#budget.spend(() => this.#options.checker.check(claim, book))
    book.checkedSecond = second
    if (outcome !== 'pending') this.#decided({ claim, outcome, tradeMissing: false })
  }

  #reopen(book: Book): void {
    const { token, market, batchMs, batchHash } = book
    if (batchHash !== null) this.#options.checker.withdraw({ token, market, venueMs: batchMs, hash: batchHash })
  }

  #settle(atUs: number, mayWork: () => boolean): void {
    for (const item of this.#budget.spend(() => this.#options.checker.settle(atUs, mayWork))) this.#decided(item)
  }

  #decided({ claim, outcome, tradeMissing }: SettledClaim): void {
    this.#count(outcome)
    if (tradeMissing) this.#report('trade_missing', claim)
    if (outcome === 'mismatch') {
      this.books.distrust(claim.token, claim.generation)
      this.#report('mismatch', claim)
      this.#logMismatch(claim)
    }
    if (outcome === 'unverifiable') this.#alertForms()
  }

  #count(outcome: CheckOutcome): void {
    this.checks[outcome] += 1
  }

  #report(kind: BookFinding['kind'], { token, market, venueMs, atUs }: BookClaim): void {
    this.#options.onFinding?.({ kind, token, market, venueMs, atUs })
  }

  #logMismatch({ token, venueMs }: BookClaim): void {
    this.#unlogged += 1
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs - this.#loggedMs < LOG_INTERVAL_MS) return
    this.#options.log.warn({ token, venueMs, mismatches: this.#unlogged }, 'a rebuilt order book is not the venue’s')
    this.#loggedMs = nowMs
    this.#unlogged = 0
  }

  #alertForms(): void {
    for (const form of this.#options.checker.unverifiableForms) {
      if (this.#alerted.has(form)) continue
      this.#alerted.add(form)
      this.#options.log.warn(
        { form },
        'order books of this form cannot be verified: not even a fresh dump fits its hash',
      )
    }
  }
}

/** An empty side has no best price, or the end of the scale. */
function agrees(best: BookPrice | undefined, told: string | null, end: 0 | 1): boolean {
  if (told === null) return true
  if (best === undefined) return told === '' || Number(told) === end || Number(told) === 0
  return told === best.text || (told !== '' && Number(told) === best.value)
}

/** The token ids of a mark, by whichever name its writer used. */
function tokensIn(detail: Readonly<Record<string, unknown>>): readonly TokenId[] {
  const list = detail['tokens'] ?? detail['assets_ids'] ?? detail['token_ids']
  return Array.isArray(list) ? list.filter(isTokenId) : []
}
