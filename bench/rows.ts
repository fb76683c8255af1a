import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { NOTHING_FOLLOWED } from '../src/core/coverage.ts'
import type { TokenDirectory } from '../src/core/market.ts'
import type { StreamLedger, TradeRow } from '../src/core/rows.ts'
import { rebuildStream } from '../src/recorder/rebuild.ts'
import { systemClock } from '../src/runtime/system-clock.ts'
import { Engine, type Feed } from '../src/sim/engine.ts'
import { venueOptions } from '../src/sim/options.ts'
import { createWorld } from '../src/sim/world.ts'
import { PolymarketBookChecker } from '../src/sources/polymarket/book-checker.ts'
import { decodeFrame } from '../src/sources/polymarket/decode.ts'
import { openTape } from '../src/tape/tape.ts'
import { startLedger } from './postgres.ts'
import { quiet } from './quiet.ts'
import { median, type Outcome, rate, spread, times } from './report.ts'
import type { Settings } from './settings.ts'

const STREAM = 'polymarket.trades'
const TRADES = 200_000
const QUICK_TRADES = 60_000
const TARGET = 0.5
const COPY_ROWS_PER_CHUNK = 500
const VENUE = { markets: 1_000, levels: 4, tradeShare: 1, rate: 3_000, seed: 5 }
const STEP_MS = 4
const clock = systemClock()
const directory: TokenDirectory = { facts: () => undefined }

/** Benchmark 3: a tape of trades into the ledger, against COPY of the same rows into the same table. */
export async function measureRows(settings: Settings): Promise<Outcome> {
  const { say, rounds, quick, folder } = settings
  say('making a tape of trades')
  const tapeDirectory = mkdtempSync(join(folder, 'trades-'))
  await writeTape(tapeDirectory, quick ? QUICK_TRADES : TRADES)
  const rows = await rowsOf(tapeDirectory)
  const { ledger, url, close } = await startLedger()
  const client = new pg.Client({ connectionString: url })
  try {
    await client.connect()
    // Warms up, and gives every token its key and every day its partition.
    await rebuild(tapeDirectory, ledger)
    const keys = await tokenKeys(client)
    const results = { copy: [] as number[], recorder: [] as number[] }
    for (let round = 1; round <= rounds; round += 1) {
      results.copy.push(await timed(client, rows.length, () => copy(client, rows, keys)))
      results.recorder.push(await timed(client, rows.length, () => rebuild(tapeDirectory, ledger)))
      const [copied, recorded] = [results.copy.at(-1) ?? 0, results.recorder.at(-1) ?? 0]
      say(`round ${round} of ${rounds}: COPY ${rate(copied)}, tape to rows ${rate(recorded)}`)
    }
    return outcomeOf(results, rows.length)
  } finally {
    await client.end()
    await close()
  }
}

/** Trades only, as the venue would tell them over some minutes. */
async function writeTape(tapeDirectory: string, trades: number): Promise<void> {
  const tape = await openTape({ directory: tapeDirectory, stream: STREAM, clock, log: quiet })
  const startMs = clock.wallMs() - 600_000
  const options = venueOptions(VENUE)
  let written = 0
  let nowMs = 0
  const feed: Feed = {
    wanted: () => true,
    toMarket: () => {},
    toToken(_market, _outcome, kind, text) {
      if (kind !== 'last_trade_price' || written === trades) return
      if (!tape.appender.append('b1-0', (startMs + nowMs) * 1000, Buffer.from(text)))
        throw new Error('the tape is full')
      written += 1
    },
    toTokenCustom: () => {},
    broadcast: () => {},
  }
  const engine = new Engine(options, createWorld(options, startMs), feed, nowMs)
  while (written < trades) {
    nowMs += STEP_MS
    engine.advance(startMs + nowMs, () => nowMs)
    if (nowMs % 1_000 === 0) await tape.appender.flushed()
  }
  await tape.close()
}

function rebuild(tapeDirectory: string, ledger: StreamLedger) {
  const checker = new PolymarketBookChecker(directory)
  const options = { tapeDirectory, stream: STREAM, recorderId: 'bench', ledger, checker, clock, log: quiet }
  return rebuildStream({ ...options, decode: decodeFrame }, new AbortController().signal)
}

