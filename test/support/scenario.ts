import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { SentTrade } from '../../src/sim/account.ts'
import { startVenueProcess, type VenueProcess } from '../../src/sim/process.ts'
import { accountTrades, assertFramesEqual, assertSame, storedTrades } from './compare.ts'
import { Daemon, readTapeLines, removeDirectory, temporaryDirectory, venueEnvironment } from './daemon.ts'
import { until } from './processes.ts'

export interface ScenarioOptions {
  readonly markets: number
  /** Frames a second. */
  readonly rate: number
  readonly seconds: number
  readonly seed: number
}

export interface ScenarioFigures {
  readonly frames: number
  readonly trades: number
  readonly checks: Record<string, number>
}

/** Records a running venue for a while and compares everything with the venue's own account. */
export async function recordAndCompare(options: ScenarioOptions): Promise<ScenarioFigures> {
  const directory = await temporaryDirectory()
  const accountDir = join(directory, 'account')
  const { markets, rate, seed } = options
  const venue = await startVenueProcess({ markets, rate, seed, accountDir })
  let daemon: Daemon | undefined
  try {
    // Every hash is to be checked, also on a machine that is busy with other things.
    const env = { ...venueEnvironment(venue.urls), TAPEKEEPER_POLYMARKET_CHECK_PERCENT: '100' }
    daemon = await Daemon.start(join(directory, 'data'), env)
    await daemon.whenHealth(
      'every token is subscribed',
      (body) => body.status === 'healthy' && subscribed(body) >= markets * 2,
    )
    const recordingSinceMs = Date.now()
    const end = performance.now() + options.seconds * 1000
    await changeMarkets(venue, end)
    await until('the time is over', () => (performance.now() >= end ? true : undefined), options.seconds * 1000 + 5_000)
    await settle(venue, daemon)
    return await compare(venue, daemon, { accountDir, recordingSinceMs })
  } finally {
    await daemon?.end('SIGTERM')
    await venue.stop()
    await removeDirectory(directory)
  }
}

function subscribed(body: Record<string, unknown>): number {
  return (body['trade_listener'] as { tokens_subscribed: number }).tokens_subscribed
}

/** Markets come and go while the feed runs: one of each every few seconds. */
async function changeMarkets(venue: VenueProcess, end: number): Promise<void> {
  for (let turn = 0; performance.now() < end - 8_000; turn += 1) {
    const due = performance.now() + 3_000
    if (turn % 2 === 0) await venue.control({ createMarket: { count: 1 } })
    else await venue.control({ resolveMarket: { winner: (turn >> 1) % 2 === 0 ? 0 : 1 } })
    await until('the next change', () => (performance.now() >= due ? true : undefined), 10_000)
  }
}

/** The venue falls silent; the ledger must come to hold all of it, and every collector ask once more. */
async function settle(venue: VenueProcess, daemon: Daemon): Promise<void> {
  await venue.control({ drain: true })
  const { totals } = await venue.account()
  await daemon.whenHealth('everything sent is in the ledger', (body) => {
    const listener = body['trade_listener'] as { frames_received: number; queue_depth: number }
    const recorder = body['recorder'] as { behind_bytes: number }
    return listener.frames_received >= totals.frames && listener.queue_depth === 0 && recorder.behind_bytes === 0
  })
  const started = Date.now()
  await daemon.whenHealth('a cycle of each collector after the end', (body) => {
    const collectors = Object.entries(body['collectors'] as Record<string, { kind: string; last_collect_ts: string }>)
    return collectors.every(([, one]) => one.kind !== 'polling' || Date.parse(one.last_collect_ts) > started + 6_000)
  })
}

interface Recorded {
  readonly accountDir: string
  /** From when on every token of the time was subscribed, Unix ms. */
  readonly recordingSinceMs: number
}

