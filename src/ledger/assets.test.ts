import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Asset, Quote, SourcedAttempt } from '../core/assets.ts'
import type { TransactionDraft } from '../core/portfolio.ts'
import { positionOf } from '../portfolio/positions.ts'
import { PortfolioValueCalculator } from '../portfolio/recalculation.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { toRanges } from './backfill-queue.ts'
import type { Ledger } from './ledger.ts'
import { administer, type FreshLedger, freshLedger, quietLogger, testServerKinds } from './test-server.ts'

const NOW_MS = Date.UTC(2026, 4, 15, 12)
const DAY_MS = 86_400_000
const never = new AbortController().signal

function draft(symbol: string, change: Partial<TransactionDraft> = {}): TransactionDraft {
  return {
    symbol,
    side: 'buy',
    quantity: '10',
    price: '100',
    fee: '0',
    executedMs: NOW_MS - 10 * DAY_MS,
    notes: null,
    exchangeRate: null,
    type: 'stock',
    currency: 'USD',
    name: null,
    line: null,
    ...change,
  }
}

function quoted(asset: Asset, price: string, change: Partial<Quote> = {}): SourcedAttempt {
  const quote: Quote = {
    atMs: NOW_MS - 60_000,
    price,
    open: null,
    high: null,
    low: null,
    volume: '5',
    currency: asset.currency ?? 'USD',
    name: `The ${asset.symbol}`,
    exchange: 'NMS',
    ...change,
  }
  return { asset, startedMs: NOW_MS - 1_000, durationMs: 12.5, source: 'yahoo', answer: { ok: true, quote } }
}

