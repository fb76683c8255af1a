import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import type { LifecycleRow, StreamBatch, TickSizeRow, TradeRow } from '../core/rows.ts'
import type { Ledger } from './ledger.ts'
import { freshLedger, type TestServerKind, testServerKinds } from './test-server.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const NOW_MS = Date.now()
const MARKET = `0x${'ab'.repeat(32)}`

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex')
}

function trade(change: Partial<TradeRow> = {}): TradeRow {
  const row = {
    venueMs: NOW_MS,
    ordinal: 0,
    atUs: NOW_MS * 1000 + 7,
    tokenId: '123456789',
    market: MARKET,
    price: '0.51',
    size: '20',
    side: 'BUY' as const,
    feeRateBps: '0',
    transactionHash: '0xfeed',
    origin: 'stream' as const,
    payload: Buffer.from('{"the":"line"}'),
    ...change,
  }
  const { tokenId, venueMs, price, size, side, transactionHash } = row
  return { contentHash: md5([tokenId, venueMs, price, size, side, transactionHash].join()), ...row }
}

function batch(change: Partial<StreamBatch> = {}): StreamBatch {
  return {
    recorderId: 'here',
    stream: 'trades',
    position: { segment: 'one', offset: 10, line: 1 },
    positionAtUs: NOW_MS * 1000 + 7,
    trades: [],
    tickSizes: [],
    lifecycle: [],
    deadLetters: [],
    coverage: null,
    ...change,
  }
}

describe('stream', { concurrency: true }, () => {
  for (const kind of testServerKinds()) describe(`on ${kind.name}`, { concurrency: false }, () => suite(kind))
})

