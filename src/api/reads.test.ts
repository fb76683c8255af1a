import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { z } from 'zod'
import { ask, startTestApi, type TestApi } from '../../test/support/api.ts'
import { healthyBoard } from '../../test/support/board.ts'
import type { LiveBook } from '../core/books.ts'
import type { ConditionId, TokenId } from '../core/ids.ts'
import type { Market } from '../core/market.ts'
import type { TradeRow } from '../core/rows.ts'
import { administer, type FreshLedger, freshLedger } from '../ledger/test-server.ts'
import { LogStore } from '../monitor/log-store.ts'
import { systemClock } from '../runtime/system-clock.ts'
import * as coverage from './schemas/coverage.ts'
import * as markets from './schemas/markets.ts'
import * as monitor from './schemas/monitor.ts'

const HOUR_MS = 3_600_000
const NOW_MS = Date.now()
const MARKETS = 23
const TRADES = 57

const idOf = (number: number) => `0x${number.toString(16).padStart(64, '0')}` as ConditionId
const tokenOf = (number: number) => String(7_000_000 + number) as TokenId

function market(number: number): Market {
  return {
    conditionId: idOf(number),
    venueMarketId: String(number),
    question: number % 2 === 0 ? `Will it rain in Zürich on day ${number}?` : `Will candidate ${number} win?`,
    slug: `market-${number}`,
    description: '<script>alert(1)</script>',
    category: 'Weather',
    eventId: 'e1',
    eventTitle: 'An event',
    active: true,
    closed: number === 0,
    archived: false,
    acceptingOrders: true,
    negRisk: false,
    tickSize: '0.01',
    minOrderSize: '5',
    version: null,
    startAt: null,
    endAt: '2999-01-01T00:00:00Z',
    closedAt: null,
    volume: '1000.50',
    // Equal and absent ones, so that pages must tell them apart.
    volume24h: number % 5 === 0 ? null : String(Math.floor(number / 3)),
    liquidity: null,
    resolutionStatus: null,
    tokens: [
      { tokenId: tokenOf(2 * number), outcome: 'Yes', outcomeIndex: 0, price: '0.4' },
      { tokenId: tokenOf(2 * number + 1), outcome: 'No', outcomeIndex: 1, price: '0.6' },
    ],
    raw: {},
  }
}

function trade(number: number): TradeRow {
  const contentHash = createHash('md5').update(String(number)).digest('hex')
  return {
    venueMs: NOW_MS - Math.floor(number / 4) * HOUR_MS,
    ordinal: 0,
    atUs: NOW_MS * 1000,
    tokenId: tokenOf(2),
    market: idOf(1),
    price: '0.51',
    size: String(number + 1),
    side: number % 2 === 0 ? 'BUY' : 'SELL',
    feeRateBps: '0',
    transactionHash: `0x${number}`,
    origin: 'stream',
    payload: Buffer.from('{}'),
    contentHash,
  }
}

let fresh: FreshLedger
let it: TestApi

async function fill({ ledger, url }: FreshLedger): Promise<void> {
  await ledger.saveMarkets(
    Array.from({ length: MARKETS }, (_, number) => market(number)),
    NOW_MS,
  )
  const fact = { tokenId: tokenOf(2), conditionId: idOf(1) }
  for (let hour = 5; hour >= 0; hour -= 1) {
    const price = `0.4${hour}`
    await ledger.savePrices([{ ...fact, price, volume24h: '5' }], NOW_MS - hour * HOUR_MS)
    const levels = Array.from({ length: 4 }, (_, at) => ({ price: `0.${40 - at}`, size: String(at + 1) }))
    const book = { ...fact, venueMs: NOW_MS, hash: `h${hour}`, bids: levels, asks: [], spread: '0.02', midpoint: '0.5' }
    await ledger.saveOrderBooks([book], NOW_MS - hour * HOUR_MS)
  }
  const position = { segment: 'one', offset: 10, line: 1 }
  const rows = { tickSizes: [], lifecycle: [], deadLetters: [], coverage: null }
  const trades = Array.from({ length: TRADES }, (_, number) => trade(number))
  await ledger.commitStream({ recorderId: 'r', stream: 's', position, positionAtUs: 1, trades, ...rows })
  await ledger.saveResolutions(
    [
      {
        conditionId: idOf(0),
        result: 'winner',
        outcome: 'Yes',
        winnerTokenId: tokenOf(0),
        payoutPrice: '1',
        resolvedAt: new Date(NOW_MS).toISOString(),
        detectionMethod: 'gamma',
      },
    ],
    [],
    NOW_MS,
  )
  const key = `(SELECT token_key FROM tokens WHERE token_id = '${tokenOf(2)}')`
  const at = (hours: number) => `to_timestamp(${(NOW_MS - hours * HOUR_MS) / 1000})`
  await administer(
    url,
    `INSERT INTO coverage_spans (recorder_id, stream, token_key, started_at, connection)
       VALUES ('r', 's', ${key}, ${at(10)}, 'c');
     INSERT INTO coverage_gaps (recorder_id, stream, gap_no, started_at, ended_at, cause, tokens, quiet_tokens)
       VALUES ('r', 's', 1, ${at(5)}, ${at(4)}, 'disconnect', ARRAY[${key}, 99999], '{}'),
              ('r', 's', 2, ${at(3)}, ${at(2)}, 'stall', ARRAY[${key}], ARRAY[${key}]),
              ('r', 's', 3, ${at(1)}, NULL, 'down', ARRAY[99999], '{}');
     INSERT INTO assets (symbol, name, type) VALUES ('AAPL', 'Apple', 'stock');
     INSERT INTO tracked_assets (asset_id) SELECT asset_id FROM assets;
     INSERT INTO price_update_log (at, duration_ms, asset_id, success, price, source, error)
       SELECT now() - n * interval '1 second', n, asset_id, n % 2 = 0, CASE WHEN n % 2 = 0 THEN n END, 'x',
              CASE WHEN n % 2 = 1 THEN 'no answer' END
       FROM assets, generate_series(1, 70) n`,
  )
}

