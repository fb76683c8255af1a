import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Logs, Markets } from '../../src/api/contract.ts'
import { accessibilityProblems, noBrowser, openPage, takePictures } from '../support/browser.ts'
import { until } from '../support/processes.ts'
import { startStand } from '../support/stand.ts'

const HOSTILE = 'Will <img src=x onerror="window.hacked=1"> \u001b[31mwin\u202E?'
const WAIT_MS = 30_000

/** The other views, in the same way. */
describe('the views in a browser', { skip: noBrowser }, () => {
  let stand: Awaited<ReturnType<typeof startStand>>
  before(async () => {
    stand = await startStand()
  })
  after(() => stand?.end())

  const open = (view = '') => openPage(stand.browser, `${stand.daemon.apiUrl}/${view}`)

  test('filters the log, opens an entry and shows its surroundings', async () => {
    const { page, context, troubles } = await open('#/fetcher')
    await page.locator('.log').first().waitFor({ timeout: WAIT_MS })
    assert.deepEqual(await takePictures(page, 'fetcher-without-assets'), [])
    await page.locator('.filters select').selectOption('WARNING')
    const { logs: warnings } = await stand.get<Logs>('api/fetcher/logs?level=WARNING')
    await page.locator('.log-info').first().waitFor({ state: 'detached', timeout: WAIT_MS })
    assert.ok((await page.locator('.log-warning').count()) >= warnings.length)
    await page.locator('.filters select').selectOption('INFO')
    await page.locator('.filters input').fill('tapekeeper started')
    await page.locator('.log', { hasText: 'cycle done' }).first().waitFor({ state: 'detached', timeout: WAIT_MS })
    await page.locator('.log button', { hasText: 'started' }).first().click({ timeout: WAIT_MS })
    await page.getByText('Show in full stream').click()
    await page.locator('.log-marked').waitFor({ timeout: WAIT_MS })
    assert.deepEqual(await accessibilityProblems(page), [])
    assert.deepEqual(troubles, [])
    await context.close()
  })

  test('shows a hostile title as text', async () => {
    await stand.venue.control({ createMarket: { question: HOSTILE } })
    const found = await until(
      'the hostile market',
      async () => (await stand.get<Markets>('api/markets?search=onerror')).markets[0],
      WAIT_MS,
    )
    const { page, context, troubles } = await open('#/markets')
    await page.locator('.filters input').fill('onerror')
    const link = page.locator('.markets th a').first()
    await link.filter({ hasText: '<img src=x onerror=' }).waitFor({ timeout: WAIT_MS })
    assert.equal(await link.textContent(), found.question)
    assert.equal(await page.locator('main img').count(), 0)
    assert.equal(await page.evaluate('window.hacked'), undefined)
    await link.click()
    await page.locator('h1', { hasText: '<img' }).waitFor({ timeout: WAIT_MS })
    assert.equal(await page.evaluate('window.hacked'), undefined)
    assert.deepEqual(troubles, [])
    await context.close()
  })

  test('shows markets and a market, for everybody', async () => {
    const { page, context, troubles } = await open('#/markets')
    await page.locator('.markets tbody tr').first().waitFor({ timeout: WAIT_MS })
    const wide = await takePictures(page, 'markets')
    assert.deepEqual(await accessibilityProblems(page), [])
    await page.locator('.markets th a').first().click()
    await page.locator('.chart canvas').waitFor({ timeout: WAIT_MS })
    await page.locator('.book').waitFor({ timeout: WAIT_MS })
    await page.locator('.strip').waitFor({ timeout: WAIT_MS })
    assert.deepEqual(await accessibilityProblems(page), [])
    assert.deepEqual([...wide, ...(await takePictures(page, 'market'))], [])
    await page.getByText('Hourly candles').click()
    await page.locator('.chart .u-legend', { hasText: 'Close' }).waitFor({ timeout: WAIT_MS })
    assert.deepEqual(await takePictures(page, 'market-candles'), [])
    assert.deepEqual(troubles, [])
    await context.close()
  })
})
