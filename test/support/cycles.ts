import fc from 'fast-check'
import type { CollectorContext, CycleResult, PollingCollector } from '../../src/core/collector.ts'
import { TransientError } from '../../src/core/errors.ts'
import type { CollectorStatus } from '../../src/core/status.ts'
import type { Ledger, Sessions } from '../../src/ledger/ledger.ts'
import { type Monitor, startMonitor } from '../../src/monitor/monitor.ts'
import { createLogging, type LogEntry, type Logging } from '../../src/runtime/logging.ts'
import { Supervisor } from '../../src/runtime/supervisor.ts'
import { SimulatedClock } from '../../src/sim/clock.ts'

/** What one cycle does: it takes so long, then stores so many items or fails in this way. */
export interface Step {
  readonly durationMs: number
  readonly outcome: 'ok' | 'network' | 'database' | 'unexpected'
  readonly items: number
}

export interface Played {
  readonly name: string
  readonly monitor: Monitor
  readonly clock: SimulatedClock
  /** When each cycle began, Unix ms. */
  readonly startsMs: readonly number[]
  /** The collectors as the supervisor sees them: the played one, and one beside it that always works. */
  readonly collectors: readonly CollectorStatus[]
  /** Everything that was logged from info up. */
  readonly logged: readonly LogEntry[]
  readonly logging: Logging
}

const INTERVAL_MS = 60_000
/** The properties' own seed is printed when one fails; each is run this often. */
export const RUNS = { numRuns: 100 }

/** Cycles of up to two intervals, so that some starts are missed. */
export const steps = (most: number) =>
  fc.array(
    fc.record({
      durationMs: fc.oneof(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 0, max: 2 * INTERVAL_MS })),
      outcome: fc.constantFrom(
        'ok' as const,
        'ok' as const,
        'network' as const,
        'database' as const,
        'unexpected' as const,
      ),
      items: fc.integer({ min: 0, max: 500 }),
    }),
    { minLength: 1, maxLength: most },
  )

let plays = 0

/**
 * Runs the production loop, supervisor and monitor over these cycles, with time moved by hand. `databaseError` is one
 * that a real server gave. Close the monitor afterwards.
 */
export async function play(
  ledger: Sessions & Pick<Ledger, 'saveCycle'>,
  script: readonly Step[],
  databaseError: unknown,
  name = '',
): Promise<Played> {
  plays += 1
  const clock = new SimulatedClock(Date.UTC(2026, 0, 1))
  const logging = createLogging({ clock, level: 'fatal', format: 'json', write: () => {} })
  const { log } = logging
  const monitor = startMonitor({
    clock,
    log,
    observe: logging.observe,
    ledger,
    recorderId: 'r',
    retentionMs: 30 * 86_400_000,
  })
  const logged: LogEntry[] = []
  logging.observe((entry) => logged.push(entry))
  const { statistics, cycles: listener } = monitor
  const supervisor = new Supervisor({ clock, random: () => 0.5, log, cycles: null, statistics, listener })
  const played = new PlayedCollector(name || `played.${process.pid}.${plays}`, script, databaseError)
  supervisor.addPolling(played)
  supervisor.addPolling(new PlayedCollector(`${played.name}.beside`, null, null))
  supervisor.start()
  while (played.finished < script.length) await clock.advance(INTERVAL_MS / 2)
  await clock.settle()
  const collectors = supervisor.status()
  const stopping = supervisor.stop(1_000)
  await clock.advance(1_000)
  await stopping
  return { name: played.name, monitor, clock, startsMs: played.startsMs, collectors, logged, logging }
}

/** Ends the background of a monitor whose clock stands still, and stores what is left. */
export async function close({ monitor }: Played): Promise<void> {
  await monitor.close()
}

/** A collector that follows a script, and then waits to be stopped; without one it always works. */
class PlayedCollector implements PollingCollector {
  readonly intervalMs = INTERVAL_MS
  readonly critical = true
  readonly name: string
  readonly startsMs: number[] = []
  finished = 0
  readonly #script: readonly Step[] | null
  readonly #databaseError: unknown

  constructor(name: string, script: readonly Step[] | null, databaseError: unknown) {
    this.name = name
    this.#script = script
    this.#databaseError = databaseError
  }

  async collectOnce({ clock, signal }: CollectorContext): Promise<CycleResult> {
    if (this.#script === null) return { items: 1, details: {} }
    const step = this.#script[this.startsMs.length]
    if (step === undefined) {
      await clock.sleep(Number.MAX_SAFE_INTEGER, signal)
      throw new TransientError('stopped')
    }
    this.startsMs.push(clock.wallMs())
    await clock.sleep(step.durationMs, signal)
    this.finished += 1
    return this.#end(step)
  }

  #end({ outcome, items }: Step): CycleResult {
    if (outcome === 'ok') return { items, details: { asked: items } }
    if (outcome === 'database') throw this.#databaseError
    if (outcome === 'unexpected') return (undefined as unknown as { nothing: { there: CycleResult } }).nothing.there
    const cause = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:9'), { code: 'ECONNREFUSED' })
    throw new TransientError('the source cannot be reached', { cause })
  }
}
