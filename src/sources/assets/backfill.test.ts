import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { Drive } from '../../../test/support/drive.ts'
import type { Clock } from '../../core/clock.ts'
import type { TransactionDraft } from '../../core/portfolio.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { administer, type FreshLedger, freshLedger } from '../../ledger/test-server.ts'
import { positionOf } from '../../portfolio/positions.ts'
import { PortfolioValueCalculator } from '../../portfolio/recalculation.ts'
import { createHttpClient, type HttpClient } from '../../runtime/http.ts'
import { createRateLimiter } from '../../runtime/rate-limit.ts'
import { Supervisor } from '../../runtime/supervisor.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { SimulatedClock } from '../../sim/clock.ts'
import { venueOptions } from '../../sim/options.ts'
import { startVenue, type Venue } from '../../sim/venue.ts'
import { createAssetsSource } from './index.ts'

const NOW_MS = Date.UTC(2026, 4, 15, 0, 30)
const HOUR_MS = 3_600_000
const SECOND_MS = 1_000

interface Request {
  readonly symbol: string
  readonly fromDay: string
  readonly toDay: string
  /** On the monotonic clock. */
  readonly atMs: number
}

/** Set by a test for as long as it needs it. */
interface Hooks {
  heard: () => void
  lost: () => void
  isDeaf: boolean
}