let live: LiveBook | null = null

before(async () => {
  fresh = await freshLedger()
  await fill(fresh)
  const clock = systemClock()
  const log = { debug() {}, info() {}, warn() {}, error() {}, fatal() {}, child: () => log }
  const logs = new LogStore({ clock, ledger: fresh.ledger, log, retentionMs: HOUR_MS })
  for (let n = 0; n < 40; n += 1) {
    logs.log({ atMs: NOW_MS + n, level: n % 4 === 0 ? 'error' : 'info', message: `entry ${n}`, context: { n } })
  }
  await logs.flush()
  it = await startTestApi({ ledger: fresh.ledger, logs, clock, books: { liveBook: () => live } })
  it.board = () => ({ ...healthyBoard(), ledger: fresh.ledger.status })
})
after(async () => {
  await it.api.close()
  await fresh.ledger.close()
})

/** The answer, checked against its schema: nothing is missing and nothing else is in it. */
async function get<Schema extends z.ZodType>(path: string, schema: Schema): Promise<z.output<Schema>> {
  const { status, text, body } = await ask(it.api.port, path)
  assert.equal(status, 200, text)
  const parsed = schema.parse(body)
  assert.deepEqual(parsed, body, 'the answer has what the contract names and nothing else')
  return parsed
}

/** All rows by pages of `limit`, each page from the end of the one before. */
async function walk<Row>(read: (more: string) => Promise<{ rows: Row[]; next: string | null }>): Promise<Row[]> {
  const all: Row[] = []
  let more = ''
  for (let pages = 0; pages < 50; pages += 1) {
    const { rows, next } = await read(more)
    all.push(...rows)
    if (next === null) return all
    more = next
  }
  throw new Error('the pages do not end')
}

describe('markets', () => {
  const list = (query: string) => get(`/api/markets?${query}`, markets.markets)

  test('every page goes on where the one before ended, busiest first', async () => {
    const found = await walk(async (more) => {
      const { markets: rows, next_cursor: next } = await list(`state=all&limit=4${more}`)
      return { rows, next: next === null ? null : `&cursor=${next}` }
    })
    assert.equal(new Set(found.map(({ condition_id }) => condition_id)).size, MARKETS)
    const volumes = found.map(({ volume_24h }) => (volume_24h === null ? -1 : Number(volume_24h)))
    assert.deepEqual(
      volumes,
      [...volumes].sort((a, b) => b - a),
    )
  })

  test('are found by words and state, and carry their newest values', async () => {
    assert.equal((await list('search=rain zür&limit=50')).markets.length, 11)
    assert.equal((await list('search=rain%20z%C3%BCr&state=closed')).markets[0]?.winning_outcome, 'Yes')
    assert.equal((await list('search=nothing')).markets.length, 0)
    const { markets: one } = await list('search=candidate 1 win')
    const token = one.find(({ condition_id }) => condition_id === idOf(1))?.tokens[0]
    assert.deepEqual([token?.price, token?.spread, token?.midpoint, token?.outcome], [0.4, 0.02, 0.5, 'Yes'])
    assert.equal(token?.coverage.recording, true)
    assert.equal(Math.round(token?.coverage.missing_seconds_24h ?? 0), 3600)
    assert.equal(token?.coverage.gap_open, false)
  })

  test('one of them, with its resolution; text from outside stays text', async () => {
    const one = await get(`/api/markets/${idOf(0)}`, markets.marketDetail)
    assert.deepEqual([one.resolution?.outcome, one.resolution?.payout_price], ['Yes', '1'])
    assert.equal(one.description, '<script>alert(1)</script>')
    const { headers } = await ask(it.api.port, `/api/markets/${idOf(0)}`)
    assert.deepEqual(
      [headers['content-type'], headers['x-content-type-options']],
      ['application/json; charset=utf-8', 'nosniff'],
    )
    assert.equal((await ask(it.api.port, `/api/markets/${idOf(999)}`)).status, 404)
    assert.equal((await ask(it.api.port, '/api/markets/x')).body['parameter'], 'condition_id')
  })
})

