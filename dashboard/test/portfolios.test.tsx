import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import type { PortfolioDetail } from '../../src/api/contract.ts'
import { RequestError } from '../src/data/request.ts'
import { type CardCase, describeCard } from './card-states.tsx'
import * as made from './samples.ts'
import { type Answers, type Stage, stage } from './support.tsx'

const { App } = await import('../src/app.tsx')
const { useResource } = await import('../src/data/hooks.ts')
const { NO_ENTRY, problemsOf, toTransaction } = await import('../src/portfolios/entry.ts')
const { PortfolioView } = await import('../src/portfolios/portfolio.tsx')
const { Portfolios } = await import('../src/portfolios/portfolios.tsx')
const { PositionsCard } = await import('../src/portfolios/positions-card.tsx')
const { TransactionsCard } = await import('../src/portfolios/transactions-card.tsx')
const { ValueCard } = await import('../src/portfolios/value-card.tsx')
const { valuePoints } = await import('../src/portfolios/value-data.ts')
const { readRoute } = await import('../src/route.ts')
const words = await import('../src/words.ts')

const PATH = 'api/portfolios/7'
const LONG = '1'.repeat(78)

function Positions() {
  return <PositionsCard of={useResource<PortfolioDetail>(PATH)} />
}

const CASES: readonly CardCase[] = [
  {
    name: 'Portfolios',
    element: <Portfolios />,
    path: 'api/portfolios',
    good: { portfolios: [made.portfolio()], limit: 1_000, offset: 0 },
    shows: [/savingsin USD\$1,800\.00▲ \+\$115\.65▼ −\$12\.5013 s ago/],
    next: { portfolios: [made.portfolio({ performance: null })], limit: 1_000, offset: 0 },
    showsNext: /not valued yet/,
    empty: { portfolios: [], limit: 1_000, offset: 0 },
    showsEmpty: /There is no portfolio yet\. On the command line, “tapekeeper portfolio create/,
  },
  {
    name: 'Positions',
    element: <Positions />,
    path: PATH,
    good: made.portfolio(),
    shows: [/AppleAAPL · stock9\$200\.001 m 30 s ago\$1,684\.35\$187\.15 each\$1,800\.00▲ \+\$115\.65\+6\.87 %/],
    next: made.portfolio({
      positions: [made.position({ price: null, price_at: null, value: null, profit: null })],
      performance: made.performance({ missing: [{ symbol: 'AAPL', what: 'price' }], missing_count: 1 }),
    }),
    showsNext: /not knownnever priced\$1,684\.35\$187\.15 eachno price is knownnot known$/,
    empty: made.portfolio({ positions: [] }),
    showsEmpty: /Nothing is held/,
  },
  {
    name: 'Value over time',
    element: <ValueCard id="7" currency="USD" />,
    path: `${PATH}/snapshots`,
    good: { snapshots: [made.snapshot('2026-04-30', '1700'), made.snapshot('2026-05-01', '1800')] },
    shows: [/the last value of each day, UTC/],
    next: { snapshots: [made.snapshot('2026-04-30', '1700', 1), made.snapshot('2026-05-01', '1810')] },
    showsNext: /On 1 day something was not known and is left out/,
    empty: { snapshots: [made.snapshot('2026-05-01', '1800')] },
    showsEmpty: /one day so far: \$1,800\.00 on 2026-05-01\. The line begins with the second/,
  },
  {
    name: 'Transactions',
    element: <TransactionsCard id="7" />,
    path: `${PATH}/transactions`,
    good: { transactions: [made.transaction()], limit: 200, offset: 0 },
    shows: [/AAPLBought9\$187\.15–/],
    next: {
      transactions: [made.transaction({ side: 'sell', fee: '1.5', symbol: LONG, currency: 'GBX?', notes: '<b>' })],
      limit: 200,
      offset: 0,
    },
    showsNext: /111111…111111<b>Sold9187\.15 GBX\?1\.50 GBX\?/,
    empty: { transactions: [], limit: 200, offset: 0 },
    showsEmpty: /Nothing has been bought or sold yet/,
  },
]
for (const one of CASES) describeCard(one)

function answers(change: Answers = {}): Answers {
  return {
    [PATH]: made.portfolio(),
    [`${PATH}/snapshots`]: { snapshots: [] },
    [`${PATH}/transactions`]: { transactions: [], limit: 200, offset: 0 },
    ...change,
  }
}

