import type { Clock } from '../core/clock.ts'
import { emptyStreamStatus, type StreamStatus } from '../core/collector.ts'
import type { CycleBook } from '../core/statistics.ts'
import type { CollectorState, CollectorStatus } from '../core/status.ts'

/** What can happen to a collector. */
export type CollectorSignal = 'start' | 'work' | 'crash' | 'exhaust' | 'fail' | 'stop'

/**
 *               work                crash
 *   starting ─────────► running ──────────► backing_off ──┐
 *      ▲ │                 │                              │ start
 *      │ └─────────────────┴── exhaust ───► cooling ──────┤
 *      └──────────────────────────────────────────────────┘
 *   fail: starting, running ──► failed        stop: any ──► stopped
 *
 * null: the signal changes nothing in that state (a dead collector's last words, for example).
 */
export const NEXT_STATE: Record<CollectorState, Record<CollectorSignal, CollectorState | null>> = {
  starting: {
    start: null,
    work: 'running',
    crash: 'backing_off',
    exhaust: 'cooling',
    fail: 'failed',
    stop: 'stopped',
  },
  running: { start: null, work: null, crash: 'backing_off', exhaust: 'cooling', fail: 'failed', stop: 'stopped' },
  backing_off: { start: 'starting', work: null, crash: null, exhaust: null, fail: null, stop: 'stopped' },
  cooling: { start: 'starting', work: null, crash: null, exhaust: null, fail: null, stop: 'stopped' },
  failed: { start: null, work: null, crash: null, exhaust: null, fail: null, stop: 'stopped' },
  stopped: { start: null, work: null, crash: null, exhaust: null, fail: null, stop: null },
}

export interface RecordOptions {
  readonly name: string
  readonly kind: 'polling' | 'streaming'
  readonly critical: boolean
  readonly intervalMs: number
  readonly clock: Clock
  /** Where its cycles are counted. */
  readonly cycles: CycleBook
  /** Called with the monotonic time, ms, whenever a useful answer came. */
  readonly onUseful: (nowMs: number) => void
}

/** One collector's line on the status board, kept true by the supervisor. */
export class CollectorRecord {
  readonly stream: StreamStatus | null
  readonly #options: RecordOptions
  #state: CollectorState = 'starting'
  #consecutiveFailures = 0
  #skipped = 0
  #items = 0
  #restarts = 0
  #lastOk: boolean | null = null
  #startedMs: number | null = null
  #finishedMs: number | null = null
  #usefulWallMs: number | null = null
  #usefulMs: number | null = null
  #error: string | null = null
  #errorMs: number | null = null
  /** On the monotonic clock. */
  #nextAttemptMs: number | null = null
  #runStartedMs = 0
  /** Whether the present run of a stream has been counted as a cycle. */
  #runCounted = false

  constructor(options: RecordOptions) {
    this.#options = options
    this.stream = options.kind === 'streaming' ? this.#observedStream() : null
  }

  get state(): CollectorState {
    return this.#state
  }

  get restarts(): number {
    return this.#restarts
  }

  get succeeded(): boolean {
    return this.#usefulMs !== null
  }