describe('one token', () => {
  const of = (what: string) => `/api/tokens/${tokenOf(2)}/${what}`

  test('trades, each once and newest first, whatever the page', async () => {
    const found = await walk(async (more) => {
      const { trades: rows, next_cursor: next } = await get(of(`trades?limit=5${more}`), markets.trades)
      return { rows, next: next === null ? null : `&cursor=${next}` }
    })
    assert.equal(new Set(found.map(({ size }) => size)).size, TRADES)
    const times = found.map(({ timestamp }) => timestamp)
    assert.deepEqual(times, [...times].sort().reverse())
    const from = new Date(NOW_MS - 2 * HOUR_MS).toISOString()
    assert.equal((await get(of(`trades?from=${from}`), markets.trades)).trades.length, 12)
    assert.equal((await get(of(`trades?to=${from}&limit=1000`), markets.trades)).trades.length, TRADES - 12)
  })

  test('the book as the stream has it', async () => {
    const level = (price: number) => ({ price, size: 5 })
    live = {
      venueMs: NOW_MS - 1_000,
      bids: [level(0.61), level(0.6)],
      asks: [level(0.64)],
      spread: 0.03,
      midpoint: 0.625,
    }
    const { book, live: isLive } = await get(of('book'), markets.newestBook)
    assert.equal(isLive, true)
    assert.deepEqual([book?.bids, book?.asks], [live.bids, live.asks])
    assert.deepEqual([book?.spread, book?.midpoint], [0.03, 0.625])
    assert.equal(book?.venue_time, new Date(NOW_MS - 1_000).toISOString())
    live = null
  })

  test('prices, books and candles', async () => {
    const prices = await walk(async (more) => {
      const { prices: rows, next_cursor: next } = await get(of(`prices?limit=4${more}`), markets.prices)
      return { rows, next: next === null ? null : `&cursor=${next}` }
    })
    assert.deepEqual(
      prices.map(({ price }) => price),
      [0.4, 0.41, 0.42, 0.43, 0.44, 0.45],
    )
    const { books, next_cursor } = await get(of('books?depth=2'), markets.books)
    assert.deepEqual(books[0]?.bids, [
      { price: 0.4, size: 1 },
      { price: 0.39, size: 2 },
    ])
    assert.equal((await get(of(`books?limit=100&cursor=${next_cursor}`), markets.books)).books.length, 5)
    assert.deepEqual(await get(of('book?depth=2'), markets.newestBook), { live: false, book: books[0] })
    const { candles } = await get(of('candles?limit=1000'), markets.candles)
    const hours = candles.map(({ hour }) => hour)
    assert.equal(new Set(hours).size, hours.length)
    assert.equal(
      candles.filter(({ source }) => source === 'trade').reduce((sum, { trades }) => sum + trades, 0),
      TRADES,
    )
  })

  test('coverage as a strip without holes', async () => {
    const query = `from=${new Date(NOW_MS - 12 * HOUR_MS).toISOString()}&to=${new Date(NOW_MS).toISOString()}`
    const strip = await get(of(`coverage?${query}`), coverage.coverage)
    assert.deepEqual(
      strip.intervals.map(({ state, cause, proven_quiet }) => [state, cause, proven_quiet]),
      [
        ['not_recorded', null, false],
        ['recorded', null, false],
        ['gap', 'disconnect', false],
        ['recorded', null, false],
        ['gap', 'stall', true],
        ['recorded', null, false],
      ],
    )
    for (const [at, { to }] of strip.intervals.slice(0, -1).entries()) assert.equal(strip.intervals[at + 1]?.from, to)
    assert.deepEqual([strip.missing_seconds, strip.recorded_seconds, strip.covered_percent], [3600, 32_400, 90])
  })

  test('wrong questions', async () => {
    for (const [path, parameter, status] of [
      [of('trades?cursor=nonsense'), 'cursor', 400],
      [of(`prices?cursor=${Buffer.from('["now()"]').toString('base64url')}`), 'cursor', 400],
      [of('trades?from=yesterday'), 'from', 400],
      [of('coverage?from=2000-01-01'), 'from', 400],
      [of('coverage?from=2026-01-02&to=2026-01-01'), 'from', 400],
      [of('books?depth=0'), 'depth', 400],
      [of('books?limit=101'), 'limit', 400],
      ['/api/tokens/12a/trades', 'token_id', 400],
      ['/api/tokens/12/trades', 'token_id', 404],
    ] as const) {
      const answer = await ask(it.api.port, path)
      assert.deepEqual([answer.status, answer.body['parameter']], [status, parameter], path)
    }
  })
})

