import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { administer, freshLedger, quietLogger } from '../../src/ledger/test-server.ts'
import { PortfolioValueCalculator } from '../../src/portfolio/recalculation.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { startVenueProcess } from '../../src/sim/process.ts'
import { Daemon, removeDirectory, signalServer, temporaryDirectory, venueEnvironment } from '../support/daemon.ts'
import { runProgram, until } from '../support/processes.ts'

const ASSETS = 500
const symbolOf = (n: number) => `S${String(n).padStart(3, '0')}`

interface Attempts {
  readonly symbol: string
  readonly success: boolean
  readonly error: string | null
}

test('500 assets are priced each cycle; what one source or symbol does is seen, and stays its own', async (t) => {
  const directory = await temporaryDirectory()
  const venue = await startVenueProcess({ markets: 20, rate: 100, seed: 5 })
  const dataDir = join(directory, 'data')
  const env = {
    ...venueEnvironment(venue.urls),
    ...venue.environment,
    TAPEKEEPER_DATA_DIR: dataDir,
    TAPEKEEPER_ASSETS_ENABLED: 'true',
    TAPEKEEPER_ASSETS_PRICE_INTERVAL: '30s',
    TAPEKEEPER_ASSETS_REQUEST_DELAY: '5ms',
  }
  const state = (await venue.get('state?limit=1')) as { markets: { tokens: string[] }[] }
  const token = state.markets[0]?.tokens[0] ?? ''
  const rows = Array.from({ length: ASSETS - 1 }, (_, n) => `${symbolOf(n)},buy,${n + 1},10,2026-01-05`)
  const csv = join(directory, 'trades.csv')
  await writeFile(csv, ['symbol,side,quantity,price,time', ...rows, `${token},buy,100,0.4,2026-01-05`].join('\n'))
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await runProgram(['portfolio', ...args], { env })
    assert.equal(code, 0, stderr)
    return stdout
  }
  await run('create', 'everything')
  assert.match(await run('import', 'everything', csv, '--dry-run'), /would import 500 transactions/)
  await run('import', 'everything', csv)
  const daemon = await Daemon.start(dataDir, env)
  t.after(async () => {
    await daemon.end('SIGKILL')
    await signalServer(dataDir, 'SIGQUIT')
    await venue.stop()
    await removeDirectory(directory)
  })
  const cycles = async () =>
    daemon.query<{ id: string; ok: boolean; started_at: Date; ended_at: Date }>(
      `SELECT id, ok, started_at, started_at + duration_ms * interval '1 ms' AS ended_at
       FROM collector_cycles WHERE collector = 'assets.prices' ORDER BY id`,
    )
  /** The attempts of the first cycle that starts from now on. */
  const nextCycle = async () => {
    const [{ now } = { now: new Date(0) }] = await daemon.query<{ now: Date }>('SELECT now() AS now')
    const look = async () => (await cycles()).find(({ started_at }) => started_at > now)
    const cycle = await until('the next cycle', look, 180_000)
    const attempts = await daemon.query<Attempts>(
      `SELECT DISTINCT ON (l.asset_id) a.symbol, l.success, l.error
       FROM price_update_log l JOIN assets a USING (asset_id)
       WHERE l.at >= $1 AND l.at <= $2 ORDER BY l.asset_id, l.at DESC`,
      [cycle.started_at, cycle.ended_at],
    )
    return { cycle, attempts, failed: attempts.filter(({ success }) => !success).map(({ symbol }) => symbol) }
  }

  const whole = await nextCycle()
  assert.deepEqual([whole.cycle.ok, whole.attempts.length, whole.failed], [true, ASSETS, []])
  const shown = JSON.parse(await run('show', 'everything', '--json'))
  assert.deepEqual([shown.positions.length, shown.performance.missing], [ASSETS, []])
  assert.ok(Number(shown.performance.current_value) > 0)

  await tellTheTruth(daemon, env)

  await venue.control({ httpFault: { path: '/yahoo/v8/finance/chart/S01', mode: 'html' } })
  await venue.control({ yahooFault: { symbol: 'S123', mode: 'no-price' } })
  const spoilt = await nextCycle()
  const expected = [...Array.from({ length: 10 }, (_, n) => symbolOf(10 + n)), 'S123']
  assert.deepEqual([spoilt.cycle.ok, spoilt.failed.sort()], [true, expected])
  const answer = await fetch(`${daemon.apiUrl}/api/assets?search=S123`)
  const { assets } = (await answer.json()) as { assets: { last_error: string }[] }
  assert.match(assets[0]?.last_error ?? '', /has no price/)
  const updates = await fetch(`${daemon.apiUrl}/api/fetcher/recent-updates?limit=1000`)
  const told = (await updates.json()) as { updates: { symbol: string; success: boolean }[] }
  assert.ok(told.updates.some(({ symbol, success }) => symbol === 'S015' && !success))

  await venue.control({ clearHttpFaults: true, clearYahooFaults: true })
  await venue.control({ httpFault: { path: '/yahoo', mode: '429', retryAfter: 2, count: 1 } })
  const limited = await nextCycle()
  assert.deepEqual([limited.cycle.ok, limited.failed], [true, []], 'it waited, and asked again')

  await venue.control({ httpFault: { path: '/yahoo', mode: 'reset' } })
  const down = await nextCycle()
  assert.equal(down.cycle.ok, true, 'the outcome token still has a price')
  assert.deepEqual([down.failed.length, down.failed.includes(token)], [ASSETS - 1, false])
})

