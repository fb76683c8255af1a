/**
 * The tape as the other rooms see it. Nothing here says that it is made of local files:
 * a position is opaque to everyone but the tape itself.
 */

/** A place between two lines of one stream's tape. `offset` counts uncompressed bytes from the segment's start. */
export interface TapePosition {
  /** Segment name without folder and ending; segments sort by it is not promised, the reader knows their order. */
  readonly segment: string
  readonly offset: number
  /** Lines before this place in the segment. */
  readonly line: number
}

/**
 * The recorder's own marks on the tape. `refused`: the tape took no frames; `lag`: messages are long under way;
 * `suspect`: a verdict that does not follow from the lines themselves, such as a book that is not the venue's.
 */
export type MarkKind =
  | 'open'
  | 'subscribe'
  | 'unsubscribe'
  | 'close'
  | 'stall'
  | 'start'
  | 'stop'
  | 'refused'
  | 'lag'
  | 'suspect'

/** One line of the tape, decoded as far as the tape understands it. */
export type TapeRecord = TapeFrame | TapeMark

export interface TapeFrame {
  readonly kind: 'frame'
  /** Receive time, Unix µs. */
  readonly atUs: number
  /** Unique over boots: no two connections of one recorder ever share it. */
  readonly connection: string
  /** The payload as received, without its final newline. */
  readonly payload: Buffer
}

export interface TapeMark {
  readonly kind: 'mark'
  readonly atUs: number
  readonly connection: string
  readonly mark: MarkKind
  readonly detail: Readonly<Record<string, unknown>>
}

/** Consecutive lines and the position after the last of them. */
export interface TapeBatch {
  readonly records: readonly TapeRecord[]
  readonly end: TapePosition
  /** True when this batch was handed over in memory: the reader has caught up. */
  readonly live: boolean
  /** Lines skipped between the previous batch and this one because they were damaged. */
  readonly damagedLines: number
}

/** Where a source puts what it receives. One per stream. */
export interface TapeAppender {
  /**
   * Takes one frame; it is *accepted* once it has been synced (see `flushed`).
   * Returns false when the tape cannot take it (failed disk, full queue): the caller must stop receiving.
   * The buffer must not be changed afterwards.
   */
  append(connection: string, atUs: number, payload: Buffer): boolean
  mark(connection: string, atUs: number, mark: MarkKind, detail: Readonly<Record<string, unknown>>): boolean
  /** True while `append` would take a frame. */
  readonly accepting: boolean
  /** Resolves when everything appended before the call has been synced; rejects when it could not be. */
  flushed(): Promise<void>
  /** Resolves when the tape takes frames again, or the signal aborts. */
  untilAccepting(signal: AbortSignal): Promise<void>
}

/** Reads one stream in order, from disk until caught up, then from memory. */
export interface TapeFollower {
  /** Waits for the next batch; null when the signal aborts, or at the end when not following. */
  next(signal: AbortSignal): Promise<TapeBatch | null>
}

/** The tape's state, for health. Times are Unix ms. */
export interface TapeStatus {
  state: 'ok' | 'failed' | 'closed'
  /** Why it failed, in words. */
  trouble: string | null
  framesAccepted: number
  bytesAccepted: number
  framesRefused: number
  /** Bytes received and not yet synced. */
  pendingBytes: number
  lastSyncMs: number | null
  lastSyncDurationMs: number | null
  segments: number
  bytesOnDisk: number
  /** Lines cut or skipped because they were torn or damaged, since start. */
  damagedLines: number
}
