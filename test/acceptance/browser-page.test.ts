import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import type { Collectors, Health } from '../../src/api/contract.ts'
import { accessibilityProblems, noBrowser, openPage, takePictures } from '../support/browser.ts'
import { until } from '../support/processes.ts'
import { startStand } from '../support/stand.ts'

const WAIT_MS = 30_000
/** Of the icon, which is also another shape. */
const [GREEN, RED] = ['#1f9d61', '#d6336c']
const iconOf = async (page: Page) =>
  decodeURIComponent((await page.locator('link[rel=icon]').getAttribute('href')) ?? '')

/** The page as people see it: a real Chromium, the real recorder, the simulated venue. */
describe('the overview in a browser', { skip: noBrowser }, () => {
  let stand: Awaited<ReturnType<typeof startStand>>
  before(async () => {
    stand = await startStand()
  })
  after(() => stand?.end())

  const open = (view = '') => openPage(stand.browser, `${stand.daemon.apiUrl}/${view}`)

  test('shows what the API says, asks nobody else, and keeps the content policy', async () => {
    const { page, context, troubles } = await open()
    await page.getByText('All is well').waitFor({ timeout: WAIT_MS })
    const health = await stand.get<Health>('api/health')
    const { collectors } = await stand.get<Collectors>('api/collectors')
    const main = page.locator('main')
    assert.ok((await main.innerText()).includes(health.version))
    assert.ok((await main.innerText()).includes(`${health.trade_listener.tokens_wanted} tokens`))
    assert.match(await page.title(), /^● Healthy – Tapekeeper$/)
    assert.ok((await iconOf(page)).includes(GREEN))
    const names = await page.locator('.collectors th[scope=row]').allInnerTexts()
    assert.deepEqual(names.sort(), collectors.map(({ name }) => name).sort())
    // both count up, so it is looked at until they agree
    await until(
      'the number of cycles',
      async () => {
        const { collectors: now } = await stand.get<Collectors>('api/collectors')
        const polling = now.filter(({ kind }) => kind === 'polling')
        const total = polling.reduce((all, { statistics }) => all + statistics.total_cycles, 0)
        const good = polling.reduce((all, { statistics }) => all + statistics.successful_cycles, 0)
        return (await main.innerText()).includes(`${good} of ${total} cycles succeeded`) ? true : undefined
      },
      WAIT_MS,
    )
    assert.deepEqual(await takePictures(page, 'overview'), [])
    assert.deepEqual(await accessibilityProblems(page), [])
    assert.deepEqual(troubles, [])
    await context.close()
  })

  test('nothing moves for who wants no motion', async () => {
    const { page, context } = await open()
    // While the page loads something breathes: the first answer is held back until that was looked at.
    let answer = () => {}
    const held = new Promise<void>((resolve) => {
      answer = resolve
    })
    await page.route('**/api/collectors*', async (route) => {
      await held
      await route.continue()
    })
    await page.reload()
    await page.locator('.loading i').first().waitFor({ timeout: WAIT_MS })
    const moving = () => page.evaluate('document.getAnimations().length')
    assert.notEqual(await moving(), 0)
    await page.emulateMedia({ reducedMotion: 'reduce' })
    assert.equal(await moving(), 0)
    answer()
    await page.getByText('All is well').waitFor({ timeout: WAIT_MS })
    assert.equal(await moving(), 0)
    await context.close()
  })

  test('is led by the keyboard, which ? lists', async () => {
    const { page, context, troubles } = await open()
    await page.getByText('All is well').waitFor({ timeout: WAIT_MS })
    const current = page.locator('nav a[aria-current]')
    for (const [key, view] of [
      ['2', 'Fetcher'],
      ['3', 'Markets'],
      ['4', 'Portfolios'],
      ['1', 'Overview'],
    ] as const) {
      await page.keyboard.press(key)
      await current.filter({ hasText: view }).waitFor({ timeout: WAIT_MS })
    }
    await page.keyboard.press('3')
    await page.locator('.markets').waitFor({ timeout: WAIT_MS })
    await page.keyboard.press('/')
    await page.keyboard.type('p1') // is text here, and no keys
    assert.equal(await page.locator('.filters input').inputValue(), 'p1')
    assert.equal(await current.innerText(), 'Markets')
    await page.locator('.filters input').blur()
    const theme = () => page.evaluate('document.documentElement.dataset.theme')
    for (const wanted of ['light', 'dark', 'system']) {
      await page.keyboard.press('t')
      await until(`the colours ${wanted}`, async () => ((await theme()) === wanted ? true : undefined), WAIT_MS)
    }
    const asked = page.waitForRequest((request) => request.url().endsWith('/api/health'))
    await page.keyboard.press('r')
    await asked
    await page.keyboard.press('?')
    const help = page.locator('dialog[open]')
    await help.getByText('Pause and go on').waitFor({ timeout: WAIT_MS })
    assert.deepEqual(await help.locator('kbd').allInnerTexts(), ['1', '2', '3', '4', 'p', 'r', '/', 't', '?', 'Esc'])
    assert.deepEqual(await takePictures(page, 'help'), [])
    assert.deepEqual(await accessibilityProblems(page), [])
    await page.keyboard.press('Escape')
    await help.waitFor({ state: 'detached', timeout: WAIT_MS })
    assert.deepEqual(troubles, [])
    await context.close()
  })

  test('says what is broken, and that it is mended', async () => {
    const { page, context } = await open()
    await page.getByText('All is well').waitFor({ timeout: WAIT_MS })
    await stand.venue.control({ httpFault: { path: '/clob/books', mode: '500' } })
    await page.locator('.headline-bad', { hasText: 'polymarket.orderbooks' }).waitFor({ timeout: WAIT_MS })
    assert.match(await page.title(), /Degraded/)
    assert.ok((await iconOf(page)).includes(RED))
    assert.equal(await page.locator('.collectors tbody').first().locator('th').innerText(), 'polymarket.orderbooks')
    assert.deepEqual(await accessibilityProblems(page), [])
    assert.deepEqual(await takePictures(page, 'overview-broken'), [])
    await stand.venue.control({ clearHttpFaults: true })
    await page.getByText('All is well').waitFor({ timeout: WAIT_MS })
    const mended = page.locator('.collectors tbody', { hasText: 'polymarket.orderbooks' })
    assert.match(await mended.innerText(), /Last error .* ago: .*answered 500/)
    await context.close()
  })

  test('pauses, loses the recorder, says so, and finds it again', async () => {
    const { page, context } = await open()
    await page.getByText('All is well').waitFor({ timeout: WAIT_MS })
    await page.keyboard.press('p')
    await page.locator('.headline', { hasText: 'Paused' }).waitFor()
    await page.keyboard.press('p')
    await page.getByText('All is well').waitFor({ timeout: WAIT_MS })
    await stand.daemon.end('SIGTERM')
    await page.locator('.headline', { hasText: 'No connection' }).waitFor({ timeout: WAIT_MS })
    assert.equal(await page.locator('.state-good').count(), 0)
    assert.deepEqual(await accessibilityProblems(page), [])
    assert.deepEqual(await takePictures(page, 'overview-away'), [])
    await stand.startAgain()
    await page.getByText('All is well').waitFor({ timeout: 60_000 })
    await context.close()
  })
})
