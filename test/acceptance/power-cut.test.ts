import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import pg from 'pg'
import { type Random, seededRandom } from '../../src/core/random.ts'
import { EmbeddedServer } from '../../src/ledger/embedded.ts'
import { findCluster } from '../../src/ledger/embedded-place.ts'
import { processesIn } from '../../src/ledger/embedded-process.ts'
import { quietLogger } from '../../src/ledger/test-server.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { startVenueProcess, type VenueProcess } from '../../src/sim/process.ts'
import {
  assertSame,
  expectedTrades,
  framesOf,
  type Multiset,
  storedTrades,
  sum,
  tradesOnTape,
} from '../support/compare.ts'
import { Daemon, readTapeLines, removeDirectory, temporaryDirectory, venueEnvironment } from '../support/daemon.ts'
import { createPoweredDisk, type PoweredDisk, whyNoPoweredDisk } from '../support/power.ts'
import { runProgram, until } from '../support/processes.ts'

const CUTS = 5
const SEED = Number(process.env['TAPEKEEPER_TEST_SEED'] ?? 20_262)
const DISK_MIB = 384
const NO_SYNC = new URL('../support/no-sync.js', import.meta.url).href

const skip = whyNoPoweredDisk() ?? false

interface Scene {
  readonly disk: PoweredDisk
  readonly dataDir: string
  readonly accountDir: string
  readonly venue: VenueProcess
}

/** What had been promised when the power went. */
interface Promised {
  /** Frames that the daemon had reported as accepted since its start. */
  readonly frames: number
  /** Trades that somebody else had read from the ledger. */
  readonly trades: Multiset
  readonly position: string
}

async function scene(t: TestContext): Promise<Scene | null> {
  const directory = await temporaryDirectory()
  const accountDir = join(directory, 'account')
  let disk: PoweredDisk
  try {
    disk = await createPoweredDisk(directory, DISK_MIB)
  } catch (error) {
    t.skip(`images cannot be mounted here: ${String(error)}`)
    return null
  }
  const shares = { tradeShare: 0.3, identicalFillShare: 0.3 }
  const venue = await startVenueProcess({ markets: 60, rate: 800, levels: 10, seed: SEED, accountDir, ...shares })
  t.after(async () => {
    await venue.stop()
    await disk.remove()
    await removeDirectory(directory)
  })
  return { disk, dataDir: join(disk.path, 'data'), accountDir, venue }
}

/** Records for a while, asks what is accepted and stored, and cuts the power at once. */
async function recordAndCut(
  { disk, dataDir, venue }: Scene,
  atFrame: number,
  more: { env?: Record<string, string> } = {},
): Promise<Promised> {
  const daemon = await Daemon.start(dataDir, { ...venueEnvironment(venue.urls), ...more.env })
  let promised: Promised = { frames: 0, trades: new Map(), position: '' }
  try {
    if (atFrame > 0) {
      await daemon.whenHealth(`${atFrame} frames and a row`, (body) => {
        const { trades_inserted: inserted } = body['trade_listener'] as { trades_inserted: number }
        return acceptedOf(body) >= atFrame && inserted > 0
      })
      const trades = await storedTrades(daemon)
      const position = await positionOf((sql) => daemon.query(sql))
      promised = { trades, position, frames: acceptedOf(await daemon.health()) }
    }
    disk.cut()
  } finally {
    const cluster = findCluster(dataDir)
    await daemon.end('SIGKILL')
    await killAll(cluster)
  }
  await disk.restore()
  return promised
}

function acceptedOf(body: Record<string, unknown>): number {
  return (body['tape'] as { frames_accepted: number }).frames_accepted
}

async function killAll(cluster: string | null): Promise<void> {
  if (cluster === null) return
  await until(
    'the end of the database',
    async () => {
      const pids = await processesIn(cluster)
      for (const pid of pids) process.kill(pid, 'SIGKILL')
      return pids.length === 0 ? true : undefined
    },
    20_000,
  )
}

async function positionOf(query: (sql: string) => Promise<readonly Record<string, unknown>[]>): Promise<string> {
  const rows = await query(
    `SELECT segment || ' ' || lpad(segment_offset::text, 12, '0') AS position FROM tape_positions`,
  )
  // Segments of later starts have higher numbers in the middle of their name.
  return String(rows[0]?.['position'] ?? '').replace(/^[^-]*-/, '')
}

/** The ledger as the cut left it, before any daemon has touched it. */
async function ledgerAfterCut(dataDir: string): Promise<{ trades: Multiset; position: string }> {
  const server = new EmbeddedServer({ dataDir, clock: systemClock(), log: quietLogger() })
  await server.ensureRunning().catch(async (error: unknown) => {
    const log = join(dataDir, 'postgres', 'tapekeeper-server.log')
    throw new Error(`the database: ${(await readFile(log, 'utf8').catch(String)).slice(-2_000)}`, { cause: error })
  })
  const client = new pg.Client({ connectionString: String(server.connectionString()) })
  try {
    await client.connect()
    const query = async (sql: string) => (await client.query<Record<string, string | number>>(sql)).rows
    const found = await query(`SELECT to_regclass('trades') IS NOT NULL AS found`)
    if (!found[0]?.['found']) return { trades: new Map(), position: '' }
    return { trades: await storedTrades({ query } as unknown as Daemon), position: await positionOf(query) }
  } finally {
    await client.end()
    await server.stop()
  }
}