describe('one portfolio', () => {
  test('says what it is worth, how that changed, and since when', () =>
    stage(answers(), <PortfolioView id="7" />, async (page) => {
      const head = page.find('.card-portfolio').textContent ?? ''
      assert.match(
        head,
        /savings\$1,800\.00Profit▲ \+\$115\.65\+6\.87 %Invested\$1,684\.35Realized by sales▲ \+\$22\.85/,
      )
      assert.match(head, /Last day▼ −\$12\.50−0\.69 %Last 7 days▲ \+\$40\.00\+2\.27 %Last 30 daysnot known/)
      assert.match(head, /Valued3 s agoOldest price used1 m 30 s ago/)
      assert.doesNotMatch(head, /Incomplete/)
    }))

  test('says what is left out of it, and does not guess', () => {
    const missing = [
      { symbol: LONG, what: 'price' as const },
      { symbol: 'SAP.DE', what: 'exchange_rate' as const },
    ]
    const portfolio = made.portfolio({ performance: made.performance({ missing, missing_count: 2 }) })
    return stage(answers({ [PATH]: portfolio }), <PortfolioView id="7" />, async (page) => {
      const head = page.find('.card-portfolio').textContent ?? ''
      assert.match(
        head,
        /Incomplete Left out, never guessed\. 111111…111111: no price is known; SAP\.DE: no exchange rate/,
      )
    })
  })

  test('that does not exist says so', () =>
    stage({}, <PortfolioView id="7" />, async (page) => assert.match(page.text, /nothing is at api\/portfolios\/7/)))

  test('the line of its value: what was paid, and where something was left out', () => {
    const { columns, say } = valuePoints([made.snapshot('2026-04-30', '1700', 1), made.snapshot('x', '3')], 'EUR')
    assert.deepEqual(columns, [[Date.parse('2026-04-30') / 1_000], [1_700], [1_684.35], [1_700]])
    assert.equal(say(1_700), '€1,700.00')
  })
})

async function fill(page: Stage, fields: Record<string, string>) {
  for (const [name, value] of Object.entries(fields)) await page.enter(`[name=${name}]`, value)
  await page.send('form', 'submit')
}

const sent = (page: Stage) => page.asked.filter(({ options }) => options?.method === 'POST')

describe('adding a transaction', () => {
  test('stores what was typed, says so, empties the form and shows the portfolio anew', () => {
    const stored = { added: 1, new_assets: ['SAP.DE'], performance: null }
    return stage(answers(), <PortfolioView id="7" />, async (page) => {
      page.answers = answers({ [`${PATH}/transactions`]: stored })
      await fill(page, { symbol: ' sap.de ', quantity: '2', price: '187.15' })
      assert.deepEqual(
        sent(page).map(({ path, options }) => [path, options?.body]),
        [[`${PATH}/transactions`, { symbol: 'sap.de', side: 'buy', quantity: '2', price: '187.15' }]],
      )
      assert.match(page.find('.stored').textContent ?? '', /Stored: bought 2 SAP\.DE\. The asset is new/)
      assert.equal((page.find('[name=quantity]') as HTMLInputElement).value, '')
      page.answers = answers({ [PATH]: made.portfolio({ name: 'savings and more' }) })
      await page.pass(1_000)
      assert.match(page.text, /savings and more/)
    })
  })

  test('sends nothing that is seen to be wrong, and says what is', () =>
    stage(answers(), <PortfolioView id="7" />, async (page) => {
      await fill(page, { quantity: '1,5', price: '-1', fee: 'x' })
      assert.equal(sent(page).length, 0)
      const problems = page.all('.entry-problem').map(({ textContent }) => textContent)
      const number = 'Write it as a number like 12.5.'
      assert.deepEqual(problems, ['Which asset was it?', number, number, number])
      assert.equal(page.all('[aria-invalid=true]').length, 4)
    }))

  test('a sale of more than is held is refused in words, at its field, and what was typed stays', () =>
    stage(answers(), <PortfolioView id="7" />, async (page) => {
      await page.enter('[name=symbol]', 'aapl')
      assert.match(page.text, /9 held now/)
      page.failure = new RequestError(400, 'cannot sell 10.5 AAPL at 2026-05-01T12:00:00.000Z: only 9 held then')
      await page.send('input[name=side]:not(:checked)', 'change')
      await fill(page, { quantity: '10.5', price: '1' })
      const sale = { symbol: 'aapl', side: 'sell', quantity: '10.5', price: '1' }
      assert.deepEqual(sent(page)[0]?.options?.body, sale)
      assert.match(
        page.find('[role=alert]').textContent ?? '',
        /Not stored: cannot sell 10\.5 AAPL .*only 9 held then\./,
      )
      assert.equal(page.find('.entry-problem').textContent, 'More than was held then.')
      assert.equal((page.find('[name=quantity]') as HTMLInputElement).value, '10.5')
    }))
})

