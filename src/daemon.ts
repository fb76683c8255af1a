import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startHealthListener } from './api/health-listener.ts'
import type { Config } from './config/config.ts'
import type { Clock } from './core/clock.ts'
import { describeError, EXIT, PermanentError } from './core/errors.ts'
import { type DaemonHealth, getHealth } from './core/health.ts'
import type { Logger } from './core/log.ts'
import type { Random } from './core/random.ts'
import type { RecorderStatus, StatusBoard } from './core/status.ts'
import { type Ledger, openLedger } from './ledger/ledger.ts'
import { runHealthLog } from './monitor/health-log.ts'
import { keepRecording, type Recording } from './recorder/keep-recording.ts'
import { createRecorder } from './recorder/recorder.ts'
import { withDeadline } from './runtime/abort.ts'
import { createHttpClient } from './runtime/http.ts'
import { type DataDirectoryLock, lockDataDirectory } from './runtime/lock.ts'
import { createRateLimiter } from './runtime/rate-limit.ts'
import { Scope } from './runtime/scope.ts'
import { Supervisor } from './runtime/supervisor.ts'
import { runUpkeep } from './runtime/upkeep.ts'
import { PolymarketBookChecker } from './sources/polymarket/book-checker.ts'
import { decodeFrame } from './sources/polymarket/decode.ts'
import { createPolymarketSource, type PolymarketSource } from './sources/polymarket/index.ts'
import { rateRules } from './sources/polymarket/limits.ts'
import { openTape, type Tape } from './tape/tape.ts'

