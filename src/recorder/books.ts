import type { BookLevels } from '../core/books.ts'
import type { BookSnapshot, LevelChange } from '../core/events.ts'
import type { TokenId } from '../core/ids.ts'
import { createPriceTable, createSide, type MutableSide, replaceLevels, setLevel } from './book-side.ts'
import { type Connection, Connections } from './connections.ts'

/** One token's order book as rebuilt from the tape. Prices and sizes are the venue's decimal text. */
export interface Book extends BookLevels {
  readonly token: TokenId
  readonly market: string
  readonly bids: MutableSide
  readonly asks: MutableSide
  /** Counts the snapshots that this book was replaced by. */
  generation: number
  owner: Connection
  ownerLosses: number
  /** False until the next snapshot: changes are known to be missing. */
  whole: boolean
  snapshotMs: number
  snapshotHash: string | null
  /** The batch of changes with one (venue time, hash): complete when a change with another one comes. */
  batchOpen: boolean
  batchMs: number
  batchHash: string | null
  /** Best prices as the batch's last change gives them. */
  batchBid: string | null
  batchAsk: string | null
  /** The quiet period in which the book last changed. */
  touchedPeriod: number
  /** Tape time of the last hash check in whole seconds. Small integers cost no memory of their own. */
  checkedSecond: number
  /** Tape time of the last change, and of the last proof that it was whole; whole seconds. */
  touchedSecond: number
  provenSecond: number
  /** The hash that the book was last proven to have. */
  provenHash: string | null
  /** Fingerprints of the latest changes, a ring. */
  readonly recent: number[]
  recentNext: number
  queued: boolean
  used: boolean
}

/** A book whose changes count, as it stands. */
export interface RebuiltBook extends BookLevels {
  /** Up to here nothing of it was missed: its last change, or its last proof when that was before; Unix µs. */
  readonly atUs: number
  /** Its last change, venue time, Unix ms. */
  readonly venueMs: number
  /** The hash of exactly these levels; null when that is not proven. */
  readonly provenHash: string | null
}

export interface BooksOptions {
  /** The batch is complete: the book is what the batch's hash speaks of. */
  readonly onBatch: (book: Book) => void
  /** The batch was closed before and goes on after all. */
  readonly onReopened: (book: Book) => void
  /** A batch will never be complete, or its change could not be applied. */
  readonly onSkipped: () => void
  readonly booksMax?: number
  readonly levelsMax?: number
}

/** What was not applied, and why. */
export interface BooksCounts {
  /** From a connection that does not own the book. */
  foreign: number
  /** Changes without a fresh snapshot to apply them to. */
  unready: number
  /** Exact repeats of earlier changes or snapshots. */
  repeats: number
  /** Books dropped because of a limit. */
  evicted: number
}

const BOOKS_MAX = 40_000
const LEVELS_MAX = 4_000_000
const RECENT_MAX = 16
/** After one to two of these without a further change a batch is taken as complete. */
const QUIET_PERIOD_MS = 100
/** 2020: seconds since then are small integers until 2088. */
const EPOCH_US = 1_577_836_800_000_000

/** Tape time, Unix µs, in whole seconds, and back. */
export function toSecond(atUs: number): number {
  return Math.floor((atUs - EPOCH_US) / 1_000_000)
}

export function fromSecond(second: number): number {
  return EPOCH_US + second * 1_000_000
}

/**
 * Order books by token. A book belongs to the connection that gave its latest dump; changes from others are ignored.
 * A connection that opened later takes over with its snapshot, an older one does not while the owner is open.
 */
export class Books {
  readonly connections = new Connections()
  readonly counts: BooksCounts = { foreign: 0, unready: 0, repeats: 0, evicted: 0 }
  readonly #options: BooksOptions
  readonly #books = new Map<TokenId, Book>()
  readonly #intern = createPriceTable()
  readonly #booksMax: number
  readonly #levelsMax: number
  #levels = 0
  #period = 1
  #periodMs = 0
  #queue: Book[] = []
  #unready = { token: '', venueMs: 0, hash: '' }
  /** Tape time in whole seconds. */
  second = 0

  constructor(options: BooksOptions) {
    this.#options = options
    this.#booksMax = options.booksMax ?? BOOKS_MAX
    this.#levelsMax = options.levelsMax ?? LEVELS_MAX
  }

  get size(): number {
    return this.#books.size
  }

  get levels(): number {
    return this.#levels
  }

  get(token: TokenId): Book | undefined {
    return this.#books.get(token)
  }

  /** True while changes to this book count. */
  isFresh(book: Book): boolean {
    return book.whole && book.owner.open && book.owner.losses === book.ownerLosses
  }

