import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Drive } from '../../test/support/drive.ts'
import type { TransactionDraft, ValuationStore } from '../core/portfolio.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { freshLedger } from '../ledger/test-server.ts'
import { positionOf } from './positions.ts'
import { PortfolioValueCalculator } from './recalculation.ts'

const NOW_MS = Date.UTC(2026, 4, 15, 12)
const DAY_MS = 86_400_000
const NAMES = ['one', 'two', 'three']
const never = new AbortController().signal

describe('the recalculation of portfolios', { concurrency: false }, () => {
  let ledger: Ledger
  const ids = new Map<string, number>()
  const idOf = (name: string) => ids.get(name) ?? 0
  const buy = async (name: string, quantity: string) => {
    const draft: TransactionDraft = {
      ...{ symbol: 'AAPL', side: 'buy', quantity, price: '8', fee: '0', executedMs: NOW_MS - DAY_MS, notes: null },
      ...{ exchangeRate: null, type: 'stock', currency: 'USD', name: null, line: null },
    }
    assert.ok((await ledger.appendTransactions(idOf(name), [draft], positionOf, { dryRun: false, nowMs: NOW_MS })).ok)
  }
  /** Revalues with a store that does something else here and there, at a later time each time. */
  let laterMs = 0
  const revalue = async (change: (store: Ledger) => Partial<ValuationStore> = () => ({}), signal = never) => {
    laterMs += 1_000
    const drive = new Drive(NOW_MS + laterMs)
    const store = drive.watch({ ...ledger, ...change(ledger) })
    const calculator = new PortfolioValueCalculator({ store, clock: drive.clock, log: drive.log })
    const report = await drive.through(calculator.recalculateAllPortfolios(signal))
    const values = new Map<string, string>()
    for (const name of NAMES) {
      const value = (await ledger.showPortfolio(name))?.value
      const isNew = value?.updatedAt === new Date(NOW_MS + laterMs).toISOString()
      values.set(name, `${value?.currentValue}${isNew ? '' : ' of before'}`)
    }
    return { report, values: Object.fromEntries(values), lines: drive.lines }
  }

  before(async () => {
    ledger = (await freshLedger()).ledger
    for (const name of NAMES) ids.set(name, (await ledger.createPortfolio(name, 'USD'))?.portfolioId ?? 0)
    for (const [n, name] of NAMES.entries()) await buy(name, String(n + 1))
    const [asset] = await ledger.loadTrackedAssets()
    assert.ok(asset)
    const day = { open: null, high: null, low: null, volume: null }
    const quote = { atMs: NOW_MS, price: '10', currency: 'USD', name: null, exchange: null, ...day }
    await ledger.saveAttempts([
      { asset, startedMs: NOW_MS, durationMs: 1, source: 'yahoo', answer: { ok: true, quote } },
    ])
  })
  after(() => ledger.close())

  test('values each of them', async () => {
    const { report, values } = await revalue()
    assert.deepEqual([report.portfolios, report.failed], [3, 0])
    assert.deepEqual(values, { one: '10', two: '20', three: '30' })
  })

  test('what goes wrong with one is logged, counted, and its own', async () => {
    const { report, values, lines } = await revalue((store) => ({
      savePerformance: async (performance) => {
        if (performance.portfolioId === idOf('two')) throw new Error('numeric field overflow')
        return store.savePerformance(performance)
      },
    }))
    assert.deepEqual([report.portfolios, report.failed], [3, 1])
    assert.deepEqual(values, { one: '10', two: '20 of before', three: '30' })
    const [line, ...others] = lines.filter(({ level }) => level === 'error')
    assert.equal(line?.message, 'portfolio two could not be valued: numeric field overflow')
    assert.deepEqual([line?.context['portfolioId'], others], [idOf('two'), []])
  })

  test('one that is changed while it is valued is valued anew', async () => {
    let changes = 0
    const { report, values } = await revalue((store) => ({
      savePerformance: async (performance) => {
        if (performance.portfolioId === idOf('two') && changes < 2) {
          changes += 1
          await buy('two', '1')
        }
        return store.savePerformance(performance)
      },
    }))
    assert.deepEqual([changes, report.failed], [2, 0])
    assert.deepEqual(values, { one: '10', two: '40', three: '30' })
  })

  test('one that changes all the time is left for the next time', async () => {
    let attempts = 0
    const { report, values, lines } = await revalue((store) => ({
      savePerformance: async (performance) => {
        if (performance.portfolioId !== idOf('one')) return store.savePerformance(performance)
        attempts += 1
        return false
      },
    }))
    assert.deepEqual([attempts, report.failed, values['one']], [5, 1, '10 of before'])
    assert.ok(lines.some(({ message }) => message.endsWith('it changed 5 times while it was being valued')))
  })

  test('that costs cannot be looked up again is no reason not to value', async () => {
    const { report, values, lines } = await revalue(() => ({
      refreshPositions: () => Promise.reject(new Error('no')),
    }))
    assert.deepEqual([report.failed, values['three']], [0, '30'])
    assert.ok(lines.some(({ message }) => message === 'positions could not be brought up to date: no'))
  })

  test('a question that fails is asked once more; failing again it ends the recalculation', async () => {
    let failures = 1
    const load: (store: Ledger) => Partial<ValuationStore> = (store) => ({
      loadContents: async (...given) => {
        failures -= 1
        if (failures >= 0) throw new Error('the database is away')
        return store.loadContents(...given)
      },
    })
    assert.deepEqual((await revalue(load)).values, { one: '10', two: '40', three: '30' })
    failures = 2
    await assert.rejects(revalue(load), /the database is away/)
  })

  test('ends when it is told to', async () => {
    await assert.rejects(revalue(undefined, AbortSignal.abort()), /the recalculation was stopped/)
  })
})
