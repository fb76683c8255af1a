import type { Level } from './events.ts'
import type { TokenId } from './ids.ts'

/** Why something may be missing. */
export type GapCause =
  | 'down'
  | 'disconnect'
  | 'stall'
  | 'hash_mismatch'
  | 'missing_trade'
  | 'tape_failure'
  | 'parse_failure'
  | 'subscribe_refused'

/** What is known of an incident beyond its columns: short words and numbers. */
export type Evidence = Readonly<Record<string, unknown>>

/** One incident as it stands now. Times are receive times, Unix µs. */
export interface GapRow {
  /** Counts the incidents of one recorder and stream. */
  readonly no: number
  readonly cause: GapCause
  readonly startedUs: number
  /** null while some of its tokens have no fresh book. */
  readonly endedUs: number | null
  readonly tokens: readonly TokenId[]
  /** Those of `tokens` that were proven to have missed nothing. */
  readonly quietTokens: readonly TokenId[]
  readonly evidence: Evidence
}

/** A token from its subscription until it is dropped. Times are Unix µs. */
export interface SpanStart {
  readonly token: TokenId
  readonly startedUs: number
  readonly connection: string
}

/** What changed about a span that is open. Absent members stay as they are. */
export interface SpanChange {
  readonly token: TokenId
  readonly startedUs: number
  readonly endedUs?: number
  readonly connection?: string
  /** The last proof that silence is right, Unix µs. */
  readonly verifiedUs?: number
  /** The newest book that is known, by the venue's hash, and when it was so. */
  readonly known?: { readonly atUs: number; readonly hash: string }
  /** Verdicts since the last change, to be added up. */
  readonly verdicts?: Verdicts
}

export interface Verdicts {
  readonly hashMismatches: number
  readonly bestDisagreements: number
  readonly missingTrades: number
}

/** What one transaction changes about coverage, with rows and position. */
export interface CoverageChanges {
  readonly spansStarted: readonly SpanStart[]
  readonly spans: readonly SpanChange[]
  readonly gaps: readonly GapRow[]
  /** Incidents of which nothing is left: all of their tokens went to more exact ones. */
  readonly gapsRemoved: readonly number[]
}

/** What was followed and what was open at a position of the tape. */
export interface CoverageState {
  readonly spans: readonly OpenSpan[]
  readonly gaps: readonly GapRow[]
  /** The number of the next incident. */
  readonly nextNo: number
}

export const NOTHING_FOLLOWED: CoverageState = { spans: [], gaps: [], nextNo: 1 }

export interface OpenSpan {
  readonly token: TokenId
  readonly startedUs: number
  readonly connection: string
  readonly verifiedUs: number | null
  readonly known: { readonly atUs: number; readonly hash: string } | null
}

/** A token's book as the venue's REST interface gave it. */
export interface WitnessedBook {
  readonly token: TokenId
  /** The last change of the book, venue time, Unix ms. */
  readonly venueMs: number
  readonly hash: string
  /** Every level, best first. */
  readonly bids: readonly Level[]
  readonly asks: readonly Level[]
}

/** Compares books that were fetched with those that the stream has led to. */
export interface BookWitness {
  /** `observedUs`: when the answer had been received, Unix µs. Returns at once; a verdict may come later. */
  compare(books: readonly WitnessedBook[], observedUs: number): void
}

/** Gets fresh books for tokens: from another connection first, then the old subscription ends. Bounded; may decline. */
export interface BookRefresher {
  refresh(tokens: readonly TokenId[]): void
}
