import type { TapeStatus } from '../core/tape.ts'

/** Of a tape that has just been opened. */
export function newStatus(damagedLines: number): TapeStatus {
  return {
    state: 'ok',
    trouble: null,
    framesAccepted: 0,
    bytesAccepted: 0,
    framesRefused: 0,
    pendingBytes: 0,
    lastSyncMs: null,
    lastSyncDurationMs: null,
    segments: 0,
    bytesOnDisk: 0,
    damagedLines,
  }
}
