import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import type { Asset } from '../../src/core/assets.ts'
import type { Ledger } from '../../src/ledger/ledger.ts'
import { selectPriceUpdates } from '../../src/ledger/price-updates.ts'
import { administer, freshLedger } from '../../src/ledger/test-server.ts'
import { positionOf } from '../../src/portfolio/positions.ts'
import { PortfolioValueCalculator } from '../../src/portfolio/recalculation.ts'
import { Drive } from '../support/drive.ts'
import { type Behaviour, type CycleScript, INTERVAL_MS, makeAssets, runCycles, updatesOf } from './asset-cycles.ts'

const ASSETS = 4
const RUNS = { numRuns: 100, verbose: 1 } as const
const DRIFT_MS_MAX = 5_000
const BOUGHT_MS = Date.UTC(2019, 0, 1)

const price = fc.integer({ min: 1, max: 1_000_000 }).map((cents) => cents / 100)
const latencyMs = fc.integer({ min: 0, max: 14_000 })
const good: fc.Arbitrary<Behaviour> = fc.record({ kind: fc.constant('price' as const), price, latencyMs })
const bad: fc.Arbitrary<Behaviour> = fc.oneof(
  fc.record({
    kind: fc.constant('error' as const),
    message: fc.constantFrom('read ECONNRESET', 'GET x answered 500', 'GET x took longer than 15 s'),
    latencyMs,
  }),
  fc.record({
    kind: fc.constant('nonsense' as const),
    answer: fc.constantFrom(null, [], '<html></html>', { chart: { result: [], error: null } }),
  }),
)
const answers = fc.array(fc.oneof(good, bad), { minLength: ASSETS, maxLength: ASSETS })
const fine = { failingStores: 0, failingValues: false }
const calm = fc.record({ answers, failingStores: fc.constant(0), failingValues: fc.constant(false) })
const anything: fc.Arbitrary<CycleScript> = fc.record({
  answers,
  failingStores: fc.integer({ min: 0, max: 2 }),
  failingValues: fc.boolean(),
  isDown: fc.boolean(),
})
const isPriced = (script: CycleScript) => !script.isDown && script.answers.some(({ kind }) => kind === 'price')
const isStored = (script: CycleScript) => script.failingStores < 2
const isSuccess = (script: CycleScript) => isPriced(script) && isStored(script)

