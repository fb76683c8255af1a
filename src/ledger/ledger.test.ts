import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import type { Clock } from '../core/clock.ts'
import type { ConditionId, TokenId } from '../core/ids.ts'
import type { Market, OrderBookSnapshot, PriceSnapshot, Resolution } from '../core/market.ts'
import { systemClock } from '../runtime/system-clock.ts'
import type { Ledger } from './ledger.ts'
import { administer, EMBEDDED, freshLedger, type TestServerKind, testServerKinds } from './test-server.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const NOW_MS = Date.now()

function idOf(number: number): ConditionId {
  return `0x${number.toString(16).padStart(64, '0')}` as ConditionId
}

function tokenOf(number: number): TokenId {
  return String(1_000_000 + number) as TokenId
}

function market(number: number, change: Partial<Market> = {}): Market {
  return {
    conditionId: idOf(number),
    venueMarketId: String(number),
    question: `Question ${number}?`,
    slug: `question-${number}`,
    description: 'A long text. '.repeat(40),
    category: null,
    eventId: null,
    eventTitle: null,
    active: true,
    closed: false,
    archived: false,
    acceptingOrders: true,
    negRisk: false,
    tickSize: '0.01',
    minOrderSize: '5',
    version: null,
    startAt: null,
    endAt: '2999-01-01T00:00:00Z',
    closedAt: null,
    volume: '1000.5',
    volume24h: String(number),
    liquidity: null,
    resolutionStatus: null,
    tokens: [
      { tokenId: tokenOf(2 * number), outcome: 'Yes', outcomeIndex: 0, price: '0.4' },
      { tokenId: tokenOf(2 * number + 1), outcome: 'No', outcomeIndex: 1, price: '0.6' },
    ],
    raw: { unknown: { nested: ['kept', 1, null] }, number },
    ...change,
  }
}

function price(number: number, value: string, volume24h: string | null = '5'): PriceSnapshot {
  return { tokenId: tokenOf(number), conditionId: idOf(number >> 1), price: value, volume24h }
}

function book(number: number, hash: string, change: Partial<OrderBookSnapshot> = {}): OrderBookSnapshot {
  return {
    tokenId: tokenOf(number),
    conditionId: idOf(number >> 1),
    venueMs: NOW_MS - 400 * DAY_MS,
    hash,
    bids: [
      { price: '0.49', size: '918.34' },
      { price: '0.48', size: '5' },
    ],
    asks: [],
    spread: null,
    midpoint: null,
    ...change,
  }
}

describe('ledger', { concurrency: true }, () => {
  for (const kind of testServerKinds()) describe(`on ${kind.name}`, { concurrency: false }, () => suite(kind))
})

