import type {
  BookChecker,
  BookClaim,
  BookLevels,
  BookPrice,
  CheckOutcome,
  ClaimOrigin,
  SettledClaim,
} from '../core/books.ts'
import type { Clock } from '../core/clock.ts'
import type { MarketEvent } from '../core/events.ts'
import type { TokenId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import type { BookCheckCounts } from '../core/status.ts'
import type { TapeMark } from '../core/tape.ts'
import { bestOf } from './book-side.ts'
import { type Book, Books, type BooksCounts, fromSecond, toSecond } from './books.ts'
import { Budget } from './budget.ts'
import { tokensIn } from './mark-details.ts'
import { copyOf, matchExplains } from './match-explains.ts'
import { TradeWatch } from './trade-watch.ts'

/** Evidence that something was missed. Times are tape time, Unix µs. */
export interface BookFinding {
  /**
   * `mismatch`: a rebuilt book is not the venue's. `best_disagreement`: nor are its best prices, and no hash could
   * tell. `unexplained`: a book after a match differs by more than the match. `trade_missing`: a book holds a trade
   * that never came.
   */
  readonly kind: 'mismatch' | 'best_disagreement' | 'unexplained' | 'trade_missing'
  readonly token: TokenId
  readonly market: string
  /** Venue time of the book, Unix ms. */
  readonly venueMs: number
  readonly atUs: number
  /** The last time at which the book is known to have been right. */
  readonly goodUs: number
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
/** Searches for a hidden value cost milliseconds each; the event loop must turn between them. */
const SETTLE_SLICE_MS = 8
const LOG_INTERVAL_MS = 60_000
/** Three times the pace at which a quiet reader looks. */
const IDLE_STEP_US = 300_000
const TOLD_AGAIN_US = 5_000_000

/** Keeps the order books of one stream and checks them against the venue's hashes. */
export class BookKeeper {
  readonly books: Books
  readonly checks: BookCheckCounts = { match: 0, mismatch: 0, unverifiable: 0, skipped: 0 }
  /** Batches after which the best prices were not those that the venue gave. */
  bestDisagreements = 0
  readonly #options: BookKeeperOptions
  readonly #budget: Budget
  readonly #alerted = new Set<string>()
  readonly #trades = new TradeWatch()
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

  /** Tape time, Unix µs. */
  get nowUs(): number {
    return this.#atUs
  }

  get counts(): Readonly<BooksCounts> {
    return this.books.counts
  }

  /** Applies one event as it stands on the tape. */
  apply(event: MarketEvent, connection: string, atUs: number): void {
    this.#atUs = atUs
    this.books.second = toSecond(atUs)
    switch (event.kind) {
      case 'price_change':
        for (const change of event.changes) this.books.applyChange(change, event.venueMs, connection)
        return
      case 'book': {
        this.#trades.book(event, atUs)
        const before = event.afterTrade ? this.#before(event.token, connection) : null
        const book = this.books.applySnapshot(event, connection)
        if (book === null) return
        if (before !== null && !matchExplains(before.levels, book))
          this.#report('unexplained', { ...event, atUs }, before.goodUs)
        this.#options.checker.noteBook(event)
        if (event.hash !== null) this.#check(book, event.venueMs, event.hash, 'snapshot')
        return
      }
      case 'trade':
        this.#trades.trade(event, atUs)
        this.#budget.spend(() => this.#options.checker.noteTrade(event))
        return
      case 'tick_size_change':
        this.#budget.spend(() => this.#options.checker.noteTickSize(event))
        return
      case 'market_resolved':
        for (const token of event.tokens) this.books.complete(token)
        this.#options.checker.release(event.market)
        this.#trades.release(event.market)
        for (const token of event.tokens) this.books.release(token)
        return
      default:
    }
  }

  /** A line that was read before: only what is still due of it matters. */
  warm(event: MarketEvent, atUs: number): void {
    this.#atUs = atUs
    if (event.kind === 'book') this.#trades.book(event, atUs)
    else if (event.kind === 'trade') this.#trades.trade(event, atUs)
    // What was missed long before has been told; what was due of late may have been told on a line that is lost.
    this.#trades.expire(atUs - TOLD_AGAIN_US)
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
        connections.of(connection).losses += 1
        return
      case 'unsubscribe':
        for (const token of tokensIn(detail)) this.books.unsubscribe(token, connection)
        return
      default:
    }
  }

  /**
   * Until when the token is known to have missed nothing, Unix µs, when a verdict on what it was told since is still to
   * come; null when none is. A later snapshot makes the book right, and does not bring back what was lost before it.
   */
  undecidedSince(token: TokenId): number | null {
    const market = this.books.get(token)?.market
    if (market === undefined || this.#options.checker.pending === 0) return null
    const claims = this.#options.checker.undecided(market).filter((claim) => claim.token === token)
    return claims.length === 0 ? null : Math.min(...claims.map(({ goodUs, atUs }) => goodUs ?? atUs))
  }

  /** Once per turn of the reader: time moves, quiet batches are complete, what waited is decided. */
  turn(): void {
    this.books.turn(this.#options.clock.monotonicMs())
    this.#budget.refill()
    this.#settle(this.#atUs, this.#budget.slice(SETTLE_SLICE_MS))
    for (const missing of this.#trades.expire(this.#atUs)) this.#report('trade_missing', missing, missing.atUs)
  }

  /**
   * A turn without frames, while caught up with the tape: tape time moves towards now. Step by step, because after the
   * process stood still what it missed is still in its sockets, and what waits for it must not be given up first.
   */
  idle(): void {
    const nowUs = this.#options.clock.wallUs()
    const nextUs = this.#atUs === 0 ? nowUs : Math.min(nowUs, this.#atUs + IDLE_STEP_US)
    this.#atUs = Math.max(this.#atUs, nextUs)
    this.turn()
  }

  /** The end of the tape: nothing more will come that could complete or decide anything. */
  finish(): void {
    this.books.finish()
    this.#settle(this.#atUs, () => true)
    for (const item of this.#options.checker.abandon()) this.#decided(item)
  }

  #checkBatch(book: Book): void {
    const { token, market, batchMs, batchHash, generation } = book
    const isWrong = !agrees(bestOf(book.bids), book.batchBid, 0) || !agrees(bestOf(book.asks), book.batchAsk, 1)
    if (isWrong) this.bestDisagreements += 1
    const outcome = batchHash === null ? 'unverifiable' : this.#check(book, batchMs, batchHash, 'changes', isWrong)
    // The hash decides where there is one: a book that has it is right whatever its best prices were said to be.
    if (!isWrong || outcome === 'match' || outcome === 'mismatch' || outcome === 'pending') return
    this.#report('best_disagreement', { token, market, venueMs: batchMs, atUs: this.#atUs }, this.#goodUs(token))
    this.books.distrust(token, generation)
  }

  #check(book: Book, venueMs: number, hash: string, origin: ClaimOrigin, must = false): CheckOutcome | 'pending' {
    const second = toSecond(this.#atUs)
    const due = must || Math.abs(second - book.checkedSecond) >= CHECK_DUE_SECONDS
    if (!due && !this.#budget.allows) {
      this.#count('skipped')
      return 'skipped'
    }
    const { token, market, generation } = book
    // A batch is complete when the next one begins, which can be long after it was told.
    const toldUs = origin === 'changes' ? Math.min(this.#atUs, fromSecond(book.touchedSecond)) : this.#atUs
    const claim: BookClaim = {
      ...{ token, market, venueMs, hash, origin, generation },
      ...{ atUs: this.#atUs, toldUs, goodUs: this.#goodUs(token) },
    }
    const outcome = this.#budget.spend(() => this.#options.checker.check(claim, book))
    book.checkedSecond = second
    if (outcome !== 'pending') this.#decided({ claim, outcome, tradeMissing: false })
    return outcome
  }

  /** The book that a match is about to change, when every message about it came on this connection. */
  #before(token: TokenId, connection: string): { readonly levels: BookLevels; readonly goodUs: number } | null {
    const book = this.books.get(token)
    if (book === undefined || book.owner.name !== connection || !this.books.isFresh(book)) return null
    return { levels: copyOf(book), goodUs: this.#goodUs(token) }
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
    const { token, generation, hash, atUs } = claim
    const toldSecond = toSecond(claim.toldUs ?? atUs)
    if (outcome === 'match') this.books.prove(token, generation, hash, toldSecond)
    // Nothing speaks against it, and nothing ever will.
    else if (outcome === 'unverifiable') this.books.prove(token, generation, null, toldSecond)
    if (tradeMissing) this.#report('trade_missing', claim, atUs)
    if (outcome === 'mismatch') {
      this.#report('mismatch', claim, claim.goodUs ?? this.#goodUs(token))
      this.books.distrust(token, generation)
      this.#logMismatch(claim)
    }
    if (outcome === 'unverifiable') this.#alertForms()
  }

  #count(outcome: CheckOutcome): void {
    this.checks[outcome] += 1
  }

  #report(kind: BookFinding['kind'], of: Omit<BookFinding, 'kind' | 'goodUs'>, goodUs: number): void {
    const { token, market, venueMs, atUs } = of
    this.#options.onFinding?.({ kind, token, market, venueMs, atUs, goodUs })
  }

  /** When the book was last proven to be right, Unix µs. */
  #goodUs(token: TokenId): number {
    const book = this.books.get(token)
    return book === undefined ? this.#atUs : Math.min(fromSecond(book.provenSecond), this.#atUs)
  }

  #logMismatch({ token, venueMs }: BookClaim): void {
    this.#unlogged += 1
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs - this.#loggedMs < LOG_INTERVAL_MS) return
    this.#options.log.warn({ token, venueMs, mismatches: this.#unlogged }, 'a rebuilt order book is not the venue’s')
    this.#loggedMs = nowMs
    this.#unlogged = 0
  }

  /** Forms that cannot be verified, met so far. */
  get unverifiableForms(): number {
    return this.#alerted.size
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
