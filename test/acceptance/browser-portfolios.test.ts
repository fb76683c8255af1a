import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import type { Portfolio, PortfolioDetail } from '../../src/api/contract.ts'
import { accessibilityProblems, noBrowser, openPage, readRows, takePictures } from '../support/browser.ts'
import { until } from '../support/processes.ts'
import { startStand } from '../support/stand.ts'

const TOKEN = 'a-token-of-32-characters-at-least-0'
const HOSTILE = '<img src=x onerror="window.hacked=1">\u202Enote'
const WAIT_MS = 30_000
const DAYS = 60

/** Portfolios, and the way in: the recorder asks for a token, as it does beyond its own machine. */
describe('portfolios in a browser', { skip: noBrowser }, () => {
  let stand: Awaited<ReturnType<typeof startStand>>
  let id = 0
  let outcome = ''
  before(async () => {
    stand = await startStand({ assets: true, env: { TAPEKEEPER_API_TOKEN: TOKEN } })
    const { markets } = await stand.get<{ markets: { tokens: { token_id: string }[] }[] }>('api/markets')
    outcome = markets[0]?.tokens[0]?.token_id ?? ''
  })
  after(() => stand?.end())

  async function open(view: string) {
    const opened = await openPage(stand.browser, `${stand.daemon.apiUrl}/${view}`)
    await signIn(opened.page)
    return opened
  }
  const valuesOf = async (page: Page) => {
    const cells = { symbol: 'th small@title', value: '[data-label="Value"]@title' }
    const rows = await readRows(page, '.positions tbody tr', cells)
    return Object.fromEntries(rows.map(({ symbol, value }) => [symbol, value]))
  }

  test('asks for the token, says when it is wrong, and shows nothing before', async () => {
    const { page, context } = await openPage(stand.browser, `${stand.daemon.apiUrl}/#/portfolios`)
    await page.locator('.sign-in').waitFor({ timeout: WAIT_MS })
    assert.deepEqual(await takePictures(page, 'sign-in'), [])
    assert.deepEqual(await accessibilityProblems(page), [])
    await page.keyboard.type('wrong')
    await page.keyboard.press('Enter')
    await page.getByText('Not signed in: this is not the token.').waitFor({ timeout: WAIT_MS })
    assert.deepEqual(await accessibilityProblems(page), [])
    await signIn(page)
    await page.getByText('There is no portfolio yet').waitFor({ timeout: WAIT_MS })
    assert.deepEqual(await takePictures(page, 'portfolios-empty'), [])
    assert.deepEqual(await accessibilityProblems(page), [])
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.locator('.sign-in').waitFor({ timeout: WAIT_MS })
    await page.reload()
    await page.locator('.sign-in').waitFor({ timeout: WAIT_MS })
    await context.close()
  })

  test('values are those of the API and of the ledger; what is not known is not a number', async () => {
    id = (await stand.send<Portfolio>('api/portfolios', { name: 'savings' })).id
    const buy = (symbol: string, quantity: string, price: string, more = {}) =>
      stand.send(`api/portfolios/${id}/transactions`, {
        ...{ symbol, side: 'buy', quantity, price, time: '2026-01-05' },
        ...more,
      })
    await buy('AAPL', '10', '187.15', { notes: HOSTILE })
    await buy('SAP.DE', '3', '150', { exchange_rate: '1.1' })
    await buy(outcome, '100', '0.4')
    await buy('NOPE', '1', '5', { currency: 'USD' })
    await pastValues(id)
    const { page, context, troubles } = await open(`#/portfolios/${id}`)
    await page.locator('.positions tbody tr').nth(3).waitFor({ timeout: WAIT_MS })
    const agreed = await until(
      'page, API and ledger to agree',
      async () => {
        const shown = await valuesOf(page)
        const { positions } = await stand.get<PortfolioDetail>(`api/portfolios/${id}`)
        const told = Object.fromEntries(positions.map(({ symbol, value }) => [symbol, value]))
        const kept = await valuesInLedger(id)
        const isWhole = positions.filter(({ value }) => value !== null).length === 3
        return isWhole && same(shown, told) && same(shown, kept) ? { shown, positions } : undefined
      },
      WAIT_MS,
    )
    assert.equal(agreed.shown['NOPE'], null)
    const nope = page.locator('.positions tbody tr', { has: page.locator('[title="NOPE"]') })
    assert.equal(await nope.locator('[data-label="Value"]').innerText(), 'no price is known')
    assert.match(await page.locator('.missing').innerText(), /NOPE: no price is known/)
    assert.equal(await nope.locator('[data-label="Age of the price"]').innerText(), 'never priced')
    const aged = page.locator('.positions [data-label="Age of the price"] time')
    assert.equal(await aged.count(), 3)
    for (const text of await aged.allInnerTexts()) assert.match(text, /^\d+ s ago$/)
    await page.locator('.chart canvas').waitFor({ timeout: WAIT_MS })
    const chart = await page.locator('.chart').getAttribute('aria-label')
    assert.match(chart ?? '', new RegExp(`^Value over ${DAYS + 1} days: from \\$`))
    assert.equal(await page.locator('main img').count(), 0)
    assert.equal(await page.evaluate('window.hacked'), undefined)
    assert.ok((await page.locator('.transactions').innerText()).includes(HOSTILE))
    assert.deepEqual(await accessibilityProblems(page), [])
    assert.deepEqual(await takePictures(page, 'portfolio'), [])
    await page.getByText('All portfolios').click()
    await page.locator('.portfolios tbody tr').waitFor({ timeout: WAIT_MS })
    assert.deepEqual(await takePictures(page, 'portfolios'), [])
    assert.deepEqual(await accessibilityProblems(page), [])
    assert.deepEqual(troubles, [])
    await context.close()
  })

  test('a transaction is added by keyboard; a sale of more than is held is refused in words', async () => {
    const { page, context, troubles } = await open(`#/portfolios/${id}`)
    await page.getByLabel('Sold').check({ timeout: WAIT_MS, force: true })
    await page.getByLabel('Symbol').fill('aapl')
    await page.getByText('10 held now').waitFor()
    await page.getByLabel('Quantity').fill('10.5')
    await page.keyboard.press('Enter')
    await page.getByText('What did one of it cost?').waitFor()
    await page.keyboard.type('190.5') // that field has the focus now
    await page.keyboard.press('Enter')
    const refused = page.getByRole('alert').filter({ hasText: 'cannot sell 10.5 AAPL' })
    await refused.waitFor({ timeout: WAIT_MS })
    assert.match(await refused.innerText(), /only 10 held then/)
    assert.deepEqual(await accessibilityProblems(page), [])
    assert.deepEqual(await takePictures(page, 'portfolio-refused'), [])
    await page.keyboard.press('Control+A') // the quantity, which is what was wrong
    await page.keyboard.type('4')
    await page.keyboard.press('Enter')
    await page.getByText('Stored: sold 4 AAPL.').waitFor({ timeout: WAIT_MS })
    const aapl = page.locator('.positions tbody tr', { has: page.locator('[title="AAPL"]') })
    await aapl.locator('[data-label="Quantity"]', { hasText: /^6$/ }).waitFor({ timeout: WAIT_MS })
    await page.locator('.transactions tbody tr').nth(4).waitFor({ timeout: WAIT_MS })
    const kept = await stand.daemon.query<{ side: string; quantity: string; price: string }>(
      'SELECT side, quantity, price FROM transactions WHERE portfolio_id = $1 ORDER BY transaction_id DESC LIMIT 2',
      [id],
    )
    assert.deepEqual(kept[0], { side: 'sell', quantity: '4', price: '190.5' })
    assert.equal(kept[1]?.side, 'buy', 'what was refused is not there')
    assert.deepEqual(troubles, [])
    await context.close()
  })

  async function signIn(page: Page) {
    await page.locator('#token').fill(TOKEN, { timeout: WAIT_MS })
    await page.keyboard.press('Enter')
    await page.locator('.top').waitFor({ timeout: WAIT_MS })
  }

  /** Values of days before there was a recorder, one of them incomplete. */
  async function pastValues(portfolioId: number) {
    await stand.daemon.query(
      `INSERT INTO portfolio_snapshots
       SELECT $1, current_date - d, 5300 - 9 * d + 80 * sin(d / 3.0), 2411.5, 0, 0, 4, (d = 20)::int,
              now() - d * interval '1 d'
       FROM generate_series(1, $2) d`,
      [portfolioId, DAYS],
    )
  }

  /** From prices, rates and quantities as they are stored, by nothing of the program. */
  async function valuesInLedger(portfolioId: number) {
    const rows = await stand.daemon.query<{ symbol: string; value: string | null }>(
      `SELECT a.symbol, h.quantity * p.price * CASE a.currency WHEN 'USD' THEN 1 ELSE r.rate END AS value
       FROM portfolio_positions h JOIN assets a USING (asset_id)
       LEFT JOIN LATERAL (SELECT price FROM price_update_log l WHERE l.asset_id = a.asset_id AND success
                          ORDER BY at DESC LIMIT 1) p ON true
       LEFT JOIN LATERAL (SELECT rate FROM exchange_rates e WHERE e.base = a.currency AND e.quote = 'USD'
                          ORDER BY ts DESC LIMIT 1) r ON true
       WHERE h.portfolio_id = $1 AND h.quantity > 0`,
      [portfolioId],
    )
    return Object.fromEntries(rows.map(({ symbol, value }) => [symbol, value]))
  }
})

/** To the cent, or unknown in both. */
function same(a: Record<string, string | null>, b: Record<string, string | null>): boolean {
  const symbols = Object.keys(a)
  if (symbols.length !== Object.keys(b).length) return false
  return symbols.every((symbol) => {
    const [one, other] = [a[symbol] ?? null, b[symbol] ?? null]
    return one === null || other === null ? one === other : Math.abs(Number(one) - Number(other)) < 0.01
  })
}
