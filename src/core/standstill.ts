import { formatDuration } from './duration.ts'
import type { CollectorStatus, StatusBoard } from './status.ts'

/** What the polling loop gives a cycle, and a minute on top of it. */
const CYCLE_INTERVALS = 4
const CYCLE_MS_MIN = 600_000
const CYCLE_GRACE_MS = 70_000
/** Accepted lines are synced every 100 ms; a disk may be slow, but not like this. */
const SYNC_MS_MAX = 120_000

/**
 * Looks again and again for what should have moved by now and has not. A source that fails, in time and again and
 * again, moves: starting anew would not help it. Long waits are added up from look to look, so that a machine that
 * slept, or a clock that was set, is not mistaken for them.
 */
export class StandstillWatch {
  readonly #lateMsMax: number
  /** By what is waited for: which wait it is, and for how long it has been seen. */
  readonly #waits = new Map<string, { which: number; seenMs: number }>()

  /** A start or an attempt that is late by more than `lateMsMax` does not come any more. */
  constructor(lateMsMax: number) {
    this.#lateMsMax = lateMsMax
  }

  /** In words, or null while all is on its way or waits for its turn. `sinceMs`: since the last look. */
  look(board: StatusBoard, nowMs: number, sinceMs: number): string | null {
    if (board.draining) return null
    for (const collector of board.collectors) {
      const text = this.#lookAt(collector, nowMs, sinceMs)
      if (text !== null) return `${collector.name} ${text}`
    }
    const { state, pendingBytes, lastSyncMs } = board.tape
    const waits = state === 'ok' && pendingBytes > 0 ? (lastSyncMs ?? 0) : null
    const unsyncedMs = this.#waited('the tape', waits, sinceMs)
    return unsyncedMs > SYNC_MS_MAX ? `the tape has not been synced for ${formatDuration(unsyncedMs)}` : null
  }

  #lookAt(collector: CollectorStatus, nowMs: number, sinceMs: number): string | null {
    const { name, kind, state, nextAttemptMs, lastStartedMs, lastFinishedMs, intervalMs } = collector
    if (state === 'failed' || state === 'stopped') return null
    const isInCycle = kind === 'polling' && nextAttemptMs === null && (lastStartedMs ?? 0) > (lastFinishedMs ?? 0)
    const takenMs = this.#waited(name, isInCycle ? lastStartedMs : null, sinceMs)
    if (takenMs > Math.max(CYCLE_INTERVALS * intervalMs, CYCLE_MS_MIN) + CYCLE_GRACE_MS) {
      return `has been in one cycle for ${formatDuration(takenMs)}`
    }
    const lateMs = nextAttemptMs === null ? 0 : nowMs - nextAttemptMs
    return lateMs > this.#lateMsMax ? `should have begun ${formatDuration(lateMs)} ago` : null
  }

  #waited(what: string, which: number | null, sinceMs: number): number {
    const wait = this.#waits.get(what)
    if (which === null) {
      this.#waits.delete(what)
      return 0
    }
    const seenMs = wait?.which === which ? wait.seenMs + sinceMs : 0
    this.#waits.set(what, { which, seenMs })
    return seenMs
  }
}
