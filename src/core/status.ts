import type { StreamStatus } from './collector.ts'
import type { TapeStatus } from './tape.ts'

/** The status board: everything that health is computed from, as plain data. Wall times are Unix ms. */
export interface StatusBoard {
  readonly recorderId: string
  readonly version: string
  readonly startedMs: number
  readonly uptimeMs: number
  readonly draining: boolean
  readonly collectors: readonly CollectorStatus[]
  readonly tape: TapeStatus
  readonly ledger: LedgerStatus
  readonly recorder: RecorderStatus
  /** Restarts of all collectors since start. */
  readonly restarts: number
}

/**
 *  starting ──► running ◄──► backing_off ──► cooling (retried every 5 minutes for ever)
 *      └──────────┴── failed (permanent: configuration or bug)   any ──► stopped
 */
export type CollectorState = 'starting' | 'running' | 'backing_off' | 'cooling' | 'failed' | 'stopped'

export interface CollectorStatus {
  readonly name: string
  readonly kind: 'polling' | 'streaming'
  readonly critical: boolean
  readonly state: CollectorState
  /** Polling: the cadence. Streaming: how long silence is believed (`stall_timeout`). */
  readonly intervalMs: number
  /** Finished cycles, well or badly; a stream's first data or first failure counts as one. */
  readonly cycles: number
  readonly failedCycles: number
  readonly consecutiveFailures: number
  readonly skippedCycles: number
  readonly items: number
  readonly lastCycleOk: boolean | null
  readonly lastStartedMs: number | null
  readonly lastFinishedMs: number | null
  readonly lastDurationMs: number | null
  /** Over the last 100 cycles. */
  readonly averageDurationMs?: number | null
  /** The newest useful answer, on the wall clock and as an age on the monotonic clock. */
  readonly lastUsefulMs: number | null
  readonly usefulAgeMs: number | null
  readonly lastError: string | null
  readonly lastErrorMs: number | null
  readonly restarts: number
  readonly nextAttemptMs: number | null
  /** Only of a streaming collector. */
  readonly stream: StreamStatus | null
}

export interface LedgerStatus {
  /** `connecting` until the first contact since start. */
  state: 'connecting' | 'ok' | 'unavailable' | 'stopped'
  trouble: string | null
  /** `embedded` or `server`; never the connection string. */
  kind: 'embedded' | 'server'
  serverVersion: string | null
  sinceMs: number
}

export interface RecorderStatus {
  tradesReceived: number
  tradesInserted: number
  batchesInserted: number
  duplicates: number
  /** Frames accepted and not yet in the ledger, as far as known in memory. */
  queueDepth: number
  /** Bytes of tape between the position and the end, when known. */
  behindBytes: number | null
  caughtUp: boolean
  lastTradeMs: number | null
  lastInsertMs: number | null
  booksKept: number
  checks: BookCheckCounts
  /** Forms of order books in which not even a fresh dump fits its hash. */
  unverifiableForms?: number
  /** Payload parts that could not be decoded. */
  rejects: number
  deadLetters: number
  unknownEvents: number
  /** Unknown keys and event types by name: schema drift. Bounded. */
  drift: Record<string, number>
  damagedLines: number
  /** Incidents since start, and tokens that have had no fresh book since one. */
  gapsOpened: number
  tokensInDoubt: number
  /** Books of the stream against those that were fetched. */
  comparisons: BookComparisonCounts
  /** Why the reader does not advance, in words; null when it does. */
  trouble: string | null
}

export interface BookComparisonCounts {
  /** The same: silence proven right. */
  equal: number
  /** The stream was ahead. */
  older: number
  /** The fetched book was ahead, and the stream did not follow in time. */
  ahead: number
  /** Nothing to compare with, or too many at once. */
  skipped: number
}

export interface BookCheckCounts {
  match: number
  mismatch: number
  /** Metadata unknown, or a form that this build cannot verify. */
  unverifiable: number
  /** Not checked: CPU budget, or no fresh snapshot yet. */
  skipped: number
  /** Batches after which the best prices were not those that the venue gave with them. */
  bestDisagreements?: number
}
