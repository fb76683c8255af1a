import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { EmbeddedServer } from '../../src/ledger/embedded.ts'
import { quietLogger } from '../../src/ledger/test-server.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { startVenueProcess } from '../../src/sim/process.ts'
import { Daemon, removeDirectory, temporaryDirectory, venueEnvironment } from './daemon.ts'
import { segmentFiles } from './damage.ts'
import { until } from './processes.ts'

type Undo = () => Promise<void>

/** What a real daemon recorded of a simulated venue, with its ledger running; to be damaged and mended. */
export interface Recording {
  readonly directory: string
  readonly dataDir: string
  /** The environment that points a command to it. */
  readonly env: Record<string, string>
  readonly pool: pg.Pool
  countStored(): Promise<number>
  /** Runs the statement and returns the way back. What is gone from `trades` is in `verify_lost` until then. */
  damageLedger(sql: string): Promise<Undo>
  damageTape(change: (lines: string[]) => void): Promise<Undo>
  payloadOf(ms: number, token: string, hash: string): Promise<string>
  close(): Promise<void>
}

interface Moments {
  /** While the daemon records. */
  readonly during?: (env: Record<string, string>) => Promise<void>
  /** After it ended, with nothing running. */
  readonly afterwards?: (env: Record<string, string>) => Promise<void>
  /** Records twice and has both segments compressed; a third one holds only the marks of that. */
  readonly compressed?: boolean
}

/** Records a thousand frames and two hundred trades. */
export async function record({ during, afterwards, compressed = false }: Moments = {}): Promise<Recording> {
  const directory = await temporaryDirectory()
  const dataDir = join(directory, 'data')
  const offline = { TAPEKEEPER_DATA_DIR: dataDir }
  if (compressed) {
    for (const seed of [11, 12]) await recordSome(dataDir, { seed, frames: 500, trades: 80 })
    await compressAll(dataDir)
  } else {
    await recordSome(dataDir, { seed: 11, frames: 1_000, trades: 200, during })
  }
  await afterwards?.(offline)
  const server = new EmbeddedServer({ dataDir, clock: systemClock(), log: quietLogger() })
  await server.ensureRunning()
  const url = String(server.connectionString())
  const pool = new pg.Pool({ connectionString: url, max: 2 })
  pool.on('error', () => undefined)
  return {
    directory,
    dataDir,
    env: { ...offline, DATABASE_URL: url },
    pool,
    countStored: () => countStored(pool),
    damageLedger: (sql) => damageLedger(pool, sql),
    damageTape: (change) => damageTape(dataDir, change),
    payloadOf: (ms, token, hash) => payloadOf(dataDir, ms, token, hash),
    async close() {
      await pool.end()
      await server.stop()
      await removeDirectory(directory)
    },
  }
}

interface Part {
  readonly during?: Moments['during'] | undefined
  readonly seed: number
  /** It ends when it holds this many. */
  readonly frames: number
  readonly trades: number
}

async function recordSome(dataDir: string, { seed, frames, trades, during }: Part): Promise<void> {
  const chances = { tradeShare: 0.4, identicalFillShare: 0.3, newMarketEveryMs: 1_500, resolveEveryMs: 2_500 }
  const venue = await startVenueProcess({ markets: 20, rate: 300, seed, ...chances })
  try {
    const daemon = await Daemon.start(dataDir, venueEnvironment(venue.urls))
    try {
      await daemon.whenHealth('rows are stored', (body) => {
        const listener = body['trade_listener'] as { frames_received: number; trades_inserted: number }
        return listener.frames_received >= frames && listener.trades_inserted >= trades
      })
      await during?.(daemon.env)
      await venue.control({ drain: true })
    } finally {
      await daemon.end('SIGTERM')
    }
  } finally {
    await venue.stop()
  }
}

/** A daemon that records nothing compresses what others have left behind. */
async function compressAll(dataDir: string): Promise<void> {
  const daemon = await Daemon.start(dataDir, { TAPEKEEPER_POLYMARKET_ENABLED: 'false' })
  try {
    const isDone = async () => (await segmentFiles(dataDir)).filter((path) => path.endsWith('.ndjson')).length <= 1
    await until('the segments to be compressed', async () => ((await isDone()) ? true : undefined), 30_000)
  } finally {
    await daemon.end('SIGTERM')
  }
}

async function countStored(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `SELECT ((SELECT count(*) FROM trades) + (SELECT count(*) FROM tick_size_changes) +
             (SELECT count(*) FROM market_events))::integer AS count`,
  )
  return rows[0]?.count ?? 0
}

/** Keeps the streamed tables aside, does the damage and returns the way back. */
async function damageLedger(pool: pg.Pool, sql: string): Promise<() => Promise<void>> {
  const tables = ['trades', 'market_events']
  for (const table of tables) await pool.query(`CREATE TABLE verify_${table} AS SELECT * FROM ${table}`)
  const { rows: tokens } = await pool.query<{ token_key: number; token_id: string }>(
    'SELECT token_key, token_id FROM tokens',
  )
  const { rowCount } = await pool.query(sql)
  assert.ok((rowCount ?? 0) > 0, 'the damage was done')
  await pool.query('CREATE TABLE verify_lost AS SELECT * FROM verify_trades EXCEPT SELECT * FROM trades')
  return async () => {
    for (const table of tables) {
      await pool.query(
        `DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM verify_${table}; DROP TABLE verify_${table}`,
      )
    }
    await pool.query('DROP TABLE verify_lost')
    const [keys, ids] = [tokens.map((row) => row.token_key), tokens.map((row) => row.token_id)]
    const restore = `UPDATE tokens SET token_id = old.id FROM unnest($1::integer[], $2::text[]) AS old (key, id)
      WHERE token_key = old.key AND token_id <> old.id`
    await pool.query(restore, [keys, ids])
  }
}

async function segmentPath(dataDir: string): Promise<string> {
  const root = join(dataDir, 'tape', 'polymarket.trades')
  const days = (await readdir(root, { withFileTypes: true })).filter((entry) => entry.isDirectory())
  const names = await Promise.all(
    days.map(async ({ name }) => (await readdir(join(root, name))).map((file) => join(root, name, file))),
  )
  const plain = names.flat().filter((path) => path.endsWith('.ndjson'))
  assert.ok(plain[0] !== undefined, names.flat().join())
  return plain[0]
}

async function damageTape(dataDir: string, change: (lines: string[]) => void): Promise<() => Promise<void>> {
  const path = await segmentPath(dataDir)
  const bytes = await readFile(path)
  const lines = bytes.toString('utf8').split('\n')
  change(lines)
  await writeFile(path, lines.join('\n'))
  return () => writeFile(path, bytes)
}

/** The first line of a trade after the dumps. */
export function tradeLine(lines: readonly string[]): number {
  const index = lines.findIndex(
    (line, at) => at > 200 && line.includes('"last_trade_price"') && line.includes('"price":"'),
  )
  assert.ok(index > 0)
  return index
}

/** The payload of the trade that was received at this time, Unix ms. */
async function payloadOf(dataDir: string, ms: number, token: string, hash: string): Promise<string> {
  const lines = (await readFile(await segmentPath(dataDir), 'utf8')).split('\n')
  const line = lines.find((text) => {
    const isThen = Math.floor(Number(/"at":(\d+)/.exec(text)?.[1]) / 1000) === ms
    return isThen && text.includes('last_trade_price') && text.includes(token) && text.includes(hash)
  })
  assert.ok(line !== undefined)
  return line.slice(line.indexOf('"frame":') + 8, -1)
}