export interface DaemonOptions {
  readonly config: Config
  readonly version: string
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

/** The running recorder. */
export interface Daemon {
  readonly healthPort: number
  /** Rejects when going on is senseless (a refused login, a ledger from the future); resolves after `drain`. */
  readonly ended: Promise<void>
  getHealth(): DaemonHealth
  /** Stops taking, syncs, gives the ledger what it takes in the time left, closes everything. Safe to call twice. */
  drain(): Promise<void>
}

/** The tape of the market channel, named like the collector that fills it. */
const TRADES_STREAM = 'polymarket.trades'
const TAPE_UPKEEP_MS = 600_000
const LEDGER_UPKEEP_MS = 3_600_000
/** Shares of the 25 s that a drain may take, ms; closing the ledger is bounded by itself. */
const STOP_COLLECTORS_MS = 4_000
const SYNC_TAPE_MS = 4_000
const DRAIN_RECORDER_MS = 6_000

/** Connects every part and starts recording. Throws PermanentError when it cannot start at all. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { config, clock, log } = options
  const scope = new Scope()
  try {
    const lock = lockDataDirectory(config.dataDir)
    scope.onRelease(() => lock.release())
    const end = createEnd()
    const ledger = openLedger({
      databaseUrl: config.database.url?.reveal() ?? null,
      dataDir: lock.directory,
      clock,
      log: log.child({ part: 'ledger' }),
      retentionDays: Math.ceil(config.storage.rowsMaxAgeMs / 86_400_000),
      onFatal: (error) => end.reject(error),
    })
    const tape = await openTape({
      directory: join(lock.directory, 'tape'),
      stream: TRADES_STREAM,
      clock,
      log: log.child({ part: 'tape' }),
    })
    scope.onRelease(() => tape.close())
    return await run(options, scope, { lock, ledger, tape, end })
  } catch (error) {
    await scope.close()
    throw error
  }
}

/** How the daemon ends: resolved by a drain, rejected by what makes going on senseless. The first of them counts. */
interface End {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

function createEnd(): End {
  let resolve = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<void>((resolveIt, rejectIt) => {
    resolve = resolveIt
    reject = rejectIt
  })
  promise.catch(() => undefined)
  return { promise, resolve, reject }
}

interface Parts {
  readonly lock: DataDirectoryLock
  readonly ledger: Ledger
  readonly tape: Tape
  readonly end: End
}

async function run(options: DaemonOptions, scope: Scope, parts: Parts): Promise<Daemon> {
  const { config, clock, random, log } = options
  const { lock, ledger, tape, end } = parts
  const stop = new AbortController()
  scope.onRelease(() => stop.abort())
  const recorderId = config.recorderId ?? rememberedRecorderId(lock.directory)
  const http = createHttpClient({
    clock,
    limiter: createRateLimiter({ clock, rules: rateRules(config.polymarket) }),
    userAgent: `tapekeeper/${options.version}`,
  })
  scope.onRelease(() => http.close())
  const source = createPolymarketSource({
    settings: config.polymarket,
    http,
    store: ledger,
    tape: tape.appender,
    clock,
    random,
    bootId: `b${tape.boot}`,
  })
  const supervisor = new Supervisor({ clock, random, log, cycles: ledger })
  const recording = record({ options, recorderId, ledger, tape, source, signal: stop.signal })
  const state = { draining: false }
  const startedMs = clock.wallMs()
  const startedMonotonicMs = clock.monotonicMs()
  const board = (): StatusBoard => ({
    recorderId,
    version: options.version,
    startedMs,
    uptimeMs: clock.monotonicMs() - startedMonotonicMs,
    draining: state.draining,
    collectors: supervisor.status(),
    tape: tape.status(),
    ledger: ledger.status,
    recorder: recorderStatus(recording, source),
    restarts: supervisor.restarts,
  })
  const { host, port, logIntervalMs } = config.health
  const listener = await startHealthListener({ host, port, board, clock })
  scope.onRelease(() => listener.close())
  introduce(options, lock.directory, listener.port)

  scope.onRelease(() => ledger.close())
  ledger.connect().catch((error: unknown) => end.reject(error))
  // Whoever reads the tape knows from here that no connection of an earlier start is open any more.
  tape.appender.mark(`b${tape.boot}`, clock.wallUs(), 'start', { recorder: recorderId, version: options.version })
  addCollectors(supervisor, source, config)
  supervisor.start()
  const background = [
    runHealthLog({ clock, log, signal: stop.signal, board, intervalMs: logIntervalMs }),
    ...upkeep({ options, recorderId, ledger, tape, signal: stop.signal }),
  ]

  const drain = () => drainAll({ clock, log, supervisor, tape, recording, background, scope, stop })
  let drained: Promise<void> | null = null
  return {
    healthPort: listener.port,
    ended: end.promise,
    getHealth: () => getHealth(board()),
    drain() {
      state.draining = true
      drained ??= drain().finally(end.resolve)
      return drained
    },
  }
}

interface Running {
  readonly clock: Clock
  readonly log: Logger
  readonly supervisor: Supervisor
  readonly tape: Tape
  readonly recording: Recording
  readonly background: readonly Promise<void>[]
  readonly scope: Scope
  readonly stop: AbortController
}

/** In the order of the data: no more of it, then the tape, then the ledger, then everything else. */
async function drainAll({ clock, log, supervisor, tape, recording, background, scope, stop }: Running): Promise<void> {
  log.info({}, 'draining: no more data is taken')
  await supervisor.stop(STOP_COLLECTORS_MS)
  tape.appender.mark(`b${tape.boot}`, clock.wallUs(), 'stop', {})
  const sync = { clock, timeoutMs: SYNC_TAPE_MS, signal: stop.signal, what: 'syncing the tape' }
  await withDeadline(sync, () => tape.appender.flushed()).catch((error: unknown) => {
    log.error({ err: error }, `the tape could not be synced: ${describeError(error)}`)
  })
  const report = await recording.drain(DRAIN_RECORDER_MS)
  stop.abort()
  await Promise.all(background)
  await scope.close().catch((error: unknown) => {
    log.error({ err: error }, `not everything closed cleanly: ${describeError(error)}`)
  })
  const left = report.left === 0 ? 'nothing is left' : `${report.left} frames stay on the tape for the next start`
  log.info({}, `drained: ${report.flushed} rows flushed to the ledger, ${left}`)
}

interface RecordOptions {
  readonly options: DaemonOptions
  readonly recorderId: string
  readonly ledger: Ledger
  readonly tape: Tape
  readonly source: PolymarketSource
  readonly signal: AbortSignal
}

/** Reads the tape into the ledger until the signal aborts. */
function record({ options, recorderId, ledger, tape, source, signal }: RecordOptions): Recording {
  const { clock, random } = options
  const log = options.log.child({ part: 'recorder' })
  return keepRecording({
    clock,
    random,
    log,
    signal,
    build: () =>
      createRecorder({
        recorderId,
        stream: TRADES_STREAM,
        tape,
        ledger,
        decode: decodeFrame,
        checker: new PolymarketBookChecker(source.registry),
        clock,
        log,
        onEvent: (event) => source.registry.observe(event),
      }),
  })
}

function recorderStatus(recording: Recording, source: PolymarketSource): RecorderStatus {
  const status = recording.status()
  return { ...status, drift: { ...source.drift(), ...status.drift } }
}

function addCollectors(supervisor: Supervisor, source: PolymarketSource, config: Config): void {
  const { enabled, critical, stallTimeoutMs } = config.polymarket
  if (!enabled) return
  for (const collector of source.polling) supervisor.addPolling(collector, { eagerUntilFirstSuccess: true })
  supervisor.addStreaming({
    name: TRADES_STREAM,
    critical: critical.trades,
    stallTimeoutMs,
    build: () => source.buildTradeListener(),
  })
}

/** Housekeeping: partitions and retention of the ledger, age and size of the tape. */
function upkeep(of: Omit<RecordOptions, 'source'>): Promise<void>[] {
  const { options, recorderId, ledger, tape, signal } = of
  const { clock, log, config } = options
  const ledgerRound = async () => {
    const report = await ledger.maintain(clock.wallMs())
    log.debug({ ...report }, 'upkeep of the ledger done')
  }
  const tapeRound = async () => {
    const taken = await ledger.loadPosition(recorderId, TRADES_STREAM)
    const sizes = await ledger.read<{ bytes: string }>('SELECT pg_database_size(current_database()) AS bytes')
    const ledgerBytes = ledger.status.kind === 'embedded' ? Number(sizes[0]?.bytes ?? 0) : 0
    const { tapeMaxAgeMs, maxBytes } = config.storage
    const result = await tape.retain({
      maxAgeMs: tapeMaxAgeMs,
      maxBytes: Math.max(0, maxBytes - ledgerBytes),
      taken: taken?.position ?? null,
    })
    if (result.segments > 0) log.info({ ...result }, `dropped ${result.segments} old segments of the tape`)
  }
  return [
    runUpkeep({ what: 'upkeep of the ledger', clock, log, signal, intervalMs: LEDGER_UPKEEP_MS, round: ledgerRound }),
    runUpkeep({ what: 'upkeep of the tape', clock, log, signal, intervalMs: TAPE_UPKEEP_MS, round: tapeRound }),
  ]
}

/** One line each: what is recorded, where the data is, where health is. */
function introduce({ config, version, log }: DaemonOptions, directory: string, healthPort: number): void {
  const { polymarket, health, database } = config
  const where = database.url === null ? 'its own PostgreSQL' : `PostgreSQL at ${database.url.masked}`
  const host = ['0.0.0.0', '::'].includes(health.host) ? 'localhost' : health.host
  log.info({}, `tapekeeper ${version} started (process ${process.pid})`)
  if (polymarket.enabled) {
    const markets = `up to ${polymarket.maxMarkets} open markets`
    log.info({}, `recording Polymarket: ${markets}, trades from ${new URL(polymarket.wsUrl).host}`)
  } else {
    log.warn({}, 'recording nothing: polymarket.enabled is false')
  }
  log.info({}, `data is in ${directory}: the tape in tape/, rows in ${where}`)
  log.info({}, `health is at http://${host}:${healthPort}/health; \`tapekeeper status\` shows more`)
}

/** The name of this recorder, made once and kept in the data directory. */
function rememberedRecorderId(directory: string): string {
  const path = join(directory, 'recorder-id')
  try {
    const text = readFileSync(path, 'utf8').trim()
    if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text
    throw new PermanentError(`${path} does not hold the name of a recorder`)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
  const made = `recorder-${randomBytes(4).toString('hex')}`
  try {
    writeFileSync(path, `${made}\n`, { flag: 'wx', flush: true })
  } catch (error) {
    throw new PermanentError(`cannot write ${path}: ${describeError(error)}`, {
      exitCode: EXIT.cannotCreate,
      cause: error,
    })
  }
  return made
}
