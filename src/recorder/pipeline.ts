import type { DecodeFrame, MarketEvent } from '../core/events.ts'
import type { Logger } from '../core/log.ts'
import type { TapeFrame, TapeRecord } from '../core/tape.ts'
import type { Coverage } from './coverage.ts'
import { RowBuilder, type StreamRows } from './stream-rows.ts'
import type { BookKeeper } from './verification.ts'

const DRIFT_NAMES_MAX = 200

/** What went through since the start. */
export interface PipelineCounts {
  frames: number
  trades: number
  rejects: number
  unknownEvents: number
  /** Venue time of the newest trade, Unix ms. */
  lastTradeMs: number | null
  readonly drift: Record<string, number>
}

export interface PipelineOptions {
  readonly stream: string
  readonly decode: DecodeFrame
  readonly keeper: BookKeeper
  /** The account of what may be missing; only kept by whoever stores it. */
  readonly coverage?: Coverage
  readonly log: Logger
  /** Hears every event in tape order; `atUs` is the receive time, Unix µs. */
  readonly onEvent?: ((event: MarketEvent, atUs: number) => void) | undefined
}

/** The one path from a line of the tape to books and rows, for live, resume and rebuild alike. */
export class Pipeline {
  readonly counts: PipelineCounts = {
    frames: 0,
    trades: 0,
    rejects: 0,
    unknownEvents: 0,
    lastTradeMs: null,
    drift: Object.create(null) as Record<string, number>,
  }
  readonly #options: PipelineOptions
  readonly #builder: RowBuilder
  #driftNames = 0
  #listenerFailures = 0

  constructor(options: PipelineOptions) {
    this.#options = options
    this.#builder = new RowBuilder(options.stream)
  }

  /** Reads one line: books follow, and what becomes a row is added to `rows`. */
  read(record: TapeRecord, rows: StreamRows): void {
    const { keeper, coverage, decode } = this.#options
    if (record.kind === 'mark') {
      coverage?.mark(record)
      keeper.mark(record)
      return
    }
    const { events, rejects, drift } = decode(record.payload)
    this.counts.frames += 1
    coverage?.frame(record.connection, record.atUs)
    for (const event of events) this.#take(event, record, rows)
    for (const name of drift) this.#noteDrift(name)
    if (rejects.length === 0) return
    this.counts.rejects += rejects.length
    coverage?.unreadable(record.connection, record.atUs, rejects[0] ?? '')
    this.#builder.reject(rejects, record, rows)
  }

  /** Reads a line that is in the ledger already: row identities need it, and what is known of the books. */
  warm(record: TapeRecord): void {
    if (record.kind === 'mark') return
    for (const event of this.#options.decode(record.payload).events) {
      this.#builder.warm(event, record)
      this.#options.keeper.warm(event, record.atUs)
      this.#options.coverage?.warm(event, record.atUs)
    }
  }

  #take(event: MarketEvent, frame: TapeFrame, rows: StreamRows): void {
    // First, because it looks at the book that was known before.
    if (event.kind === 'book') this.#options.coverage?.book(event, frame.connection, frame.atUs)
    this.#options.keeper.apply(event, frame.connection, frame.atUs)
    this.#builder.add(event, frame, rows)
    if (event.kind === 'trade') {
      this.counts.trades += 1
      this.counts.lastTradeMs = Math.max(this.counts.lastTradeMs ?? 0, event.venueMs)
    } else if (event.kind === 'unknown') {
      this.counts.unknownEvents += 1
    }
    if (this.#options.onEvent !== undefined) this.#tell(this.#options.onEvent, event, frame.atUs)
  }

  /** A listener's bug must not keep what was recorded from the ledger. */
  #tell(listener: (event: MarketEvent, atUs: number) => void, event: MarketEvent, atUs: number): void {
    try {
      listener(event, atUs)
    } catch (error) {
      this.#listenerFailures += 1
      const failures = this.#listenerFailures
      const isPowerOfTwo = (failures & (failures - 1)) === 0
      if (isPowerOfTwo)
        this.#options.log.error({ err: error, failures, kind: event.kind }, 'a listener to events failed')
    }
  }

  #noteDrift(name: string): void {
    const { drift } = this.counts
    const count = drift[name]
    if (count !== undefined) {
      drift[name] = count + 1
    } else if (this.#driftNames < DRIFT_NAMES_MAX) {
      this.#driftNames += 1
      drift[name] = 1
    }
  }
}
