import type { Clock } from '../../core/clock.ts'
import { computeHealth, judgeCollector } from '../../core/health.ts'
import type { CycleListener, FinishedCycle } from '../../core/ports.ts'
import type { StatusBoard } from '../../core/status.ts'

/** A collector as a service that waits for its signs of life knows it. */
export interface Beat {
  readonly name: string
  readonly intervalMs: number
}

/** A service that waits for signs of life. What is called here returns at once and never throws. */
export interface BeatSink {
  started(beat: Beat): void
  finished(beat: Beat, outcome: 'ok' | 'error', durationMs: number | null): void
  /** The recorder as a whole is healthy. */
  healthy(): void
}

export interface BeatsOptions {
  readonly clock: Clock
  readonly board: () => StatusBoard
  readonly sinks: readonly BeatSink[]
  readonly signal: AbortSignal
}

/** Services count in minutes and refuse who speaks more often. */
const PERIOD_MS = 60_000
/** Cycles of a minute are not exactly a minute apart. */
const SLACK_MS = 2_000

interface Told {
  startedMs: number
  outcome: 'ok' | 'error' | null
  /** Whether the cycle under way was announced. */
  announced: boolean
}

/**
 * Turns cycles into signs of life, one a minute and collector at most, and every change between good and bad. Of a
 * stream, and of the recorder as a whole, there is one a minute while data comes: silence is the message.
 */
export class Beats implements CycleListener {
  readonly #options: BeatsOptions
  readonly #told = new Map<string, Told>()
  /** By stream, the newest useful answer that was told of. */
  readonly #heardMs = new Map<string, number>()

  constructor(options: BeatsOptions) {
    this.#options = options
  }

  cycleStarted(collector: string): void {
    const nowMs = this.#options.clock.monotonicMs()
    const told = this.#told.get(collector) ?? { startedMs: Number.NEGATIVE_INFINITY, outcome: null, announced: false }
    this.#told.set(collector, told)
    told.announced = nowMs - told.startedMs >= PERIOD_MS - SLACK_MS
    if (!told.announced) return
    told.startedMs = nowMs
    this.#each((sink) => sink.started(this.#beat(collector)))
  }

  cycleFinished({ collector, ok, durationMs }: FinishedCycle): void {
    const told = this.#told.get(collector)
    const outcome = ok ? 'ok' : 'error'
    if (told === undefined || (!told.announced && told.outcome === outcome)) return
    told.outcome = outcome
    told.announced = false
    this.#each((sink) => sink.finished(this.#beat(collector), outcome, durationMs))
  }

  /** Streams and the whole, until the signal aborts. */
  async run(): Promise<void> {
    const { clock, signal } = this.#options
    for (;;) {
      await clock.sleep(PERIOD_MS, signal)
      if (signal.aborted) return
      this.#minute(this.#options.board())
    }
  }

  #minute(board: StatusBoard): void {
    if (board.draining) return
    for (const collector of board.collectors) {
      if (collector.kind !== 'streaming' || !collector.critical) continue
      const { verdict } = judgeCollector(collector, board)
      if (verdict === 'bad') this.#each((sink) => sink.finished(collector, 'error', null))
      // Only a real answer since the last time counts, however well everything looks.
      const usefulMs = collector.lastUsefulMs ?? 0
      if (verdict !== 'good' || usefulMs <= (this.#heardMs.get(collector.name) ?? 0)) continue
      this.#heardMs.set(collector.name, usefulMs)
      this.#each((sink) => sink.finished(collector, 'ok', null))
    }
    if (computeHealth(board).status === 'healthy') this.#each((sink) => sink.healthy())
  }

  #beat(name: string): Beat {
    const collector = this.#options.board().collectors.find((one) => one.name === name)
    return { name, intervalMs: Math.max(collector?.intervalMs ?? 0, PERIOD_MS) }
  }

  #each(say: (sink: BeatSink) => void): void {
    for (const sink of this.#options.sinks) say(sink)
  }
}
