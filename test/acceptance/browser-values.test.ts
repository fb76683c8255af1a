import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import type { FetcherStatus, Health, Markets } from '../../src/api/contract.ts'
import { accessibilityProblems, noBrowser, openPage, readRows, takePictures } from '../support/browser.ts'
import { until } from '../support/processes.ts'
import { startStand } from '../support/stand.ts'

const WAIT_MS = 30_000
const UPDATES = 50
/** Nobody has to wait longer for what is new. */
const POLL_MS_MAX = 15_000
/** So many that some cycles are at least 50 updates. */
const SYMBOLS = ['AAPL', 'BTC-USD', 'SAP.DE', ...Array.from({ length: 17 }, (_, n) => `S${100 + n}`)]

const ACTIVE_ASSETS = 'tracked_assets JOIN assets USING (asset_id) WHERE assets.active'

interface StoredLevel {
  readonly price: number
  readonly size: number
}

interface UpdateRow extends Record<'symbol' | 'name' | 'price' | 'error', string | null> {
  readonly at: Date
  readonly success: boolean
}

/** Every number that a card shows is compared with what the ledger holds, read by nothing of the program. */
describe('the values of the cards against the ledger', { skip: noBrowser }, () => {
  let stand: Awaited<ReturnType<typeof startStand>>
  before(async () => {
    stand = await startStand({ assets: true })
    for (const symbol of SYMBOLS) await stand.send('api/assets', { symbol })
  })
  after(() => stand?.end())

  const open = (view = '') => openPage(stand.browser, `${stand.daemon.apiUrl}/${view}`)
  /** Both go on changing, so they are looked at until they agree. */
  const agree = async <T>(what: string, shown: () => Promise<T>, kept: () => Promise<T>): Promise<T> => {
    let seen: { shown?: T; kept?: T } = {}
    const look = async () => {
      seen = { shown: await shown(), kept: await kept() }
      return isSame(seen.shown, seen.kept) ? seen.shown : undefined
    }
    try {
      return await until(what, look, WAIT_MS)
    } catch {
      assert.deepEqual(seen.shown, seen.kept, what)
      throw new Error(`${what} was not to be seen`)
    }
  }
  const cyclesInLedger = async (collector: string | null) => {
    const [row] = await stand.daemon.query<{ good: number; total: number }>(
      `SELECT count(*) FILTER (WHERE ok)::int AS good, count(*)::int AS total FROM collector_cycles
       WHERE collector = coalesce($1, collector)`,
      [collector],
    )
    return `${row?.good} of ${row?.total} cycles succeeded`
  }

  test('status, statistics and collectors of the overview', async () => {
    const { page, context } = await open()
    const rate = page.locator('.card-statistics .rate p span')
    await rate.waitFor({ timeout: WAIT_MS })
    await agree(
      'cycles of all',
      () => rate.innerText(),
      () => cyclesInLedger(null),
    )
    const shownByName = async () => {
      const rows = await readRows(page, '.collectors tbody', { name: 'th', success: '[data-label="Success"]' })
      const pairs = rows.map(({ name, success }) => [name, success])
      return Object.fromEntries(pairs.filter(([, text]) => text !== '–').sort()) as Record<string, string>
    }
    const keptByName = async () => {
      const rows = await stand.daemon.query<{ collector: string; good: number; total: number }>(
        `SELECT collector, count(*) FILTER (WHERE ok)::int AS good, count(*)::int AS total FROM collector_cycles
         GROUP BY collector ORDER BY collector COLLATE "C"`,
      )
      return Object.fromEntries(rows.map(({ collector, good, total }) => [collector, rateInWords(good, total)]))
    }
    await agree('cycles by collector', shownByName, keptByName)
    const { tokens } = await tokensFollowed()
    await agree(
      'what is tracked',
      () => page.locator('.card-status .fact', { hasText: 'Tracked' }).locator('dd').innerText(),
      async () => `${tokens} tokens, ${await countInLedger(ACTIVE_ASSETS)} assets`,
    )
    await context.close()
  })

  test('updates of assets: every one has its figures, also while a price fails, and when it is mended', async () => {
    const { page, context, troubles } = await open('#/fetcher')
    const status = page.locator('.card-status')
    await page.locator('.updates tbody tr').first().waitFor({ timeout: WAIT_MS })
    await agree(
      'cycles of asset prices',
      () => page.locator('.card-statistics .rate p span').innerText(),
      () => cyclesInLedger('assets.prices'),
    )
    const { tracked_assets_count: count } = await stand.get<FetcherStatus>('api/fetcher/status')
    assert.equal(count, SYMBOLS.length)
    await status.filter({ hasText: /Tracked\s*20 assets[\s\S]*Every\s*5 seconds/ }).waitFor({ timeout: WAIT_MS })
    await compareUpdates(page)
    await stand.venue.control({ yahooFault: { symbol: 'AAPL', mode: 'no-price' } })
    const failed = page.locator('.updates tbody tr', { hasText: 'Failure' }).first()
    await failed.waitFor({ timeout: WAIT_MS })
    assert.match(await failed.innerText(), /AAPL[\s\S]*has no price/)
    await compareUpdates(page)
    await stand.venue.control({ clearYahooFaults: true })
    const newest = page.locator('.updates tbody tr', { hasText: 'AAPL' }).first()
    await newest.filter({ hasText: 'Success' }).waitFor({ timeout: WAIT_MS })
    await until(
      'at least 50 updates',
      async () => ((await page.locator('.updates tbody tr').count()) >= UPDATES ? true : undefined),
      WAIT_MS,
    )
    const shown = await compareUpdates(page)
    assert.deepEqual(await takePictures(page, 'fetcher'), [])
    assert.deepEqual(await accessibilityProblems(page), [])
    for (const { symbol, name, at } of shown) assert.ok(symbol && name && at)
    assert.deepEqual(troubles, [])
    await context.close()
  })

  test('the log', async () => {
    const { page, context } = await open('#/fetcher')
    await page.locator('.filters select').selectOption('INFO')
    await page.locator('.log-debug').first().waitFor({ state: 'detached', timeout: WAIT_MS })
    const cells = { at: 'time@datetime', level: '.log-level', message: '.log-toggle' }
    const shown = () => readRows(page, '.log', cells)
    const kept = async () => {
      const rows = await stand.daemon.query<{ at: Date; level: string; message: string }>(
        `SELECT at, level, message FROM fetcher_logs WHERE level = 'INFO' ORDER BY id DESC LIMIT 200`,
      )
      return rows.map(({ at, message }) => ({ at: at.toISOString(), level: 'Info', message }))
    }
    assert.ok((await agree('entries', shown, kept)).length > 0)
    const total = page.locator('.card-logs .card-head .quiet')
    await agree(
      'the number of entries',
      async () => Number((await total.innerText()).replaceAll(/.*of |,/g, '')),
      async () => (await stand.daemon.query(`SELECT FROM fetcher_logs WHERE level = 'INFO'`)).length,
    )
    await context.close()
  })

  test('a market: price, book and trades', async () => {
    const { markets } = await stand.get<Markets>('api/markets')
    const market = markets[0]
    const token = market?.tokens[0]?.token_id ?? ''
    const { page, context } = await open(`#/markets/${market?.condition_id}`)
    await page.locator('.trades tbody tr').first().waitFor({ timeout: WAIT_MS })
    await stand.venue.control({ pause: true })
    await agree(
      'the price',
      () => page.locator('.outcomes input:checked + span strong').first().innerText(),
      async () => {
        const [row] = await stand.daemon.query<{ price: number }>(
          'SELECT price FROM v_prices WHERE token_id = $1 ORDER BY ts DESC LIMIT 1',
          [token],
        )
        return `${Number(((row?.price ?? 0) * 100).toFixed(2))}¢`
      },
    )
    await agree(
      'trades',
      () => tradesShown(page),
      () => tradesInLedger(token),
    )
    await agree(
      'the book',
      () => bookShown(page),
      () => bookInLedger(token),
    )
    await stand.venue.control({ resume: true })
    await context.close()
  })

  test('gaps and coverage of a market, and what is recorded', async () => {
    await stand.venue.control({ closeConnections: {} })
    const { markets } = await stand.get<Markets>('api/markets')
    const market = markets[0]
    const token = market?.tokens[0]?.token_id ?? ''
    const { page, context } = await open(`#/markets/${market?.condition_id}`)
    await page.locator('.gaps tbody tr').first().waitFor({ timeout: WAIT_MS })
    await agree(
      'gaps',
      () => gapsShown(page),
      () => gapsInLedger(token),
    )
    await agree(
      'what may be missing',
      async () => {
        const words = await page.locator('.strip-words').innerText()
        return /of ([\d.]+ s) something may be missing/.exec(words)?.[1] ?? 'nothing'
      },
      () => missingInLedger(token),
    )
    await stand.venue.control({ pause: true })
    await page.goto(`${stand.daemon.apiUrl}/#/`)
    const tile = (name: string) => page.locator('.card-proof .tile', { hasText: name }).locator('p').innerText()
    await agree(
      'trades stored',
      async () => Number(/^([\d,]+) trades stored/.exec(await tile('rows in PostgreSQL'))?.[1]?.replaceAll(',', '')),
      () => countInLedger("v_trades WHERE origin = 'stream'"),
    )
    await agree(
      'gaps opened',
      async () => Number(/^(\d+) gaps? since start/.exec(await tile('where something may be missing'))?.[1]),
      () => countInLedger('coverage_gaps'),
    )
    await agree(
      'frames on the tape and books checked',
      async () =>
        [await tile('every frame'), await tile('venue’s hashes')].map((text) => text.replace(/, [^,]* on disk/, '')),
      async () => {
        const { tape, book_checks, recorder } = await stand.get<Health>('api/health')
        const checked = compact(book_checks.match + book_checks.mismatch)
        const checks = `${compact(book_checks.match)} of ${checked} checks match`
        return [`${compact(tape.frames_accepted)} frames accepted`, `${checks}, ${recorder.books_kept} books kept`]
      },
    )
    await stand.venue.control({ resume: true })
    await context.close()
  })

  async function tokensFollowed() {
    const { trade_listener } = await stand.get<{ trade_listener: { tokens_wanted: number } }>('api/health')
    const open = await stand.daemon.query(
      'SELECT FROM tokens JOIN markets USING (condition_id) WHERE active AND NOT closed',
    )
    assert.equal(trade_listener.tokens_wanted, open.length)
    return { tokens: open.length }
  }

  /** What is shown is a run of the ledger's rows without a hole, and at most one poll behind. */
  async function compareUpdates(page: Page) {
    const shown = await updatesShown(page)
    const kept = await updatesInLedger()
    const first = kept.findIndex(({ at, symbol }) => at === shown[0]?.at && symbol === shown[0]?.symbol)
    assert.ok(first >= 0, `${JSON.stringify(shown[0])} is not in the ledger`)
    assert.deepEqual(shown, kept.slice(first, first + shown.length))
    const behindMs = Date.parse(kept[0]?.at ?? '') - Date.parse(shown[0]?.at ?? '')
    assert.ok(behindMs <= POLL_MS_MAX, `${behindMs} ms behind`)
    return shown
  }

  async function updatesInLedger() {
    const rows = await stand.daemon.query<UpdateRow>(
      `SELECT a.symbol, a.name, l.at, l.price::text AS price, l.success, l.error
       FROM price_update_log l JOIN assets a USING (asset_id) ORDER BY l.at DESC, l.id DESC LIMIT 1000`,
    )
    const read = rows.map(({ symbol, name, at, price, success, error }) => ({
      symbol,
      name,
      at: at.toISOString(),
      price: price ?? '–',
      result: success ? 'Success' : 'Failure',
      error,
    }))
    return read.sort(byTimeAndSymbol)
  }

  async function gapsInLedger(token: string) {
    const rows = await stand.daemon.query<{ started_at: Date; seconds: number | null }>(
      `SELECT started_at, extract(epoch FROM ended_at - started_at)::float8 AS seconds FROM v_gaps
       WHERE token_id = $1 ORDER BY started_at DESC, gap_id DESC`,
      [token],
    )
    return rows.map(({ started_at: at, seconds }) => ({ at: toTenth(at), length: `${Math.round(seconds ?? -1)} s` }))
  }

  async function missingInLedger(token: string) {
    const [row] = await stand.daemon.query<{ seconds: number | null }>(
      `SELECT sum(extract(epoch FROM ended_at - started_at))::float8 AS seconds FROM v_gaps
       WHERE token_id = $1 AND NOT proven_quiet`,
      [token],
    )
    return row?.seconds === null ? 'nothing' : `${Math.round(row?.seconds ?? -1)} s`
  }

  async function countInLedger(what: string): Promise<number> {
    const [row] = await stand.daemon.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${what}`)
    return row?.count ?? Number.NaN
  }

  async function tradesInLedger(token: string) {
    const rows = await stand.daemon.query<{ ts: Date; side: string; price: number; size: number }>(
      'SELECT ts, side, price, size FROM v_trades WHERE token_id = $1 ORDER BY ts DESC LIMIT 100',
      [token],
    )
    const read = rows.map(({ ts, side, price, size }) => {
      const shares = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 }).format(size)
      const what = side === 'BUY' ? '▲ Buy' : '▼ Sell'
      return [ts.toISOString(), what, `${Number((price * 100).toFixed(2))}¢`, shares].join(' ')
    })
    return read.sort()
  }

  async function bookInLedger(token: string) {
    const [row] = await stand.daemon.query<Record<'bids' | 'asks', StoredLevel[]>>(
      'SELECT bids, asks FROM v_orderbooks WHERE token_id = $1 ORDER BY ts DESC LIMIT 1',
      [token],
    )
    const levels = (all: StoredLevel[] = []) =>
      all.slice(0, 10).map(({ price, size }) => `${Number((price * 100).toFixed(2))}¢ ${compact(size)}`)
    return { asks: levels(row?.asks).reverse(), bids: levels(row?.bids) }
  }
})

function rateInWords(good: number, total: number): string {
  return `${Number((Math.floor((10_000 * good) / total) / 100).toFixed(2))} % ${good}/${total}`
}

async function updatesShown(page: Page) {
  const rows = await readRows(page, '.updates tbody tr', {
    symbol: 'th@title',
    name: '[data-label="Name"]',
    at: 'time@datetime',
    price: '[data-label="Price"]',
    result: '.state',
    error: '.row-error',
  })
  return rows.sort(byTimeAndSymbol)
}

type Update = Readonly<Record<'at' | 'symbol' | 'name', string | null>>

function byTimeAndSymbol(a: Update, b: Update): number {
  return `${b.at} ${b.symbol}` < `${a.at} ${a.symbol}` ? -1 : 1
}

async function tradesShown(page: Page) {
  const cells = { at: 'time@datetime', side: 'td:nth-child(2)', price: 'td:nth-child(3)', size: 'td:nth-child(4)' }
  const rows = await readRows(page, '.trades tbody tr', cells)
  return rows.map(({ at, side, price, size }) => [at, side, price, size].join(' ')).sort()
}

async function bookShown(page: Page) {
  const cells = { price: 'td:nth-child(2)', size: 'td:nth-child(3)' }
  const levels = async (side: string) =>
    (await readRows(page, `.book .${side}`, cells)).map(({ price, size }) => `${price} ${size}`)
  return { asks: await levels('ask'), bids: await levels('bid') }
}

/** As the page writes numbers that are only looked at: 12,345 is `12.3K`. */
function compact(value: number): string {
  const large = { notation: 'compact', maximumFractionDigits: 1 } as const
  return new Intl.NumberFormat('en-US', value < 10_000 ? { maximumFractionDigits: 0 } : large).format(value)
}

async function gapsShown(page: Page) {
  const rows = await readRows(page, '.gaps tbody tr', { at: 'time@datetime', length: '[data-label="Length"]' })
  return rows.map(({ at, length }) => ({ at: toTenth(new Date(at ?? '')), length: length ?? '' }))
}

/** Of microseconds one side cuts off what the other rounds. */
function toTenth(time: Date): string {
  return (time.getTime() / 1_000).toFixed(1)
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