describe('properties of asset cycles', { concurrency: false }, () => {
  let ledger: Ledger
  let url: string
  let assets: readonly Asset[]
  before(async () => {
    const fresh = await freshLedger()
    ledger = fresh.ledger
    url = fresh.url
    // Nothing here is about a power cut.
    await administer(fresh.url, `ALTER DATABASE ${new URL(fresh.url).pathname.slice(1)} SET synchronous_commit = off`)
    assets = await makeAssets(ledger, ASSETS)
    for (const [n, symbols] of [['P0', 'P1', 'P2', 'P3'], ['P1'], []].entries()) {
      const portfolio = await ledger.createPortfolio(`held ${n}`, 'USD')
      assert.ok(portfolio)
      const drafts = symbols.map((symbol, at) => ({
        ...{ symbol, side: 'buy' as const, quantity: `${at + 1}.5`, price: '10', fee: '1', executedMs: BOUGHT_MS },
        ...{ notes: null, exchangeRate: null, type: 'stock' as const, currency: 'USD', name: null, line: null },
      }))
      if (drafts.length === 0) continue
      const options = { dryRun: false, nowMs: BOUGHT_MS }
      const added = await ledger.appendTransactions(portfolio.portfolioId, drafts, positionOf, options)
      assert.ok(added.ok)
    }
  })
  after(() => ledger.close())

  const holds = <T>(arbitrary: fc.Arbitrary<T>, predicate: (value: T) => Promise<void>) =>
    fc.assert(fc.asyncProperty(arbitrary, predicate), RUNS)
  const cachedAt = () =>
    ledger.read<{ portfolio_id: number; updated_ms: number }>(
      `SELECT portfolio_id, (extract(epoch FROM updated_at) * 1000)::float8 AS updated_ms
       FROM portfolio_performance_cache`,
    )

  test('1: cycles start every 10 minutes with at most 5 s of drift, whatever they meet', async () => {
    await holds(fc.array(anything, { minLength: 2, maxLength: 3 }), async (scripts) => {
      const { cycles, startMs } = await runCycles(ledger, scripts)
      assert.equal(cycles.length, scripts.length)
      for (const [n, { startedMs }] of cycles.entries()) {
        const driftMs = startedMs - (startMs + n * INTERVAL_MS)
        assert.ok(driftMs >= 0 && driftMs <= DRIFT_MS_MAX, `cycle ${n} started ${driftMs} ms late`)
      }
    })
  })

  test('4: every successful cycle values the portfolios, and no other does', async () => {
    await holds(anything, async (script) => {
      const { cycles, valuations } = await runCycles(ledger, [script])
      assert.equal(cycles[0]?.ok, isSuccess(script))
      assert.equal(valuations.length > 0, isSuccess(script))
      if (!isSuccess(script) || script.failingValues) return
      const cached = await cachedAt()
      assert.equal(cached.length, 3)
      for (const row of cached) assert.equal(row.updated_ms, valuations.at(-1)?.atMs)
    })
  })

  test('5: a value changes as a whole and is there for everybody at once', async () => {
    const drive = new Drive(Date.UTC(2040, 0, 1))
    const calculator = new PortfolioValueCalculator({ store: ledger, clock: drive.clock, log: drive.log })
    const { signal } = new AbortController()
    let atMs = Date.UTC(2040, 0, 1)
    await holds(fc.array(price, { minLength: ASSETS, maxLength: ASSETS }), async (prices) => {
      atMs += 60_000
      await drive.clock.advance(60_000)
      const quotes = { open: null, high: null, low: null, volume: null, currency: 'USD', name: null, exchange: null }
      await ledger.saveAttempts(
        assets.map((asset, n) => {
          const quote = { ...quotes, atMs, price: String(prices[n]) }
          return { asset, startedMs: atMs, durationMs: 1, source: 'yahoo', answer: { ok: true as const, quote } }
        }),
      )
      const state = { over: false }
      const read = async () => {
        do {
          const shown = await ledger.showPortfolio('held 0')
          const value = shown?.value
          if (!shown || !value) continue
          const sum = shown.holdings.reduce((total, one) => total + Math.round(Number(one.value) * 1e4), 0)
          assert.equal(Math.round(Number(value.currentValue) * 1e4), sum, 'half of a value')
        } while (!state.over)
      }
      const reading = read()
      reading.catch(() => undefined) // asked below, where the property hears of it
      await calculator.recalculateAllPortfolios(signal)
      const value = (await ledger.showPortfolio('held 0'))?.value
      state.over = true
      await reading
      const expected = prices.reduce((total, one, n) => total + Math.round(one * 100) * (10 * n + 15), 0)
      assert.equal(Math.round(Number(value?.currentValue) * 1_000), expected, 'not there when it was said to be')
      assert.equal(value?.updatedAt, new Date(atMs).toISOString())
    })
    // The others live earlier, and an older value does not replace a newer one.
    await administer(url, 'DELETE FROM portfolio_performance_cache')
  })

  test('6: a failed valuation is logged, and the next cycle runs', async () => {
    await holds(answers, async (first) => {
      const failing = { answers: [...first.slice(1), { kind: 'price' as const, price: 5, latencyMs: 5 }], ...fine }
      const { cycles, drive, valuations } = await runCycles(ledger, [
        { ...failing, failingValues: true },
        { ...failing, failingValues: false },
      ])
      assert.deepEqual([cycles.length, cycles[0]?.ok, cycles[1]?.ok], [2, true, true])
      const line = drive.lines.find(({ message }) => message.startsWith('portfolios could not be valued'))
      assert.equal(line?.level, 'error')
      assert.ok(line?.context['err'] instanceof Error)
      assert.equal(valuations.at(-1)?.ok, true)
    })
  })

  test('7: every portfolio has its value within 30 s of the end of its cycle’s prices', async () => {
    await holds(anything.filter(isSuccess), async (script) => {
      const settled = { ...script, failingValues: false }
      const realMs = performance.now()
      const { cycles, startMs, stores } = await runCycles(ledger, [settled])
      const tookMs = performance.now() - realMs
      const storedMs = stores.at(-1)?.atMs ?? startMs
      for (const { updated_ms: updatedMs } of await cachedAt()) {
        assert.ok(updatedMs >= storedMs && updatedMs <= storedMs + 30_000, `valued at ${updatedMs}`)
      }
      assert.ok((cycles[0]?.durationMs ?? 0) <= storedMs - startMs + 30_000)
      assert.ok(tookMs < 30_000)
    })
  })

  test('14: every attempt to get a price is in the log with asset, time, status and error', async () => {
    await holds(calm, async (script) => {
      const run = await runCycles(ledger, [script])
      const updates = await updatesOf(ledger, run)
      assert.equal(updates.length, ASSETS)
      for (const [n, behaviour] of script.answers.entries()) {
        const update = updates.find(({ asset_id: id }) => id === assets[n]?.assetId)
        assert.ok(update, `asset ${n} has no row`)
        assert.equal(update.success, behaviour.kind === 'price')
        assert.equal(update.price, behaviour.kind === 'price' ? String(behaviour.price) : null)
        assert.equal(update.error === null, behaviour.kind === 'price')
        if (behaviour.kind === 'error') assert.equal(update.error, behaviour.message)
        assert.ok(update.at_ms >= run.startMs && update.at_ms < run.startMs + INTERVAL_MS)
        if (behaviour.kind !== 'nonsense') assert.equal(update.duration_ms, behaviour.latencyMs)
      }
      const failures = script.answers.filter(({ kind }) => kind !== 'price').length
      const told = run.drive.lines.filter(({ level, message }) => level === 'warn' && message.includes('have no price'))
      assert.equal(told.length, failures > ASSETS / 2 ? 1 : 0, 'more than half of them is worth a warning')
    })
  })

  test('16: at least the 50 newest updates are returned when there are more', async () => {
    let baseMs = Date.UTC(2045, 0, 1)
    const offsets = fc.uniqueArray(fc.integer({ min: 0, max: 100_000 }), { minLength: 51, maxLength: 90 })
    await holds(offsets, async (offsetsMs) => {
      baseMs += 1_000_000
      await ledger.saveAttempts(
        offsetsMs.map((offsetMs, n) => ({
          ...{ asset: assets[n % ASSETS] as Asset, startedMs: baseMs + offsetMs, durationMs: 1, source: 'yahoo' },
          answer: { ok: false as const, error: String(offsetMs) },
        })),
      )
      const updates = await ledger.view((session) => selectPriceUpdates(session, 50))
      const newest = offsetsMs.sort((a, b) => b - a).slice(0, 50)
      assert.deepEqual(
        updates.map(({ error }) => Number(error)),
        newest,
      )
    })
  })

  test('17: what one asset does leaves the others as they are', async () => {
    const which = fc.integer({ min: 0, max: ASSETS - 1 })
    await holds(fc.tuple(fc.array(good, { minLength: ASSETS, maxLength: ASSETS }), bad, which), async (given) => {
      const [others, failure, at] = given
      const spoilt = others.with(at, failure)
      const run = await runCycles(ledger, [{ answers: spoilt, ...fine }])
      assert.equal(run.cycles[0]?.ok, true)
      for (const update of await updatesOf(ledger, run)) {
        const n = assets.findIndex(({ assetId }) => assetId === update.asset_id)
        const answer = spoilt[n]
        assert.equal(update.price, answer?.kind === 'price' ? String(answer.price) : null)
        assert.equal(update.success, n !== at)
      }
    })
  })

  test('18: a database error is logged, tried exactly once more after 1 s, and the cycles go on', async () => {
    await holds(fc.tuple(fc.integer({ min: 1, max: 3 }), answers), async ([failingStores, first]) => {
      const some = [...first.slice(1), { kind: 'price' as const, price: 7, latencyMs: 1 }]
      const { cycles, stores, drive, startMs } = await runCycles(ledger, [
        { answers: some, failingStores, failingValues: false },
        { answers: some, ...fine },
      ])
      const inFirst = stores.filter(({ atMs }) => atMs < startMs + INTERVAL_MS)
      assert.equal(inFirst.length, 2, 'once, and once more')
      assert.equal((inFirst[1]?.atMs ?? 0) - (inFirst[0]?.atMs ?? 0), 1_000)
      const line = drive.lines.find(({ message }) => message.startsWith('could not store asset prices'))
      assert.deepEqual([line?.level, line?.context['err'] instanceof Error], ['warn', true])
      assert.deepEqual(
        cycles.map(({ ok }) => ok),
        [failingStores === 1, true],
      )
    })
  })

  test('19: after a failed cycle the next attempt is at the next scheduled time', async () => {
    const down = answers.map((some): CycleScript => ({ answers: some, ...fine, isDown: true }))
    await holds(fc.tuple(fc.array(down, { minLength: 1, maxLength: 2 }), calm.filter(isPriced)), async (given) => {
      const [failing, working] = given
      const { cycles, startMs } = await runCycles(ledger, [...failing, working])
      assert.deepEqual(
        cycles.map(({ startedMs, ok }) => [startedMs - startMs, ok]),
        [...failing, working].map((_, n) => [n * INTERVAL_MS, n === failing.length]),
      )
    })
  })
})
