import { spawnSync } from 'node:child_process'
import { cp, mkdir, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { findEmbeddedConnectionString } from '../../src/ledger/embedded.ts'
import type { VenueProcess } from '../../src/sim/process.ts'
import type { ProxyProcess } from '../../src/sim/proxy-process.ts'
import type { Query } from '../support/coverage.ts'
import { Daemon, signalServer } from '../support/daemon.ts'
import { startProgram, until } from '../support/processes.ts'
import type { Schedule } from './schedule.ts'

/** What one schedule is played on: a venue, a proxy, a daemon with its own PostgreSQL, maybe a small disk. */
export interface Stage {
  readonly folder: string
  readonly dataDir: string
  readonly accountDir: string
  readonly venue: VenueProcess
  readonly proxy: ProxyProcess
  /** Whether the disk can be filled. */
  readonly smallDisk: boolean
  /** What the daemons have written, from the first to the last. */
  readonly logs: string[]
  daemon: Daemon
}

/** Several schedules share a machine that may be busy with other things. */
const START_MS_MAX = 120_000
const MARKETS = 12
const FRAMES_PER_SECOND = 120
const TOKENS_PER_CONNECTION = 10
const DISK_MIB = 160
/** Left free when the disk is filled: the tape runs into the end, and soon. */
const DISK_LEFT_BYTES = 32 * 1024

const ENVIRONMENT = {
  TAPEKEEPER_HEALTH_HOST: '127.0.0.1',
  TAPEKEEPER_POLYMARKET_MARKETS_INTERVAL: '2s',
  TAPEKEEPER_POLYMARKET_PRICE_INTERVAL: '3s',
  TAPEKEEPER_POLYMARKET_ORDERBOOK_INTERVAL: '2s',
  TAPEKEEPER_POLYMARKET_RESOLUTION_INTERVAL: '3s',
  TAPEKEEPER_POLYMARKET_PING_INTERVAL: '1s',
  TAPEKEEPER_POLYMARKET_STALL_TIMEOUT: '3s',
  TAPEKEEPER_POLYMARKET_MAX_TOKENS_PER_CONNECTION: String(TOKENS_PER_CONNECTION),
}

/** Makes, once, the database that every schedule begins with a copy of: creating one takes longer than copying it. */
export async function createTemplate(folder: string): Promise<string> {
  const dataDir = join(folder, 'template')
  await mkdir(dataDir)
  const running = startProgram(['collect', '--data-dir', dataDir], {
    env: {
      ...{ HEALTH_PORT: '0', TAPEKEEPER_HEALTH_HOST: '127.0.0.1', TAPEKEEPER_API_ADDRESS: '127.0.0.1:0' },
      TAPEKEEPER_POLYMARKET_ENABLED: 'false',
    },
  })
  try {
    const isReady = () => (/the database is ready/.test(running.stderr) || !running.alive ? true : undefined)
    await until('the template', isReady, START_MS_MAX)
    if (!running.alive) throw new Error(`no template: ${running.stderr.slice(-500)}`)
  } finally {
    await running.end('SIGTERM')
  }
  return join(dataDir, 'postgres')
}

/** Opens the stage; what was opened is closed again when that fails. */
export async function openStage(schedule: Schedule, template: string, folder: string): Promise<Stage> {
  const { seed, needsDisk } = schedule
  const [dataDir, accountDir] = [join(folder, 'data'), join(folder, 'account')]
  await mkdir(dataDir, { recursive: true })
  const smallDisk = needsDisk && mountSmallDisk(dataDir)
  await cp(template, join(dataDir, 'postgres'), { recursive: true, preserveTimestamps: true })
  copyOwners(template, join(dataDir, 'postgres'))
  const { startVenueProcess, startProxyProcess } = await builtSimulation()
  const venue = await startVenueProcess({
    ...{ markets: MARKETS, rate: FRAMES_PER_SECOND, seed, accountDir },
    ...{ tradeShare: 0.3, identicalFillShare: 0.3, levels: 12 },
  })
  let proxy: ProxyProcess | undefined
  try {
    proxy = await startProxyProcess(venue.urls, seed)
    const daemon = await startDaemon(dataDir, proxy)
    return { folder, dataDir, accountDir, venue, proxy, smallDisk, logs: [], daemon }
  } catch (error) {
    await signalServer(dataDir, 'SIGKILL')
    await Promise.all([proxy?.stop(), venue.stop()])
    if (smallDisk) unmount(dataDir)
    throw error
  }
}

/** The simulation as it is built: processes that need no compiler start in a fraction of the time. */
async function builtSimulation() {
  const built = (name: string) => new URL(`../../dist/sim/${name}.js`, import.meta.url).href
  const { startVenueProcess } = (await import(built('process'))) as typeof import('../../src/sim/process.ts')
  const { startProxyProcess } = (await import(
    built('proxy-process')
  )) as typeof import('../../src/sim/proxy-process.ts')
  return { startVenueProcess, startProxyProcess }
}

async function startDaemon(dataDir: string, proxy: ProxyProcess): Promise<Daemon> {
  return await Daemon.start(dataDir, { ...ENVIRONMENT, ...proxy.environment }, START_MS_MAX)
}

/** Ends the daemon with the signal and starts the next one after a pause. */
export async function replaceDaemon(stage: Stage, signal: NodeJS.Signals, betweenTimes: () => Promise<void>) {
  const { daemon } = stage
  const result = await daemon.end(signal)
  stage.logs.push(daemon.running.stderr)
  await betweenTimes()
  stage.daemon = await startDaemon(stage.dataDir, stage.proxy)
  return result
}

export async function signalDatabase({ dataDir }: Stage, signal: NodeJS.Signals): Promise<boolean> {
  return await signalServer(dataDir, signal)
}

/** Takes nearly all space that is left; the function returned gives it back. */
export async function fillDisk({ dataDir }: Stage): Promise<() => Promise<void>> {
  const { bavail, bsize } = await statfs(dataDir)
  const ballast = join(dataDir, 'ballast')
  await writeFile(ballast, Buffer.alloc(Math.max(0, bavail * bsize - DISK_LEFT_BYTES))).catch((error: unknown) => {
    // Whoever else was writing has taken the last of it: full is full.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
  })
  return () => rm(ballast)
}

/** Asks the ledger, in one connection that is closed afterwards. */
export async function withLedger<T>({ dataDir }: Stage, ask: (query: Query) => Promise<T>): Promise<T> {
  const found = findEmbeddedConnectionString(dataDir)
  if (found === null) throw new Error('there is no database')
  const client = new pg.Client({ connectionString: found.connectionString, connectionTimeoutMillis: 5_000 })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await ask(async (sql) => (await client.query(sql)).rows)
  } finally {
    await client.end()
  }
}

/** Ends what still runs and removes everything, unless it is to be looked at. */
export async function closeStage(stage: Stage, keep: boolean): Promise<void> {
  const { daemon, proxy, venue, dataDir, folder, smallDisk } = stage
  if (daemon.running.alive) daemon.running.child.kill('SIGCONT')
  await daemon.end('SIGKILL')
  await signalServer(dataDir, 'SIGKILL')
  await Promise.all([proxy.stop(), venue.stop()])
  stage.logs.push(daemon.running.stderr)
  if (keep) {
    await writeFile(join(folder, 'daemon.log'), stage.logs.join('\n--- the next daemon ---\n'))
    return
  }
  if (smallDisk) unmount(dataDir)
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
}

function mountSmallDisk(path: string): boolean {
  if (process.getuid?.() !== 0) return false
  const options = `size=${DISK_MIB}m,mode=755`
  return spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path]).status === 0
}

function unmount(path: string): void {
  spawnSync('umount', ['-l', path])
}

/** As root the files of a cluster belong to the user that the server runs as. */
function copyOwners(from: string, to: string): void {
  if (process.getuid?.() === 0) spawnSync('chown', ['-R', `--reference=${from}`, to])
}
