import type { CollectorContext } from '../../src/core/collector.ts'
import type { LogContext, Logger } from '../../src/core/log.ts'
import { SimulatedClock } from '../../src/sim/clock.ts'

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'fatal'
  readonly message: string
  readonly context: LogContext
  /** On the monotonic clock of the drive. */
  readonly atMs: number
}

/**
 * Simulated time over real work: the clock moves to the next sleeper only when none of the watched calls is under way,
 * so that a database takes no time at all and a test never waits.
 */
export class Drive {
  readonly clock: SimulatedClock
  readonly lines: LogLine[] = []
  readonly log: Logger
  #underWay = 0
  #turn: (() => void)[] = []

  constructor(startWallMs?: number) {
    this.clock = new SimulatedClock(startWallMs)
    const at = (level: LogLine['level']) => (context: LogContext, message: string) => {
      this.lines.push({ level, message, context, atMs: this.clock.monotonicMs() })
    }
    this.log = {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      fatal: at('fatal'),
      child: () => this.log,
    }
  }

  /** The same object; time stands still while one of its methods has not answered. */
  watch<T extends object>(real: T): T {
    return new Proxy(real, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key)
        if (typeof value !== 'function') return value
        return (...given: unknown[]) => this.#watched(value.apply(target, given))
      },
    })
  }

  #watched(result: unknown): unknown {
    if (!(result instanceof Promise)) return result
    this.#underWay += 1
    const done = () => {
      this.#underWay -= 1
      for (const wake of this.#turn.splice(0)) wake()
    }
    result.then(done, done)
    return result
  }

  context(signal: AbortSignal): CollectorContext {
    return { signal, clock: this.clock, log: this.log }
  }

  /** Moves time until the monotonic clock is at `endMs`, letting everything that is due happen. */
  async until(endMs: number): Promise<void> {
    for (;;) {
      await this.#settle()
      const next = this.clock.pending()[0]
      if (next === undefined || next.dueMs > endMs) break
      await this.clock.advance(next.dueMs - this.clock.monotonicMs())
    }
    await this.clock.advance(endMs - this.clock.monotonicMs())
    await this.#settle()
  }

  /** Moves time for as long as the work needs it. */
  async through<T>(work: Promise<T>): Promise<T> {
    const state = { over: false }
    const over = () => {
      state.over = true
    }
    work.then(over, over)
    for (;;) {
      await this.#settle()
      if (state.over) return work
      const next = this.clock.pending()[0]
      if (next === undefined) await new Promise((resolve) => setImmediate(resolve))
      else await this.clock.advance(next.dueMs - this.clock.monotonicMs())
    }
  }

  async #settle(): Promise<void> {
    for (;;) {
      await this.clock.settle()
      if (this.#underWay === 0) return
      await new Promise<void>((resolve) => this.#turn.push(resolve))
    }
  }
}
