import assert from 'node:assert/strict'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Browser, CDPSession, Page } from 'playwright-core'
import { noBrowser, openPage, startBrowser } from '../support/browser.ts'
import { freePort, removeDirectory } from '../support/daemon.ts'
import { type Running, startProgram, until } from '../support/processes.ts'

const WAIT_MS = 60_000
const POLL_MS = 10_000
/** The page's own bounds, and, where a busy machine could decide, how often them a run may take. */
const ALIVE_MS_MAX = 3_000
const PAINT_MS_MAX = 1_000
const PATIENCE = 5
/** Of the main thread's own CPU time, which does not depend on what else the machine does. */
const REFRESH_CPU_MS_MAX = 50
const REFRESHES = 5
const MINUTES = 30
const GROWTH_BYTES_MAX = 1_500_000
const VIEWS = ['#/', '#/fetcher', '#/markets', '#/portfolios']

/** What `npm run demo` opens on, measured in a real Chromium. */
describe('the page of the demo is quick and stays small', { skip: noBrowser }, () => {
  let browser: Browser
  let demo: Running
  let url = ''
  let directory = ''
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tapekeeper-speed-'))
    const [port, healthPort] = [await freePort(), await freePort()]
    url = `http://127.0.0.1:${port}/`
    const env = { TMPDIR: directory, TAPEKEEPER_API_ADDRESS: `127.0.0.1:${port}`, HEALTH_PORT: String(healthPort) }
    demo = startProgram(['demo'], { env })
    browser = await startBrowser()
    await until('the page', async () => ((await fetch(url)).ok ? true : undefined), WAIT_MS)
  })
  after(async () => {
    await browser?.close()
    await demo?.end('SIGTERM')
    await removeDirectory(directory)
  })

  test('it is alive at once, and its largest part is painted at once', async (t) => {
    const startMs = performance.now()
    const { page, context } = await openPage(browser, url)
    await page.locator('.headline-good, .headline-bad, .headline-warn').waitFor({ timeout: WAIT_MS })
    await page.locator('.collectors tbody').first().waitFor({ timeout: WAIT_MS })
    const aliveMs = performance.now() - startMs
    // what is measured is the page, not how the browser starts
    const warm = await context.newPage()
    await warm.goto(url)
    await warm.locator('.collectors tbody').first().waitFor({ timeout: WAIT_MS })
    const paintMs = (await warm.evaluate(LARGEST_PAINT)) as number
    t.diagnostic(`alive after ${Math.round(aliveMs)} ms, largest contentful paint after ${Math.round(paintMs)} ms`)
    assert.ok(aliveMs < PATIENCE * ALIVE_MS_MAX, `alive after ${aliveMs} ms`)
    assert.ok(paintMs > 0 && paintMs < PATIENCE * PAINT_MS_MAX, `painted after ${paintMs} ms`)
    await context.close()
  })

  test('a refresh costs little of the main thread', async (t) => {
    const { page, context } = await openPage(browser, url)
    const devtools = await context.newCDPSession(page)
    await devtools.send('Performance.enable', { timeDomain: 'threadTicks' })
    for (const view of ['#/', '#/fetcher', await marketView(page)]) {
      await show(page, view)
      const costs: number[] = []
      for (let time = 0; time < REFRESHES; time += 1) {
        const before = await taskMs(devtools)
        await refresh(page)
        costs.push((await taskMs(devtools)) - before)
      }
      const median = costs.toSorted((a, b) => a - b)[Math.floor(REFRESHES / 2)] ?? 0
      t.diagnostic(`${view.slice(0, 20)}: ${median.toFixed(1)} ms of the main thread a refresh`)
      assert.ok(median < REFRESH_CPU_MS_MAX, `a refresh of ${view} costs ${median} ms`)
    }
    await context.close()
  })

  test('a tab that nobody sees asks for nothing, and asks at once when it is seen again', async () => {
    const { page, context } = await openPage(browser, 'about:blank')
    await page.clock.install()
    await page.goto(url)
    await page.locator('.collectors tbody').first().waitFor({ timeout: WAIT_MS })
    await page.waitForLoadState('networkidle')
    const asked: string[] = []
    page.on('request', (request) => asked.push(request.url()))
    await page.evaluate(becomes('hidden'))
    await page.clock.runFor(10 * POLL_MS)
    assert.equal(asked.length, 0, asked.join())
    await page.evaluate(becomes('visible'))
    await until(
      'a question',
      () => (asked.some((address) => address.endsWith('/api/health')) ? true : undefined),
      WAIT_MS,
    )
    await context.close()
  })

  test('its memory is flat over 30 minutes of polls on every view', async (t) => {
    const { page, context } = await openPage(browser, 'about:blank')
    await page.clock.install()
    await page.goto(url)
    const devtools = await context.newCDPSession(page)
    await page.locator('.collectors tbody').first().waitFor({ timeout: WAIT_MS })
    const views = [...VIEWS, await marketView(page), await portfolioView(page)]
    const round = async (polls: number) => {
      for (const view of views) {
        await show(page, view)
        for (let poll = 0; poll < polls; poll += 1) await pollOnce(page)
      }
      await show(page, '#/')
      return memoryOf(devtools)
    }
    await round(1)
    const early = await round(1)
    const polls = Math.ceil((MINUTES * 60_000) / POLL_MS / views.length)
    const late = await round(polls)
    t.diagnostic(`${inWords(early)}; after ${polls * views.length} polls ${inWords(late)}`)
    assert.ok(late.heapBytes - early.heapBytes < GROWTH_BYTES_MAX, `${inWords(early)} became ${inWords(late)}`)
    assert.ok(late.nodes < 1.5 * early.nodes, `${inWords(early)} became ${inWords(late)}`)
    assert.ok(late.listeners < 1.5 * early.listeners, `${inWords(early)} became ${inWords(late)}`)
    await context.close()
  })

  async function marketView(page: Page) {
    const [market] = ((await ask(page, 'api/markets?limit=1')) as { markets: { condition_id: string }[] }).markets
    return `#/markets/${market?.condition_id}`
  }

  async function portfolioView(page: Page) {
    const [one] = ((await ask(page, 'api/portfolios')) as { portfolios: { id: number }[] }).portfolios
    return `#/portfolios/${one?.id}`
  }
})

