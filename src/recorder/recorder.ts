import { setImmediate } from 'node:timers/promises'
import type { BookChecker, LiveBook, LiveBooks } from '../core/books.ts'
import type { Clock } from '../core/clock.ts'
import type { BookWitness, WitnessedBook } from '../core/coverage.ts'
import { assert, describeError, TransientError } from '../core/errors.ts'
import type { DecodeFrame, MarketEvent } from '../core/events.ts'
import type { TokenId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import type { StreamBatch, StreamCommit, StreamLedger } from '../core/rows.ts'
import type { RecorderStatus } from '../core/status.ts'
import type { TapeBatch, TapeFollower, TapePosition, TapeRecord } from '../core/tape.ts'
import { Arrivals } from './arrivals.ts'
import { BookComparison } from './book-comparison.ts'
import type { RebuiltBook } from './books.ts'
import { Committer } from './committer.ts'
import { Coverage } from './coverage.ts'
import { liveBookOf } from './live-book.ts'
import type { Suspicion } from './mark-details.ts'
import { ORDINAL_WINDOW_US } from './ordinals.ts'
import { OverdueBooks } from './overdue-books.ts'
import { Pending } from './pending.ts'
import { Pipeline } from './pipeline.ts'
import { emptyRows } from './stream-rows.ts'
import { suspicionOf } from './suspicions.ts'
import { type BookFinding, BookKeeper } from './verification.ts'

/** One stream's tape, as the recorder reads it. */
export interface StreamTape {
  /** Reads on from a position (null: from the start of the tape). */
  follow(from: TapePosition | null): TapeFollower
  /** At least the lines of the last `spanUs` before a position, oldest first. */
  readBack(position: TapePosition, spanUs: number): AsyncIterable<readonly TapeRecord[]>
  /** Bytes between a position and the tape's end. */
  behind(position: TapePosition | null): number
  /** False while something was received that readers have not been given. */
  readonly settled: boolean
}

export interface RecorderOptions {
  readonly recorderId: string
  readonly stream: string
  readonly tape: StreamTape
  readonly ledger: StreamLedger
  readonly decode: DecodeFrame
  readonly checker: BookChecker
  readonly clock: Clock
  readonly log: Logger
  /** Hears every event in tape order, those that are read again after a restart included. `atUs`: Unix µs. */
  readonly onEvent?: ((event: MarketEvent, atUs: number) => void) | undefined
  /**
   * Hears every verdict that something may have been missed. It counts already; whoever keeps the tape writes it there
   * as a `suspect` mark, for those who read the tape again. Without a listener there are only the verdicts of marks.
   */
  readonly onSuspicion?: ((suspicion: Suspicion) => void) | undefined
  /** Hears of tokens whose fresh book does not come by itself. */
  readonly onOverdue?: ((tokens: readonly TokenId[]) => void) | undefined
  /** The tokens of a market, as far as they are known. */
  readonly tokensOf?: ((market: string) => readonly TokenId[]) | undefined
  /** False when the source has dropped the token without a connection to say so on. */
  readonly isFollowed?: ((token: TokenId) => boolean) | undefined
  /** Share of the elapsed time for hash checks; 0.15 unless told. */
  readonly checkShare?: number
}

export interface DrainReport {
  /** Rows and dead letters that the ledger took while draining. */
  readonly flushed: number
  /** Frames read and not in the ledger; they are on the tape and come with the next start. */
  readonly left: number
  /** True when everything on the tape is in the ledger. */
  readonly complete: boolean
}

/** Reads a stream's tape in order and keeps the ledger in step with it. */
export interface Recorder extends BookWitness, LiveBooks {
  /**
   * Returns when the signal aborts, after a drain, or at the end of a tape that does not grow.
   * Throws only what is no passing trouble of the ledger. May be called once.
   */
  run(signal: AbortSignal): Promise<void>
  /** Gives the ledger what it takes within `withinMs`, not waiting for an absent one, and ends `run`. */
  drain(withinMs: number): Promise<DrainReport>
  status(): RecorderStatus
}

const TICK_MS = 100
/** A row waits at most this long for company: live, and while catching up. */
const ROWS_AGE_MS = 150
const ROWS_AGE_BEHIND_MS = 1_000
const POSITION_AGE_MS = 3_000
/** How long the ledger's answers wait for the recorder: with 10 ms it stored a quarter fewer rows a second. */
const TURN_MS = 2
const TURN_RECORDS_MAX = 2_000
const CLOCK_EVERY_RECORDS = 64
/** A reader that waits this long for lines has caught up. */
const CAUGHT_UP_MS = 1_000
const DRAIN_QUIET_MS = 300
const HANGING_MS = 5_000

/** The one path from tape to ledger: live, resume and rebuild differ only in the tape they are given. */
export function createRecorder(options: RecorderOptions): Recorder {
  return new StreamRecorder(options)
}

class StreamRecorder implements Recorder {
  readonly #options: RecorderOptions
  readonly #keeper: BookKeeper
  readonly #coverage: Coverage
  readonly #comparison: BookComparison
  readonly #overdue = new OverdueBooks()
  readonly #pipeline: Pipeline
  readonly #committer: Committer
  readonly #pending = new Pending()
  readonly #stop = new AbortController()
  /** What the ledger took since the start. */
  readonly #taken = { frames: 0, rows: 0, trades: 0, batches: 0, duplicates: 0, deadLetters: 0 }
  #finished: Promise<void> | null = null
  #inFlight: { readonly batch: StreamBatch; readonly frames: number } | null = null
  #draining = false
  #live = false
  #atEnd = false
  #waitingSinceMs: number | null = null
  #trouble: string | null = null
  #damagedLines = 0
  #lastInsertMs: number | null = null
  #committedMs: number
  #turnMs: number
  #turnRecords = 0
  /** Frames read up to the end of what is pending. */
  #framesPending = 0

  constructor(options: RecorderOptions) {
    this.#options = options
    const { checker, clock, log, stream, decode, onEvent, checkShare, isFollowed, tokensOf } = options
    const share = checkShare === undefined ? {} : { checkShare }
    const onSuspicion = (suspicion: Suspicion) => {
      if (options.onSuspicion === undefined) return
      this.#coverage.suspect(suspicion, this.#keeper.nowUs)
      options.onSuspicion(suspicion)
    }
    const onFinding = (finding: BookFinding) => onSuspicion(suspicionOf(finding, tokensOf ?? (() => [])))
    this.#keeper = new BookKeeper({ checker, clock, log, onFinding, ...share })
    this.#coverage = new Coverage({
      bookOf: (token) => knownBook(this.#keeper.books.rebuilt(token)),
      undecidedSince: (token) => this.#keeper.undecidedSince(token),
      isFollowed,
    })
    this.#comparison = new BookComparison({
      bookOf: (token) => this.#keeper.books.fresh(token),
      onEqual: (token, atUs, hash) => this.#coverage.verified(token, atUs, hash),
      onSuspicion,
    })
    this.#pipeline = new Pipeline({ stream, decode, keeper: this.#keeper, coverage: this.#coverage, log, onEvent })
    const onCommitted = (batch: StreamBatch, commit: StreamCommit) => this.#committed(batch, commit)
    this.#committer = new Committer({ ledger: options.ledger, clock, log, onCommitted })
    this.#committedMs = clock.monotonicMs()
    this.#turnMs = this.#committedMs
  }

  async run(signal: AbortSignal): Promise<void> {
    assert(this.#finished === null, 'a recorder runs once')
    const stop = () => this.#stop.abort()
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop)
    this.#finished = this.#read().finally(() => {
      signal.removeEventListener('abort', stop)
      stop()
    })
    try {
      await this.#finished
    } catch (error) {
      // What the ledger did not take is on the tape; at the end of a run that is no error.
      if (error instanceof TransientError && (this.#draining || signal.aborted)) return
      this.#trouble = describeError(error)
      throw error
    }
  }

  async drain(withinMs: number): Promise<DrainReport> {
    const before = this.#taken.rows
    this.#draining = true
    this.#committer.losePatience()
    const over = new AbortController()
    const finished = (this.#finished ?? Promise.resolve()).catch(() => undefined).finally(() => over.abort())
    await this.#options.clock.sleep(withinMs, over.signal)
    this.#stop.abort()
    if (over.signal.aborted) await finished
    const left = this.#queueDepth()
    return { flushed: this.#taken.rows - before, left, complete: left === 0 && this.#atEnd }
  }

  compare(books: readonly WitnessedBook[], observedUs: number): void {
    this.#comparison.compare(books, observedUs)
  }

  liveBook(token: TokenId, depth: number): LiveBook | null {
    // While the reader is behind the book is an old one, and of a token in doubt it may be wrong.
    if (!this.#caughtUp() || this.#coverage.tokens.get(token)?.incident !== null) return null
    const book = this.#keeper.books.fresh(token)
    return book === null ? null : liveBookOf(book, depth)
  }

  status(): RecorderStatus {
    const { counts } = this.#pipeline
    const taken = this.#taken
    return {
      tradesReceived: counts.trades,
      tradesInserted: taken.trades,
      batchesInserted: taken.batches,
      duplicates: taken.duplicates,
      queueDepth: this.#queueDepth(),
      behindBytes: this.#options.tape.behind(this.#pending.place),
      caughtUp: this.#caughtUp(),
      lastTradeMs: counts.lastTradeMs,
      lastInsertMs: this.#lastInsertMs,
      booksKept: this.#keeper.books.size,
      checks: { ...this.#keeper.checks, bestDisagreements: this.#keeper.bestDisagreements },
      unverifiableForms: this.#keeper.unverifiableForms,
      rejects: counts.rejects,
      deadLetters: taken.deadLetters,
      unknownEvents: counts.unknownEvents,
      drift: { ...counts.drift },
      damagedLines: this.#damagedLines,
      gapsOpened: this.#coverage.incidents.opened,
      tokensInDoubt: this.#coverage.incidents.tokensInDoubt,
      comparisons: { ...this.#comparison.counts },
      trouble: this.#trouble ?? this.#committer.trouble,
    }
  }

  async #read(): Promise<void> {
    const { tape, clock } = this.#options
    const { signal } = this.#stop
    const from = await this.#resume(signal)
    const arrivals = new Arrivals(tape.follow(from), clock)
    try {
      while (!signal.aborted) {
        this.#waitingSinceMs ??= clock.monotonicMs()
        const batch = await arrivals.next(TICK_MS, signal)
        if (batch === null) this.#atEnd = true
        else if (batch === 'tick') this.#idle(clock.monotonicMs())
        else await this.#take(batch, signal)
        if (this.#atEnd) break
        await this.#commitWhatIsDue(signal)
      }
      if (this.#atEnd && !this.#draining && !signal.aborted) this.#keeper.finish()
      if (!signal.aborted) await this.#commit(signal)
      if (!signal.aborted) await this.#committer.idle(signal)
    } finally {
      await arrivals.close()
      await this.#settled()
    }
  }

  /** Where to go on, with the row identities of the last minute before it restored. */
  async #resume(signal: AbortSignal): Promise<TapePosition | null> {
    const { ledger, recorderId, stream, tape } = this.#options
    const start = await this.#committer.insist(() => ledger.loadPosition(recorderId, stream), signal)
    if (start === null) return null
    this.#pending.startAt(start.position, start.atUs)
    const state = await this.#committer.insist(() => ledger.loadCoverage(recorderId, stream), signal)
    this.#coverage.load(state, start.atUs ?? 0)
    for await (const records of tape.readBack(start.position, ORDINAL_WINDOW_US)) {
      for (const record of records) {
        this.#pipeline.warm(record)
        if (this.#turnIsOver()) await this.#yield()
        if (signal.aborted) return start.position
      }
    }
    return start.position
  }

  /** No lines for a while. */
  #idle(nowMs: number): void {
    const waitedMs = nowMs - (this.#waitingSinceMs ?? nowMs)
    if (this.#caughtUp() && this.#options.tape.settled) this.#keeper.idle()
    else this.#keeper.turn()
    this.#judge()
    if (this.#draining && waitedMs >= DRAIN_QUIET_MS) this.#atEnd = true
  }

  async #take(batch: TapeBatch, signal: AbortSignal): Promise<void> {
    this.#waitingSinceMs = null
    this.#live = batch.live
    this.#damagedLines += batch.damagedLines
    const [first] = batch.records
    if (batch.damagedLines > 0 && first !== undefined) this.#coverage.damaged(batch.damagedLines, first.atUs)
    const rows = emptyRows()
    this.#keeper.turn()
    for (const record of batch.records) {
      this.#pipeline.read(record, rows)
      if (this.#turnIsOver()) await this.#yield()
      if (signal.aborted) return
    }
    // Coverage stands at the end of this batch, and the position before it: that comes with the next transaction.
    if (this.#pending.overflows(rows)) await this.#commit(signal, false)
    this.#framesPending = this.#pipeline.counts.frames
    this.#pending.add(batch, rows, this.#options.clock.monotonicMs())
    this.#judge()
  }

  /** Between two batches: what has waited long enough is decided. */
  #judge(): void {
    const { nowUs } = this.#keeper
    this.#comparison.turn(nowUs)
    this.#coverage.turn(nowUs, this.#caughtUp())
    const { onOverdue } = this.#options
    if (onOverdue === undefined || !this.#caughtUp()) return
    const overdue = this.#overdue.take(this.#coverage.tokens.values(), nowUs)
    if (overdue.length > 0) onOverdue(overdue)
  }

  async #commitWhatIsDue(signal: AbortSignal): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs()
    if (this.#committer.failed) await this.#committer.idle(signal)
    if (this.#pending.full) {
      await this.#commit(signal)
      return
    }
    if (this.#committer.busy || !(this.#pending.moved || this.#coverage.changed)) return
    const rowsDue = this.#pending.rowsAgeMs(nowMs) >= (this.#live ? ROWS_AGE_MS : ROWS_AGE_BEHIND_MS)
    const coverageDue = this.#coverage.changed && nowMs - this.#committedMs >= ROWS_AGE_MS
    if (rowsDue || coverageDue || nowMs - this.#committedMs >= POSITION_AGE_MS) await this.#commit(signal)
  }

  /** Hands over everything that was read, after what is on its way; returns before the ledger has taken it. */
  async #commit(signal: AbortSignal, withCoverage = true): Promise<void> {
    await this.#committer.idle(signal)
    const { recorderId, stream } = this.#options
    if (signal.aborted) return
    const batches = this.#pending.take(recorderId, stream, withCoverage ? this.#coverage.take() : null)
    const frames = this.#framesPending
    this.#committedMs = this.#options.clock.monotonicMs()
    for (const batch of batches) {
      await this.#committer.idle(signal)
      if (signal.aborted) return
      this.#inFlight = { batch, frames: batch === batches.at(-1) ? frames : this.#taken.frames }
      this.#committer.start(batch, signal)
    }
  }

  #committed(batch: StreamBatch, commit: StreamCommit): void {
    const taken = this.#taken
    const letters = batch.deadLetters.length
    const rows = batch.trades.length + batch.tickSizes.length + batch.lifecycle.length + letters
    if (this.#inFlight?.batch === batch) taken.frames = this.#inFlight.frames
    taken.trades += commit.tradesInserted
    taken.duplicates += commit.duplicates
    taken.deadLetters += letters + commit.poisoned
    if (rows === 0) return
    taken.rows += rows
    taken.batches += 1
    this.#lastInsertMs = this.#options.clock.wallMs()
  }

  /** What is on its way to the ledger ends before `run` does, unless it hangs. */
  async #settled(): Promise<void> {
    const patience = new AbortController()
    const over = new AbortController()
    const idle = this.#committer
      .idle(patience.signal)
      .catch(() => undefined)
      .finally(() => over.abort())
    await this.#options.clock.sleep(HANGING_MS, over.signal)
    patience.abort()
    await idle
  }

  #queueDepth(): number {
    return this.#pipeline.counts.frames - this.#taken.frames
  }

  #caughtUp(): boolean {
    if (this.#live) return true
    return this.#waitingSinceMs !== null && this.#options.clock.monotonicMs() - this.#waitingSinceMs >= CAUGHT_UP_MS
  }

  #turnIsOver(): boolean {
    this.#turnRecords += 1
    if (this.#turnRecords % CLOCK_EVERY_RECORDS !== 0) return false
    return this.#turnRecords >= TURN_RECORDS_MAX || this.#options.clock.monotonicMs() - this.#turnMs >= TURN_MS
  }

  /** Sockets, health and timers get their turn. */
  async #yield(): Promise<void> {
    await setImmediate()
    this.#turnMs = this.#options.clock.monotonicMs()
    this.#turnRecords = 0
    this.#keeper.turn()
  }
}

function knownBook(book: RebuiltBook | null): { atUs: number; hash: string | null } | null {
  return book === null ? null : { atUs: book.atUs, hash: book.provenHash }
}
