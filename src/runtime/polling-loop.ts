import type { Clock } from '../core/clock.ts'
import type { CycleResult, PollingCollector } from '../core/collector.ts'
import { formatDuration } from '../core/duration.ts'
import { AssertionError, assert, describeError, PermanentError, TransientError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { CycleListener, CycleStore, FinishedCycle } from '../core/ports.ts'
import type { Random } from '../core/random.ts'
import { createAbort, withDeadline } from './abort.ts'
import { type BackoffPolicy, backoffMs } from './backoff.ts'
import { FailureLog } from './failure-log.ts'
import { redactText } from './redact.ts'
import { withoutRepeats } from './repeat-filter.ts'

/** What a loop tells about itself; the supervisor's record of the collector listens. */
export interface PollingObserver {
  cycleStarted(): void
  cycleSucceeded(items: number, durationMs: number): void
  cycleFailed(error: string, durationMs: number): void
  /** Starts that were missed because a cycle took too long. */
  cyclesSkipped(count: number): void
  nextAttemptAt(monotonicMs: number): void
}

export interface PollingLoopOptions {
  readonly collector: PollingCollector
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly signal: AbortSignal
  readonly observer: PollingObserver
  /** Where finished cycles are reported; what happens there never harms the loop. */
  readonly cycles: CycleStore | null
  /** Told of every finished cycle at once, before the next one begins. */
  readonly listener?: CycleListener | undefined
  /** Wait before the first cycle, ms. */
  readonly delayMs: number
  /** A cycle that takes longer than this has failed, ms. */
  readonly cycleTimeoutMs: number
  /** Until the first success, failed cycles are repeated with this backoff where that is sooner than the cadence. */
  readonly untilFirstSuccess: BackoffPolicy | null
}

/** How long a cycle may take to obey its signal after its time is up. */
const GRACE_MS = 10_000

/**
 * Runs cycles that start at t0 + k × interval of the monotonic clock, for ever, without drift. A failed cycle is
 * counted, logged and followed by the next scheduled one. Returns when the signal aborts; throws PermanentError,
 * AssertionError, and TransientError when a cycle does not end.
 */
export async function runPollingLoop(options: PollingLoopOptions): Promise<void> {
  const { clock, signal, observer } = options
  const { intervalMs } = options.collector
  assert(Number.isFinite(intervalMs) && intervalMs > 0, `${options.collector.name} has no cadence`)
  const cycles = new CycleRunner(options)
  const startMs = clock.monotonicMs() + options.delayMs
  let slot = 0
  let dueMs = startMs
  for (;;) {
    observer.nextAttemptAt(dueMs)
    const isEarly = await sleepUntil(dueMs, options)
    if (signal.aborted) return
    if (isEarly) slot -= 1 // an extra cycle before the scheduled one
    const outcome = await cycles.run()
    if (outcome === 'stopped') return
    const nowMs = clock.monotonicMs()
    const next = nextSlot({ startMs, intervalMs, slot, nowMs })
    observer.cyclesSkipped(next - slot - 1)
    slot = nextSlot({ startMs, intervalMs, slot: next - 1, nowMs: nowMs + outcome.notBeforeMs })
    dueMs = Math.min(startMs + slot * intervalMs, nowMs + outcome.earlyMs)
    if (dueMs < startMs + slot * intervalMs) slot = next - 1 // an extra attempt between two scheduled ones
    cycles.report(dueMs - nowMs)
  }
}

/** The first slot after `slot` that is not in the past. */
export function nextSlot(at: { startMs: number; intervalMs: number; slot: number; nowMs: number }): number {
  return Math.max(at.slot + 1, Math.ceil((at.nowMs - at.startMs) / at.intervalMs))
}

/** What the schedule needs to know of a finished cycle, in ms from now. */
interface Outcome {
  /** The other side asked to be left alone for this long. */
  readonly notBeforeMs: number
  /** An attempt may be made this soon, whatever the cadence says. */
  readonly earlyMs: number
}

const AS_SCHEDULED: Outcome = { notBeforeMs: 0, earlyMs: Number.POSITIVE_INFINITY }

/** Runs single cycles and says what came of them. */
class CycleRunner {
  readonly #options: PollingLoopOptions
  readonly #failureLog = new FailureLog()
  /** What the collector itself has to say comes every cycle. */
  readonly #collectorLog: Logger
  #succeeded = false
  #failures = 0
  #isReporting = false
  /** Written by `report`, when the time of the next attempt is known. */
  #line: ((nextMs: number) => void) | null = null

  constructor(options: PollingLoopOptions) {
    this.#options = options
    this.#collectorLog = withoutRepeats(options.log, options.clock)
  }

  async run(): Promise<Outcome | 'stopped'> {
    const { clock, collector, observer, signal } = this.#options
    const startedMs = clock.wallMs()
    const startMs = clock.monotonicMs()
    observer.cycleStarted()
    this.#toListener((listener) => listener.cycleStarted?.(collector.name, startedMs))
    try {
      const result = await this.#collect()
      const durationMs = clock.monotonicMs() - startMs
      assert(result.items >= 0, `${collector.name} returned no number of items`)
      observer.cycleSucceeded(result.items, durationMs)
      this.#noteSuccess(result, durationMs)
      const { items, details } = result
      this.#tell({ collector: collector.name, startedMs, durationMs, ok: true, items, error: null, details }, null)
      return AS_SCHEDULED
    } catch (error) {
      if (signal.aborted) return 'stopped'
      const durationMs = clock.monotonicMs() - startMs
      const text = redactText(describeError(error))
      observer.cycleFailed(text, durationMs)
      const facts = { ok: false, items: 0, error: text, details: {} }
      this.#tell({ collector: collector.name, startedMs, durationMs, ...facts }, error)
      if (error instanceof PermanentError || isBug(error) || error instanceof UnendingCycle) throw error
      return this.#noteFailure(error, text)
    }
  }

  /** Logs the cycle that `run` finished. */
  report(nextMs: number): void {
    this.#line?.(nextMs)
    this.#line = null
  }

  async #collect(): Promise<CycleResult> {
    const { clock, collector, signal, cycleTimeoutMs } = this.#options
    const log = this.#collectorLog
    const state = { settled: false, running: Promise.resolve() as Promise<unknown> }
    const deadline = { clock, timeoutMs: cycleTimeoutMs, signal, what: 'the cycle' }
    try {
      return await withDeadline(deadline, (inner) => {
        const cycle = (async () => collector.collectOnce({ signal: inner, clock, log }))()
        const settle = () => {
          state.settled = true
        }
        state.running = cycle.then(settle, settle)
        return cycle
      })
    } catch (error) {
      if (state.settled || signal.aborted) throw error
      const grace = createAbort(signal)
      await Promise.race([state.running, clock.sleep(GRACE_MS, grace.signal)])
      grace.abort()
      grace.release()
      if (state.settled || signal.aborted) throw error
      throw new UnendingCycle(`the cycle did not end ${formatDuration(cycleTimeoutMs + GRACE_MS)} after its start`)
    }
  }

  #noteSuccess(result: CycleResult, durationMs: number): void {
    const { collector, log } = this.#options
    const failures = this.#failureLog.clear()
    const text = `${result.items} items in ${(durationMs / 1000).toFixed(1)}s`
    if (!this.#succeeded) log.info(result.details, `${collector.name}: first cycle stored ${text}`)
    else if (failures > 0)
      log.info(result.details, `${collector.name} works again: ${text}, after ${failures} failures`)
    else log.debug(result.details, `${collector.name}: ${text}`)
    this.#succeeded = true
    this.#failures = 0
  }

  #noteFailure(error: unknown, text: string): Outcome {
    const { clock, collector, log, random, untilFirstSuccess } = this.#options
    this.#failures += 1
    const failures = this.#failures
    if (this.#failureLog.note(text, clock.monotonicMs())) {
      // An error that says in words what is wrong needs no stack.
      const context = error instanceof TransientError ? {} : { err: error }
      const count = failures > 1 ? ` (${failures} times in a row)` : ''
      this.#line = (nextMs) =>
        log.warn(context, `${collector.name} failed${count}: ${text}; next attempt in ${formatDuration(nextMs)}`)
    }
    const notBeforeMs = error instanceof TransientError ? (error.retryAfterMs ?? 0) : 0
    if (this.#succeeded || untilFirstSuccess === null) return { ...AS_SCHEDULED, notBeforeMs }
    return { notBeforeMs, earlyMs: Math.max(notBeforeMs, backoffMs(failures, untilFirstSuccess, random)) }
  }

  #tell(cycle: FinishedCycle, cause: unknown): void {
    this.#toListener((listener) => listener.cycleFinished(cycle, cause))
    this.#save(cycle)
  }

  #toListener(say: (listener: CycleListener) => void): void {
    const { listener, log, collector } = this.#options
    try {
      if (listener !== undefined) say(listener)
    } catch (error) {
      log.error({ err: error }, `${collector.name}: whoever listens to its cycles failed: ${describeError(error)}`)
    }
  }

  /** At most one report is under way: a ledger that hangs must not collect a queue of them. */
  #save(cycle: FinishedCycle): void {
    const { cycles, log } = this.#options
    if (cycles === null || this.#isReporting) return
    this.#isReporting = true
    const save = async () => cycles.saveCycle(cycle)
    save()
      .catch((error: unknown) =>
        log.debug({}, `${cycle.collector}: its cycle is not in the ledger: ${describeError(error)}`),
      )
      .finally(() => {
        this.#isReporting = false
      })
  }
}

class UnendingCycle extends TransientError {}

/** A broken assumption, ours or one of node:assert. */
export function isBug(error: unknown): boolean {
  return error instanceof AssertionError || (error instanceof Error && error.name === 'AssertionError')
}

/** Returns true when the collector wants its cycle sooner. Timers may fire a little early; a cycle may not. */
async function sleepUntil(dueMs: number, { clock, signal, collector }: PollingLoopOptions): Promise<boolean> {
  const over = createAbort(signal)
  let isWanted = false
  const wanted = collector.untilWanted?.(over.signal).then(() => {
    isWanted = !over.signal.aborted
    over.abort()
  })
  for (let leftMs = dueMs - clock.monotonicMs(); leftMs > 0 && !over.signal.aborted; ) {
    await clock.sleep(leftMs, over.signal)
    leftMs = dueMs - clock.monotonicMs()
  }
  over.abort()
  await wanted
  over.release()
  return isWanted
}