describe('the history of what was bought', { concurrency: false }, () => {
  const drive = new Drive(NOW_MS)
  const { clock, log } = drive
  const requests: Request[] = []
  const hooks: Hooks = { heard: () => {}, lost: () => {}, isDeaf: false }
  let fresh: FreshLedger
  let ledger: Ledger
  let venue: Venue
  let http: HttpClient
  let supervisor: Supervisor | null = null

  before(async () => {
    fresh = await freshLedger()
    ledger = fresh.ledger
    venue = await startVenue(venueOptions({ markets: 0, paused: true }), new SimulatedClock(NOW_MS))
    // Pauses that a source asks for end with the test's time; a request that hangs ends with real time.
    const mixed: Clock = {
      wallMs: () => clock.wallMs(),
      wallUs: () => clock.wallUs(),
      monotonicMs: () => clock.monotonicMs(),
      sleep: (ms, signal) => systemClock().sleep(ms, signal),
    }
    const limiter = createRateLimiter({ clock: mixed, rules: [] })
    http = createHttpClient({ clock: mixed, limiter, quickRetryDelayMs: 1 })
    assert.ok(await ledger.createPortfolio('all', 'USD'))
  })
  afterEach(async () => {
    await venue.carryOut({ clearHttpFaults: true, clearYahooFaults: true })
    if (supervisor !== null) await drive.through(supervisor.stop(10_000))
    supervisor = null
    requests.length = 0
  })
  after(async () => {
    await http.close()
    await venue.close()
    await ledger.close()
  })

  const start = () => {
    const watched = drive.watch(ledger)
    const store: Ledger = {
      ...watched,
      listenForTransactions(onSignal, signal) {
        const hear = () => {
          if (!hooks.isDeaf) onSignal()
          hooks.heard()
        }
        const listening = ledger.listenForTransactions(hear, signal)
        listening.catch(() => hooks.lost())
        return listening
      },
    }
    const client = drive.watch<Pick<HttpClient, 'getJson'>>({
      getJson(url, options) {
        const day = (key: string) => new Date(Number(options.query?.[key]) * 1000).toISOString().slice(0, 10)
        const symbol = decodeURIComponent(String(url).split('/').at(-1) ?? '')
        requests.push({ symbol, fromDay: day('period1'), toDay: day('period2'), atMs: clock.monotonicMs() })
        return http.getJson(url, options)
      },
    })
    const { backfill } = createAssetsSource({
      settings: {
        priceIntervalMs: 600_000,
        requestDelayMs: 10,
        yahooUrl: venue.urls.yahoo,
        critical: { prices: true, backfill: false },
      },
      http: client,
      store,
      portfolios: new PortfolioValueCalculator({ store: ledger, clock, log }),
      clock,
      log,
      claimant: 'test',
    })
    supervisor = new Supervisor({ clock, random: () => 0.5, log, cycles: null })
    supervisor.addStreaming(backfill)
    const connected = heard()
    supervisor.start()
    return connected
  }
  const heard = () => new Promise<void>((resolve) => (hooks.heard = resolve))
  const pass = (ms: number) => drive.until(clock.monotonicMs() + ms)
  const purchase = async (symbol: string, day: string) => {
    const draft: TransactionDraft = {
      ...{ symbol, side: 'buy', quantity: '1', price: '1', fee: '0', executedMs: Date.parse(day), notes: null },
      ...{ exchangeRate: null, type: 'stock', currency: 'USD', name: null, line: null },
    }
    const portfolio = await ledger.findPortfolio('all')
    const options = { dryRun: false, nowMs: clock.wallMs() }
    assert.ok((await ledger.appendTransactions(portfolio?.portfolioId ?? 0, [draft], positionOf, options)).ok)
  }
  const stateOf = async (symbol: string) => {
    const [row] = await ledger.read<{ state: string; attempts: number; error: string | null; in_ms: number }>(
      `SELECT q.state, q.attempts, q.error, (extract(epoch FROM q.next_at) * 1000)::float8 - $2 AS in_ms
       FROM backfill_queue q JOIN assets a USING (asset_id) WHERE a.symbol = $1`,
      [symbol, clock.wallMs()],
    )
    return row
  }
  const daysOf = async (symbol: string) => {
    const rows = await ledger.read<{ day: string }>(
      `SELECT (ts - interval '1 day')::date::text AS day FROM asset_prices JOIN assets USING (asset_id)
       WHERE symbol = $1 AND kind = 'd' ORDER BY ts`,
      [symbol],
    )
    return rows.map(({ day }) => day)
  }
  const weekdays = (from: string, to: string) => {
    const days: string[] = []
    for (let at = Date.parse(from); at <= Date.parse(to); at += 24 * HOUR_MS) {
      if (new Date(at).getUTCDay() % 6 !== 0) days.push(new Date(at).toISOString().slice(0, 10))
    }
    return days
  }
  const asked = (symbol: string) => requests.filter((one) => one.symbol === symbol)

  test('begins a year before the first purchase', async () => {
    await purchase('AAPL', '2026-03-10')
    await purchase('AAPL', '2026-04-20')
    await start()
    await pass(SECOND_MS)
    assert.equal((await stateOf('AAPL'))?.state, 'completed')
    assert.deepEqual(await daysOf('AAPL'), weekdays('2025-03-10', '2026-05-14'))
    assert.equal(asked('AAPL').length, 1)
  })

  test('is fetched when a transaction notifies, whoever stored it, long before the next look', async () => {
    await start()
    await pass(SECOND_MS)
    const notified = heard()
    await purchase('MSFT', '2026-03-11')
    await notified
    await pass(SECOND_MS)
    assert.equal((await stateOf('MSFT'))?.state, 'completed')
    const earlier = heard()
    await administer(fresh.url, "UPDATE transactions SET executed_at = '2025-06-02' WHERE executed_at = '2026-03-11'")
    await earlier
    await pass(SECOND_MS)
    assert.deepEqual((await daysOf('MSFT'))[0], '2024-06-03', 'the year before an earlier purchase')
    assert.equal(asked('AAPL').length, 0, 'what is there is not fetched again')
  })

  test('is looked for once a minute although nobody notified', async () => {
    hooks.isDeaf = true
    await start()
    await pass(SECOND_MS)
    const missed = heard()
    await purchase('NVDA', '2026-03-12')
    await missed
    await pass(50 * SECOND_MS)
    assert.equal(await stateOf('NVDA'), undefined)
    await pass(10 * SECOND_MS)
    hooks.isDeaf = false
    assert.equal((await stateOf('NVDA'))?.state, 'completed')
  })

  test('is looked for again when the connection that listens was lost', async () => {
    await start()
    await pass(SECOND_MS)
    const lost = new Promise<void>((resolve) => (hooks.lost = resolve))
    await administer(
      fresh.url,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'tapekeeper listener' AND datname = current_database()`,
    )
    await lost
    await clock.settle()
    const [down] = supervisor?.status() ?? []
    assert.deepEqual([down?.state, down?.restarts], ['backing_off', 0])
    assert.match(down?.lastError ?? '', /the connection that listens for transactions was lost/)
    await purchase('AMZN', '2026-03-13')
    const again = heard()
    await pass((down?.nextAttemptMs ?? 0) - clock.wallMs())
    await again
    await pass(SECOND_MS)
    assert.equal((await stateOf('AMZN'))?.state, 'completed')
    assert.equal(supervisor?.status()[0]?.state, 'running')
  })

  for (const [symbol, retryAfter] of [
    ['RATE1', 90],
    ['RATE2', undefined],
  ] as const) {
    const waitMs = (retryAfter ?? 60) * SECOND_MS
    const told = retryAfter ? '' : ' and does not say for how long'
    test(`waits ${waitMs / 1000} s when the source limits${told}`, async () => {
      const path = '/yahoo/v8/finance/chart/RATE'
      await venue.carryOut({ httpFault: { path, mode: '429', count: 1, ...(retryAfter ? { retryAfter } : {}) } })
      await purchase(symbol, '2026-05-01')
      await purchase(`Z${symbol}`, '2026-05-01')
      await start()
      await pass(SECOND_MS)
      const limited = await stateOf(symbol)
      assert.deepEqual([limited?.state, limited?.attempts], ['rate_limited', 0], 'to be told to wait is no failure')
      assert.match(limited?.error ?? '', /429/)
      assert.equal((await stateOf(`Z${symbol}`))?.state, 'rate_limited', 'nor is the next one asked for')
      await pass(waitMs - 3 * SECOND_MS)
      assert.deepEqual([asked(symbol).length, asked(`Z${symbol}`).length], [1, 0])
      await pass(5 * SECOND_MS)
      assert.deepEqual(
        [(await stateOf(symbol))?.state, (await stateOf(`Z${symbol}`))?.state],
        ['completed', 'completed'],
      )
      assert.ok((asked(symbol)[1]?.atMs ?? 0) - (asked(symbol)[0]?.atMs ?? 0) >= waitMs)
    })
  }

  test('that fails is tried again after 1, 2, 4 … minutes, and given up after eight times', async () => {
    await venue.carryOut({ httpFault: { path: '/yahoo/v8/finance/chart/BAD', mode: 'html' } })
    await purchase('BAD', '2026-05-04')
    await purchase('GOOD', '2026-05-04')
    await start()
    await pass(SECOND_MS)
    const first = await stateOf('BAD')
    assert.deepEqual([first?.state, first?.attempts], ['pending', 1])
    assert.equal((await stateOf('GOOD'))?.state, 'completed', 'what one asset does is its own')
    await pass(128 * 60 * SECOND_MS)
    const last = await stateOf('BAD')
    assert.deepEqual([last?.state, last?.attempts], ['failed', 8])
    assert.match(last?.error ?? '', /answered 520/)
    const waits = asked('BAD').map(({ atMs }, n) => Math.round((atMs - (asked('BAD')[n - 1]?.atMs ?? atMs)) / 60_000))
    assert.deepEqual(waits, [0, 1, 2, 4, 8, 16, 32, 64])
    await venue.carryOut({ clearHttpFaults: true })
    const notified = heard()
    await purchase('BAD', '2026-05-05')
    await notified
    await pass(SECOND_MS)
    assert.equal((await stateOf('BAD'))?.state, 'completed', 'a new purchase is a new reason')
  })

  test('that is not to be had has failed, with the reason', async () => {
    await purchase('NOPE1', '2026-05-04')
    await start()
    await pass(SECOND_MS)
    const { state, attempts, error } = (await stateOf('NOPE1')) ?? {}
    assert.deepEqual([state, attempts], ['failed', 1])
    assert.match(error ?? '', /No data found, symbol may be delisted/)
  })

  test('goes on after a crash with what was not stored yet', async () => {
    await purchase('TSLA', '2026-03-16')
    await ledger.enqueueBackfills(clock.wallMs())
    const task = await ledger.claimBackfill('test', clock.wallMs())
    assert.equal(task?.asset.symbol, 'TSLA')
    const bar = { open: null, high: null, low: null, close: '5', volume: null }
    const bars = weekdays('2025-03-16', '2026-02-27').map((day) => ({ day, ...bar }))
    const range = { fromDay: '2025-03-16', toDay: '2026-02-27' }
    await ledger.saveHistory(task.asset, 'yahoo', range, { bars, currency: 'USD' }, clock.wallMs())
    assert.equal((await stateOf('TSLA'))?.state, 'in_progress')
    await start()
    await pass(SECOND_MS)
    assert.equal((await stateOf('TSLA'))?.state, 'completed')
    assert.deepEqual(
      asked('TSLA').map(({ fromDay, toDay }) => [fromDay, toDay]),
      [['2026-03-01', '2026-05-16']],
      'with a day of slack on both sides',
    )
    assert.deepEqual(await daysOf('TSLA'), weekdays('2025-03-16', '2026-05-14'))
  })

  test('is made whole where days are missing in the middle', async () => {
    await administer(
      fresh.url,
      `DELETE FROM asset_prices USING assets WHERE asset_prices.asset_id = assets.asset_id AND symbol = 'AAPL'
       AND kind = 'd' AND ts BETWEEN '2025-11-04' AND '2025-11-06'`,
    )
    // What is finished is left alone for six hours.
    const longAgo = "UPDATE backfill_queue SET finished_at = finished_at - interval '7 hours'"
    await start()
    await pass(SECOND_MS)
    assert.deepEqual(asked('AAPL'), [])
    await administer(fresh.url, longAgo)
    await pass(60 * SECOND_MS)
    assert.deepEqual(await daysOf('AAPL'), weekdays('2025-03-10', '2026-05-14'))
    assert.deepEqual(
      asked('AAPL').map(({ fromDay, toDay }) => [fromDay, toDay]),
      [['2025-11-02', '2025-11-07']],
    )
    requests.length = 0
    await administer(fresh.url, longAgo)
    await pass(60 * SECOND_MS)
    assert.deepEqual(requests, [], 'nothing is missing')
  })
})
