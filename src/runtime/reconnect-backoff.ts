import type { Random } from '../core/random.ts'

const DELAY_MS_BASE = 250
const DELAY_MS_MAX = 30_000
const DOUBLINGS_MAX = 20

/**
 * How long a lost connection waits before it is tried again. Full jitter, so that what was lost together comes back
 * apart: anything from nothing to a longest delay that doubles with each failure, up to 30 s. But no wait is longer
 * than the connection has been away: a venue that is back after 9 s is not missed for another 30.
 */
export class ReconnectBackoff {
  readonly #random: Random
  #failures = 0
  #awaySinceMs: number | null = null

  constructor(random: Random) {
    this.#random = random
  }

  /** Attempts since the last useful connection. */
  get failures(): number {
    return this.#failures
  }

  /** A useful connection was lost. `nowMs` is monotonic; the delay is ms. */
  afterLoss(nowMs: number): number {
    this.#failures = 0
    this.#awaySinceMs = nowMs
    return this.#delayMs(nowMs)
  }

  /** An attempt failed, or brought nothing useful. `nowMs` is monotonic; the delay is ms. */
  afterFailure(nowMs: number): number {
    this.#failures += 1
    this.#awaySinceMs ??= nowMs
    return this.#delayMs(nowMs)
  }

  #delayMs(nowMs: number): number {
    const doubledMs = DELAY_MS_BASE * 2 ** Math.min(this.#failures, DOUBLINGS_MAX)
    const awayMs = Math.max(2 * DELAY_MS_BASE, nowMs - (this.#awaySinceMs ?? nowMs))
    return Math.min(DELAY_MS_MAX, doubledMs, awayMs) * this.#random()
  }
}