/** Frames as the venue sent them, one list a connection. */
async function sentFrames(accountDir: string): Promise<string[][]> {
  const names = (await readdir(accountDir)).filter((name) => name.startsWith('frames-'))
  return Promise.all(
    names.map(async (name) => {
      const lines = (await readFile(join(accountDir, name), 'utf8')).split('\n').filter((line) => line !== '')
      return lines.map((line) => (JSON.parse(line) as { frame: string }).frame.replace(/\n$/, ''))
    }),
  )
}

/** Each connection's frames on the tape must be the first ones that the venue sent on some connection. */
async function assertPrefixes(venue: VenueProcess, accountDir: string, lines: readonly string[]): Promise<number> {
  await venue.control({ drain: true, resume: true })
  const sent = await sentFrames(accountDir)
  let frames = 0
  for (const [connection, kept] of framesOf(lines)) {
    const isPrefix = sent.some((list) => kept.length <= list.length && kept.every((frame, at) => list[at] === frame))
    assert.ok(isPrefix, `${connection}: ${kept.length} frames are not the first ones of any connection`)
    frames += kept.length
  }
  return frames
}

/** Throws when something that was promised is not there. */
async function assertKept(at: Scene, before: readonly string[], promised: Promised): Promise<string[]> {
  const lines = await readTapeLines(at.dataDir).catch(() => [])
  const lost = before.findIndex((line, index) => line !== lines[index])
  const where = `line ${lost} of ${before.length}, now ${lines.length}`
  assert.equal(lost, -1, `tape: ${where}: ${before[lost]?.slice(0, 300)} became ${lines[lost]?.slice(0, 300)}`)
  const frames = framesIn(lines) - framesIn(before)
  assert.ok(frames >= promised.frames, `tape: ${promised.frames} frames were accepted, ${frames} are there`)
  const ledger = await ledgerAfterCut(at.dataDir)
  for (const [key, count] of promised.trades) {
    assert.ok((ledger.trades.get(key) ?? 0) >= count, `ledger: a row that was stored is gone: ${key}`)
  }
  assert.ok(ledger.position >= promised.position, `ledger: ${ledger.position} is before ${promised.position}`)
  return lines
}

function framesIn(lines: readonly string[]): number {
  return [...framesOf(lines).values()].reduce((total, list) => total + list.length, 0)
}

/** Some cuts come before the first frame: while the database is made, or while it recovers. */
function moment(random: Random, round: number): number {
  return round === 1 ? 0 : 200 + Math.floor(random() * 2_500)
}

test(`${CUTS} power cuts (seed ${SEED}) lose nothing accepted and nothing stored`, { skip }, async (t) => {
  const at = await scene(t)
  if (at === null) return
  const random = seededRandom(SEED)
  let before: string[] = []
  let promisedFrames = 0
  let promisedTrades = 0
  for (let round = 0; round < CUTS; round += 1) {
    const promised = await recordAndCut(at, moment(random, round))
    before = await assertKept(at, before, promised)
    promisedFrames += promised.frames
    promisedTrades = Math.max(promisedTrades, sum(promised.trades))
  }
  const frames = await assertPrefixes(at.venue, at.accountDir, before)

  // Catching up doubles nothing.
  const daemon = await Daemon.start(at.dataDir, {
    ...venueEnvironment(at.venue.urls),
    TAPEKEEPER_POLYMARKET_ENABLED: 'false',
  })
  await daemon.whenHealth('the ledger has all of the tape', (body) => {
    const { behind_bytes: behind } = body['recorder'] as { behind_bytes: number }
    return (body['ledger'] as { state: string }).state === 'ok' && behind === 0
  })
  const accepted = expectedTrades(tradesOnTape(before))
  assertSame('the ledger against the tape', await storedTrades(daemon), accepted)
  assert.equal((await daemon.end('SIGTERM')).code, 0)
  const verify = await runProgram(['verify'], { env: { TAPEKEEPER_DATA_DIR: at.dataDir } })
  assert.equal(verify.code, 0, verify.stdout + verify.stderr)
  assert.ok(promisedFrames > 3_000 && promisedTrades > 300, `${promisedFrames} frames, ${promisedTrades} trades`)
  t.diagnostic(
    `${promisedFrames} frames promised, ${frames} on the tape; ${promisedTrades} of ${sum(accepted)} rows promised`,
  )
})

test('the method sees a tape that is not synced', { skip }, async (t) => {
  const at = await scene(t)
  if (at === null) return
  const promised = await recordAndCut(at, 1_000, { env: { NODE_OPTIONS: `--import=${NO_SYNC}` } })
  await assert.rejects(assertKept(at, [], promised), /^AssertionError.*tape: \d+ frames were accepted/)
})