test('gaps, newest first, of all tokens or of one', async () => {
  const ids = async (query: string) => {
    const { gaps } = await get(`/api/gaps?${query}`, coverage.gaps)
    return gaps.map(({ cause, token_count }) => [cause, token_count])
  }
  assert.deepEqual(await ids(''), [
    ['down', 1],
    ['stall', 1],
    ['disconnect', 2],
  ])
  assert.deepEqual(await ids('state=open'), [['down', 1]])
  assert.deepEqual(await ids(`token_id=${tokenOf(2)}&cause=stall`), [['stall', 1]])
  assert.deepEqual(await ids('token_id=5'), [])
  const first = await get('/api/gaps?limit=2', coverage.gaps)
  assert.deepEqual(await ids(`before=${first.next_before}`), [['disconnect', 2]])
})

test('the log by offset and by cursor, and the newest updates', async () => {
  const page = await get('/api/fetcher/logs?limit=10&offset=5', monitor.logs)
  assert.deepEqual(
    page.logs.map(({ message }) => message),
    Array.from({ length: 10 }, (_, at) => `entry ${34 - at}`),
  )
  assert.deepEqual([page.total, page.limit, page.offset], [40, 10, 5])
  const next = await get(`/api/fetcher/logs?limit=1&before=${page.next_before}`, monitor.logs)
  assert.equal(next.logs[0]?.message, 'entry 24')
  const errors = await get('/api/fetcher/logs?level=error&limit=3', monitor.logs)
  assert.deepEqual([errors.total, ...errors.logs.map(({ level }) => level)], [10, 'ERROR', 'ERROR', 'ERROR'])
  assert.equal((await get('/api/fetcher/logs?search=entry 7', monitor.logs)).total, 1)
  const { updates } = await get('/api/fetcher/recent-updates', monitor.recentUpdates)
  assert.equal(updates.length, 50)
  assert.deepEqual([updates[0]?.error, updates[1]?.price, updates[0]?.symbol], ['no answer', '2', 'AAPL'])
})

test('what comes from memory, and its description', async () => {
  const status = await get('/api/fetcher/status', monitor.fetcherStatus)
  assert.deepEqual([status.status, status.tracked_assets_count, status.uptime_seconds], ['stopped', 1, 600])
  await get('/api/fetcher/statistics', monitor.fetcherStatistics)
  const { collectors } = await get('/api/collectors', monitor.collectors)
  assert.deepEqual(await get(`/api/collectors/${collectors[0]?.name}`, monitor.collector), collectors[0])
  await get(`/api/collectors/${collectors[0]?.name}/cycles`, monitor.cycles)
  await get('/api/health', monitor.health)
  const { body } = await ask(it.api.port, '/api/openapi.json')
  const paths = Object.keys(body['paths'] as object)
  for (const path of ['/api/fetcher/logs', '/api/markets/{condition_id}', '/api/tokens/{token_id}/trades']) {
    assert.ok(paths.includes(path), path)
  }
  const described = body as { paths: Record<string, { get: { parameters: { name: string; schema: object }[] } }> }
  const limit = described.paths['/api/fetcher/logs']?.get.parameters.find(({ name }) => name === 'limit')
  assert.deepEqual(limit?.schema, { type: 'integer', minimum: 1, maximum: 1000, default: 100 })
  const { text } = await ask(it.api.port, '/metrics')
  assert.match(text, /^tapekeeper_collector_items_total\{collector="polymarket.prices"\} 70$/m)
})
