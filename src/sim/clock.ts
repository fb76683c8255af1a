import type { Clock } from '../core/clock.ts'

/** One call of `sleep` that has not ended, for tests to look at. Times are ms. */
export interface PendingSleep {
  readonly delayMs: number
  /** On the monotonic clock. */
  readonly dueMs: number
}

interface Sleeper extends PendingSleep {
  /** Sleepers due at the same time wake in the order in which they fell asleep. */
  readonly sequence: number
  readonly wake: () => void
}

const DEFAULT_START_WALL_MS = Date.UTC(2026, 0, 1)

/** Enough turns of the event loop for long promise chains and for a few rounds of real loopback I/O callbacks. */
const SETTLE_TURNS = 8

/** Time that moves only when a test moves it. Uses no timers. */
export class SimulatedClock implements Clock {
  #wallMs: number
  #monotonicMs = 0
  #sequence = 0
  readonly #sleepers = new Set<Sleeper>()

  constructor(startWallMs = DEFAULT_START_WALL_MS) {
    this.#wallMs = startWallMs
  }

  wallMs(): number {
    return Math.floor(this.#wallMs)
  }

  wallUs(): number {
    return Math.floor(this.#wallMs * 1000)
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const end = () => {
        this.#sleepers.delete(sleeper)
        signal.removeEventListener('abort', end)
        resolve()
      }
      this.#sequence += 1
      const waitMs = Math.max(0, delayMs)
      const sleeper: Sleeper = { delayMs, dueMs: this.#monotonicMs + waitMs, sequence: this.#sequence, wake: end }
      this.#sleepers.add(sleeper)
      signal.addEventListener('abort', end)
    })
  }

  /** Moves both clocks forward by `ms`, waking sleepers in time order and letting each settle before the next. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms
    await this.settle()
    for (;;) {
      const next = this.#earliest()
      if (next === undefined || next.dueMs > endMs) break
      this.#moveTo(next.dueMs)
      next.wake()
      await this.settle()
    }
    this.#moveTo(endMs)
  }

  /** Moves only the wall clock, as an operator or NTP would; `ms` may be negative. */
  jumpWall(ms: number): void {
    this.#wallMs += ms
  }

  /** Sleepers that have not woken yet, earliest first. */
  pending(): readonly PendingSleep[] {
    return this.#sorted().map(({ delayMs, dueMs }) => ({ delayMs, dueMs }))
  }

  /** Lets promise chains that need no time run to their next wait. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < SETTLE_TURNS; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  }

  #moveTo(monotonicMs: number): void {
    this.#wallMs += monotonicMs - this.#monotonicMs
    this.#monotonicMs = monotonicMs
  }

  #earliest(): Sleeper | undefined {
    return this.#sorted()[0]
  }

  #sorted(): Sleeper[] {
    return [...this.#sleepers].sort((a, b) => a.dueMs - b.dueMs || a.sequence - b.sequence)
  }
}