  /** The book as it stands, or null while its changes do not count. */
  rebuilt(token: TokenId): RebuiltBook | null {
    const book = this.#books.get(token)
    if (book === undefined || !book.whole) return null
    const changed = book.batchMs >= book.snapshotMs
    const venueMs = changed ? book.batchMs : book.snapshotMs
    const told = changed && book.batchHash !== null ? book.batchHash : book.snapshotHash
    const provenHash = told === book.provenHash ? told : null
    const atUs = fromSecond(provenHash === null ? book.provenSecond : book.touchedSecond)
    return { bids: book.bids, asks: book.asks, atUs, venueMs, provenHash }
  }

  /** The same, unless its connection has ended meanwhile. */
  fresh(token: TokenId): RebuiltBook | null {
    const book = this.#books.get(token)
    return book !== undefined && this.isFresh(book) ? this.rebuilt(token) : null
  }

  /** The book of this generation was found to have this hash; null: to have one that cannot be checked at all. */
  prove(token: TokenId, generation: number, hash: string | null, second: number): void {
    const book = this.#books.get(token)
    if (book === undefined || book.generation !== generation || second < book.provenSecond) return
    book.provenSecond = second
    if (hash !== null) book.provenHash = hash
  }

  /** The book after the snapshot, or null when the snapshot does not count. */
  applySnapshot(event: BookSnapshot, connectionName: string): Book | null {
    const connection = this.connections.of(connectionName)
    if (!connection.open) return this.#ignore('foreign')
    let book = this.#books.get(event.token)
    if (book !== undefined) {
      if (this.isFresh(book)) {
        if (book.owner.order > connection.order) return this.#ignore('foreign')
        const same = event.hash !== null && event.hash === book.snapshotHash && event.venueMs === book.snapshotMs
        if (same && book.owner === connection) return this.#ignore('repeats')
      }
      // Another connection's snapshot may stand between two frames of the old owner's batch.
      if (book.owner === connection) this.#closeBatch(book)
      else this.#abandonBatch(book)
      this.#levels -= levelsOf(book)
    } else {
      book = createBook(event.token, event.market, connection)
      if (this.#books.size >= this.#booksMax) this.#evict()
      this.#books.set(event.token, book)
    }
    replaceLevels(book.bids, event.bids, this.#intern)
    replaceLevels(book.asks, event.asks, this.#intern)
    book.generation += 1
    book.owner = connection
    book.ownerLosses = connection.losses
    book.whole = true
    book.snapshotMs = event.venueMs
    book.snapshotHash = event.hash
    // Its levels are the frame's own: nothing of it can be missing.
    book.provenHash = event.hash
    book.provenSecond = this.second
    this.#touch(book)
    this.#levels += levelsOf(book)
    while (this.#levels > this.#levelsMax && this.#books.size > 1) this.#evict()
    return book
  }

  applyChange(change: LevelChange, venueMs: number, connectionName: string): void {
    const book = this.#books.get(change.token)
    const connection = this.connections.of(connectionName)
    const fresh = book !== undefined && this.isFresh(book)
    if (book === undefined || !fresh || book.owner !== connection) {
      if (fresh) this.counts.foreign += 1
      else this.#noteUnready(change, venueMs)
      return
    }
    const { hash, price, size, side } = change
    const print = fingerprint(venueMs, hash ?? '', price, size, side)
    const continues = venueMs === book.batchMs && hash === book.batchHash
    if (!continues || !book.batchOpen) {
      // Within one millisecond a book may go and come back: only what is older than the present state is a repeat.
      if (venueMs < book.batchMs && book.recent.includes(print)) {
        this.counts.repeats += 1
        return
      }
      if (continues) this.#options.onReopened(book)
      else this.#closeBatch(book)
      this.#openBatch(book, venueMs, hash)
    }
    const grown = setLevel(side === 'BUY' ? book.bids : book.asks, this.#intern(price), size)
    this.#levels += grown
    if (grown > 0 && this.#levels > this.#levelsMax && this.#books.size > 1) this.#evict()
    book.batchBid = change.bestBid
    book.batchAsk = change.bestAsk
    book.recent[book.recentNext] = print
    book.recentNext = (book.recentNext + 1) % RECENT_MAX
    this.#touch(book)
  }

  /** The book's changes are known to be incomplete since this generation; a newer snapshot has mended it already. */
  distrust(token: TokenId, generation: number): void {
    const book = this.#books.get(token)
    if (book !== undefined && book.generation === generation) book.whole = false
  }

  /** Nothing more will come for this token: its batch is complete. */
  complete(token: TokenId): void {
    const book = this.#books.get(token)
    if (book?.batchOpen && this.isFresh(book)) this.#closeBatch(book)
  }

  release(token: TokenId): void {
    const book = this.#books.get(token)
    if (book === undefined) return
    this.#abandonBatch(book)
    this.#levels -= levelsOf(book)
    this.#books.delete(token)
  }

  /** Drops a token that its own connection no longer follows; a book that another one took over stays. */
  unsubscribe(token: TokenId, connectionName: string): void {
    const book = this.#books.get(token)
    if (book !== undefined && (book.owner.name === connectionName || !this.isFresh(book))) this.release(token)
  }

  /** Time moves on (monotonic ms): batches that got nothing new for a whole quiet period are complete. */
  turn(nowMs: number): void {
    if (nowMs - this.#periodMs < QUIET_PERIOD_MS) return
    this.#period += 1
    this.#periodMs = nowMs
    this.#closeBefore(this.#period - 1)
  }

  /** Nothing more will come: every batch is complete. */
  finish(): void {
    this.#closeBefore(this.#period + 1)
  }

  #closeBefore(period: number): void {
    const waiting: Book[] = []
    for (const book of this.#queue) {
      if (book.batchOpen && book.touchedPeriod >= period) {
        waiting.push(book)
        continue
      }
      book.queued = false
      this.#closeBatch(book)
    }
    this.#queue = waiting
  }

  #openBatch(book: Book, venueMs: number, hash: string | null): void {
    book.batchOpen = true
    book.batchMs = venueMs
    book.batchHash = hash
    if (book.queued) return
    book.queued = true
    this.#queue.push(book)
  }

  #closeBatch(book: Book): void {
    if (!book.batchOpen) return
    if (this.isFresh(book)) {
      book.batchOpen = false
      this.#options.onBatch(book)
    } else {
      this.#abandonBatch(book)
    }
  }

  #abandonBatch(book: Book): void {
    if (!book.batchOpen) return
    book.batchOpen = false
    this.#options.onSkipped()
  }

  /** Counted once per batch, because a batch is what would have been checked. */
  #noteUnready({ token, hash }: LevelChange, venueMs: number): void {
    this.counts.unready += 1
    const last = this.#unready
    if (hash === null || (last.token === token && last.venueMs === venueMs && last.hash === hash)) return
    this.#unready = { token, venueMs, hash }
    this.#options.onSkipped()
  }

  #ignore(reason: 'foreign' | 'repeats'): null {
    this.counts[reason] += 1
    return null
  }

  #touch(book: Book): void {
    book.touchedPeriod = this.#period
    book.touchedSecond = this.second
    book.used = true
  }

