import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import fc from 'fast-check'
import type { CycleResult, PollingCollector, StreamContext, StreamingCollector } from '../core/collector.ts'
import { AssertionError, PermanentError, TransientError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { FinishedCycle } from '../core/ports.ts'
import { seededRandom } from '../core/random.ts'
import type { CollectorState } from '../core/status.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { type CollectorSignal, NEXT_STATE } from './collector-record.ts'
import { Supervisor } from './supervisor.ts'

const MINUTE = 60_000
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

function supervisor(random = () => 0): Supervisor {
  const saveCycle = async (cycle: FinishedCycle) => {
    cycles.push(cycle)
  }
  return new Supervisor({ clock, random, log: recordingLog(), cycles: { saveCycle } })
}

function statusOf(keeper: Supervisor, name: string) {
  const status = keeper.status().find((one) => one.name === name)
  assert.ok(status)
  return status
}

function polling(name: string, intervalMs: number, collectOnce: () => Promise<CycleResult>): PollingCollector {
  return { name, intervalMs, critical: true, collectOnce }
}

/** A stream that notes when it starts and then does what `run` says. */
function stream(name: string, run: (context: StreamContext, attempt: number) => Promise<void>) {
  const startsMs: number[] = []
  let built = 0
  const build = (): StreamingCollector => {
    built += 1
    const attempt = built
    return {
      name,
      critical: true,
      run: async (context) => {
        startsMs.push(clock.monotonicMs())
        await run(context, attempt)
      },
    }
  }
  return { startsMs, spec: { name, critical: true, stallTimeoutMs: 30_000, build }, built: () => built }
}

function feed(context: StreamContext): void {
  context.status.connectionsActive = 1
  context.status.framesReceived += 1
  context.status.lastUsefulMs = clock.wallMs()
}

const crash = async (): Promise<void> => {
  throw new Error('boom')
}

describe('a crashed streaming collector', () => {
  test('restarts after 5, 10, 20, 40 and 60 s, then cools and is retried every 5 minutes for ever', async () => {
    const keeper = supervisor()
    const broken = stream('broken', crash)
    keeper.addStreaming(broken.spec)
    keeper.start()
    await clock.advance(0)
    assert.equal(statusOf(keeper, 'broken').state, 'backing_off')
    await clock.advance(135_000)
    assert.deepEqual(broken.startsMs, [0, 5_000, 15_000, 35_000, 75_000, 135_000])
    assert.equal(statusOf(keeper, 'broken').state, 'cooling')
    await clock.advance(60 * MINUTE)
    const gaps = broken.startsMs.slice(6).map((startMs, index) => startMs - (broken.startsMs[index + 5] ?? 0))
    assert.deepEqual(new Set(gaps), new Set([5 * MINUTE]))
    assert.equal(gaps.length, 12)
    assert.equal(broken.built(), broken.startsMs.length, 'every run has a collector of its own')
    const status = statusOf(keeper, 'broken')
    assert.equal(status.state, 'cooling')
    assert.equal(status.restarts, 17)
    assert.equal(keeper.restarts, 17)
    assert.equal(status.failedCycles, 18)
    assert.equal(status.lastError, 'boom')
    assert.equal((status.nextAttemptMs ?? 0) - clock.wallMs(), 5 * MINUTE - ((60 * MINUTE) % (5 * MINUTE)))
    assert.match(lines[0] ?? '', /warn broken crashed: boom; next attempt in 5s/)
    assert.match(lines[5] ?? '', /warn broken crashes too often and cools down: boom; next attempt in 5m 0s/)
    await keeper.stop(1000)
  })

  test('keeps that sequence within 10 % whatever chance says, and never waits less', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        clock = new SimulatedClock()
        const keeper = supervisor(seededRandom(seed))
        const broken = stream('broken', crash)
        keeper.addStreaming(broken.spec)
        keeper.start()
        await clock.advance(150_000)
        const plain = [5_000, 10_000, 20_000, 40_000, 60_000]
        plain.forEach((delayMs, index) => {
          const gapMs = (broken.startsMs[index + 1] ?? 0) - (broken.startsMs[index] ?? 0)
          assert.ok(gapMs >= delayMs && gapMs <= delayMs * 1.1, `restart ${index + 1} after ${gapMs} ms`)
        })
        await keeper.stop(1000)
      }),
      { numRuns: 100, verbose: 1 },
    )
  })

  test('is forgiven after 60 s of useful data, and not by data that lasts less long', async () => {
    const keeper = supervisor()
    const lasting = (ms: number) => async (context: StreamContext) => {
      for (let at = 0; at <= ms; at += 1000) {
        feed(context)
        await clock.sleep(1000, context.signal)
      }
      throw new TransientError('cut')
    }
    const long = stream('long', lasting(60_000))
    const short = stream('short', lasting(58_000))
    keeper.addStreaming(long.spec)
    keeper.addStreaming(short.spec)
    keeper.start()
    await clock.advance(15 * MINUTE)
    const gaps = (startsMs: readonly number[]) => startsMs.slice(1).map((at, index) => at - (startsMs[index] ?? 0))
    assert.deepEqual(new Set(gaps(long.startsMs)), new Set([61_000 + 5_000]))
    assert.deepEqual(
      gaps(short.startsMs).slice(0, 6),
      [5, 10, 20, 40, 60, 60].map((s) => 59_000 + s * 1000),
    )
    await keeper.stop(1000)
  })

  test('leaves cooling behind once it works again', async () => {
    const keeper = supervisor()
    let isBroken = true
    const flaky = stream('flaky', async (context) => {
      if (isBroken) throw new Error('boom')
      for (let second = 0; second < 61; second += 1) {
        feed(context)
        await clock.sleep(1000, context.signal)
      }
      throw new Error('once more')
    })
    keeper.addStreaming(flaky.spec)
    keeper.start()
    await clock.advance(136_000)
    assert.equal(statusOf(keeper, 'flaky').state, 'cooling')
    isBroken = false
    await clock.advance(5 * MINUTE)
    assert.equal(statusOf(keeper, 'flaky').state, 'running')
    assert.equal(statusOf(keeper, 'flaky').lastCycleOk, true)
    await clock.advance(MINUTE)
    assert.equal(statusOf(keeper, 'flaky').state, 'backing_off')
    const restMs = (statusOf(keeper, 'flaky').nextAttemptMs ?? 0) - clock.wallMs()
    assert.ok(restMs <= 5_000, `it waits ${restMs} ms`)
    await keeper.stop(1000)
  })

  test('has crashed when it returns early, and loses the numbers that it can no longer keep true', async () => {
    const keeper = supervisor()
    const early = stream('early', async (context) => {
      feed(context)
      context.status.connectionsStalled = 1
    })
    keeper.addStreaming(early.spec)
    keeper.start()
    await clock.advance(0)
    const status = statusOf(keeper, 'early')
    assert.equal(status.state, 'backing_off')
    assert.match(status.lastError ?? '', /it ended although nobody asked it to/)
    assert.equal(status.stream?.connectionsActive, 0)
    assert.equal(status.stream?.connectionsStalled, 0)
    assert.equal(status.stream?.framesReceived, 1)
    await keeper.stop(1000)
  })

  test('gets a signal of its own that ends with its run', async () => {
    const keeper = supervisor()
    const signals: AbortSignal[] = []
    const broken = stream('broken', async (context) => {
      signals.push(context.signal)
      throw new Error('boom')
    })
    keeper.addStreaming(broken.spec)
    keeper.start()
    await clock.advance(5_000)
    assert.deepEqual(
      signals.map((signal) => signal.aborted),
      [true, true],
    )
    await keeper.stop(1000)
  })
})

