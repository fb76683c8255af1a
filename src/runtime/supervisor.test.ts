import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import fc from 'fast-check'
import type { CycleResult, PollingCollector, StreamContext, StreamingCollector } from '../core/collector.ts'
import { AssertionError, PermanentError, TransientError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { seededRandom } from '../core/random.ts'
import type { CollectorState } from '../core/status.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { type CollectorSignal, NEXT_STATE } from './collector-record.ts'
import { Supervisor } from './supervisor.ts'

const MINUTE = 60_000
let clock: SimulatedClock
let lines: string[]

beforeEach(() => {
  clock = new SimulatedClock()
  lines = []
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
  return new Supervisor({ clock, random, log: recordingLog(), cycles: null })
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
