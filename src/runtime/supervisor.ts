import type { Clock } from '../core/clock.ts'
import type { PollingCollector, StreamingCollector, StreamStatus } from '../core/collector.ts'
import { formatDuration } from '../core/duration.ts'
import { assert, describeError, PermanentError, TransientError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { CycleListener, CycleStore } from '../core/ports.ts'
import type { Random } from '../core/random.ts'
import { type CycleBook, CycleCounters } from '../core/statistics.ts'
import type { CollectorStatus } from '../core/status.ts'
import { createAbort, type LinkedAbort } from './abort.ts'
import { CollectorRecord } from './collector-record.ts'
import { isBug, runPollingLoop } from './polling-loop.ts'
import { redactText } from './redact.ts'
import { RESTART_POLICY, RestartPolicy, type RestartPolicyOptions } from './restart-policy.ts'

export interface SupervisorOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** Where finished polling cycles are reported; null reports them nowhere. */
  readonly cycles: CycleStore | null
  /** Where cycles are counted; a book of its own unless given. */
  readonly statistics?: CycleBook
  /** Told of every finished polling cycle. */
  readonly listener?: CycleListener
  readonly policy?: RestartPolicyOptions
}

export interface PollingOptions {
  /** Wait before the first cycle, ms. */
  readonly delayMs?: number
  /** A cycle that takes longer has failed, ms; 4 × interval, at least 10 minutes, unless given. */
  readonly cycleTimeoutMs?: number
  /** Repeat failed cycles after 5, 10, 20 … 60 s until the first success, where the cadence is slower than that. */
  readonly eagerUntilFirstSuccess?: boolean
}

/** A streaming collector and how to make a new one: each run gets a collector built from scratch. */
export interface StreamingSpec {
  readonly name: string
  readonly critical: boolean
  /** How long silence is believed, ms; stands as the cadence on the status board. */
  readonly stallTimeoutMs: number
  readonly build: () => StreamingCollector
}

const CYCLE_TIMEOUT_MS_MIN = 600_000

interface Task {
  readonly name: string
  readonly record: CollectorRecord
  readonly policy: RestartPolicy
  readonly run: (signal: AbortSignal) => Promise<void>
  done: Promise<void> | null
}

