/** Durations that an average looks back on. */
const DURATIONS_KEPT = 100

/** Numbers over the finished cycles of one collector, or of several together. Durations are ms. */
export interface CycleStatistics {
  readonly total: number
  readonly successful: number
  readonly failed: number
  /** Percent, two decimals; null before the first cycle. */
  readonly successRate: number | null
  /** Over the last 100 cycles; null before the first. */
  readonly averageDurationMs: number | null
  readonly lastDurationMs: number | null
}

/** Counts cycles since start; memory is bounded. */
export class CycleCounter {
  #successful = 0
  #failed = 0
  readonly #durationsMs: number[] = []

  add(ok: boolean, durationMs: number): void {
    if (ok) this.#successful += 1
    else this.#failed += 1
    this.#durationsMs.push(durationMs)
    if (this.#durationsMs.length > DURATIONS_KEPT) this.#durationsMs.shift()
  }

  summary(): CycleStatistics {
    const total = this.#successful + this.#failed
    const sumMs = this.#durationsMs.reduce((sum, durationMs) => sum + durationMs, 0)
    return {
      total,
      successful: this.#successful,
      failed: this.#failed,
      successRate: total === 0 ? null : Math.round((this.#successful / total) * 10_000) / 100,
      averageDurationMs: this.#durationsMs.length === 0 ? null : sumMs / this.#durationsMs.length,
      lastDurationMs: this.#durationsMs.at(-1) ?? null,
    }
  }
}
