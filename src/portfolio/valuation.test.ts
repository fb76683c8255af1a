import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Flow, Holding, Horizon, MarketData, Performance } from '../core/portfolio.ts'
import { horizonsOf, valuation } from './valuation.ts'

const NOW_MS = Date.UTC(2026, 4, 15, 12)
const DAY_MS = 86_400_000
const HORIZONS_MS = horizonsOf(NOW_MS)

/** Values at horizons; a pair is a value and its age at that horizon, ms. */
type Known = Partial<Record<Horizon, string | readonly [string, number]>>

function market(prices: Readonly<Record<number, Known>>, rates: Readonly<Record<string, Known>> = {}): MarketData {
  const dated = (known: Known | undefined, horizon: Horizon) => {
    const found = known?.[horizon]
    if (found === undefined) return null
    const [value, ageMs] = typeof found === 'string' ? [found, 0] : found
    return { value, atMs: HORIZONS_MS[horizon] - ageMs }
  }
  return {
    nowMs: NOW_MS,
    price: (assetId, horizon) => dated(prices[assetId], horizon),
    rate: (from, to, horizon) =>
      from === to ? { value: '1', atMs: HORIZONS_MS[horizon] } : dated(rates[`${from} ${to}`], horizon),
  }
}

function holding(assetId: number, change: Partial<Holding> = {}): Holding {
  return {
    assetId,
    symbol: `A${assetId}`,
    name: `Asset ${assetId}`,
    type: 'stock',
    currency: 'USD',
    quantity: '10',
    averageCost: '8',
    cost: '80',
    realized: '0',
    fees: '0',
    invested: '80',
    realizedMoney: '0',
    firstBoughtMs: NOW_MS - 400 * DAY_MS,
    flows: [],
    ...change,
  }
}

function valued(holdings: readonly Holding[], data: MarketData): Performance {
  const portfolio = { portfolioId: 3, name: 'p', currency: 'USD', createdMs: 0 }
  return valuation(data)({ portfolio, revision: '4', holdings })
}

const flow = (period: Flow['period'], quantity: string, paid: string, received = '0'): Flow => {
  return { period, quantity, paid, received }
}

describe('what a portfolio is worth', () => {
  test('without positions it is worth 0, and nothing is missing', () => {
    const { currentValue, invested, profit, profitPercent, missing, oldestPriceMs, changes } = valued([], market({}))
    assert.deepEqual([currentValue, invested, profit, profitPercent, oldestPriceMs], ['0', '0', '0', null, null])
    assert.deepEqual(missing, [])
    assert.deepEqual(changes.year, { money: '0', percent: null })
  })

  test('is quantity × price × rate, exactly, with the age of the oldest price', () => {
    const foreign = holding(2, { currency: 'EUR', quantity: '0.1', invested: '0.05' })
    const performance = valued(
      [holding(1), foreign],
      market({ 1: { now: ['10.1', 5_000] }, 2: { now: ['0.7', 60_000] } }, { 'EUR USD': { now: '1.1' } }),
    )
    assert.equal(performance.currentValue, '101.077')
    assert.deepEqual([performance.invested, performance.profit], ['80.05', '21.027'])
    assert.equal(performance.profitPercent, '26.2673')
    assert.equal(performance.oldestPriceMs, NOW_MS - 60_000)
    assert.deepEqual(
      performance.holdings.map(({ symbol, value, profit, exchangeRate }) => [symbol, value, profit, exchangeRate]),
      [
        ['A1', '101', '21', '1'],
        ['A2', '0.077', '0.027', '1.1'],
      ],
    )
  })

  test('leaves out what has no price, rate or currency, and says so', () => {
    const { currentValue, invested, profit, missing, holdings } = valued(
      [
        holding(1),
        holding(2),
        holding(3, { currency: 'EUR', realizedMoney: null }),
        holding(4, { currency: null, invested: null }),
      ],
      market({ 1: { now: '9' }, 3: { now: '5' }, 4: { now: '5' } }),
    )
    assert.deepEqual([currentValue, profit], ['90', '10'], 'of the one that is known')
    assert.equal(invested, '240', 'every cost that is known')
    assert.deepEqual(missing, [
      { symbol: 'A2', what: 'price' },
      { symbol: 'A3', what: 'exchange_rate' },
      { symbol: 'A4', what: 'currency' },
      { symbol: 'A4', what: 'purchase_rate' },
      { symbol: 'A3', what: 'purchase_rate' },
    ])
    assert.deepEqual(
      holdings.map(({ value }) => value),
      ['90', null, null, null],
    )
  })

  test('a price of 0 is a price', () => {
    const { currentValue, missing, profit } = valued([holding(1)], market({ 1: { now: '0' } }))
    assert.deepEqual([currentValue, profit, missing], ['0', '-80', []])
  })

  test('what is sold out is no position, but what it earned counts', () => {
    const sold = holding(1, { quantity: '0', cost: '0', invested: '0', realizedMoney: '12.5' })
    const { positions, holdings, realized, missing } = valued([sold], market({}))
    assert.deepEqual([positions, holdings, realized, missing], [0, [], '12.5', []])
  })
})