const LARGEST_PAINT = `new Promise((resolve) => {
  new PerformanceObserver((list) => resolve(list.getEntries().at(-1).startTime))
    .observe({ type: 'largest-contentful-paint', buffered: true })
})`

/** As the browser says it when another tab is looked at. */
const becomes = (state: 'hidden' | 'visible') => `
  Object.defineProperty(document, 'visibilityState', { value: '${state}', configurable: true })
  document.dispatchEvent(new Event('visibilitychange'))`

function ask(page: Page, path: string): Promise<unknown> {
  return page.evaluate(`fetch(${JSON.stringify(path)}).then((answer) => answer.json())`)
}

/** Goes to a view and waits until it has asked for everything and shows it. */
async function show(page: Page, view: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(view)}`)
  await page.locator('main .card').first().waitFor({ timeout: WAIT_MS })
  await page.waitForLoadState('networkidle')
  await until(
    `the content of ${view}`,
    async () => ((await page.locator('main .loading').count()) === 0 ? true : undefined),
    WAIT_MS,
  )
}

/** Everything that is shown is asked for, answered and drawn. */
async function refresh(page: Page): Promise<void> {
  const answers = countAnswers(page)
  await page.keyboard.press('r')
  await answers.settle()
}

/** The time of one poll passes; what was asked for in it is answered. */
async function pollOnce(page: Page): Promise<void> {
  const answers = countAnswers(page)
  await page.clock.runFor(POLL_MS)
  await answers.settle()
}

function countAnswers(page: Page) {
  let [asked, ended] = [0, 0]
  const isOurs = (request: { url(): string }) => request.url().includes('/api/') && !request.url().includes('events')
  const begin = (request: { url(): string }) => {
    if (isOurs(request)) asked += 1
  }
  const end = (request: { url(): string }) => {
    if (isOurs(request)) ended += 1
  }
  page.on('request', begin).on('requestfinished', end).on('requestfailed', end)
  return {
    async settle() {
      await until('answers', () => (asked > 0 && ended >= asked ? true : undefined), WAIT_MS)
      await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => resolve()))')
      page.off('request', begin).off('requestfinished', end).off('requestfailed', end)
    },
  }
}

/** What the main thread has worked since the page was opened, ms of CPU. */
async function taskMs(devtools: CDPSession): Promise<number> {
  const { metrics } = await devtools.send('Performance.getMetrics')
  return 1_000 * (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN)
}

interface Memory {
  readonly heapBytes: number
  readonly nodes: number
  readonly listeners: number
}

async function memoryOf(devtools: CDPSession): Promise<Memory> {
  for (let time = 0; time < 3; time += 1) await devtools.send('HeapProfiler.collectGarbage')
  const { usedSize } = await devtools.send('Runtime.getHeapUsage')
  const { nodes, jsEventListeners } = await devtools.send('Memory.getDOMCounters')
  return { heapBytes: usedSize, nodes, listeners: jsEventListeners }
}

function inWords({ heapBytes, nodes, listeners }: Memory): string {
  return `${(heapBytes / 1e6).toFixed(2)} MB, ${nodes} nodes, ${listeners} listeners`
}