function suite(kind: TestServerKind): void {
  let ledger: Ledger
  let url: string
  let nowMs = NOW_MS
  const clock: Clock = { ...systemClock(), wallMs: () => nowMs }
  before(async () => {
    ;({ ledger, url } = await freshLedger({ kind, clock }))
  })
  beforeEach(() => {
    nowMs = NOW_MS
  })
  after(() => ledger.close())
  const count = async (table: string) =>
    (await ledger.read<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`))[0]?.n

  test('ten thousand markets are saved quickly, and only what changed is written again', async () => {
    const markets = Array.from({ length: 10_000 }, (_, index) => market(index))
    const startMs = performance.now()
    assert.equal(await ledger.saveMarkets(markets, nowMs), 10_000)
    const tookMs = performance.now() - startMs
    // About one second on an idle machine; row by row it would take a minute.
    assert.ok(tookMs < 15_000, `took ${tookMs} ms`)
    const changed = markets.map((item, index) => (index % 1000 === 0 ? { ...item, volume24h: '99999' } : item))
    assert.equal(await ledger.saveMarkets(changed, nowMs + MINUTE_MS), 10)
    assert.equal(await ledger.saveMarkets(changed, nowMs + MINUTE_MS), 0)
    assert.equal(await count('tokens'), 20_000)
    const [row] = await ledger.read('SELECT question, volume_24h, raw FROM markets WHERE condition_id = $1', [idOf(7)])
    assert.deepEqual(row, {
      question: 'Question 7?',
      volume_24h: '7',
      raw: { unknown: { nested: ['kept', 1, null] }, number: 7 },
    })
  })

  test('token keys are not used up by saving the same markets again', async () => {
    const markets = Array.from({ length: 100 }, (_, index) => market(index))
    const before = await ledger.read<{ last: string }>('SELECT max(token_key) AS last FROM tokens')
    for (let round = 0; round < 5; round += 1) await ledger.saveMarkets(markets, nowMs + 2 * MINUTE_MS)
    await ledger.saveMarkets([market(20_000)], nowMs + 2 * MINUTE_MS)
    const later = await ledger.read<{ last: string }>('SELECT max(token_key) AS last FROM tokens')
    assert.equal(Number(later[0]?.last) - Number(before[0]?.last), 2)
  })

  test('tracked tokens are those of open markets by volume, with what the book check needs', async () => {
    const listing = [
      market(1, { volume24h: '500' }),
      market(2, { volume24h: '700', negRisk: true, version: 'v2' }),
      market(3, { volume24h: '900', closed: true }),
      market(4, { volume24h: '900', acceptingOrders: false }),
      market(5, { volume24h: null }),
    ]
    await ledger.saveMarkets(listing, nowMs + HOUR_MS)
    const tracked = await ledger.loadTrackedTokens(2)
    assert.deepEqual(
      tracked.map((token) => token.tokenId),
      [tokenOf(4), tokenOf(5), tokenOf(2), tokenOf(3)],
    )
    assert.deepEqual(tracked[0], {
      tokenId: tokenOf(4),
      conditionId: idOf(2),
      tickSize: '0.01',
      minOrderSize: '5',
      negRisk: true,
      version: 'v2',
      volume24h: '700',
    })
    assert.equal((await ledger.loadTrackedTokens(100)).length, 6, 'a market without a volume comes last')
  })

  test('one market with impossible fields does not cost the listing', async () => {
    const odd = market(30_000, {
      question: 'nul \0 and half a \ud800 pair',
      volume: 'lots',
      volume24h: 'NaN',
      endAt: 'yesterday',
      startAt: '2026-13-77T99:00:00Z',
      raw: { 'key\0': ['\0', '\udfff', 'backslash \\u0000'] },
    })
    assert.equal(await ledger.saveMarkets([odd, market(30_001)], nowMs + HOUR_MS), 2)
    const [row] = await ledger.read(
      'SELECT question, volume, volume_24h, end_at, start_at, raw FROM markets WHERE condition_id = $1',
      [odd.conditionId],
    )
    assert.deepEqual(row, {
      question: 'nul \ufffd and half a \ufffd pair',
      volume: null,
      volume_24h: null,
      end_at: null,
      start_at: null,
      raw: { 'key\ufffd': ['\ufffd', '\ufffd', 'backslash \\u0000'] },
    })
  })

  test('a price row is stored when price or volume changed, and at least once an hour', async () => {
    const save = (minutes: number, ...prices: PriceSnapshot[]) => ledger.savePrices(prices, nowMs + minutes * MINUTE_MS)
    nowMs = NOW_MS - 5 * HOUR_MS
    assert.equal(await save(0, price(900, '0.5'), price(901, '0.5')), 2)
    assert.equal(await save(1, price(900, '0.5'), price(901, '0.50')), 0, '0.50 is 0.5')
    assert.equal(await save(2, price(900, '0.51'), price(901, '0.5', '6')), 2)
    assert.equal(await save(61, price(900, '0.51')), 0)
    assert.equal(await save(62, price(900, '0.51')), 1)
    assert.equal(await save(63, price(900, '0.51', null)), 1)
    assert.equal(await save(64, price(900, '1.2'), price(901, 'NaN'), price(902, '0.7')), 1, 'bad ones are put aside')
    const rows = await ledger.read('SELECT ts, price, volume_24h FROM v_prices WHERE token_id = $1 ORDER BY ts', [
      tokenOf(901),
    ])
    assert.deepEqual(rows, [
      { ts: new Date(nowMs), price: 0.5, volume_24h: 5 },
      { ts: new Date(nowMs + 2 * MINUTE_MS), price: 0.5, volume_24h: 6 },
    ])
    const letters = await ledger.read("SELECT reason FROM dead_letters WHERE source = 'prices'")
    assert.equal(letters.length, 2)
    const candles = await ledger.read<{ trades: number }>(
      `SELECT trades FROM price_candles_1h JOIN tokens USING (token_key) WHERE source = 'snapshot' AND token_id = $1`,
      [tokenOf(902)],
    )
    assert.deepEqual(candles, [{ trades: 0 }])
  })

  test('the newest stored price outlives a restart', async () => {
    const other = (await import('./ledger.ts')).openLedger({
      databaseUrl: url,
      dataDir: '',
      clock,
      log: (await import('./test-server.ts')).quietLogger(),
    })
    await ledger.savePrices([price(950, '0.2')], nowMs)
    assert.equal(await other.savePrices([price(950, '0.2')], nowMs + MINUTE_MS), 0, 'contact is made when needed')
    assert.equal(await other.savePrices([price(950, '0.3')], nowMs + MINUTE_MS), 1)
    await other.close()
  })

  test('a book row is stored when its hash changed, best level first, however old the book is', async () => {
    assert.equal(await ledger.saveOrderBooks([book(910, 'aa'), book(911, 'bb')], nowMs), 2)
    assert.equal(await ledger.saveOrderBooks([book(910, 'aa'), book(911, 'cc')], nowMs + 1), 1)
    const bad = book(912, 'dd', { asks: [{ price: 'x', size: '1' }] })
    assert.equal(await ledger.saveOrderBooks([bad, book(910, 'ee', { spread: '0.02', midpoint: '0.5' })], nowMs + 2), 1)
    const rows = await ledger.read('SELECT * FROM v_orderbooks WHERE token_id = $1 ORDER BY ts', [tokenOf(910)])
    assert.deepEqual(rows, [
      {
        ts: new Date(nowMs),
        token_id: tokenOf(910),
        bids: [
          { price: 0.49, size: 918.34 },
          { price: 0.48, size: 5 },
        ],
        asks: [],
        spread: null,
        midpoint: null,
      },
      { ...rows[0], ts: new Date(nowMs + 2), spread: 0.02, midpoint: 0.5 },
    ])
  })

  test('twenty thousand books and prices in one cycle', async () => {
    const length = kind === EMBEDDED ? 20_000 : 2_000
    const books = Array.from({ length }, (_, index) => book(index, `hash ${index}`))
    const prices = books.map((_, index) => price(index, '0.123'))
    const startMs = performance.now()
    const stored = await ledger.saveOrderBooks(books, nowMs + 5)
    const storedPrices = await ledger.savePrices(prices, nowMs + 5)
    assert.deepEqual([stored, storedPrices], [length, length])
    assert.ok(performance.now() - startMs < 30_000)
  })

  test('unresolved markets are asked for in turn, and resolved ones no more', async () => {
    const late = nowMs + 2 * HOUR_MS
    const ids = [1, 2, 3, 4].map((number) => idOf(40_000 + number)) as [
      ConditionId,
      ConditionId,
      ConditionId,
      ConditionId,
    ]
    await administer(url, 'UPDATE market_checks SET resolved = true')
    await administer(
      url,
      'INSERT INTO market_checks SELECT condition_id, null, null, true FROM markets ON CONFLICT DO NOTHING',
    )
    const listed = [
      market(40_001, { closed: true }),
      market(40_002, { endAt: new Date(late - 1).toISOString() }),
      market(40_003),
      market(40_004),
    ]
    await ledger.saveMarkets(listed, late)
    assert.deepEqual(await ledger.loadUnresolved(late, 10), [ids[0], ids[1]])
    await ledger.saveMarkets(listed.slice(0, 3), late + 1)
    assert.deepEqual(await ledger.loadUnresolved(late, 10), [ids[0], ids[1], ids[3]], 'no longer listed')
    await ledger.markChecked([ids[0]], late + 2)
    await ledger.markChecked([ids[1]], late + 3)
    assert.deepEqual(await ledger.loadUnresolved(late, 2), [ids[3], ids[0]], 'never asked first, then the oldest')
    const resolution: Resolution = {
      conditionId: ids[3],
      result: 'winner',
      outcome: 'No',
      winnerTokenId: tokenOf(80_009),
      payoutPrice: '1',
      resolvedAt: '2026-11-01T00:00:00Z',
      detectionMethod: 'gamma+clob',
    }
    const closed = market(40_004, { closed: true, resolutionStatus: 'resolved' })
    assert.equal(await ledger.saveResolutions([resolution, resolution], [closed], late + 4), 1)
    assert.equal(await ledger.saveResolutions([{ ...resolution, outcome: 'Yes' }], [], late + 5), 0)
    assert.deepEqual(await ledger.loadUnresolved(late, 10), [ids[0], ids[1]])
    const [row] = await ledger.read(
      `SELECT r.outcome, r.winner_token_id, r.payout_price, r.resolved_at, r.detection_method, m.closed
       FROM resolutions r JOIN markets m USING (condition_id) WHERE condition_id = $1`,
      [ids[3]],
    )
    assert.deepEqual(row, {
      outcome: 'No',
      winner_token_id: tokenOf(80_009),
      payout_price: '1',
      resolved_at: new Date('2026-11-01T00:00:00Z'),
      detection_method: 'gamma+clob',
      closed: true,
    })
  })

  test('dead letters are cut at 64 KiB and limited per hour, and what the limit cost is counted', async () => {
    await administer(url, 'TRUNCATE dead_letters, dead_letter_hours')
    const letter = (raw: string) => ({ atMs: nowMs, source: 'test', reason: 'nul \0', raw })
    await ledger.saveDeadLetters([letter('é'.repeat(60_000)), letter('a\0b')])
    const rows = await ledger.read<{ raw: string; bytes: number }>(
      'SELECT raw, octet_length(raw) AS bytes FROM dead_letters ORDER BY id',
    )
    assert.ok((rows[0]?.bytes ?? 0) <= 65_536)
    assert.match(rows[0]?.raw ?? '', /é … \(cut by tapekeeper\)$/)
    assert.equal(rows[1]?.raw, 'a\ufffdb')
    await ledger.saveDeadLetters(Array.from({ length: 700 }, () => letter('x')))
    await ledger.saveDeadLetters(Array.from({ length: 700 }, () => letter('x')))
    assert.equal(await count('dead_letters'), 1_000)
    assert.deepEqual(await ledger.read('SELECT offered, kept FROM dead_letter_hours'), [
      { offered: '1402', kept: '1000' },
    ])
    nowMs += HOUR_MS
    await ledger.saveDeadLetters([letter('next hour')])
    assert.equal(await count('dead_letters'), 1_001)
  })

  test('a finished cycle is kept', async () => {
    const cycle = {
      collector: 'c',
      startedMs: nowMs,
      durationMs: 12.5,
      ok: false,
      items: 3,
      error: 'x\0',
      details: { a: 1 },
    }
    await ledger.saveCycle(cycle)
    const [row] = await ledger.read('SELECT collector, duration_ms, ok, error, details FROM collector_cycles')
    assert.deepEqual(row, { collector: 'c', duration_ms: 12.5, ok: false, error: 'x\ufffd', details: { a: 1 } })
  })

  test('upkeep makes partitions ahead, drops whole days and purges what is kept for a while', async () => {
    const oldMs = nowMs - 89 * DAY_MS
    await ledger.savePrices([price(50_970, '0.5')], oldMs)
    const partitions = () =>
      ledger.read<{ name: string }>("SELECT relname AS name FROM pg_class WHERE relname ~ '^price_snapshots_[0-9]{8}$'")
    const before = await partitions()
    assert.equal((await ledger.maintain(nowMs)).partitionsDropped, 0, 'nothing is old yet')
    nowMs += 2 * DAY_MS
    const report = await ledger.maintain(nowMs)
    assert.equal(report.partitionsDropped, 5, 'one day of five tables')
    const later = (await partitions()).map(({ name }) => name)
    assert.equal(later.length, before.length - 1 + 2, 'one dropped, two more days ahead')
    assert.equal((await ledger.read('SELECT FROM v_prices WHERE token_id = $1', [tokenOf(50_970)])).length, 0)
    const candles = 'SELECT FROM price_candles_1h JOIN tokens USING (token_key) WHERE token_id = $1'
    assert.equal((await ledger.read(candles, [tokenOf(50_970)])).length, 1, 'candles are kept for ever')
    nowMs += 40 * DAY_MS
    const late = await ledger.maintain(nowMs)
    assert.deepEqual([late.deadLettersPurged, late.cyclesPurged], [1_001, 1])
  })

  test('a partition dropped behind our back is made again', async () => {
    const timeMs = nowMs - 3 * DAY_MS
    assert.equal(await ledger.savePrices([price(980, '0.5')], timeMs), 1)
    const day = new Date(timeMs).toISOString().slice(0, 10).replaceAll('-', '')
    await administer(url, `DROP TABLE price_snapshots_${day}`)
    const again = () => ledger.savePrices([price(980, '0.6')], timeMs + 1)
    await assert.rejects(again, { name: 'TransientError' })
    assert.equal(await again(), 1)
  })

  test('a time outside the window goes to the dead letters', async () => {
    await administer(url, 'TRUNCATE dead_letters, dead_letter_hours')
    assert.equal(await ledger.savePrices([price(990, '0.5')], nowMs - 200 * DAY_MS), 0)
    assert.equal(await ledger.saveOrderBooks([book(990, 'h')], nowMs + 3 * DAY_MS), 0)
    assert.equal(await count('dead_letters'), 2)
  })

  test('reading cannot write', async () => {
    await assert.rejects(ledger.read('DELETE FROM markets'), /read-only/)
  })
}
