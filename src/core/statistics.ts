/** Durations that an average and the percentiles look back on. */
const DURATIONS_KEPT = 100

/** Numbers over the finished cycles of one collector. Durations are ms. */
export interface CycleStatistics {
  readonly total: number
  readonly successful: number
  readonly failed: number
  /** Percent, two decimals; null before the first cycle. */
  readonly successRate: number | null
  /** Over the last 100 cycles; null before the first. */
  readonly averageDurationMs: number | null
  /** Of the last 100 cycles, the duration that half, and 95 of 100, did not exceed. */
  readonly p50DurationMs: number | null
  readonly p95DurationMs: number | null
  readonly lastDurationMs: number | null
  /** Whether a cycle is under way. */
  readonly isRunning: boolean
}

/** Where cycles are counted. The supervisor tells it; whoever shows numbers asks it. */
export interface CycleBook {
  recordCycleStart(collector: string): void
  recordCycleEnd(collector: string, ok: boolean, durationMs: number): void
  statisticsOf(collector: string): CycleStatistics
}

/** Counts cycles since start; memory is bounded by the number of collectors. */
export class CycleCounters implements CycleBook {
  readonly #counters = new Map<string, CycleCounter>()

  recordCycleStart(collector: string): void {
    this.#counter(collector).start()
  }

  recordCycleEnd(collector: string, ok: boolean, durationMs: number): void {
    this.#counter(collector).add(ok, durationMs)
  }

  statisticsOf(collector: string): CycleStatistics {
    return (this.#counters.get(collector) ?? new CycleCounter()).summary()
  }

  /** Everybody who ever began a cycle, in that order. */
  names(): readonly string[] {
    return [...this.#counters.keys()]
  }

  #counter(collector: string): CycleCounter {
    let counter = this.#counters.get(collector)
    if (counter === undefined) {
      counter = new CycleCounter()
      this.#counters.set(collector, counter)
    }
    return counter
  }
}

/** Counts the cycles of one collector. */
export class CycleCounter {
  #successful = 0
  #failed = 0
  #isRunning = false
  readonly #durationsMs: number[] = []

  start(): void {
    this.#isRunning = true
  }

  add(ok: boolean, durationMs: number): void {
    this.#isRunning = false
    if (ok) this.#successful += 1
    else this.#failed += 1
    this.#durationsMs.push(durationMs)
    if (this.#durationsMs.length > DURATIONS_KEPT) this.#durationsMs.shift()
  }

  summary(): CycleStatistics {
    const total = this.#successful + this.#failed
    const sumMs = this.#durationsMs.reduce((sum, durationMs) => sum + durationMs, 0)
    const sorted = [...this.#durationsMs].sort((a, b) => a - b)
    return {
      total,
      successful: this.#successful,
      failed: this.#failed,
      successRate: total === 0 ? null : Math.round((this.#successful / total) * 10_000) / 100,
      averageDurationMs: sorted.length === 0 ? null : sumMs / sorted.length,
      p50DurationMs: percentile(sorted, 0.5),
      p95DurationMs: percentile(sorted, 0.95),
      lastDurationMs: this.#durationsMs.at(-1) ?? null,
      isRunning: this.#isRunning,
    }
  }
}

/** The smallest value that this share of the values does not exceed (nearest rank). */
function percentile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null
}