for (const kind of testServerKinds()) {
  describe(`assets and portfolios on ${kind.name}`, { concurrency: false }, () => {
    let fresh: FreshLedger
    let ledger: Ledger
    before(async () => {
      fresh = await freshLedger({ kind })
      ledger = fresh.ledger
    })
    after(() => ledger.close())

    const add = async (portfolio: string, drafts: readonly TransactionDraft[], dryRun = false) => {
      const found = await ledger.findPortfolio(portfolio)
      assert.ok(found)
      return ledger.appendTransactions(found.portfolioId, drafts, positionOf, { dryRun, nowMs: NOW_MS })
    }
    const assetOf = async (symbol: string) => {
      const asset = (await ledger.loadTrackedAssets()).find((one) => one.symbol === symbol)
      assert.ok(asset, `${symbol} is not tracked`)
      return asset
    }
    const revalue = () => {
      const clock = new SimulatedClock(NOW_MS)
      return new PortfolioValueCalculator({ store: ledger, clock, log: quietLogger() }).recalculateAllPortfolios(never)
    }

    test('a portfolio in another currency needs rates, and says so until it has them', async () => {
      assert.ok(await ledger.createPortfolio('mixed', 'EUR'))
      assert.equal(await ledger.createPortfolio('mixed', 'USD'), null)
      assert.deepEqual(await add('mixed', [draft('AAPL', { fee: '5' }), draft('SAP.DE', { currency: null })]), {
        ok: true,
        added: 2,
        newAssets: ['AAPL', 'SAP.DE'],
      })
      await ledger.saveAttempts([quoted(await assetOf('AAPL'), '120.5')])
      await ledger.saveAttempts([quoted(await assetOf('SAP.DE'), '150', { currency: 'EUR' })])
      assert.deepEqual(await revalue().then(({ portfolios, failed }) => [portfolios, failed]), [1, 0])
      const before = (await ledger.showPortfolio('mixed'))?.value
      assert.equal(before?.currentValue, '1500')
      assert.deepEqual(before?.missing, [
        { symbol: 'AAPL', what: 'exchange_rate' },
        { symbol: 'AAPL', what: 'purchase_rate' },
      ])
      assert.equal(before?.invested, '1000', 'the cost that is known')

      const pair = await assetOf('USDEUR=X')
      assert.equal(pair.type, 'currency')
      const range = { fromDay: '2026-05-01', toDay: '2026-05-14' }
      const bar = { open: null, high: null, low: null, volume: null }
      const bars = [
        { day: '2026-05-04', close: '0.8', ...bar },
        { day: '2026-05-14', close: '0.9', ...bar },
      ]
      await ledger.enqueueBackfills(NOW_MS)
      assert.equal(await ledger.saveHistory(pair, 'yahoo', range, { bars, currency: 'EUR' }, NOW_MS), 2)
      await revalue()
      const value = (await ledger.showPortfolio('mixed'))?.value
      assert.equal(value?.currentValue, '2584.5', '10 × 120.5 × 0.9 + 1500')
      assert.equal(value?.invested, '1804', '1005 × 0.8 + 1000')
      assert.equal(value?.profit, '780.5')
      assert.equal(value?.profitPercent, '43.265')
      assert.deepEqual(value?.missing, [])
      assert.deepEqual(value?.changes.month, { money: '780.5', percent: '43.265' }, 'everything was bought since')
      assert.equal(value?.changes.day, null, 'nobody knows the price of a day ago')
      assert.equal(value?.oldestPriceAgeMs, 60_000)
      const snapshots = await ledger.listSnapshots((await ledger.findPortfolio('mixed'))?.portfolioId ?? 0, 10)
      assert.deepEqual(
        snapshots.map(({ day, currentValue }) => [day, currentValue]),
        [['2026-05-15', '2584.5']],
      )
    })

    test('selling more than is held is refused with both numbers, and nothing is stored', async () => {
      await ledger.createPortfolio('short', 'USD')
      const sell = (quantity: string, executedMs: number, line: number) =>
        draft('MSFT', { side: 'sell', quantity, executedMs, line })
      const refused = await add('short', [draft('MSFT'), sell('10.5', NOW_MS, 3)])
      assert.deepEqual(refused, {
        ok: false,
        problems: [{ line: 3, message: 'cannot sell 10.5 MSFT at 2026-05-15T12:00:00.000Z: only 10 held then' }],
      })
      const id = (await ledger.findPortfolio('short'))?.portfolioId ?? 0
      assert.deepEqual(await ledger.listTransactions(id, 10, 0), [])
      assert.equal((await add('short', [draft('MSFT')])).ok, true)
      const early = await add('short', [sell('1', NOW_MS - 11 * DAY_MS, 1)])
      assert.match(early.ok ? '' : (early.problems[0]?.message ?? ''), /only 0 held then/, 'sold before it was bought')
      assert.equal((await add('short', [sell('10', NOW_MS, 1)], true)).ok, true, 'a dry run')
      assert.equal((await ledger.listTransactions(id, 10, 0)).length, 1, 'of which nothing is left')
    })

    test('a portfolio without positions is worth 0', async () => {
      await ledger.createPortfolio('empty', 'USD')
      await revalue()
      const value = (await ledger.showPortfolio('empty'))?.value
      assert.deepEqual(
        [value?.currentValue, value?.profit, value?.profitPercent, value?.positions],
        ['0', '0', null, 0],
      )
      assert.deepEqual(value?.changes.year, { money: '0', percent: null })
    })

    test('every attempt has a row; a price row is new only when the price is', async () => {
      await ledger.ensureAsset({ symbol: 'TSLA', type: 'stock', name: null, currency: null })
      const tesla = await assetOf('TSLA')
      const failed: SourcedAttempt = { ...quoted(tesla, '1'), answer: { ok: false, error: 'GET … answered 500' } }
      assert.equal(await ledger.saveAttempts([failed, { ...quoted(tesla, '250.1'), startedMs: NOW_MS }]), 1)
      assert.equal(await ledger.saveAttempts([{ ...quoted(tesla, '250.1'), startedMs: NOW_MS + 1 }]), 0)
      assert.equal(await ledger.saveAttempts([{ ...quoted(tesla, 'NaN'), startedMs: NOW_MS + 2 }]), 0)
      const rows = await ledger.read(
        'SELECT success, price, error FROM price_update_log WHERE asset_id = $1 ORDER BY at',
        [tesla.assetId],
      )
      assert.deepEqual(rows, [
        { success: false, price: null, error: 'GET … answered 500' },
        { success: true, price: '250.1', error: null },
        { success: true, price: '250.1', error: null },
        { success: false, price: null, error: 'not a price: NaN' },
      ])
      const [listed] = await ledger.listAssets({ text: 'tsla', trackedOnly: true, limit: 10, offset: 0 })
      assert.deepEqual(
        [listed?.name, listed?.currency, listed?.price, listed?.lastError],
        ['The TSLA', 'USD', '250.1', 'not a price: NaN'],
      )
      assert.equal(await ledger.untrackAsset('TSLA'), 'untracked')
      assert.equal(await ledger.untrackAsset('AAPL'), 'held')
      assert.equal(await ledger.untrackAsset('nobody'), 'unknown')
    })

    test('a history is queued a year before the first purchase, taken once, and never loses its place', async () => {
      await ledger.createPortfolio('past', 'USD')
      await add('past', [draft('OLD', { executedMs: Date.UTC(2026, 2, 10) })])
      await ledger.enqueueBackfills(NOW_MS)
      const queued = (await ledger.listBackfills(100)).find(({ symbol }) => symbol === 'OLD')
      assert.deepEqual([queued?.state, queued?.fromDay], ['pending', '2025-03-10'])
      const taken = new Map<string, string>()
      for (let task = await ledger.claimBackfill('one', NOW_MS); task !== null; ) {
        taken.set(task.asset.symbol, task.gaps[0]?.fromDay ?? '')
        task = await ledger.claimBackfill('two', NOW_MS)
      }
      assert.equal(taken.get('OLD'), '2025-03-10')
      assert.equal(await ledger.claimBackfill('three', NOW_MS + 599_000), null, 'all are in progress')
      assert.ok(await ledger.releaseBackfills('two', NOW_MS))
      assert.ok(await ledger.claimBackfill('three', NOW_MS), 'those of a restarted program at once')
      assert.ok(await ledger.claimBackfill('three', NOW_MS + 601_000), 'those of a lost one after ten minutes')
    })

    test('a day that is not to be had is asked for once, and a hole in the middle is found', async () => {
      const old = await assetOf('OLD')
      const days = Array.from({ length: 440 }, (_, n) => new Date(Date.UTC(2025, 2, 10) + n * DAY_MS))
      const weekdays = days.filter((day) => day.getUTCDay() % 6 !== 0 && day.getTime() < NOW_MS - DAY_MS / 2)
      const bars = weekdays.map((day) => ({
        day: day.toISOString().slice(0, 10),
        ...{ open: null, high: null, low: null, close: '5', volume: null },
      }))
      const range = { fromDay: '2025-03-10', toDay: '2026-05-14' }
      const holiday = bars.filter(({ day }) => day !== '2025-12-25')
      while ((await ledger.claimBackfill('one', NOW_MS + 700_000)) !== null);
      await ledger.saveHistory(old, 'yahoo', range, { bars: holiday, currency: 'USD' }, NOW_MS)
      await ledger.endBackfill(old.assetId, { state: 'completed' }, NOW_MS)
      const laterMs = NOW_MS + 7 * 3_600_000
      const stateOf = async () => (await ledger.listBackfills(100)).find(({ symbol }) => symbol === 'OLD')?.state
      await ledger.enqueueBackfills(laterMs)
      assert.equal(await stateOf(), 'completed', 'a holiday is no gap')
      await administer(
        fresh.url,
        "DELETE FROM asset_prices WHERE asset_id = $1 AND kind = 'd' AND ts BETWEEN '2025-11-04' AND '2025-11-06'",
        [old.assetId],
      )
      await ledger.enqueueBackfills(laterMs)
      assert.equal(await stateOf(), 'pending')
      const tasks = []
      for (let task = await ledger.claimBackfill('one', laterMs); task !== null; ) {
        tasks.push(task)
        task = await ledger.claimBackfill('one', laterMs)
      }
      const gaps = tasks.find(({ asset }) => asset.symbol === 'OLD')?.gaps
      assert.deepEqual(gaps, [{ fromDay: '2025-11-03', toDay: '2025-11-05' }])
    })

    test('the price of an outcome token is its last one, and after the resolution the payout', async () => {
      const yes = '1'.repeat(70)
      const no = '2'.repeat(70)
      const at = (daysAgo: number) => new Date(NOW_MS - daysAgo * DAY_MS).toISOString()
      await administer(
        fresh.url,
        `INSERT INTO markets (condition_id, question, slug, active, closed, archived, accepting_orders, first_seen_at,
                              updated_at)
         VALUES ('0xabc', 'Will it rain?', 'rain', true, false, false, true, now(), now());
         INSERT INTO tokens (token_id, condition_id, outcome, outcome_index)
         VALUES ('${yes}', '0xabc', 'Yes', 0), ('${no}', '0xabc', 'No', 1);
         INSERT INTO last_prices SELECT token_key, '${at(3)}', CASE outcome WHEN 'Yes' THEN 0.37 ELSE 0.63 END, 1
         FROM tokens WHERE condition_id = '0xabc'`,
      )
      const prices = await ledger.loadOutcomePrices([yes, '3'])
      assert.deepEqual(prices, [{ tokenId: yes, price: '0.37', atMs: NOW_MS - 3 * DAY_MS, name: 'Will it rain?: Yes' }])
      await administer(
        fresh.url,
        `INSERT INTO resolutions VALUES ('0xabc', 'winner', 'No', '${no}', 1, '${at(4)}', 'gamma', '${at(2)}')`,
      )
      const settled = await ledger.loadOutcomePrices([yes, no])
      assert.deepEqual(
        settled.map(({ tokenId, price, atMs }) => [tokenId, price, atMs]).sort(),
        [
          [yes, '0', NOW_MS - 2 * DAY_MS],
          [no, '1', NOW_MS - 2 * DAY_MS],
        ],
        'newer than every price before it',
      )
      const days = await ledger.loadOutcomeDays(no, { fromDay: '2026-05-01', toDay: '2026-05-13' })
      assert.deepEqual(
        days.map(({ day, close }) => [day, close]),
        [
          ['2026-05-11', '1'],
          ['2026-05-12', '1'],
          ['2026-05-13', '1'],
        ],
      )
    })

    test('a new transaction notifies, whoever stores it; a lost connection is told', async () => {
      const stop = new AbortController()
      const signals: (() => void)[] = []
      let heard = 0
      const next = () => new Promise<void>((resolve) => signals.push(resolve))
      const connected = next()
      const listening = ledger.listenForTransactions(() => {
        heard += 1
        signals.shift()?.()
      }, stop.signal)
      await connected
      const notified = next()
      await administer(
        fresh.url,
        `INSERT INTO transactions (executed_at, portfolio_id, asset_id, side, quantity, price)
         SELECT now() - interval '1 hour', p.portfolio_id, a.asset_id, 'buy', 1, 1
         FROM portfolios p, assets a WHERE p.name = 'past' AND a.symbol = 'OLD'`,
      )
      await notified
      assert.equal(heard, 2)
      const lost = assert.rejects(listening, /the connection that listens for transactions was lost/)
      await administer(
        fresh.url,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name = 'tapekeeper listener' AND datname = current_database()`,
      )
      await lost
      stop.abort()
      await ledger.listenForTransactions(() => assert.fail(), stop.signal)
    })
  })
}

test('days that are close are one range', () => {
  assert.deepEqual(toRanges(['2026-05-01', '2026-05-04', '2026-05-18', '2026-06-02']), [
    { fromDay: '2026-05-01', toDay: '2026-05-18' },
    { fromDay: '2026-06-02', toDay: '2026-06-02' },
  ])
})
