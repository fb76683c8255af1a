import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { TokenId } from '../core/ids.ts'
import type { StreamBatch, TradeRow } from '../core/rows.ts'
import type { FillAttempt, GapToFill, TradeBackfillStore } from '../core/trade-backfill.ts'
import type { Ledger } from './ledger.ts'
import { administer, freshLedger, type TestServerKind, testServerKinds } from './test-server.ts'

const HOUR_MS = 3_600_000
/** Ten minutes into an hour. */
const NOW_MS = Math.floor(Date.now() / HOUR_MS) * HOUR_MS + 600_000
const SCOPE = { recorderId: 'here', stream: 'trades' }
const MARKETS = ['aa', 'bb', 'cc'].map((digits) => `0x${digits.repeat(32)}`)

const tokenOf = (market: number, outcome = 0) => `${1000 + market * 10 + outcome}` as TokenId

interface Fill {
  readonly token?: TokenId
  readonly market?: number
  readonly atMs: number
  readonly origin?: 'stream' | 'backfill'
  readonly hash?: string
}

function trade({ market = 0, token = tokenOf(market), atMs, origin = 'stream', hash = '0xfeed' }: Fill): TradeRow {
  const content = createHash('md5').update(`${token}${atMs}${origin}${hash}`).digest('hex')
  return {
    venueMs: atMs,
    contentHash: content,
    ordinal: 0,
    atUs: atMs * 1000,
    tokenId: token,
    market: MARKETS[market] ?? '',
    price: '0.5',
    size: '10',
    side: 'BUY',
    feeRateBps: '',
    transactionHash: hash,
    origin,
    payload: Buffer.from('{}'),
  }
}

function batch(trades: readonly TradeRow[]): StreamBatch {
  const position = { segment: 'one', offset: 10, line: 1 }
  const nothing = { tickSizes: [], lifecycle: [], deadLetters: [], coverage: null }
  return { ...SCOPE, position, positionAtUs: NOW_MS * 1000, trades, ...nothing }
}

function settled(change: Partial<FillAttempt> = {}): FillAttempt {
  return { nowMs: NOW_MS, complete: true, nextMs: null, error: null, reached: { markets: 1 }, ...change }
}

describe('backfill', { concurrency: true }, () => {
  for (const kind of testServerKinds()) describe(`on ${kind.name}`, { concurrency: false }, () => suite(kind))
})

