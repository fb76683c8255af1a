import type { Random } from '../core/random.ts'
import { type BackoffPolicy, backoffMs } from './backoff.ts'

export interface RestartPolicyOptions {
  readonly backoff: BackoffPolicy
  /** More restarts than this within the window lead to cooling. */
  readonly restartsMax: number
  readonly windowMs: number
  readonly coolingMs: number
  /** Useful data over this long forgives every earlier crash. */
  readonly resetAfterMs: number
}

/** 5, 10, 20, 40, 60 s; after 5 restarts in 5 minutes every 5 minutes for ever; 60 s of useful data forgive all. */
export const RESTART_POLICY: RestartPolicyOptions = {
  backoff: { baseMs: 5_000, capMs: 60_000, jitter: 0.1 },
  restartsMax: 5,
  windowMs: 300_000,
  coolingMs: 300_000,
  resetAfterMs: 60_000,
}

/** What follows a crash. */
export interface RestartPause {
  readonly kind: 'backoff' | 'cooling'
  readonly delayMs: number
}

/** The memory behind one collector's restarts. Times are of the monotonic clock, ms. */
export class RestartPolicy {
  readonly #options: RestartPolicyOptions
  readonly #random: Random
  #crashes = 0
  #restartsMs: number[] = []
  #cooling = false
  #usefulSinceMs: number | null = null

  constructor(options: RestartPolicyOptions, random: Random) {
    this.#options = options
    this.#random = random
  }

  /** A run begins. */
  started(): void {
    this.#usefulSinceMs = null
  }

  /** Useful data came. */
  useful(nowMs: number): void {
    this.#usefulSinceMs ??= nowMs
    if (nowMs - this.#usefulSinceMs < this.#options.resetAfterMs) return
    this.#crashes = 0
    this.#restartsMs = []
    this.#cooling = false
  }

  /** A run ended that should not have. */
  crashed(nowMs: number): RestartPause {
    const { backoff, windowMs, restartsMax, coolingMs } = this.#options
    if (!this.#cooling) {
      this.#crashes += 1
      const delayMs = backoffMs(this.#crashes, backoff, this.#random)
      const restartMs = nowMs + delayMs
      this.#restartsMs = [...this.#restartsMs, restartMs].filter((atMs) => atMs > restartMs - windowMs)
      if (this.#restartsMs.length <= restartsMax) return { kind: 'backoff', delayMs }
      this.#cooling = true
    }
    return { kind: 'cooling', delayMs: coolingMs * (1 + backoff.jitter * this.#random()) }
  }
}
