import type { Clock } from '../core/clock.ts'
import { assert } from '../core/errors.ts'
import { createAbort, type LinkedAbort } from './abort.ts'

/** Lets `burst` through at once and `perSecond` on average; time comes from the clock's monotonic side. */
export class TokenBucket {
  readonly #clock: Clock
  readonly #perSecond: number
  readonly #burst: number
  #tokens: number
  #updatedMs: number

  constructor(clock: Clock, perSecond: number, burst: number) {
    assert(perSecond > 0, 'a bucket must refill')
    assert(burst >= 1, 'a bucket must hold a token')
    this.#clock = clock
    this.#perSecond = perSecond
    this.#burst = burst
    this.#tokens = burst
    this.#updatedMs = clock.monotonicMs()
  }

  /** How long until there is a token, ms; 0 when there is one now. */
  waitMs(): number {
    const nowMs = this.#clock.monotonicMs()
    this.#tokens = Math.min(this.#burst, this.#tokens + ((nowMs - this.#updatedMs) / 1000) * this.#perSecond)
    this.#updatedMs = nowMs
    // Rounding must not leave a caller waiting for a billionth of a token.
    const missing = 1 - this.#tokens
    return missing <= 1e-9 ? 0 : Math.max(1, Math.ceil((missing / this.#perSecond) * 1000))
  }

  take(): void {
    this.#tokens -= 1
  }
}

interface Waiter {
  readonly sequence: number
  readonly pass: () => void
}

/** Those who wait for the same buckets. */
interface Line {
  readonly buckets: readonly TokenBucket[]
  readonly waiters: Waiter[]
}

/**
 * Lets callers through as their buckets allow: each takes a token of every bucket at the moment it passes. Who came
 * first passes first among those who wait for the same buckets, and is preferred where lines share a bucket.
 */
export class Turnstile {
  readonly #clock: Clock
  readonly #lines = new Map<string, Line>()
  #sequence = 0
  #waiting = 0
  #sleep: LinkedAbort | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get waiting(): number {
    return this.#waiting
  }

  /** Waits for a turn, or until the signal aborts; `key` names the set of buckets. Returns the wait, ms. */
  async pass(key: string, buckets: readonly TokenBucket[], signal: AbortSignal): Promise<number> {
    if (signal.aborted || buckets.length === 0) return 0
    const startMs = this.#clock.monotonicMs()
    const line = this.#lines.get(key) ?? { buckets, waiters: [] }
    this.#lines.set(key, line)
    await new Promise<void>((resolve) => {
      const leave = () => {
        this.#waiting -= 1
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = () => {
        line.waiters.splice(line.waiters.indexOf(waiter), 1)
        leave()
        this.#pump()
      }
      this.#sequence += 1
      this.#waiting += 1
      const waiter: Waiter = { sequence: this.#sequence, pass: leave }
      line.waiters.push(waiter)
      signal.addEventListener('abort', giveUp)
      if (line.waiters.length === 1) this.#pump()
    })
    return this.#clock.monotonicMs() - startMs
  }

  /** Lets through whoever can go now and sleeps until the next one may. */
  #pump(): void {
    this.#sleep?.abort()
    this.#sleep = null
    for (let line = this.#readyLine(); line !== undefined; line = this.#readyLine()) {
      for (const bucket of line.buckets) bucket.take()
      line.waiters.shift()?.pass()
    }
    const waits = [...this.#lines.values()].filter(isWaiting).map(waitOf)
    if (waits.length === 0) return
    const sleep = createAbort()
    this.#sleep = sleep
    void this.#clock.sleep(Math.min(...waits), sleep.signal).then(() => {
      if (!sleep.signal.aborted) this.#pump()
    })
  }

  #readyLine(): Line | undefined {
    const byArrival = [...this.#lines.values()]
      .filter(isWaiting)
      .sort((a, b) => (a.waiters[0]?.sequence ?? 0) - (b.waiters[0]?.sequence ?? 0))
    return byArrival.find((line) => waitOf(line) === 0)
  }
}

function isWaiting(line: Line): boolean {
  return line.waiters.length > 0
}

function waitOf(line: Line): number {
  return line.buckets.reduce((longestMs, bucket) => Math.max(longestMs, bucket.waitMs()), 0)
}