function suite(kind: TestServerKind): void {
  let ledger: Ledger
  let store: TradeBackfillStore
  let url: string
  before(async () => {
    const fresh = await freshLedger({ kind })
    ;({ ledger, url } = fresh)
    store = ledger.tradeBackfill(SCOPE)
    const first = { active: true, closed: false, archived: false, acceptingOrders: true, outcomes: ['Yes', 'No'] }
    const markets = MARKETS.map((conditionId, number) => ({
      ...first,
      conditionId,
      question: conditionId,
      slug: conditionId,
      tokenIds: [tokenOf(number), tokenOf(number, 1)],
    }))
    await saveMarkets(markets)
  })
  after(() => ledger.close())

  /** Straight into the tables: what a listing says beyond this does not matter here. */
  async function saveMarkets(markets: readonly { conditionId: string; tokenIds: readonly string[] }[]) {
    for (const { conditionId, tokenIds } of markets) {
      await administer(
        url,
        `INSERT INTO markets (condition_id, question, slug, active, closed, archived, accepting_orders, first_seen_at,
                              updated_at)
         VALUES ($1, '', '', true, false, false, true, to_timestamp($2 / 1000.0), now())`,
        [conditionId, NOW_MS - 5 * HOUR_MS],
      )
      for (const tokenId of tokenIds) {
        await administer(url, 'INSERT INTO tokens (token_id, condition_id) VALUES ($1, $2)', [tokenId, conditionId])
      }
    }
  }

  const keyOf = async (token: string) =>
    Number((await administer(url, 'SELECT token_key FROM tokens WHERE token_id = $1', [token])).rows[0].token_key)

  async function insertGap(change: { from: number; to: number | null; tokens: string[]; quiet?: string[] }) {
    const keys = (tokens: string[]) => Promise.all(tokens.map(keyOf))
    const { rows } = await administer(
      url,
      `INSERT INTO coverage_gaps (recorder_id, stream, started_at, ended_at, cause, tokens, quiet_tokens)
       VALUES ('here', 'trades', 'epoch'::timestamptz + $1 * interval '1 microsecond',
               'epoch'::timestamptz + $2 * interval '1 microsecond', 'stall', $3, $4) RETURNING gap_id`,
      [change.from, change.to, await keys(change.tokens), await keys(change.quiet ?? [])],
    )
    return Number(rows[0].gap_id)
  }

  const gap = async (gapId: number) =>
    (await administer(url, 'SELECT * FROM coverage_gaps WHERE gap_id = $1', [gapId])).rows[0]

  test('a closed gap is handed out with the markets that may have missed something, and settled once', async () => {
    const [from, to] = [NOW_MS * 1000 - 60_000_123, NOW_MS * 1000 - 30_000_077]
    const open = await insertGap({ from, to: null, tokens: [tokenOf(0)] })
    const gapId = await insertGap({ from, to, tokens: [tokenOf(0), tokenOf(0, 1), tokenOf(1)], quiet: [tokenOf(1)] })
    const [due, ...others] = await store.loadGapsToFill(NOW_MS, 10)
    assert.deepEqual(others, [])
    const { startedMs, endedMs, ...rest } = due as GapToFill
    assert.deepEqual(rest, { gapId, endedUs: to, attempts: 0, conditionIds: [MARKETS[0]], strangers: 0 })
    assert.ok(Math.abs(startedMs - from / 1000) < 0.01 && Math.abs(endedMs - to / 1000) < 0.01)

    const waits = settled({ complete: null, nextMs: NOW_MS + 30_000, error: 'not yet' })
    assert.equal(await store.saveGapAttempt(due as GapToFill, waits), true)
    assert.deepEqual(await store.loadGapsToFill(NOW_MS, 10), [], 'its turn has not come')
    assert.equal((await store.loadGapsToFill(NOW_MS + 30_000, 10))[0]?.attempts, 1)
    assert.deepEqual((await store.loadBacklog()).gaps, 1)
    await ledger.commitStream(
      batch([
        trade({ atMs: NOW_MS - 40_000, origin: 'backfill' }),
        trade({ atMs: NOW_MS - 40_000, origin: 'stream' }),
        trade({ atMs: NOW_MS - 40_000, origin: 'backfill', market: 2 }),
        trade({ atMs: NOW_MS - 28_000, origin: 'backfill' }),
      ]),
    )
    assert.equal(await store.saveGapAttempt(due as GapToFill, settled()), true)
    const row = await gap(gapId)
    assert.deepEqual(
      [row.backfill_complete, row.backfill_attempts, row.recovered_trades, row.backfill_error, row.backfill_reached],
      [true, 2, 1, null, { markets: 1 }],
    )
    assert.equal(await store.saveGapAttempt(due as GapToFill, settled()), false, 'it is settled')
    assert.deepEqual((await store.loadBacklog()).gaps, 0)
    await administer(url, 'DELETE FROM coverage_gaps WHERE gap_id = ANY ($1)', [[open, gapId]])
  })

  test('a row that was extended meanwhile is left for another attempt; one of a stranger names it', async () => {
    const to = NOW_MS * 1000 - 1
    await administer(url, "INSERT INTO tokens (token_id) VALUES ('77')")
    const gapId = await insertGap({ from: to - 5_000_000, to, tokens: [tokenOf(0), '77'] })
    const [due] = await store.loadGapsToFill(NOW_MS, 10)
    assert.equal(due?.strangers, 1)
    await administer(url, "UPDATE coverage_gaps SET ended_at = ended_at + interval '1 microsecond' WHERE gap_id = $1", [
      gapId,
    ])
    assert.equal(await store.saveGapAttempt(due as GapToFill, settled()), false)
    assert.equal((await gap(gapId)).backfill_complete, null)
    await administer(url, 'DELETE FROM coverage_gaps WHERE gap_id = $1', [gapId])
  })

  test('stored trades are found by token, transaction and time; those without a transaction too', async () => {
    const atMs = NOW_MS - 2 * HOUR_MS
    await ledger.commitStream(
      batch([
        trade({ atMs: atMs + 357, hash: '0x1' }),
        trade({ atMs, hash: '0x1', origin: 'backfill' }),
        trade({ atMs, hash: '0x2' }),
        trade({ atMs, hash: '' }),
        trade({ atMs: atMs + 5_000, hash: '0x1' }),
        trade({ atMs, hash: '0x1', market: 1 }),
      ]),
    )
    const query = { tokenIds: [tokenOf(0)], transactionHashes: ['0x1'], fromMs: atMs, toMs: atMs + 5_000 }
    const found = await store.loadTrades(query)
    const common = { tokenId: tokenOf(0), price: 0.5, size: 10, side: 'BUY' }
    assert.deepEqual(
      [...found].sort((a, b) => a.venueMs - b.venueMs || a.transactionHash.localeCompare(b.transactionHash)),
      [
        { ...common, venueMs: atMs, transactionHash: '', origin: 'stream' },
        { ...common, venueMs: atMs, transactionHash: '0x1', origin: 'backfill' },
        { ...common, venueMs: atMs + 357, transactionHash: '0x1', origin: 'stream' },
      ],
    )
  })

  test('hours are compared once: closed ones, from the first market on, those whose turn has come', async () => {
    const query = { nowMs: NOW_MS, settleMs: 300_000, maxAgeMs: 24 * HOUR_MS, limit: 24 }
    const hours = await store.loadHoursToReconcile(query)
    const thisHourMs = NOW_MS - 600_000
    const expected = [6, 5, 4, 3, 2, 1].map((ago) => thisHourMs - ago * HOUR_MS).slice(1)
    assert.deepEqual(
      hours,
      expected.map((hourMs) => ({ hourMs, attempts: 0 })),
    )
    const early = await store.loadHoursToReconcile({ ...query, settleMs: 601_000 })
    assert.equal(early.at(-1)?.hourMs, thisHourMs - 2 * HOUR_MS, 'the last one has not settled')
    assert.equal((await store.loadHoursToReconcile({ ...query, maxAgeMs: 2.9 * HOUR_MS })).length, 2)
    const [first, second, third] = expected as [number, number, number]
    await store.saveHoursAttempt([first, second], { ...settled(), markets: 3 })
    await store.saveHoursAttempt([third], { ...settled({ complete: null, nextMs: NOW_MS + 1_000 }), markets: 3 })
    const left = await store.loadHoursToReconcile(query)
    assert.deepEqual(
      left.map(({ hourMs }) => hourMs),
      expected.slice(3),
    )
    const later = await store.loadHoursToReconcile({ ...query, nowMs: NOW_MS + 1_000 })
    assert.deepEqual(later[0], { hourMs: third, attempts: 1 })
    assert.equal((await store.loadBacklog()).hours, 1)
  })

  test('traded markets are those with trades and those whose volume changed', async () => {
    const fromMs = NOW_MS - 600_000 - 3 * HOUR_MS
    const snapshots = async (market: number, volumes: readonly number[]) => {
      const key = await keyOf(tokenOf(market))
      await administer(
        url,
        `INSERT INTO last_prices (token_key, stored_at, price) VALUES ($1, to_timestamp($2 / 1000.0), 0.5)
         ON CONFLICT DO NOTHING`,
        [key, fromMs],
      )
      for (const [at, volume] of volumes.entries()) {
        await administer(
          url,
          `INSERT INTO price_snapshots (token_key, ts, price, volume_24h)
           VALUES ($1, to_timestamp($2 / 1000.0), 0.5, $3)`,
          [key, fromMs + at * 600_000, volume],
        )
      }
    }
    // Also makes the day's partitions.
    await ledger.commitStream(batch([trade({ atMs: fromMs + 1_000, hash: '0xa' })]))
    await snapshots(1, [5, 5, 6])
    await snapshots(2, [5, 5, 5])
    await administer(
      url,
      `INSERT INTO coverage_spans (recorder_id, stream, token_key, started_at, connection)
       VALUES ('here', 'trades', $1, to_timestamp($2 / 1000.0), 'c')`,
      [await keyOf(tokenOf(1, 1)), fromMs - 7_000],
    )
    const found = await store.loadTradedMarkets(fromMs, fromMs + HOUR_MS)
    assert.deepEqual(found, [
      { conditionId: MARKETS[0], trades: 1, sinceMs: NOW_MS - 5 * HOUR_MS + 60_000 },
      { conditionId: MARKETS[1], trades: 0, sinceMs: fromMs - 7_000 },
    ])
  })

  test('what was found outside of every gap gets a gap of its own, once', async () => {
    const hourMs = NOW_MS - 600_000 - HOUR_MS
    await administer(url, 'DELETE FROM coverage_gaps')
    const at = (seconds: number) => hourMs + seconds * 1000
    const inGap = await insertGap({ from: at(100) * 1000, to: at(200) * 1000, tokens: [tokenOf(0)] })
    await administer(url, 'UPDATE coverage_gaps SET backfill_complete = true')
    await ledger.commitStream(
      batch([
        trade({ atMs: at(150), origin: 'backfill', hash: '0xin' }),
        trade({ atMs: at(300), origin: 'backfill', hash: '0xa' }),
        trade({ atMs: at(302), origin: 'backfill', hash: '0xb', token: tokenOf(0, 1) }),
        trade({ atMs: at(150), origin: 'backfill', hash: '0xc', market: 1 }),
        trade({ atMs: at(400), origin: 'stream', hash: '0xs' }),
      ]),
    )
    const attempt = { ...settled(), markets: 3 }
    assert.deepEqual(await store.saveHoursAttempt([hourMs], attempt), { gaps: 2 })
    assert.deepEqual(await store.saveHoursAttempt([hourMs], attempt), { gaps: 0 }, 'the second time they are there')
    const { rows } = await administer(
      url,
      `SELECT extract(epoch FROM started_at)::float8 * 1000 AS from, extract(epoch FROM ended_at)::float8 * 1000 AS to,
              cause, evidence, recovered_trades AS recovered, backfill_complete AS complete, gap_no,
              cardinality(tokens) AS tokens
       FROM coverage_gaps WHERE gap_id <> $1 ORDER BY 1`,
      [inGap],
    )
    const common = { cause: 'missing_trade', complete: true, gap_no: null }
    const found = (trades: number, ...hashes: string[]) => {
      return { trades, found_by: 'reconciliation', transaction_hashes: hashes }
    }
    assert.deepEqual(rows, [
      { ...common, from: at(149), to: at(152), evidence: found(1, '0xc'), recovered: 1, tokens: 1 },
      { ...common, from: at(299), to: at(304), evidence: found(2, '0xa', '0xb'), recovered: 2, tokens: 2 },
    ])
    assert.equal((await gap(inGap)).recovered_trades, 1, 'what was found later counts for the gap that it lies in')
    const { rows: hours } = await administer(
      url,
      'SELECT recovered_trades, attempts, complete FROM reconciled_hours WHERE hour = to_timestamp($1 / 1000.0)',
      [hourMs],
    )
    assert.deepEqual(hours, [{ recovered_trades: 4, attempts: 2, complete: true }])
  })
}
