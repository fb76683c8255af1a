import type { BookChecker } from '../core/books.ts'
import type { Clock } from '../core/clock.ts'
import type { Decoded, DecodeFrame, MarketEvent } from '../core/events.ts'
import { tokensOf } from '../core/events.ts'
import type { TokenId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import type { TokenDirectory, TokenFacts } from '../core/market.ts'
import type { BookCheckCounts } from '../core/status.ts'
import type { TapeRecord } from '../core/tape.ts'
import { ConnectionEnds } from './connection-ends.ts'
import { Pipeline } from './pipeline.ts'
import { emptyRows, type StreamRows } from './stream-rows.ts'
import { type BookFinding, BookKeeper } from './verification.ts'

export interface BookPassOptions {
  readonly stream: string
  readonly decode: DecodeFrame
  readonly createChecker: (directory: TokenDirectory) => BookChecker
  readonly loadFacts: (tokens: readonly TokenId[]) => Promise<readonly TokenFacts[]>
  readonly log: Logger
  readonly onFinding: (finding: BookFinding) => void
}

/** Tokens whose facts are remembered: twice the books that are kept. */
const FACTS_MAX = 80_000
/** How long a trade may follow its book. */
const TRADE_WAIT_US = 2_000_000

/**
 * Reads lines by the recorder's own path and checks every book on the way. Time is the tape's, so that no check is
 * left out for want of time and the outcome is the same on every machine.
 */
export class BookPass {
  readonly #options: BookPassOptions
  readonly #keeper: BookKeeper
  readonly #checker: BookChecker
  readonly #pipeline: Pipeline
  readonly #ends = new ConnectionEnds()
  readonly #facts = new Map<TokenId, TokenFacts | null>()
  /** What the pipeline is about to ask for, decoded once. */
  #decoded: Decoded[] = []
  #tapeMs = 0
  #before: BookCheckCounts | null = null

  constructor(options: BookPassOptions) {
    this.#options = options
    const { stream, createChecker, log, decode } = options
    const onFinding = (finding: BookFinding) => {
      const { kind, token, atUs } = finding
      if (kind === 'trade_missing' && this.#ends.endedBefore(token, atUs, TRADE_WAIT_US)) return
      options.onFinding(finding)
    }
    const clock = tapeClock(() => this.#tapeMs)
    this.#checker = createChecker({ facts: (token) => this.#facts.get(token) ?? undefined })
    this.#keeper = new BookKeeper({ checker: this.#checker, clock, log, onFinding })
    const next = (payload: Buffer) => this.#decoded.shift() ?? decode(payload)
    this.#pipeline = new Pipeline({ stream, decode: next, keeper: this.#keeper, log })
  }

  get rejects(): number {
    return this.#pipeline.counts.rejects
  }

  get frames(): number {
    return this.#pipeline.counts.frames
  }

  /** From here on checks count. */
  begin(): void {
    this.#before ??= { ...this.#keeper.checks, bestDisagreements: this.#keeper.bestDisagreements }
  }

  async read(records: readonly TapeRecord[]): Promise<StreamRows> {
    await this.#prepare(records)
    const rows = emptyRows()
    this.#keeper.turn()
    for (const record of records) {
      // A clock that was set back must not stop the quiet periods of the books.
      this.#tapeMs = Math.max(this.#tapeMs, record.atUs / 1000)
      this.#ends.read(record)
      this.#pipeline.read(record, rows)
    }
    this.#decoded = []
    return rows
  }

  /** The counts since `begin`. What would have decided the last claims is not on the tape: they were not checked. */
  finish(): BookCheckCounts {
    this.#keeper.turn()
    const waiting = this.#checker.abandon().length
    const { match, mismatch, unverifiable, skipped } = this.#keeper.checks
    const before = this.#before ?? { match: 0, mismatch: 0, unverifiable: 0, skipped: 0 }
    return {
      match: match - before.match,
      mismatch: mismatch - before.mismatch,
      unverifiable: unverifiable - before.unverifiable,
      skipped: skipped - before.skipped + waiting,
      bestDisagreements: this.#keeper.bestDisagreements - (before.bestDisagreements ?? 0),
    }
  }

  /** Decodes the lines and asks the ledger about the tokens that are new. */
  async #prepare(records: readonly TapeRecord[]): Promise<void> {
    const unknown = new Set<TokenId>()
    const note = (event: MarketEvent) => {
      for (const token of tokensOf(event)) if (!this.#facts.has(token)) unknown.add(token)
    }
    for (const record of records) {
      if (record.kind !== 'frame') continue
      const decoded = this.#options.decode(record.payload)
      this.#decoded.push(decoded)
      for (const event of decoded.events) note(event)
    }
    if (unknown.size === 0) return
    for (const token of unknown) this.#facts.set(token, null)
    for (const facts of await this.#options.loadFacts([...unknown])) this.#facts.set(facts.tokenId, facts)
    for (const token of this.#facts.keys()) {
      if (this.#facts.size <= FACTS_MAX) break
      this.#facts.delete(token)
    }
  }
}

/** A clock that stands still between two lines: work takes no time on it. */
function tapeClock(nowMs: () => number): Clock {
  return {
    wallMs: nowMs,
    wallUs: () => Math.floor(nowMs() * 1000),
    monotonicMs: nowMs,
    sleep: () => Promise.resolve(),
  }
}