async function compare(
  venue: VenueProcess,
  daemon: Daemon,
  { accountDir, recordingSinceMs }: Recorded,
): Promise<ScenarioFigures> {
  const trades = await venue.trades()
  const expected = accountTrades(trades)
  assertSame('trades', await storedTrades(daemon), expected)
  const frames = await compareFrames(venue, daemon, accountDir)
  const body = await daemon.health()
  const checks = body['book_checks'] as Record<string, number>
  assert.equal(checks['mismatch'], 0, JSON.stringify(checks))
  assert.equal(checks['unverifiable'], 0, JSON.stringify(checks))
  // What is still under way when a market is over or a token is dropped has no book to be checked against.
  assert.ok(Number(checks['skipped']) <= Number(checks['match']) / 1_000, JSON.stringify(checks))
  assert.ok((checks['match'] ?? 0) > 0, JSON.stringify(checks))
  await comparePrices(venue, daemon)
  await compareBooks(venue, daemon)
  await compareLifecycle(venue, daemon, recordingSinceMs)
  await compareCandles(daemon, trades)
  return { frames, trades: trades.length, checks }
}

/**
 * A silent venue makes the recorder ask for its books on new connections, also between the moments when one side and
 * the other are read here: the two are compared when nothing was sent meanwhile.
 */
async function compareFrames(venue: VenueProcess, daemon: Daemon, accountDir: string): Promise<number> {
  const sent = async () => {
    await venue.control({ drain: true })
    return (await venue.account()).totals.frames
  }
  const compared = async (): Promise<{ frames: number } | { error: unknown } | undefined> => {
    const before = await sent()
    const result = await assertFramesEqual(daemon, accountDir).then(
      (frames) => ({ frames }),
      (error: unknown) => ({ error }),
    )
    return 'frames' in result || (await sent()) === before ? result : undefined
  }
  const result = await until('a moment in which nothing is sent', compared, 120_000)
  if ('error' in result) throw result.error
  return result.frames
}

/** A row whenever price or volume changed; every row was served; the newest row is what was served last. */
async function comparePrices(venue: VenueProcess, daemon: Daemon): Promise<void> {
  const served = await venue.prices()
  const known = new Set(served.map((row) => `${row.token}|${Number(row.price)}|${Number(row.volume24h ?? Number.NaN)}`))
  const last = new Map(served.map((row) => [row.token, `${Number(row.price)}|${Number(row.volume24h ?? Number.NaN)}`]))
  const rows = await daemon.query<{ token_id: string; price: number; volume_24h: number | null }>(
    'SELECT token_id, price, volume_24h FROM v_prices ORDER BY token_id, ts',
  )
  const newest = new Map<string, string>()
  for (const { token_id: token, price, volume_24h: volume } of rows) {
    const value = `${price}|${volume ?? Number.NaN}`
    assert.ok(known.has(`${token}|${value}`), `a stored price was never served: ${token} ${value}`)
    assert.notEqual(newest.get(token), value, `an unchanged price was stored again: ${token} ${value}`)
    newest.set(token, value)
  }
  const open = await daemon.query<{ token_id: string }>(
    'SELECT token_id FROM tokens JOIN markets USING (condition_id) WHERE NOT closed AND accepting_orders',
  )
  for (const { token_id: token } of open) assert.equal(newest.get(token), last.get(token), `newest price of ${token}`)
  assert.ok(open.length > 0 && rows.length >= open.length)
}

async function compareBooks(venue: VenueProcess, daemon: Daemon): Promise<void> {
  const served = await venue.books()
  const known = new Set(served.map((row) => `${row.token}|${row.hash}`))
  const last = new Map(served.map((row) => [row.token, row.hash]))
  const rows = await daemon.query<{ token_id: string; hash: string }>(
    'SELECT token_id, hash FROM orderbook_snapshots JOIN tokens USING (token_key) ORDER BY token_id, ts',
  )
  const newest = new Map<string, string>()
  for (const { token_id: token, hash } of rows) {
    assert.ok(known.has(`${token}|${hash}`), `a stored book was never served: ${token} ${hash}`)
    assert.notEqual(newest.get(token), hash, `an unchanged book was stored again: ${token}`)
    newest.set(token, hash)
  }
  for (const [token, hash] of newest) assert.equal(hash, last.get(token), `newest book of ${token}`)
  assert.ok(rows.length > 0)
  const levels = await daemon.query<{ bids: { price: number }[]; asks: { price: number }[] }>(
    'SELECT bids, asks FROM v_orderbooks LIMIT 500',
  )
  for (const { bids, asks } of levels) {
    assert.ok(bids.length <= 20 && asks.length <= 20)
    assert.deepEqual(
      bids,
      [...bids].sort((a, b) => b.price - a.price),
    )
    assert.deepEqual(
      asks,
      [...asks].sort((a, b) => a.price - b.price),
    )
  }
}