function suite(kind: TestServerKind): void {
  let ledger: Ledger
  before(async () => {
    ledger = (await freshLedger({ kind })).ledger
  })
  after(() => ledger.close())

  const trades = (tokenId: string) =>
    ledger.read<Record<string, unknown>>('SELECT * FROM v_trades WHERE token_id = $1 ORDER BY ts, price', [tokenId])

  test('a trade comes back as it went in, and twice is once', async () => {
    const row = trade({ tokenId: '9'.repeat(78), venueMs: NOW_MS - 1, price: '0.001', size: '1234567.123456' })
    const first = await ledger.commitStream(batch({ trades: [row, row] }))
    assert.deepEqual(first, {
      tradesInserted: 1,
      tickSizesInserted: 0,
      lifecycleInserted: 0,
      duplicates: 1,
      poisoned: 0,
    })
    const again = await ledger.commitStream(batch({ trades: [row, { ...row, ordinal: 1 }] }))
    assert.equal(again.tradesInserted, 1, 'an identical fill with the next ordinal is another trade')
    const rows = await trades(row.tokenId)
    assert.equal(rows.length, 2)
    assert.deepEqual(rows[0], {
      ts: new Date(row.venueMs),
      token_id: row.tokenId,
      condition_id: MARKET,
      outcome: null,
      side: 'BUY',
      price: 0.001,
      size: 1234567.123456,
      transaction_hash: '0xfeed',
      origin: 'stream',
    })
  })

  test('the position is stored with the rows and read back to the microsecond', async () => {
    assert.equal(await ledger.loadPosition('nobody', 'trades'), null)
    const position = { segment: 'seg-2', offset: 2 ** 40, line: 77 }
    await ledger.commitStream(batch({ recorderId: 'r1', position, positionAtUs: NOW_MS * 1000 + 123 }))
    assert.deepEqual(await ledger.loadPosition('r1', 'trades'), { position, atUs: NOW_MS * 1000 + 123 })
    await ledger.commitStream(batch({ recorderId: 'r1', position: { ...position, line: 78 }, positionAtUs: null }))
    assert.deepEqual(await ledger.loadPosition('r1', 'trades'), {
      position: { ...position, line: 78 },
      atUs: NOW_MS * 1000 + 123,
    })
  })

  test('a token first seen in a transaction that failed is stored by the next one', async () => {
    const rows = [trade({ tokenId: '4711' })]
    const impossible = { segment: 's', offset: Number.NaN, line: 0 }
    await assert.rejects(ledger.commitStream(batch({ trades: rows, position: impossible })))
    assert.equal((await trades('4711')).length, 0)
    assert.equal((await ledger.commitStream(batch({ trades: rows }))).tradesInserted, 1)
    assert.equal((await trades('4711')).length, 1)
  })

  const poisons: [string, Partial<TradeRow>][] = [
    ['a NUL character', { transactionHash: 'bad\0hash' }],
    ['a number out of range', { size: '1e999' }],
    ['a word for a number', { price: 'abc' }],
    ['NaN', { size: 'NaN' }],
    ['a price above one', { price: '1.01' }],
    ['a hash that is none', { contentHash: '"},{' }],
    ['an ordinal out of range', { ordinal: 2 ** 40 }],
  ]
  for (const [name, poison] of poisons) {
    test(`one poisoned row (${name}) does not keep its 999 neighbours away`, async () => {
      const tokenId = String(BigInt(`0x${md5(name)}`))
      const rows = Array.from({ length: 1000 }, (_, index) => trade({ tokenId, transactionHash: `0x${index}` }))
      const payload = Buffer.from(`{"poison":"${name}"}`)
      rows[617] = { ...(rows[617] as TradeRow), ...poison, payload }
      const commit = await ledger.commitStream(
        batch({ recorderId: name, trades: rows, position: { segment: 'p', offset: 5, line: 1000 } }),
      )
      assert.deepEqual([commit.tradesInserted, commit.poisoned, commit.duplicates], [999, 1, 0])
      assert.equal((await trades(tokenId)).length, 999)
      assert.equal((await ledger.loadPosition(name, 'trades'))?.position.line, 1000)
      const letters = await ledger.read('SELECT source, raw FROM dead_letters WHERE raw = $1', [payload.toString()])
      assert.deepEqual(letters, [{ source: 'trades', raw: payload.toString() }])
      const [volume] = await ledger.read<{ trades: number }>(
        'SELECT trades FROM trade_volume_1h JOIN tokens USING (token_key) WHERE token_id = $1',
        [tokenId],
      )
      assert.equal(volume?.trades, 999, 'candles count only what landed')
    })
  }

  test('times outside the window and token ids that are none go to the dead letters', async () => {
    const rows = [
      trade({ tokenId: '55', venueMs: NOW_MS - 200 * DAY_MS }),
      trade({ tokenId: '55', venueMs: NOW_MS + 2 * DAY_MS }),
      trade({ tokenId: '55', venueMs: Number.NaN }),
      trade({ tokenId: 'x55' }),
      trade({ tokenId: '55', venueMs: NOW_MS - 60 * DAY_MS }),
    ]
    const commit = await ledger.commitStream(batch({ trades: rows }))
    assert.deepEqual([commit.tradesInserted, commit.poisoned], [1, 4])
    assert.equal((await trades('55')).length, 1, 'the partition of 60 days ago was made on demand')
  })

  test('tick size changes and lifecycle events are stored once, and new markets become known', async () => {
    const identity = { venueMs: NOW_MS, ordinal: 0, atUs: NOW_MS * 1000, payload: Buffer.from('x') }
    const tick: TickSizeRow = {
      ...identity,
      contentHash: md5('tick'),
      tokenId: '77',
      market: MARKET,
      oldTickSize: '0.01',
      newTickSize: '0.001',
    }
    const market = `0x${'cd'.repeat(32)}`
    const born: LifecycleRow = {
      ...identity,
      contentHash: md5('born'),
      kind: 'new_market',
      market,
      question: 'Will it "rain", {really}\\?',
      slug: 'rain',
      tokens: ['771', '772'],
      outcomes: ['Yes', 'No'],
      tickSize: '0.01',
      winningTokenId: null,
      raw: '{"a":"\\u00e9 {}"}',
    }
    const poison: LifecycleRow = { ...born, contentHash: md5('poison'), raw: '{"a":"\\u0000"}' }
    const all = batch({ tickSizes: [tick, tick], lifecycle: [born, poison] })
    const commit = await ledger.commitStream(all)
    assert.deepEqual(commit, {
      tradesInserted: 0,
      tickSizesInserted: 1,
      lifecycleInserted: 1,
      duplicates: 1,
      poisoned: 1,
    })
    const [row] = await ledger.read('SELECT question, slug, active, closed FROM markets WHERE condition_id = $1', [
      market,
    ])
    assert.deepEqual(row, { question: 'Will it "rain", {really}\\?', slug: 'rain', active: true, closed: false })
    const tokens = await ledger.read('SELECT token_id, outcome FROM tokens WHERE condition_id = $1 ORDER BY 1', [
      market,
    ])
    assert.deepEqual(tokens, [
      { token_id: '771', outcome: 'Yes' },
      { token_id: '772', outcome: 'No' },
    ])
    assert.equal((await ledger.loadUnresolved(NOW_MS, 100)).includes(market as never), false)
    const ended: LifecycleRow = { ...born, contentHash: md5('ended'), kind: 'market_resolved', winningTokenId: '772' }
    await ledger.commitStream(batch({ lifecycle: [ended] }))
    assert.equal((await ledger.loadUnresolved(NOW_MS, 100)).includes(market as never), true)
  })

  test('any splitting, repetition and order stores each identity once, and candles equal a recomputation', async () => {
    let run = 0
    const price = fc.integer({ min: 1, max: 99 }).map((cents) => (cents / 100).toFixed(2))
    const event = fc.record({
      token: fc.integer({ min: 0, max: 2 }),
      // Few distinct times, so that ties, late rows and hour borders are common.
      venueMs: fc.integer({ min: 0, max: 5 }).map((step) => Math.floor(NOW_MS / HOUR_MS) * HOUR_MS - step * 1_200_000),
      price,
      size: fc.integer({ min: 1, max: 5_000_000 }).map((micros) => String(micros / 1_000_000)),
      side: fc.constantFrom('BUY' as const, 'SELL' as const),
      ordinal: fc.integer({ min: 0, max: 1 }),
    })
    const batches = fc.array(fc.array(event, { maxLength: 8 }), { minLength: 1, maxLength: 4 })
    const property = fc.asyncProperty(batches, fc.array(fc.nat({ max: 3 }), { maxLength: 3 }), async (parts, again) => {
      run += 1
      const rows = parts.map((part) =>
        part.map(({ token, ...rest }) => trade({ tokenId: `${kind.name.length}000${run}000${token}`, ...rest })),
      )
      for (const index of again) rows.push(rows[index % rows.length] ?? [])
      let inserted = 0
      for (const part of rows) inserted += (await ledger.commitStream(batch({ trades: part }))).tradesInserted
      const expected = naiveCandles(rows.flat())
      assert.equal(inserted, expected.rows)
      assert.deepEqual(await storedCandles(`${kind.name.length}000${run}000`), expected.candles)
    })
    await fc.assert(property, { numRuns: 100 })
  })

  async function storedCandles(prefix: string) {
    return ledger.read(
      `SELECT t.token_id, extract(epoch FROM c.hour)::float8 * 1000 AS hour, c.open, c.high, c.low, c.close,
              v.trades, v.buys, v.sells, v.shares::text, v.notional::text
       FROM price_candles_1h c JOIN trade_volume_1h v USING (token_key, hour) JOIN tokens t USING (token_key)
       WHERE c.source = 'trade' AND t.token_id LIKE $1 || '_' ORDER BY 1, 2`,
      [prefix],
    ) as Promise<unknown>
  }
}