/** The rows that the recorder makes of a tape. */
async function rowsOf(tapeDirectory: string): Promise<TradeRow[]> {
  const rows: TradeRow[] = []
  await rebuild(tapeDirectory, {
    loadPosition: () => Promise.resolve(null),
    loadCoverage: () => Promise.resolve(NOTHING_FOLLOWED),
    commitStream(batch) {
      for (const row of batch.trades) rows.push(row)
      const counts = { tickSizesInserted: 0, lifecycleInserted: 0, duplicates: 0, poisoned: 0 }
      return Promise.resolve({ tradesInserted: batch.trades.length, ...counts })
    },
  })
  return rows
}

async function tokenKeys(client: pg.Client): Promise<Map<string, number>> {
  const { rows } = await client.query<{ token_id: string; token_key: number }>('SELECT token_id, token_key FROM tokens')
  return new Map(rows.map((row) => [row.token_id, row.token_key]))
}

/** Empties the tables, does the work and returns rows a second; throws when a row is missing. */
async function timed(client: pg.Client, expected: number, work: () => Promise<unknown>): Promise<number> {
  await client.query('TRUNCATE trades, price_candles_1h')
  await client.query('CHECKPOINT')
  const startedMs = performance.now()
  await work()
  const seconds = (performance.now() - startedMs) / 1000
  const { rows } = await client.query<{ stored: number }>('SELECT count(*)::integer AS stored FROM trades')
  if (rows[0]?.stored !== expected) throw new Error(`${rows[0]?.stored} of ${expected} rows were stored`)
  return expected / seconds
}

const COLUMNS =
  'token_key, ts, content_hash, ordinal, received_at, price, size, fee_rate_bps, side, transaction_hash, origin'

/** The floor: one COPY of rows that are in memory, so without tape, decoding, identities, candles and position. */
async function copy(client: pg.Client, rows: readonly TradeRow[], keys: ReadonlyMap<string, number>): Promise<void> {
  function* chunks() {
    for (let start = 0; start < rows.length; start += COPY_ROWS_PER_CHUNK) {
      let text = ''
      for (const row of rows.slice(start, start + COPY_ROWS_PER_CHUNK)) text += copyLine(row, keys)
      yield text
    }
  }
  await pipeline(Readable.from(chunks()), client.query(copyFrom(`COPY trades (${COLUMNS}) FROM STDIN`)))
}

function copyLine(row: TradeRow, keys: ReadonlyMap<string, number>): string {
  const key = keys.get(row.tokenId)
  const ts = new Date(row.venueMs).toISOString()
  const received = new Date(Math.floor(row.atUs / 1000)).toISOString().replace('Z', microseconds(row.atUs))
  const side = row.side === 'BUY' ? 'B' : 'S'
  const origin = row.origin === 'stream' ? 's' : 'b'
  const fee = row.feeRateBps === '' ? '\\N' : row.feeRateBps
  return (
    `${key}\t${ts}\t${row.contentHash}\t${row.ordinal}\t${received}\t${row.price}\t${row.size}\t${fee}\t${side}` +
    `\t${row.transactionHash}\t${origin}\n`
  )
}

function microseconds(atUs: number): string {
  return `${String(atUs % 1000).padStart(3, '0')}Z`
}

function outcomeOf(results: { readonly copy: number[]; readonly recorder: number[] }, trades: number): Outcome {
  const floor = median(results.copy)
  const reached = median(results.recorder)
  const ratio = reached / floor
  return {
    id: 3,
    what: 'tape → trades rows with candles ÷ COPY',
    reached: times(ratio),
    target: `≥ ${times(TARGET)}`,
    met: ratio >= TARGET,
    details: [
      `${rate(reached)} (${spread(results.recorder)}) against ${rate(floor)} (${spread(results.copy)}), ` +
        `${trades.toLocaleString('en-US')} trades`,
    ],
    numbers: { ratio, floor: results.copy, rates: results.recorder, trades },
  }
}