/** Markets that were created while it recorded are on the tape within 5 s, resolved ones have their winner. */
async function compareLifecycle(venue: VenueProcess, daemon: Daemon, recordingSinceMs: number): Promise<void> {
  const { lifecycle } = await venue.account()
  const lines = await readTapeLines(daemon.dataDir)
  const created = lifecycle.filter((entry) => entry.kind === 'created' && entry.atMs >= recordingSinceMs)
  assert.ok(created.length > 0, 'no market was created while it recorded')
  for (const { tokens, atMs } of created) {
    for (const token of tokens) {
      // The announcement names the token too; a book of its own shows that it is subscribed.
      const line = lines.find((text) => text.includes(`"asset_id":"${token}"`))
      assert.ok(line !== undefined, `nothing recorded of the new token ${token}`)
      const delayMs = (JSON.parse(line) as { at: number }).at / 1000 - atMs
      assert.ok(delayMs < 5_000, `a new market was recorded after ${delayMs} ms`)
    }
  }
  const resolved = lifecycle.filter((entry) => entry.kind === 'resolved')
  const rows = await daemon.query<{ condition_id: string; winner_token_id: string }>(
    'SELECT condition_id, winner_token_id FROM resolutions',
  )
  const winners = new Map(rows.map((row) => [row.condition_id, row.winner_token_id]))
  for (const { conditionId, winningToken } of resolved) assert.equal(winners.get(conditionId), winningToken)
  assert.equal(winners.size, resolved.length)
}

interface Candle {
  open: number
  high: number
  low: number
  close: number
  trades: number
  shares: number
}

/** The venue's fills in the order of venue time, and of sending within one millisecond. */
export async function compareCandles(daemon: Daemon, sent: readonly SentTrade[]): Promise<void> {
  const expected = new Map<string, Candle>()
  const ordered = sent.map((trade, index) => ({ trade, index }))
  ordered.sort((a, b) => a.trade.venueMs - b.trade.venueMs || a.index - b.index)
  for (const { trade } of ordered) {
    const key = `${trade.token}|${Math.floor(trade.venueMs / 3_600_000)}`
    const price = Number(trade.price)
    const size = Number(trade.size)
    const candle = expected.get(key)
    if (candle === undefined) {
      expected.set(key, { open: price, high: price, low: price, close: price, trades: 1, shares: size })
      continue
    }
    candle.high = Math.max(candle.high, price)
    candle.low = Math.min(candle.low, price)
    candle.close = price
    candle.trades += 1
    candle.shares += size
  }
  const rows = await daemon.query<Record<string, string | number>>(
    `SELECT token_id, (extract(epoch FROM hour) / 3600)::bigint::text AS hour,
            open, high, low, close, c.trades, v.shares
     FROM price_candles_1h c JOIN trade_volume_1h v USING (token_key, hour) JOIN tokens USING (token_key)
     WHERE c.source = 'trade'`,
  )
  assert.equal(rows.length, expected.size)
  for (const row of rows) {
    const { shares, ...prices } = expected.get(`${row['token_id']}|${row['hour']}`) as Candle
    const { open, high, low, close, trades } = row
    assert.deepEqual({ open, high, low, close, trades }, prices)
    assert.ok(Math.abs(Number(row['shares']) - shares) < 1e-6 * Math.max(1, shares))
  }
}