  /** Second chance: whoever was used since the last look goes to the end of the line. */
  #evict(): void {
    for (const [token, book] of this.#books) {
      if (!book.used) {
        this.release(token)
        this.counts.evicted += 1
        return
      }
      book.used = false
      this.#books.delete(token)
      this.#books.set(token, book)
    }
  }
}

function createBook(token: TokenId, market: string, owner: Connection): Book {
  return {
    token,
    market,
    bids: createSide(1),
    asks: createSide(-1),
    generation: 0,
    owner,
    ownerLosses: owner.losses,
    whole: false,
    snapshotMs: 0,
    snapshotHash: null,
    batchOpen: false,
    batchMs: 0,
    batchHash: null,
    batchBid: null,
    batchAsk: null,
    touchedPeriod: 0,
    checkedSecond: -1_000_000,
    touchedSecond: 0,
    provenSecond: 0,
    provenHash: null,
    recent: [],
    recentNext: 0,
    queued: false,
    used: true,
  }
}

function levelsOf(book: Book): number {
  return book.bids.prices.length + book.asks.prices.length
}

const HASH_CHARACTERS = 12

/** 53 bits of one change. A false repeat would need two equal ones within 16 changes of one book. */
function fingerprint(venueMs: number, hash: string, price: string, size: string, side: string): number {
  let a = (venueMs | 0) ^ (side === 'BUY' ? 0x2545f491 : 0)
  let b = Math.trunc(venueMs / 0x1_0000_0000) ^ 0x9e3779b9
  const hashEnd = Math.min(hash.length, HASH_CHARACTERS)
  for (let index = 0; index < hashEnd; index += 1) {
    const code = hash.charCodeAt(index)
    a = Math.imul(a ^ code, 0x01000193)
    b = Math.imul(b ^ code, 0x85ebca6b)
  }
  for (let index = 0; index < price.length; index += 1) {
    const code = price.charCodeAt(index) + 256
    a = Math.imul(a ^ code, 0x01000193)
    b = Math.imul(b ^ code, 0x85ebca6b)
  }
  for (let index = 0; index < size.length; index += 1) {
    const code = size.charCodeAt(index) + 512
    a = Math.imul(a ^ code, 0x01000193)
    b = Math.imul(b ^ code, 0x85ebca6b)
  }
  return (a >>> 0) * 0x20_0000 + ((b ^ (b >>> 15)) >>> 11)
}