/** The slow and obvious way, with integers for exact sums. */
function naiveCandles(rows: readonly TradeRow[]) {
  const seen = new Map<string, TradeRow>()
  for (const row of rows) {
    const key = `${row.tokenId} ${row.venueMs} ${row.contentHash} ${row.ordinal}`
    if (!seen.has(key)) seen.set(key, row)
  }
  const groups = new Map<string, TradeRow[]>()
  for (const row of seen.values()) {
    const key = `${row.tokenId} ${Math.floor(row.venueMs / HOUR_MS) * HOUR_MS}`
    groups.set(key, [...(groups.get(key) ?? []), row])
  }
  const candles = [...groups].map(([key, group]) => {
    const [tokenId, hour] = key.split(' ') as [string, string]
    const byTime = group.toSorted((a, b) => a.venueMs - b.venueMs)
    const prices = group.map((row) => Number(row.price))
    const shares = group.map((row) => BigInt(Math.round(Number(row.size) * 1e6)))
    const cents = group.map((row) => BigInt(Math.round(Number(row.price) * 100)))
    const buys = group.filter((row) => row.side === 'BUY').length
    return {
      token_id: tokenId,
      hour: Number(hour),
      open: Number(byTime[0]?.price),
      high: Math.max(...prices),
      low: Math.min(...prices),
      close: Number(byTime.at(-1)?.price),
      trades: group.length,
      buys,
      sells: group.length - buys,
      shares: decimal(
        shares.reduce((sum, value) => sum + value, 0n),
        group,
        0,
      ),
      notional: decimal(
        shares.reduce((sum, value, index) => sum + value * (cents[index] as bigint), 0n),
        group,
        2,
      ),
    }
  })
  candles.sort((a, b) => (a.token_id < b.token_id ? -1 : a.token_id > b.token_id ? 1 : a.hour - b.hour))
  return { rows: seen.size, candles }
}

/** The sum as PostgreSQL writes it: with as many decimals as the longest of its terms. */
function decimal(sum: bigint, group: readonly TradeRow[], priceDecimals: number): string {
  const decimalsOf = (text: string) => Number(text).toString().split('.')[1]?.length ?? 0
  const scale = 6 + priceDecimals
  const shown = Math.max(
    ...group.map((row) => decimalsOf(row.size) + (priceDecimals === 0 ? 0 : decimalsOf(row.price))),
  )
  const digits = sum.toString().padStart(scale + 1, '0')
  const whole = digits.slice(0, -scale)
  return shown === 0 ? whole : `${whole}.${digits.slice(-scale).slice(0, shown)}`
}
