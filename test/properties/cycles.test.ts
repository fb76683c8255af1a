import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { statisticsView } from '../../src/api/collector-view.ts'
import type { StoredLog } from '../../src/ledger/logs.ts'
import { type FreshLedger, freshLedger } from '../../src/ledger/test-server.ts'
import { StatisticsTracker } from '../../src/monitor/statistics-tracker.ts'
import { SimulatedClock } from '../../src/sim/clock.ts'
import { ask, startTestApi, type TestApi } from '../support/api.ts'
import { close, type Played, play, RUNS, type Step, steps } from '../support/cycles.ts'

let fresh: FreshLedger
let databaseError: unknown
let it: TestApi
/** The tracker that the API shows. */
let shown: Pick<StatisticsTracker, 'getStatistics'>
before(async () => {
  fresh = await freshLedger()
  const asked = fresh.ledger.write((session) => session.query('SELECT * FROM no_such_table'))
  databaseError = await asked.catch((error: unknown) => error)
  it = await startTestApi({
    ledger: fresh.ledger,
    statistics: { getStatistics: (name) => shown.getStatistics(name) },
  })
})
after(async () => {
  await it.api.close()
  await fresh.ledger.close()
})

/** Plays a script, looks at what came of it, and closes. */
async function playing(
  script: readonly Step[],
  look: (played: Played) => Promise<void> | void,
  name = '',
): Promise<void> {
  const played = await play(fresh.ledger, script, databaseError, name)
  try {
    await look(played)
  } finally {
    await close(played)
  }
}

/** The stored entries of one collector's cycles, oldest first. */
async function entriesOf({ name, monitor }: Played): Promise<StoredLog[]> {
  await monitor.logs.flush()
  const { logs } = await monitor.logs.getRecentLogs({ limit: 1_000, search: `${name} cycle` })
  return logs.filter(({ context }) => context['collector'] === name && context['status'] !== undefined).reverse()
}

describe('cycles', () => {
  test('property 2: every completed cycle, failed or not, leaves a log entry with time and status', async () => {
    const property = fc.asyncProperty(steps(4), (script) =>
      playing(script, async (played) => {
        const entries = await entriesOf(played)
        assert.deepEqual(
          entries.map(({ context }) => context['status']),
          script.map(({ outcome }) => (outcome === 'ok' ? 'success' : 'failure')),
        )
        assert.deepEqual(
          entries.map(({ atMs, context }) => [atMs, context['started_at']]),
          script.map(({ durationMs }, at) => {
            const startMs = played.startsMs[at] ?? 0
            return [startMs + durationMs, new Date(startMs).toISOString()]
          }),
        )
      }),
    )
    await fc.assert(property, RUNS)
  })

  test('property 3: any error is logged with its context, and the rest goes on', async () => {
    const failing = steps(4).map((script) =>
      script.map((step) => (step.outcome === 'ok' ? { ...step, outcome: 'unexpected' as const } : step)),
    )
    const property = fc.asyncProperty(failing, (script) =>
      playing(script, async (played) => {
        const entries = await entriesOf(played)
        assert.equal(entries.length, script.length)
        for (const [at, { level, context }] of entries.entries()) {
          const err = context['err'] as { type: string; message: string; stack: string; cause?: { code: string } }
          const { outcome } = script[at] as Step
          assert.deepEqual([level, typeof context['error'], typeof err.stack], ['WARNING', 'string', 'string'])
          const expected = { network: 'TransientError', database: 'error', unexpected: 'TypeError', ok: '' }[outcome]
          assert.equal(err.type, expected)
          if (outcome === 'network') assert.equal(err.cause?.code, 'ECONNREFUSED')
          if (outcome === 'database') assert.match(err.message, /no_such_table/)
        }
        const [one, other] = played.collectors
        assert.deepEqual([one?.state, other?.state, other?.failedCycles], ['running', 'running', 0])
        assert.ok((other?.cycles ?? 0) >= script.length, 'the other collector ran on')
        for (const [at, { outcome }] of script.entries()) {
          if (outcome === script[at - 1]?.outcome) continue // repeats are told less often
          const sign = { network: 'ECONNREFUSED', database: 'no_such_table', unexpected: 'undefined', ok: '' }[outcome]
          const lines = played.logged.filter(({ level, message }) => level === 'warn' && message.includes(sign))
          const line = lines.find(({ context }) => context['collector'] === played.name)
          assert.match(line?.message ?? '', /next attempt in /)
          // The words of a network error say it all; the others come with where they happened.
          const stack = (line?.context['err'] as { stack?: string } | undefined)?.stack
          assert.equal(typeof stack, outcome === 'network' ? 'undefined' : 'string')
        }
      }),
    )
    await fc.assert(property, RUNS)
  })

  test('property 20: the total of cycles is the number of cycles that ran', async () => {
    const property = fc.asyncProperty(steps(7), (script) =>
      playing(script, ({ name, monitor, startsMs }) => {
        const { total, successful, failed } = monitor.statistics.getStatistics(name)
        assert.deepEqual([startsMs.length, total, successful + failed], [script.length, script.length, script.length])
      }),
    )
    await fc.assert(property, RUNS)
  })

  test('property 21: the success rate is successful / total × 100 with two decimals', async () => {
    const property = fc.asyncProperty(steps(7), (script) =>
      playing(script, ({ name, monitor }) => {
        const good = script.filter(({ outcome }) => outcome === 'ok').length
        const rate = Number(((good / script.length) * 100).toFixed(2))
        assert.equal(monitor.statistics.getStatistics(name).successRate, rate)
      }),
    )
    await fc.assert(property, RUNS)
  })

  test('property 22: the duration of each cycle is recorded', async () => {
    const property = fc.asyncProperty(steps(4), (script) =>
      playing(script, async (played) => {
        const durations = script.map(({ durationMs }) => durationMs)
        const entries = await entriesOf(played)
        assert.deepEqual(
          entries.map(({ context }) => context['duration_ms']),
          durations,
        )
        assert.equal(played.monitor.statistics.getStatistics(played.name).lastDurationMs, durations.at(-1))
      }),
    )
    await fc.assert(property, RUNS)
  })

  test('property 25: the statistics endpoint equals the state of the tracker at that moment', async () => {
    const property = fc.asyncProperty(steps(4), fc.nat(100_000), (script, waitMs) =>
      playing(
        script,
        async ({ monitor, clock }) => {
          shown = monitor.statistics
          await clock.advance(waitMs)
          const { status, body } = await ask(it.api.port, '/api/fetcher/statistics')
          const expected = statisticsView(monitor.statistics.getStatistics('assets.prices'))
          assert.deepEqual([status, body], [200, { ...expected, assets_tracked: 0 }])
          assert.equal(body['total_cycles'], script.length)
          assert.equal(body['uptime_seconds'], monitor.statistics.uptimeMs() / 1000)
        },
        'assets.prices',
      ),
    )
    await fc.assert(property, RUNS)
  })
})

