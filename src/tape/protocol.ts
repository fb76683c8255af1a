import type { TapePosition } from '../core/tape.ts'
import type { PackMessage } from './pack.ts'

/** The receiving thread's clocks, ms. */
export interface Now {
  readonly wallMs: number
  readonly monotonicMs: number
}

/** A closed segment as the tape starts with it. */
export interface KnownSegment {
  readonly name: string
  /** Uncompressed. */
  readonly bytes: number
  readonly lines: number
  /** Of the uncompressed content; null while it has not been computed. */
  readonly sha256: string | null
  readonly diskBytes: number
  readonly compressed: boolean
}

/** What the writing thread is started with. */
export interface WriterData {
  readonly root: string
  readonly segmentBytes: number
  readonly segmentMs: number
  /** URL of a module that exports `disk`, in place of the real one; for tests. */
  readonly diskModule: string | null
  /** Handed to that module's `disk` as it is. */
  readonly diskOptions: unknown
  /** Set when an earlier thread of this process has died: what it wrote after the last accepted line is taken back. */
  readonly goOnAfter: { readonly end: TapePosition | null } | null
}

/** To the writing thread. */
export type WriterRequest =
  | { readonly type: 'pack'; readonly pack: PackMessage; readonly now: Now }
  /** Try again what failed. */
  | { readonly type: 'retry'; readonly now: Now }
  /** Close the segment when it is old enough, though nothing comes. */
  | { readonly type: 'idle'; readonly now: Now }
  | {
      readonly type: 'compressed'
      readonly segment: string
      readonly sha256: string
      readonly gzSha256: string
      readonly gzBytes: number
    }
  | { readonly type: 'retain'; readonly id: number; readonly rule: RetentionRule }
  | { readonly type: 'close'; readonly now: Now }

/** From the writing thread, in the order in which things happened. */
export type WriterReply =
  | {
      readonly type: 'ready'
      readonly boot: number
      readonly segments: readonly KnownSegment[]
      readonly damagedLines: number
      readonly deleted: readonly string[]
    }
  | { readonly type: 'opened'; readonly segment: string }
  | { readonly type: 'closed'; readonly segment: KnownSegment }
  | { readonly type: 'compressed'; readonly segment: string; readonly diskBytes: number }
  | { readonly type: 'deleted'; readonly segment: string }
  /** The oldest packs that were not yet accepted have been synced: the position after each, and their buffers back. */
  | {
      readonly type: 'accepted'
      readonly ends: readonly TapePosition[]
      readonly buffers: readonly ArrayBuffer[]
      readonly syncMs: number
    }
  | { readonly type: 'failed'; readonly trouble: string }
  | { readonly type: 'recovered' }
  | { readonly type: 'retained'; readonly id: number; readonly result: RetentionResult }
  | {
      readonly type: 'report'
      readonly level: ReportLevel
      readonly context: Readonly<Record<string, unknown>>
      readonly message: string
    }
  /** The last message. `trouble` says why not everything could be written. */
  | { readonly type: 'ended'; readonly trouble: string | null }

export type ReportLevel = 'info' | 'warn' | 'error'

export type Report = (level: ReportLevel, context: Readonly<Record<string, unknown>>, message: string) => void

export interface RetentionRule {
  readonly nowUs: number
  readonly maxAgeMs: number
  readonly maxBytes: number
  /** The segment that the ledger is reading: this and everything after it stays. */
  readonly taken: string
}

export interface RetentionResult {
  readonly segments: number
  readonly bytes: number
  /** Why it stopped early, in words. */
  readonly trouble: string | null
}

/** To the compressing thread. */
export interface CompressRequest {
  readonly root: string
  readonly segment: string
  /** The segment's length and, if known, hash by the manifest: a file that says otherwise stays. */
  readonly bytes: number
  readonly sha256: string | null
}

/** From the compressing thread. */
export type CompressReply =
  | {
      readonly ok: true
      readonly sha256: string
      readonly gzSha256: string
      readonly gzBytes: number
    }
  /** `final`: trying again would not help. */
  | { readonly ok: false; readonly final: boolean; readonly trouble: string }
