import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { AxeBuilder } from '@axe-core/playwright'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { ROOT } from './processes.ts'

const CHROMIUM = '/usr/bin/chromium'
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']
/** Kept by continuous integration, for a person to look at. */
const ARTIFACTS = join(ROOT, 'artifacts')

/** Why tests in a browser are skipped; false when they are not. */
export const noBrowser = existsSync(CHROMIUM) ? false : `there is no ${CHROMIUM}`

export function startBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, headless: true, args: ARGUMENTS })
}

/** A page, and everything about it that should not be. */
export interface WatchedPage {
  readonly page: Page
  readonly context: BrowserContext
  /** Errors of scripts, violations of the content policy, requests to elsewhere. */
  readonly troubles: string[]
}

export async function openPage(browser: Browser, url: string): Promise<WatchedPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'light' })
  const page = await context.newPage()
  const troubles: string[] = []
  page.on('pageerror', (error) => troubles.push(`error: ${error.message}`))
  page.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) troubles.push(message.text())
  })
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url())
    if (protocol !== 'data:' && origin !== new URL(url).origin) troubles.push(`asked ${request.url()}`)
  })
  await page.goto(url)
  return { page, context, troubles }
}

/** What axe says against the page as it is, in light and in dark, one line each. */
export async function accessibilityProblems(page: Page): Promise<string[]> {
  const problems: string[] = []
  for (const colorScheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme })
    const { violations } = await new AxeBuilder({ page }).withTags(RULES).analyze()
    for (const { id, help, nodes } of violations) {
      problems.push(`${colorScheme}: ${id}: ${help}: ${nodes.map(({ html }) => html).join(' ')}`)
    }
  }
  return problems
}

/** Where in a row something stands: a selector, and after `@` the attribute that is meant instead of the text. */
export type Cells<Name extends string> = Readonly<Record<Name, string>>

/** What all rows show, at one moment; null where a row has no such cell. */
export async function readRows<Name extends string>(page: Page, rows: string, cells: Cells<Name>) {
  const script = `[...document.querySelectorAll(${JSON.stringify(rows)})].map((row) =>
    Object.fromEntries(Object.entries(${JSON.stringify(cells)}).map(([name, where]) => {
      const [selector, attribute] = where.split('@')
      const cell = row.querySelector(selector)
      return [name, cell === null ? null : attribute ? cell.getAttribute(attribute) : cell.innerText]
    })))`
  return (await page.evaluate(script)) as Record<Name, string | null>[]
}

const SIZES = [
  { width: 1280, height: 800 },
  { width: 390, height: 844 },
]

/** The view in light and dark, wide and narrow. Returns the sizes at which it has to be scrolled sideways. */
export async function takePictures(page: Page, name: string): Promise<string[]> {
  mkdirSync(ARTIFACTS, { recursive: true })
  const wide: string[] = []
  for (const size of SIZES) {
    await page.setViewportSize(size)
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      await page.screenshot({ path: join(ARTIFACTS, `${name}-${size.width}-${colorScheme}.png`), fullPage: true })
    }
    const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth')
    if (Number(overflow) > 0) wide.push(`${name} at ${size.width} px overflows by ${overflow} px`)
  }
  await page.setViewportSize(SIZES[0] ?? { width: 1280, height: 800 })
  await page.emulateMedia({ colorScheme: 'light' })
  return wide
}
