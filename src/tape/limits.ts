/** Everything that is bounded about a tape. */
export interface TapeLimits {
  /** A pack is sent to the writing thread when it holds this many bytes, */
  readonly packBytes: number
  /** or when this many ms have passed since its first frame. */
  readonly packDelayMs: number
  /** Bytes taken and not yet synced, beyond which frames are refused. */
  readonly pendingBytes: number
  /** Bytes that a slow reader is kept in memory, beyond which it goes on from disk. */
  readonly cacheBytes: number
  /** A segment is closed at the next batch once it holds this many bytes, */
  readonly segmentBytes: number
  /** or once it is this old, ms. */
  readonly segmentMs: number
  /** A batch read from disk ends at about this many bytes or this many records. */
  readonly diskBatchBytes: number
  readonly diskBatchRecords: number
  /** The most that `readBack` goes back, bytes. */
  readonly readBackBytes: number
}

export const DEFAULT_TAPE_LIMITS: TapeLimits = {
  packBytes: 1 << 20,
  packDelayMs: 100,
  pendingBytes: 64 << 20,
  // The largest frame and some: one of them must not send the reader to the disk.
  cacheBytes: 24 << 20,
  segmentBytes: 64 << 20,
  segmentMs: 15 * 60_000,
  diskBatchBytes: 1 << 20,
  diskBatchRecords: 2000,
  readBackBytes: 256 << 20,
}
