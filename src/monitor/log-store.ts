import type { Clock } from '../core/clock.ts'
import { assert, describeError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { cleanJson } from '../ledger/clean.ts'
import { classifyError } from '../ledger/errors.ts'
import type { Sessions } from '../ledger/ledger.ts'
import {
  deleteLogsBefore,
  insertLogs,
  type LogQuery,
  type LogRow,
  type StoredLog,
  type StoredLogLevel,
  selectLogPage,
} from '../ledger/logs.ts'
import { createAbort, type LinkedAbort, withDeadline } from '../runtime/abort.ts'
import type { LogEntry, LogLevel } from '../runtime/logging.ts'
import { BoundedQueue } from './bounded-queue.ts'

export interface LogStoreOptions {
  readonly clock: Clock
  readonly ledger: Sessions
  /** What the store itself has to say. It is stored as well, but only once the trouble is over. */
  readonly log: Logger
  /** How long entries are kept, ms. */
  readonly retentionMs: number
  readonly limits?: Partial<LogStoreLimits>
}

export interface LogStoreLimits {
  /** Entries that wait for the database. What comes when it is full is dropped and counted. */
  readonly entriesMax: number
  readonly bytesMax: number
  readonly batchEntriesMax: number
  /** Entries that one transaction of a purge deletes. */
  readonly purgeBatchMax: number
}

const LIMITS: LogStoreLimits = {
  entriesMax: 20_000,
  bytesMax: 16 * 1024 * 1024,
  batchEntriesMax: 500,
  purgeBatchMax: 5_000,
}

/** Entries are gathered for this long, ms. */
const GATHER_MS = 200
const BACKOFF_MS = { first: 1_000, last: 30_000 }
const PURGE_BATCHES_MAX = 100

export interface LogPage {
  readonly logs: readonly StoredLog[]
  /** How many match in all; a search is counted up to 1,000. */
  readonly total: number
}

export interface LogStoreStatus {
  readonly queued: number
  readonly stored: number
  /** Never stored: the queue was full, or the database refused the entry for what is in it. */
  readonly dropped: number
  readonly trouble: string | null
}

export const STORED_LEVEL: Readonly<Record<LogLevel, StoredLogLevel>> = {
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARNING',
  error: 'ERROR',
  fatal: 'CRITICAL',
}

/**
 * Keeps what was logged in the ledger. Taking an entry neither waits nor fails: entries queue up to a limit while the
 * database is away, and what did not fit is counted and told of afterwards.
 */
export class LogStore {
  readonly #options: LogStoreOptions
  readonly #limits: LogStoreLimits
  readonly #queue: BoundedQueue<LogRow>
  #stored = 0
  #refused = 0
  #trouble: string | null = null
  /** Dropped since the last time somebody was told. */
  #untold = { count: 0, fromMs: 0, toMs: 0 }
  #wake: LinkedAbort = createAbort()
  #flushing: Promise<void> | null = null

  constructor(options: LogStoreOptions) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    this.#queue = new BoundedQueue(this.#limits.entriesMax, this.#limits.bytesMax)
  }

  /** Takes one entry. Never waits and never throws. */
  log({ atMs, level, message, context }: LogEntry): void {
    const contextJson = safeJson(context)
    const row = { atMs, level: STORED_LEVEL[level], message, contextJson }
    if (!this.#queue.offer(row, message.length + contextJson.length)) this.#noteDropped(atMs)
    else if (this.#queue.length === 1) this.#wake.abort()
  }

  status(): LogStoreStatus {
    const dropped = this.#queue.dropped + this.#refused
    return { queued: this.#queue.length, stored: this.#stored, dropped, trouble: this.#trouble }
  }

  /** A page of the newest entries. Throws TransientError when the database cannot be reached. */
  getRecentLogs(query: Partial<LogQuery> = {}): Promise<LogPage> {
    const whole: LogQuery = { limit: 100, offset: 0, before: null, levels: [], search: null, ...query }
    assert(Number.isSafeInteger(whole.limit) && whole.limit > 0, 'a page has entries')
    assert(Number.isSafeInteger(whole.offset) && whole.offset >= 0, 'a page begins somewhere')
    return this.#options.ledger.view((session) => selectLogPage(session, whole))
  }

  /** Deletes entries older than the retention, a small batch per transaction; returns how many. */
  async purgeOldLogs(): Promise<number> {
    const { clock, ledger, retentionMs } = this.#options
    const { purgeBatchMax } = this.#limits
    const beforeMs = clock.wallMs() - retentionMs
    let total = 0
    for (let batch = 0; batch < PURGE_BATCHES_MAX; batch += 1) {
      const deleted = await ledger.write((session) => deleteLogsBefore(session, beforeMs, purgeBatchMax))
      total += deleted
      if (deleted < purgeBatchMax) break
    }
    return total
  }

  /** Stores what is queued, again and again, until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    let failures = 0
    while (!signal.aborted) {
      if (this.#queue.length === 0) await this.#untilWoken(signal)
      await clock.sleep(failures === 0 ? GATHER_MS : backoffMs(failures), signal)
      if (signal.aborted) return
      failures = (await this.#tryFlush()) ? 0 : failures + 1
    }
  }

  /** Stores what is queued now; rejects when the database does not take it. */
  flush(): Promise<void> {
    this.#flushing ??= this.#flushAll().finally(() => {
      this.#flushing = null
    })
    return this.#flushing
  }

  /** Stores what is queued, as far as it goes in the time left. Never rejects. */
  async close(timeoutMs: number): Promise<void> {
    const { clock } = this.#options
    const { signal } = createAbort()
    await withDeadline({ clock, timeoutMs, signal, what: 'storing the log' }, () => this.flush()).catch(() => undefined)
  }

  async #untilWoken(signal: AbortSignal): Promise<void> {
    this.#wake = createAbort(signal)
    const wake = this.#wake.signal
    await new Promise<void>((resolve) => {
      if (wake.aborted) resolve()
      else wake.addEventListener('abort', () => resolve(), { once: true })
    })
    this.#wake.release()
  }

  async #tryFlush(): Promise<boolean> {
    try {
      await this.flush()
      return true
    } catch (error) {
      this.#noteTrouble(error)
      return false
    }
  }

  /** That the database is away is told by the ledger. What else there is, is told once: it would fill the queue. */
  #noteTrouble(error: unknown): void {
    const text = describeError(error)
    const isNews = text !== this.#trouble && classifyError(error) === 'bug'
    this.#trouble = text
    if (isNews) this.#options.log.error({ err: error }, `the log cannot be stored: ${text}`)
  }

  async #flushAll(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.peek(this.#limits.batchEntriesMax)
      const storedBefore = this.#stored
      await this.#store(batch)
      this.#queue.take(batch.length)
      this.#trouble = null
      // Not before something could be stored: what is told of a refusal might be refused as well.
      if (this.#untold.count > 0 && this.#stored > storedBefore) this.#tellDropped()
    }
  }

  async #store(batch: readonly LogRow[]): Promise<void> {
    const { ledger } = this.#options
    try {
      await ledger.write((session) => insertLogs(session, batch))
      this.#stored += batch.length
    } catch (error) {
      if (classifyError(error) !== 'data') throw error
      // Something in it is refused: one by one, so that it costs only itself.
      for (const row of batch) await this.#storeOne(row)
    }
  }

  async #storeOne(row: LogRow): Promise<void> {
    try {
      await this.#options.ledger.write((session) => insertLogs(session, [row]))
      this.#stored += 1
    } catch (error) {
      if (classifyError(error) !== 'data') throw error
      this.#refused += 1
      this.#noteDropped(row.atMs)
    }
  }

  #noteDropped(atMs: number): void {
    if (this.#untold.count === 0) this.#untold.fromMs = atMs
    this.#untold.count += 1
    this.#untold.toMs = atMs
  }

  #tellDropped(): void {
    const { count, fromMs, toMs } = this.#untold
    this.#untold = { count: 0, fromMs: 0, toMs: 0 }
    const context = { dropped: count, from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() }
    this.#options.log.warn(context, `${count} log entries could not be stored and are not in the ledger`)
  }
}

function backoffMs(failures: number): number {
  return Math.min(BACKOFF_MS.last, BACKOFF_MS.first * 2 ** Math.min(failures - 1, 10))
}

function safeJson(context: unknown): string {
  try {
    return cleanJson(context)
  } catch {
    return '{}'
  }
}
