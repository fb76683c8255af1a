import type { Clock } from '../core/clock.ts'

/**
 * A share of the elapsed time that optional work may take. Credit that is not used is kept up to `burstMs`. The whole
 * of the time is no limit at all: a pause of the machine in the middle of the work must not use it up.
 */
export class Budget {
  readonly #clock: Clock
  readonly #share: number
  readonly #burstMs: number
  #creditMs: number
  #seenMs: number

  constructor(clock: Clock, share: number, burstMs: number) {
    this.#clock = clock
    this.#share = share
    this.#burstMs = burstMs
    this.#creditMs = burstMs
    this.#seenMs = clock.monotonicMs()
  }

  /** True while work may begin, as of the last look at the clock. */
  get allows(): boolean {
    return this.#share >= 1 || this.#creditMs > 0
  }

  /** Looks at the clock; whoever spends nothing must do so from time to time. */
  refill(): void {
    this.#refill(this.#clock.monotonicMs())
  }

  /** Does the work and takes its time from the credit, which may go below zero. */
  spend<Result>(work: () => Result): Result {
    const startMs = this.#clock.monotonicMs()
    this.#refill(startMs)
    const result = work()
    this.#creditMs -= this.#clock.monotonicMs() - startMs
    return result
  }

  /** True while the credit lasts, for at most `limitMs` from now; for work that goes on under `spend`. */
  slice(limitMs: number): () => boolean {
    const startMs = this.#clock.monotonicMs()
    this.#refill(startMs)
    const sliceMs = this.#share >= 1 ? limitMs : Math.min(limitMs, this.#creditMs)
    return () => this.#clock.monotonicMs() - startMs < sliceMs
  }

  #refill(nowMs: number): void {
    this.#creditMs = Math.min(this.#burstMs, this.#creditMs + (nowMs - this.#seenMs) * this.#share)
    this.#seenMs = nowMs
  }
}
