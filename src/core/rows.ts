import type { CoverageChanges, CoverageState } from './coverage.ts'
import type { Side } from './events.ts'
import type { DeadLetter } from './ports.ts'
import type { TapePosition } from './tape.ts'

/**
 * Rows that are derived from the tape. A row's identity is (token, venue time, kind, hash of the canonical
 * content, ordinal); the ordinal counts identical events of one connection, so that the same trade on two
 * overlapping connections is one row and two identical fills on one connection are two.
 */
export interface StreamRowIdentity {
  /** Venue time, Unix ms. */
  readonly venueMs: number
  /** 32 hex digits: hash of the canonical content. */
  readonly contentHash: string
  readonly ordinal: number
  /** Receive time, Unix µs. */
  readonly atUs: number
  /** The payload this row came from, for `dead_letters` when the ledger refuses the row. */
  readonly payload: Buffer
}

export type TradeOrigin = 'stream' | 'backfill'

export interface TradeRow extends StreamRowIdentity {
  readonly tokenId: string
  /** The market as the frame names it (a condition id). */
  readonly market: string
  readonly price: string
  readonly size: string
  readonly side: Side
  readonly feeRateBps: string
  readonly transactionHash: string
  readonly origin: TradeOrigin
}

export interface TickSizeRow extends StreamRowIdentity {
  readonly tokenId: string
  readonly market: string
  readonly oldTickSize: string
  readonly newTickSize: string
}

/** `new_market` and `market_resolved`. */
export interface LifecycleRow extends StreamRowIdentity {
  readonly kind: 'new_market' | 'market_resolved'
  readonly market: string
  readonly question: string | null
  readonly slug: string | null
  readonly tokens: readonly string[]
  readonly outcomes: readonly string[]
  readonly tickSize: string | null
  readonly winningTokenId: string | null
  /** The whole event as JSON text. */
  readonly raw: string
}

/** What one transaction stores: rows, bad input, and how far the tape has been read. */
export interface StreamBatch {
  readonly recorderId: string
  readonly stream: string
  readonly position: TapePosition
  /** Receive time of the last line before `position`, Unix µs; null when no line was read. */
  readonly positionAtUs: number | null
  readonly trades: readonly TradeRow[]
  readonly tickSizes: readonly TickSizeRow[]
  readonly lifecycle: readonly LifecycleRow[]
  readonly deadLetters: readonly DeadLetter[]
  /** What changed about what is followed and what may be missing, up to `position`; null when nothing did. */
  readonly coverage: CoverageChanges | null
}

export interface StreamCommit {
  readonly tradesInserted: number
  readonly tickSizesInserted: number
  readonly lifecycleInserted: number
  /** Rows that were already there. */
  readonly duplicates: number
  /** Rows that the ledger refused and that are now in `dead_letters`. */
  readonly poisoned: number
}

/** The ledger as the recorder sees it. */
export interface StreamLedger {
  /** How far this recorder's stream has been taken; null when nothing was. */
  loadPosition(recorderId: string, stream: string): Promise<{ position: TapePosition; atUs: number | null } | null>
  /** What was followed and what was in doubt at that position. */
  loadCoverage(recorderId: string, stream: string): Promise<CoverageState>
  /** Rows, coverage and position in one transaction. Throws TransientError when the ledger cannot be reached. */
  commitStream(batch: StreamBatch): Promise<StreamCommit>
}