describe('errors that no retry can heal', () => {
  for (const [name, error, words] of [
    ['a permanent error', new PermanentError('the key is wrong'), /cannot work and will not be tried again: the key/],
    ['a broken assumption', new AssertionError('impossible'), /has a bug and will not be tried again: impossible/],
  ] as const) {
    test(`${name} fails that collector for good, and the others do not notice`, async () => {
      const keeper = supervisor()
      let good = 0
      let attempts = 0
      const failing = stream('failing stream', async () => {
        throw error
      })
      keeper.addStreaming(failing.spec)
      keeper.addPolling(
        polling('failing poll', 1000, async () => {
          attempts += 1
          throw error
        }),
      )
      keeper.addPolling(
        polling('good', 1000, async () => {
          good += 1
          return { items: 1, details: {} }
        }),
      )
      keeper.start()
      await clock.advance(10 * MINUTE)
      assert.equal(statusOf(keeper, 'failing stream').state, 'failed')
      assert.equal(statusOf(keeper, 'failing poll').state, 'failed')
      assert.deepEqual([failing.built(), attempts], [1, 1])
      assert.equal(good, 601)
      assert.equal(statusOf(keeper, 'good').items, 601)
      assert.equal(lines.filter((line) => words.test(line)).length, 2)
      await keeper.stop(1000)
    })
  }
})

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

describe('stopping', () => {
  test('ends every collector, wherever it is, and says which did not obey', async () => {
    const keeper = supervisor()
    const good = stream('good', async (context) => {
      feed(context)
      await clock.sleep(1e9, context.signal)
    })
    const broken = stream('broken', crash)
    const deaf = stream('deaf', () => new Promise(() => {}))
    for (const one of [good, broken, deaf]) keeper.addStreaming(one.spec)
    keeper.addPolling(polling('prices', 1000, async () => ({ items: 1, details: {} })))
    keeper.start()
    await clock.advance(500)
    const stopping = keeper.stop(2_000)
    await clock.advance(2_000)
    assert.deepEqual(await stopping, ['deaf'])
    assert.deepEqual(
      keeper.status().map((status) => status.state),
      ['stopped', 'stopped', 'stopped', 'stopped'],
    )
    assert.equal(statusOf(keeper, 'good').failedCycles, 0)
    assert.deepEqual(clock.pending(), [], 'no timer is left behind')
  })

  test('is safe without a start, and a collector added while running begins at once', async () => {
    assert.deepEqual(await supervisor().stop(1000), [])
    const keeper = supervisor()
    keeper.start()
    keeper.addPolling(polling('late', 1000, async () => ({ items: 1, details: {} })))
    await clock.advance(0)
    assert.equal(statusOf(keeper, 'late').items, 1)
    await keeper.stop(1000)
  })
})

test('the transition table: crashes only end runs, failed is final, stopped is the end', () => {
  const states = Object.keys(NEXT_STATE) as CollectorState[]
  const signals: CollectorSignal[] = ['start', 'work', 'crash', 'exhaust', 'fail', 'stop']
  for (const state of states) {
    assert.equal(NEXT_STATE[state].stop, state === 'stopped' ? null : 'stopped')
    if (state === 'failed' || state === 'stopped') {
      for (const signal of signals) if (signal !== 'stop') assert.equal(NEXT_STATE[state][signal], null)
    }
    if (state === 'backing_off' || state === 'cooling') {
      assert.equal(NEXT_STATE[state].start, 'starting')
      assert.equal(NEXT_STATE[state].work, null, 'a dead collector cannot come back by a last word')
    }
  }
})