describe('adding a transaction when things go wrong', () => {
  test('does not say that nothing was stored when that is not known', () =>
    stage(answers(), <PortfolioView id="7" />, async (page) => {
      page.failure = new RequestError(0, 'Tapekeeper does not answer')
      await fill(page, { symbol: 'AAPL', quantity: '1', price: '1' })
      assert.match(page.find('[role=alert]').textContent ?? '', /Whether it was stored is not known/)
    }))

  test('is done once, however often it is asked for', () =>
    stage(answers(), <PortfolioView id="7" />, async (page) => {
      page.silent = true
      await fill(page, { symbol: 'AAPL', quantity: '1', price: '1' })
      await page.send('form', 'submit')
      assert.equal(sent(page).length, 1)
    }))

  test('a form that stays while the recorder is away', () =>
    stage(answers(), <PortfolioView id="7" />, async (page) => {
      await page.enter('[name=quantity]', '12')
      page.failure = new RequestError(0, 'Tapekeeper does not answer')
      await page.pass(60_000)
      assert.equal((page.find('[name=quantity]') as HTMLInputElement).value, '12')
      assert.ok(page.all('.is-stale').length >= 3)
    }))

  test('what is wrong, field by field', () => {
    const good = { ...NO_ENTRY, symbol: 'X', quantity: '1', price: '0' }
    assert.deepEqual(problemsOf(good, made.NOW_MS), {})
    assert.deepEqual(Object.keys(problemsOf({ ...good, quantity: '0.0', exchange_rate: '0' }, made.NOW_MS)), [
      ...['quantity', 'exchange_rate'],
    ])
    assert.match(problemsOf({ ...good, time: '2027-01-01T00:00' }, made.NOW_MS).time ?? '', /future/)
    assert.match(problemsOf({ ...good, time: 'soon' }, made.NOW_MS).time ?? '', /a day and a time/)
    assert.match(problemsOf({ ...good, currency: 'dollars' }, made.NOW_MS).currency ?? '', /three letters/)
    const time = new Date(2026, 3, 1, 14, 30)
    assert.equal(toTransaction({ ...good, time: '2026-04-01T14:30' }).time, time.toISOString())
  })
})

describe('the views of portfolios', () => {
  beforeEach(() => {
    location.hash = ''
  })

  test('are reached by link and by key, and by address', async () => {
    assert.deepEqual(readRoute('#/portfolios'), { view: 'portfolios' })
    assert.deepEqual(readRoute('#/portfolios/12'), { view: 'portfolio', id: '12' })
    for (const wrong of ['#/portfolios/x', '#/portfolios/1/2', '#/portfolios/-1']) {
      assert.deepEqual(readRoute(wrong), { view: 'unknown' })
    }
    await stage({ 'api/portfolios': { portfolios: [], limit: 1_000, offset: 0 } }, <App />, async (page) => {
      const links = page.all('nav a').map(({ textContent }) => textContent)
      assert.deepEqual(links, ['Overview', 'Fetcher', 'Markets', 'Portfolios'])
      await page.press('4')
      assert.match(page.text, /There is no portfolio yet/)
      await page.press('?')
      assert.match(page.find('.help').textContent ?? '', /4Portfolios/)
    })
  })

  test('money in words', () => {
    assert.equal(words.money('1234.5', 'USD'), '$1,234.50')
    assert.equal(words.money(null, 'USD'), '–')
    assert.equal(words.money('no', 'USD'), '–')
    assert.equal(words.price('0.0412', 'EUR'), '€0.0412')
    assert.equal(words.price('43210.123', 'USD'), '$43,210.12')
    assert.equal(words.price('12', null), '12.00')
    assert.equal(words.amount('1234.500000'), '1,234.5')
  })
})
