import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import fc from 'fast-check'
import type { CycleResult, PollingCollector } from '../core/collector.ts'
import { TransientError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { FinishedCycle } from '../core/ports.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { Supervisor } from './supervisor.ts'

let clock: SimulatedClock
let lines: string[]
let cycles: FinishedCycle[]

beforeEach(() => {
  clock = new SimulatedClock()
  lines = []
  cycles = []
})

function recordingLog(): Logger {
  const note = (level: string) => (_context: unknown, message: string) => {
    if (level !== 'debug') lines.push(`${level} ${message}`)
  }
  const log: Logger = {
    debug: note('debug'),
    info: note('info'),
    warn: note('warn'),
    error: note('error'),
    fatal: note('fatal'),
    child: () => log,
  }
  return log
}

function supervisor(): Supervisor {
  const saveCycle = async (cycle: FinishedCycle) => {
    cycles.push(cycle)
  }
  return new Supervisor({ clock, random: () => 0, log: recordingLog(), cycles: { saveCycle } })
}

function statusOf(keeper: Supervisor, name: string) {
  const status = keeper.status().find((one) => one.name === name)
  assert.ok(status)
  return status
}

function polling(name: string, intervalMs: number, collectOnce: () => Promise<CycleResult>): PollingCollector {
  return { name, intervalMs, critical: true, collectOnce }
}

describe('a polling collector', () => {
  test('keeps its instance and its cadence when cycles fail; one failure in words, then every tenth', async () => {
    const keeper = supervisor()
    const startsMs: number[] = []
    keeper.addPolling(
      polling('prices', 10_000, async () => {
        startsMs.push(clock.monotonicMs())
        if (startsMs.length <= 25) throw new TransientError('no route')
        return { items: 3, details: { pages: 1 } }
      }),
    )
    keeper.start()
    await clock.advance(265_000)
    assert.deepEqual(
      startsMs,
      Array.from({ length: 27 }, (_, k) => k * 10_000),
    )
    const status = statusOf(keeper, 'prices')
    assert.equal(status.state, 'running')
    assert.deepEqual([status.cycles, status.failedCycles, status.items, status.restarts], [27, 25, 6, 0])
    assert.deepEqual([status.lastCycleOk, status.consecutiveFailures, status.usefulAgeMs], [true, 0, 5_000])
    assert.deepEqual(lines, [
      'warn prices failed: no route; next attempt in 10s',
      'warn prices failed (10 times in a row): no route; next attempt in 10s',
      'warn prices failed (20 times in a row): no route; next attempt in 10s',
      'info prices: first cycle stored 3 items in 0.0s',
    ])
    assert.equal(cycles.length, 27)
    assert.deepEqual(cycles[0]?.error, 'no route')
    assert.deepEqual(cycles.at(-1)?.details, { pages: 1 })
    await keeper.stop(1000)
  })

  test('skips and counts the starts that a slow cycle ran over', async () => {
    const keeper = supervisor()
    const startsMs: number[] = []
    keeper.addPolling(
      polling('slow', 10_000, async () => {
        startsMs.push(clock.monotonicMs())
        await clock.sleep(startsMs.length === 2 ? 35_000 : 1_000, new AbortController().signal)
        return { items: 0, details: {} }
      }),
    )
    keeper.start()
    await clock.advance(70_000)
    assert.deepEqual(startsMs, [0, 10_000, 50_000, 60_000, 70_000])
    assert.equal(statusOf(keeper, 'slow').skippedCycles, 3)
    await clock.advance(1000)
    await keeper.stop(1000)
  })

  test('waits as long as it was asked to, when that is later than its cadence', async () => {
    const keeper = supervisor()
    const startsMs: number[] = []
    keeper.addPolling(
      polling('limited', 10_000, async () => {
        startsMs.push(clock.monotonicMs())
        if (startsMs.length === 1) throw new TransientError('429', { retryAfterMs: 3_000 })
        if (startsMs.length === 2) throw new TransientError('429', { retryAfterMs: 25_000 })
        return { items: 0, details: {} }
      }),
    )
    keeper.start()
    await clock.advance(50_000)
    assert.deepEqual(startsMs, [0, 10_000, 40_000, 50_000])
    await keeper.stop(1000)
  })

  test('that is eager is tried again soon until its first success, then keeps its cadence', async () => {
    const keeper = supervisor()
    const startsMs: number[] = []
    const collector = polling('markets', 300_000, async () => {
      startsMs.push(clock.monotonicMs())
      if (startsMs.length !== 4) throw new TransientError('no database')
      return { items: 1, details: {} }
    })
    keeper.addPolling(collector, { eagerUntilFirstSuccess: true })
    keeper.start()
    await clock.advance(700_000)
    assert.deepEqual(startsMs, [0, 5_000, 15_000, 35_000, 300_000, 600_000])
    assert.equal(statusOf(keeper, 'markets').skippedCycles, 0)
    await keeper.stop(1000)
  })

  test('whose cycle never ends is restarted by policy', async () => {
    const keeper = supervisor()
    let calls = 0
    const collector = polling('stuck', 10_000, async () => {
      calls += 1
      if (calls === 1) return new Promise(() => {})
      return { items: 1, details: {} }
    })
    keeper.addPolling(collector, { cycleTimeoutMs: 20_000 })
    keeper.start()
    await clock.advance(30_000)
    assert.equal(statusOf(keeper, 'stuck').state, 'backing_off')
    assert.match(statusOf(keeper, 'stuck').lastError ?? '', /the cycle did not end 30s after its start/)
    await clock.advance(5_000)
    assert.equal(statusOf(keeper, 'stuck').state, 'running')
    assert.deepEqual([calls, statusOf(keeper, 'stuck').restarts], [2, 1])
    await keeper.stop(1000)
  })

  test('is not harmed by a cycle store that fails or hangs', async () => {
    let saves = 0
    const saveCycle = (): Promise<void> => {
      saves += 1
      if (saves === 1) throw new Error('no ledger')
      return saves === 2 ? Promise.reject(new Error('still none')) : new Promise(() => {})
    }
    const keeper = new Supervisor({ clock, random: () => 0, log: recordingLog(), cycles: { saveCycle } })
    keeper.addPolling(polling('prices', 1000, async () => ({ items: 1, details: {} })))
    keeper.start()
    await clock.advance(10_000)
    assert.equal(statusOf(keeper, 'prices').items, 11)
    assert.equal(saves, 3, 'one report at a time')
    assert.deepEqual(await keeper.stop(1000), [])
  })

  test('starts at t0 + k × interval for ever, whatever its cycles take', async () => {
    const shape = fc.record({
      intervalMs: fc.integer({ min: 500, max: 5_000 }),
      durationsMs: fc.array(fc.integer({ min: 0, max: 8_000 }), { minLength: 1, maxLength: 20 }),
      failing: fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
    })
    await fc.assert(
      fc.asyncProperty(shape, async ({ intervalMs, durationsMs, failing }) => {
        clock = new SimulatedClock()
        const keeper = supervisor()
        const startsMs: number[] = []
        const collector = polling('prices', intervalMs, async () => {
          const n = startsMs.push(clock.monotonicMs())
          await clock.sleep(durationsMs[n % durationsMs.length] ?? 0, new AbortController().signal)
          if (failing[n % failing.length]) throw new Error(`failure ${n}`)
          return { items: 1, details: {} }
        })
        keeper.addPolling(collector)
        keeper.start()
        await clock.advance(40_000)
        for (const startMs of startsMs) assert.equal(startMs % intervalMs, 0)
        const status = statusOf(keeper, 'prices')
        const nextMs = status.nextAttemptMs === null ? null : status.nextAttemptMs - clock.wallMs() + 40_000
        const slots = (nextMs ?? (startsMs.at(-1) ?? 0) + intervalMs) / intervalMs
        assert.equal(startsMs.length + status.skippedCycles, slots, 'every slot was used or counted as skipped')
        const stopping = keeper.stop(100_000)
        await clock.advance(10_000)
        await stopping
      }),
      { numRuns: 100, verbose: 1 },
    )
  })
})