/** Status, statistics and log of the fetcher agree with the ledger. */
async function tellTheTruth(daemon: Daemon, env: Record<string, string>): Promise<void> {
  const ask = async (path: string) => (await fetch(`${daemon.apiUrl}/api/fetcher/${path}`)).json()
  const status = (await ask('status')) as Record<string, unknown>
  assert.deepEqual(
    [status['status'], status['tracked_assets_count'], status['update_interval_minutes']],
    ['running', ASSETS, 0.5],
  )
  const [{ age } = { age: 0 }] = await daemon.query<{ age: number }>(
    `SELECT abs(extract(epoch FROM max(at) - $1::timestamptz))::float8 AS age FROM price_update_log`,
    [status['last_update']],
  )
  assert.ok(age < 60, `the newest update was ${age} s from what the status says`)
  // A cycle may end while we look.
  const stored = async () => {
    const [{ n } = { n: 0 }] = await daemon.query<{ n: number }>(
      `SELECT count(*)::integer AS n FROM collector_cycles WHERE collector = 'assets.prices'`,
    )
    return n
  }
  const before = await stored()
  const statistics = (await ask('statistics')) as Record<string, number>
  const { total_cycles: total = 0, successful_cycles: good = 0, failed_cycles: bad = 0 } = statistics
  assert.ok(total >= before && total <= (await stored()) + 1, `${total} cycles, of which ${before} were stored`)
  assert.deepEqual([good + bad, statistics['assets_tracked']], [total, ASSETS])
  assert.equal(statistics['success_rate'], Number(((good / total) * 100).toFixed(2)))
  const { logs } = (await ask('logs?limit=1000&search=assets.prices cycle done')) as {
    logs: { level: string; context: { status: string } }[]
  }
  assert.ok(logs.length >= 1 && logs.every(({ context }) => context.status === 'success'))
  const shown = await runProgram(['logs', '--json', '--search', 'assets.prices cycle done'], { env })
  assert.equal(shown.code, 0, shown.stderr)
  assert.ok(shown.stdout.trim().split('\n').length >= logs.length)
}

test('1,000 portfolios of 50 positions are valued within 30 s', async (t) => {
  const { ledger, url } = await freshLedger({ clock: systemClock() })
  t.after(() => ledger.close())
  await administer(
    url,
    `INSERT INTO assets (symbol, name, type, currency)
     SELECT 'A' || n, 'A' || n, 'stock', CASE n % 5 WHEN 0 THEN 'EUR' ELSE 'USD' END FROM generate_series(1, 500) n;
     INSERT INTO asset_prices (ts, asset_id, kind, close, source)
     SELECT date_trunc('day', now()) - d * interval '1 day', asset_id, 'd', 50 + asset_id % 100 + d % 7, 'test'
     FROM assets, generate_series(0, 400) d;
     INSERT INTO exchange_rates (ts, base, quote, rate, source)
     SELECT date_trunc('day', now()) - d * interval '1 day', 'EUR', 'USD', 1.1 + d / 10000.0, 'test'
     FROM generate_series(0, 400) d;
     INSERT INTO portfolios (name, currency) SELECT 'p' || n, 'USD' FROM generate_series(1, 1000) n;
     INSERT INTO transactions (executed_at, portfolio_id, asset_id, side, quantity, price, fee)
     SELECT now() - (10 + k % 300) * interval '1 day', p.portfolio_id, 1 + (p.portfolio_id * 7 + k * 10) % 500, 'buy',
            1.5 + k, 49.99, 1
     FROM portfolios p, generate_series(0, 49) k;
     INSERT INTO portfolio_positions
     SELECT portfolio_id, asset_id, sum(quantity), 50, sum(quantity) * 50, 0, 1,
            CASE asset_id % 5 WHEN 0 THEN NULL ELSE sum(quantity) * 50 END, 0, min(executed_at), now()
     FROM transactions GROUP BY portfolio_id, asset_id;
     ANALYZE`,
  )
  const calculator = new PortfolioValueCalculator({ store: ledger, clock: systemClock(), log: quietLogger() })
  const { signal } = new AbortController()
  const withCosts = await calculator.recalculateAllPortfolios(signal)
  const again = await calculator.recalculateAllPortfolios(signal)
  t.diagnostic(`with 10,000 unknown costs ${withCosts.durationMs} ms, without ${again.durationMs} ms`)
  for (const { portfolios, failed, durationMs } of [withCosts, again]) {
    assert.deepEqual([portfolios, failed], [1000, 0])
    assert.ok(durationMs < 30_000, `took ${durationMs} ms`)
  }
  const [count] = await ledger.read(
    `SELECT count(*)::int AS n, sum(missing_count)::int AS missing FROM portfolio_performance_cache`,
  )
  assert.deepEqual(count, { n: 1000, missing: 0 })
})