/** Runs collectors, restarts the crashed ones by policy, and keeps their lines on the status board true. */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #tasks = new Map<string, Task>()
  readonly #abort: LinkedAbort = createAbort()
  readonly #statistics: CycleBook
  #started = false

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#statistics = options.statistics ?? new CycleCounters()
  }

  /** Adds a collector that keeps its instance for ever. After `start` it begins at once. */
  addPolling(collector: PollingCollector, options: PollingOptions = {}): void {
    const { clock, random, cycles, listener } = this.#options
    const { name, critical, intervalMs } = collector
    const log = this.#options.log.child({ collector: name })
    const { backoff } = this.#options.policy ?? RESTART_POLICY
    this.#add({ name, kind: 'polling', critical, intervalMs }, (record) => (signal) => {
      return runPollingLoop({
        collector,
        clock,
        random,
        log,
        signal,
        cycles,
        listener,
        observer: record,
        delayMs: options.delayMs ?? 0,
        cycleTimeoutMs: options.cycleTimeoutMs ?? Math.max(4 * intervalMs, CYCLE_TIMEOUT_MS_MIN),
        untilFirstSuccess: options.eagerUntilFirstSuccess && !record.succeeded ? backoff : null,
      })
    })
  }

  /** Adds a collector that is built anew for every run. After `start` it begins at once. */
  addStreaming(spec: StreamingSpec): void {
    const { clock } = this.#options
    const { name, critical } = spec
    const log = this.#options.log.child({ collector: name })
    this.#add({ name, kind: 'streaming', critical, intervalMs: spec.stallTimeoutMs }, (record) => async (signal) => {
      const status = record.stream as StreamStatus
      await spec.build().run({ signal, clock, log, status })
      if (!signal.aborted) throw new TransientError('it ended although nobody asked it to')
    })
  }

  start(): void {
    this.#started = true
    for (const task of this.#tasks.values()) this.#begin(task)
  }

  /** Aborts every collector and waits for them; returns the names of those that had not ended after `timeoutMs`. */
  async stop(timeoutMs: number): Promise<readonly string[]> {
    const { clock, log } = this.#options
    this.#abort.abort(new TransientError('the supervisor stops'))
    const running = new Map([...this.#tasks].filter(([, task]) => task.done !== null))
    const all = Promise.all([...running].map(([name, task]) => task.done?.then(() => running.delete(name))))
    const timer = createAbort()
    await Promise.race([all, clock.sleep(timeoutMs, timer.signal)])
    timer.abort()
    for (const task of this.#tasks.values()) task.record.move('stop')
    if (running.size > 0) log.warn({}, `these did not stop in time: ${[...running.keys()].join(', ')}`)
    return [...running.keys()]
  }

  /** A copy of every collector's state, in the order in which they were added. */
  status(): readonly CollectorStatus[] {
    return [...this.#tasks.values()].map((task) => task.record.snapshot())
  }

  /** Restarts of all collectors since start. */
  get restarts(): number {
    return [...this.#tasks.values()].reduce((sum, task) => sum + task.record.restarts, 0)
  }

  #add(
    what: { name: string; kind: 'polling' | 'streaming'; critical: boolean; intervalMs: number },
    runOf: (record: CollectorRecord) => (signal: AbortSignal) => Promise<void>,
  ): void {
    assert(!this.#tasks.has(what.name), `there are two collectors named ${what.name}`)
    const { clock, random, policy: policyOptions = RESTART_POLICY } = this.#options
    const policy = new RestartPolicy(policyOptions, random)
    const cycles = this.#statistics
    const record = new CollectorRecord({ ...what, clock, cycles, onUseful: (nowMs) => policy.useful(nowMs) })
    const task: Task = { name: what.name, record, policy, run: runOf(record), done: null }
    this.#tasks.set(what.name, task)
    if (this.#started) this.#begin(task)
  }

  #begin(task: Task): void {
    if (task.done !== null || this.#abort.signal.aborted) return
    task.done = this.#keep(task).catch((error: unknown) => {
      // Only a bug in the supervisor itself comes here; the other collectors must not notice.
      task.record.runEnded('fail', describeError(error), null)
      this.#options.log.fatal({ err: error, collector: task.name }, `${task.name} is no longer supervised`)
    })
  }

  /** Runs one collector again and again until it may not or must not run any more. */
  async #keep(task: Task): Promise<void> {
    const { clock } = this.#options
    const { signal } = this.#abort
    for (let runs = 0; !signal.aborted; runs += 1) {
      task.policy.started()
      task.record.runStarted(runs > 0)
      const error = await this.#runOnce(task)
      if (signal.aborted) break
      if (error instanceof PermanentError || isBug(error)) return this.#giveUp(task, error)
      await clock.sleep(this.#pauseAfter(task, error), signal)
    }
    task.record.move('stop')
  }

  /** One run with a signal of its own, so that nothing a run leaves behind outlives it; returns how it ended. */
  async #runOnce(task: Task): Promise<unknown> {
    const run = createAbort(this.#abort.signal)
    try {
      await task.run(run.signal)
      return null
    } catch (error) {
      return error
    } finally {
      run.abort(new TransientError('this run has ended'))
      run.release()
    }
  }

  #giveUp(task: Task, error: unknown): void {
    const text = redactText(describeError(error))
    task.record.runEnded('fail', text, null)
    const why = error instanceof PermanentError ? 'cannot work' : 'has a bug'
    const context = { collector: task.name, ...(error instanceof PermanentError ? {} : { err: error }) }
    this.#options.log.error(context, `${task.name} ${why} and will not be tried again: ${text}`)
  }

  /** Puts a crashed collector to rest and returns for how long, ms. */
  #pauseAfter(task: Task, error: unknown): number {
    const { clock, log } = this.#options
    const nowMs = clock.monotonicMs()
    const pause = task.policy.crashed(nowMs)
    const text = redactText(describeError(error))
    const asked = error instanceof TransientError ? (error.retryAfterMs ?? 0) : 0
    const delayMs = Math.max(pause.delayMs, asked)
    task.record.runEnded(pause.kind === 'cooling' ? 'exhaust' : 'crash', text, nowMs + delayMs)
    const again = pause.kind === 'cooling' ? 'crashes too often and cools down' : 'crashed'
    const context = { collector: task.name, ...(error instanceof TransientError ? {} : { err: error }) }
    log.warn(context, `${task.name} ${again}: ${text}; next attempt in ${formatDuration(delayMs)}`)
    return delayMs
  }
}