  /** Applies the transition table; false when the signal means nothing in this state. */
  move(signal: CollectorSignal): boolean {
    const next = NEXT_STATE[this.#state][signal]
    if (next === null) return false
    this.#state = next
    return true
  }

  runStarted(isRestart: boolean): void {
    this.move('start')
    if (isRestart) this.#restarts += 1
    this.#nextAttemptMs = null
    this.#runStartedMs = this.#options.clock.monotonicMs()
    this.#runCounted = false
    if (this.stream === null) return
    this.#options.cycles.recordCycleStart(this.#options.name)
    this.#startedMs = this.#options.clock.wallMs()
    this.stream.trouble = null
  }

  /** The run ended badly: `crash` and `exhaust` are followed by another attempt, `fail` is not. */
  runEnded(signal: 'crash' | 'exhaust' | 'fail', error: string, nextAttemptMs: number | null): void {
    this.move(signal)
    this.#noteError(error)
    this.#nextAttemptMs = nextAttemptMs
    if (this.stream === null) return
    // A dead collector cannot keep these true any more.
    Object.assign(this.stream, { connectionsActive: 0, connectionsStalled: 0, trouble: error })
    this.#finishStreamRun(false)
  }

  cycleStarted(): void {
    this.#options.cycles.recordCycleStart(this.#options.name)
    this.#startedMs = this.#options.clock.wallMs()
    this.#nextAttemptMs = null
  }

  cycleSucceeded(items: number, durationMs: number): void {
    this.#items += items
    this.#finish(true, durationMs)
    this.#noteUseful(this.#options.clock.wallMs())
  }

  cycleFailed(error: string, durationMs: number): void {
    this.#noteError(error)
    this.#finish(false, durationMs)
    this.move('work') // the loop lives; health looks at the failed cycle
  }

  cyclesSkipped(count: number): void {
    this.#skipped += count
  }

  nextAttemptAt(monotonicMs: number): void {
    this.#nextAttemptMs = monotonicMs
  }

  snapshot(): CollectorStatus {
    const { clock, cycles, name, kind, critical, intervalMs } = this.#options
    const nowMs = clock.monotonicMs()
    const statistics = cycles.statisticsOf(name)
    return {
      name,
      kind,
      critical,
      state: this.#state,
      intervalMs,
      cycles: statistics.total,
      failedCycles: statistics.failed,
      consecutiveFailures: this.#consecutiveFailures,
      skippedCycles: this.#skipped,
      items: this.stream === null ? this.#items : this.stream.framesReceived,
      lastCycleOk: this.#lastOk,
      lastStartedMs: this.#startedMs,
      lastFinishedMs: this.#finishedMs,
      lastDurationMs: statistics.lastDurationMs,
      averageDurationMs: statistics.averageDurationMs,
      lastUsefulMs: this.#usefulWallMs,
      usefulAgeMs: this.#usefulMs === null ? null : nowMs - this.#usefulMs,
      lastError: this.#error,
      lastErrorMs: this.#errorMs,
      restarts: this.#restarts,
      nextAttemptMs: this.#nextAttemptMs === null ? null : Math.round(clock.wallMs() + this.#nextAttemptMs - nowMs),
      stream: this.stream === null ? null : { ...this.stream },
    }
  }

  /** A stream's status whose `lastUsefulMs` also tells us, on the monotonic clock, when it was set. */
  #observedStream(): StreamStatus {
    const record = this
    return {
      ...emptyStreamStatus(),
      get lastUsefulMs() {
        return record.#usefulWallMs
      },
      set lastUsefulMs(wallMs: number | null) {
        if (wallMs === null) return
        if (!record.#runCounted) record.#finishStreamRun(true)
        record.#noteUseful(wallMs)
      },
    }
  }

  #noteUseful(wallMs: number): void {
    const nowMs = this.#options.clock.monotonicMs()
    this.#usefulWallMs = wallMs
    this.#usefulMs = nowMs
    this.move('work')
    this.#options.onUseful(nowMs)
  }

  #noteError(error: string): void {
    this.#error = error
    this.#errorMs = this.#options.clock.wallMs()
  }

  #finish(ok: boolean, durationMs: number): void {
    this.#options.cycles.recordCycleEnd(this.#options.name, ok, durationMs)
    this.#lastOk = ok
    this.#consecutiveFailures = ok ? 0 : this.#consecutiveFailures + 1
    this.#finishedMs = this.#options.clock.wallMs()
  }

  /** A stream's first data counts as one good cycle of its run, a crash as a bad one. */
  #finishStreamRun(ok: boolean): void {
    this.#runCounted = true
    this.#finish(ok, this.#options.clock.monotonicMs() - this.#runStartedMs)
  }
}