describe('the tracker', () => {
  const create = (clock = new SimulatedClock()) =>
    new StatisticsTracker({ clock, ledger: fresh.ledger, recorderId: 'r', retentionMs: 1 })

  test('property 23: the average is over the last 100 cycles, or all when there are fewer', async () => {
    const durations = fc.array(fc.integer({ min: 0, max: 10_000_000 }), { minLength: 1, maxLength: 260, size: 'max' })
    const property = fc.property(durations, (durationsMs) => {
      const tracker = create()
      for (const durationMs of durationsMs) {
        tracker.recordCycleStart('x')
        tracker.recordCycleEnd('x', durationMs % 2 === 0, durationMs)
      }
      const last = durationsMs.slice(-100)
      const average = last.reduce((sum, durationMs) => sum + durationMs, 0) / last.length
      const numbers = tracker.getStatistics('x')
      assert.equal(numbers.averageDurationMs, average)
      const sorted = [...last].sort((a, b) => a - b)
      const share = (limit: number | null) => sorted.filter((one) => one <= (limit ?? -1)).length / sorted.length
      assert.ok(share(numbers.p50DurationMs) >= 0.5 && share(numbers.p95DurationMs) >= 0.95)
      assert.ok(sorted.includes(numbers.p50DurationMs ?? -1) && sorted.includes(numbers.p95DurationMs ?? -1))
    })
    fc.assert(property, RUNS)
  })

  test('property 24: uptime is now − start, also when the wall clock jumps', async () => {
    const move = fc.record({ ms: fc.nat(10_000_000), jumpMs: fc.integer({ min: -1e10, max: 1e10 }) })
    const property = fc.asyncProperty(fc.array(move, { maxLength: 10 }), async (moves) => {
      const clock = new SimulatedClock()
      await clock.advance(12_345)
      const tracker = create(clock)
      for (const { ms, jumpMs } of moves) {
        clock.jumpWall(jumpMs)
        await clock.advance(ms)
      }
      assert.equal(
        tracker.uptimeMs(),
        moves.reduce((sum, { ms }) => sum + ms, 0),
      )
      assert.equal(tracker.getStatistics('x').uptimeMs, tracker.uptimeMs())
    })
    await fc.assert(property, RUNS)
  })
})
