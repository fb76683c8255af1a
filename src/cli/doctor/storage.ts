import { existsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Config } from '../../config/config.ts'
import type { LedgerFacts } from '../../ledger/ledger-facts.ts'
import { readClusterSize, readLedgerFacts } from '../../ledger/ledger-facts.ts'
import { parseDatabaseUrl } from '../../ledger/target.ts'
import { readTapeSizes, type SegmentSize } from '../../tape/tape-sizes.ts'
import { formatBytes } from '../format-bytes.ts'
import { chooseStreams, tapeDirectory } from '../streams.ts'
import { type Check, type DiskPort, type Finding, fail, ok, type Patient, warn } from './check.ts'
import { forecast, growthOf } from './forecast.ts'
import { recorderPid } from './machine.ts'

const DAY_MS = 86_400_000
const HISTORY_DAYS = 7
/** Growth over less than this is the start, not the pace. */
const HISTORY_MS_MIN = 30 * 60_000
const FREE_BYTES_FAIL = 200e6
const FULL_DAYS_WARN = 14

export const realDiskPort: DiskPort = {
  async statfs(path) {
    const { bavail, blocks, bsize } = await statfs(path)
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
  },
}

export function storageChecks(patient: Patient): readonly Check[] {
  return [
    { name: 'database', look: () => checkDatabase(patient.config) },
    { name: 'disk', look: () => checkDisk(patient) },
  ]
}

/** The server to ask; null for a built-in one that does not run: it is not started for this. */
async function findServer(config: Config): Promise<LedgerFacts | null> {
  if (config.database.url !== null) return readLedgerFacts(parseDatabaseUrl(config.database.url.reveal()))
  const { findEmbeddedConnectionString } = await import('../../ledger/embedded.ts')
  const found = findEmbeddedConnectionString(config.dataDir)
  if (found === null || !found.running || recorderPid(config) === null) return null
  return readLedgerFacts(parseDatabaseUrl(found.connectionString))
}

async function checkDatabase(config: Config): Promise<Finding> {
  const facts = await findServer(config)
  if (facts === null) {
    const cluster = await readClusterSize(config.dataDir)
    if (cluster === null) return ok('built-in PostgreSQL, made when tapekeeper collect first starts')
    if (recorderPid(config) !== null) return fail('the built-in database of the running recorder is not there')
    return ok(`built-in PostgreSQL, ${formatBytes(cluster.bytes)}, runs while the recorder does`)
  }
  const { serverVersion, bytes, applied, newest } = facts
  const kind = config.database.url === null ? 'built-in ' : ''
  const text = `${kind}PostgreSQL ${serverVersion}, ${formatBytes(bytes)}`
  if (applied === null) return ok(`${text}, no ledger in it yet: tapekeeper collect makes it`)
  if (applied > newest) {
    return fail(`${text}, at migration ${applied}, this program knows ${newest}`, 'install the newer version')
  }
  if (applied < newest) {
    return warn(
      `${text}, at migration ${applied} of ${newest}`,
      'the next start of tapekeeper collect brings it up to date',
    )
  }
  return ok(`${text}, at migration ${applied} of ${newest}`)
}

async function checkDisk({ config, clock, disk }: Patient): Promise<Finding> {
  const nowMs = clock.wallMs()
  const { freeBytes, totalBytes } = await disk.statfs(existingFolder(config.dataDir))
  const segments = chooseStreams(config, undefined).flatMap((name) => readTapeSizes(tapeDirectory(config), name))
  const ledger = await ledgerSize(config, nowMs)
  const facts = {
    nowMs,
    tapeBytes: segments.reduce((sum, { bytes }) => sum + bytes, 0),
    ledgerBytes: ledger.bytes,
    tapeGrowth: tapeGrowth(segments, nowMs),
    ledgerGrowth: ledger.growth,
    freeBytes,
    maxBytes: config.storage.maxBytes,
  }
  const { growth, budgetMs, fullMs } = forecast(facts)
  const where = ledger.bytes === 0 ? 'elsewhere or none' : formatBytes(ledger.bytes)
  const budget = formatBytes(facts.maxBytes)
  const text = [
    `${formatBytes(freeBytes)} free of ${formatBytes(totalBytes)}`,
    `tape ${formatBytes(facts.tapeBytes)}, ledger ${where}`,
    growth === null ? 'too little history for a forecast' : `${formatBytes(growth)} a day`,
    ...(fullMs === null ? [] : [`the disk is full on ${day(fullMs)}`]),
    ...(budgetMs === null || fullMs !== null ? [] : [`the budget of ${budget} is used up on ${day(budgetMs)}`]),
  ].join('; ')
  if (freeBytes < FREE_BYTES_FAIL) return fail(text, 'make room: nothing is accepted once the disk is full')
  if (fullMs !== null && fullMs - nowMs < FULL_DAYS_WARN * DAY_MS) {
    return warn(text, 'make room, or lower storage.max_bytes so that older tape goes in time')
  }
  return ok(text)
}

/** What is compressed by now: the newest segments are not, and would promise a tenfold pace. */
function tapeGrowth(segments: readonly SegmentSize[], nowMs: number): number | null {
  const recent = segments.filter(({ startedMs }) => nowMs - startedMs < HISTORY_DAYS * DAY_MS)
  const packed = recent.filter(({ compressed }) => compressed)
  const parts = packed.length > 0 ? packed : recent
  const untilMs = packed.length > 0 ? (recent.find(({ compressed }) => !compressed)?.startedMs ?? nowMs) : nowMs
  return growthOf(
    parts.map(({ startedMs, bytes }) => ({ atMs: startedMs, bytes })),
    untilMs,
    HISTORY_MS_MIN,
  )
}

/** Only of a database on this disk. Its growth is that of the days' partitions. */
async function ledgerSize(config: Config, nowMs: number): Promise<{ bytes: number; growth: number | null }> {
  if (config.database.url !== null) return { bytes: 0, growth: null }
  // What is wrong with the database is another check's to tell.
  const facts = await findServer(config).catch(() => null)
  if (facts === null) return { bytes: (await readClusterSize(config.dataDir))?.bytes ?? 0, growth: null }
  const past = facts.days.filter(({ atMs }) => atMs <= nowMs && nowMs - atMs < HISTORY_DAYS * DAY_MS)
  return { bytes: facts.bytes, growth: growthOf(past, nowMs, HISTORY_MS_MIN) }
}

function existingFolder(path: string): string {
  return existsSync(path) || path === dirname(path) ? path : existingFolder(dirname(path))
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}