describe('how it changed', () => {
  const known = { now: '12', day: '11', week: '10', month: '8', year: '4' }

  test('what was held all the time changed with its price', () => {
    const { changes } = valued([holding(1)], market({ 1: known }))
    assert.deepEqual(changes, {
      day: { money: '10', percent: '9.0909' },
      week: { money: '20', percent: '20' },
      month: { money: '40', percent: '50' },
      year: { money: '80', percent: '200' },
    })
  })

  test('what was paid in is no gain, and what was taken out no loss', () => {
    const flows = [flow('day', '4', '46'), flow('week', '-2', '46', '63')]
    const { changes } = valued([holding(1, { flows })], market({ 1: known }))
    assert.deepEqual(changes.day, { money: '8', percent: '7.1429' }, '120 − 6 × 11 − 46, of 66 + 46')
    assert.deepEqual(changes.week, { money: '17', percent: '10.241' }, '120 + 63 − 12 × 10 − 46, of 120 + 46')
    assert.deepEqual(changes.month, { money: '40', percent: '50' })
  })

  test('what was bought and sold since needs no price of then', () => {
    const flows = [flow('day', '10', '100')]
    const { changes } = valued([holding(1, { flows })], market({ 1: { now: '12' } }))
    assert.deepEqual([changes.day, changes.week], [{ money: '20', percent: '20' }, null])
  })

  test('is not told where a price, a rate or a payment of then is not known, or is a week too old', () => {
    const foreign = (rates: Known) => {
      return valued([holding(1, { currency: 'EUR' })], market({ 1: known }, { 'EUR USD': rates })).changes
    }
    assert.deepEqual(foreign({ now: '1', day: '1' }).week, null)
    assert.deepEqual(foreign({ now: '1', day: '1' }).day, { money: '10', percent: '9.0909' })
    assert.equal(foreign({ now: '1', day: ['1', 7 * DAY_MS + 1] }).day, null)
    assert.notEqual(foreign({ now: '1', day: ['1', 7 * DAY_MS] }).day, null)
    const old = valued([holding(1)], market({ 1: { now: ['12', 30 * DAY_MS], day: ['11', 8 * DAY_MS] } }))
    assert.deepEqual([old.currentValue, old.changes.day], ['120', null], 'an old price now is told by its age')
    const unpaid: Flow = { period: 'day', quantity: '1', paid: null, received: '0' }
    assert.equal(valued([holding(1, { flows: [unpaid] })], market({ 1: known })).changes.day, null)
  })

  test('days, weeks, months and years are 1, 7, 30 and 365 days', () => {
    const ages = Object.entries(HORIZONS_MS).map(([horizon, ms]) => [horizon, (NOW_MS - ms) / DAY_MS])
    assert.deepEqual(Object.fromEntries(ages), { now: 0, day: 1, week: 7, month: 30, year: 365 })
  })
})
