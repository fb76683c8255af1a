import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Api, startApi } from './api/api.ts'
import { createDesk } from './api/desk.ts'
import { startHealthListener } from './api/health-listener.ts'
import type { Config } from './config/config.ts'
import type { LiveBooks } from './core/books.ts'
import type { Clock } from './core/clock.ts'
import type { BookWitness } from './core/coverage.ts'
import { describeError } from './core/errors.ts'
import { type DaemonHealth, getHealth } from './core/health.ts'
import type { Logger } from './core/log.ts'
import type { Random } from './core/random.ts'
import type { RecorderStatus, StatusBoard } from './core/status.ts'
import { type AssetParts, addAssets } from './daemon/assets.ts'
import { introduce } from './daemon/introduce.ts'
import { type Operations, startOperations } from './daemon/operations.ts'
import { addSignals } from './daemon/signals.ts'
import { connectFirst } from './ledger/first-contact.ts'
import { type Ledger, openLedger } from './ledger/ledger.ts'
import { runHealthLog } from './monitor/health-log.ts'
import { type Monitor, startMonitor } from './monitor/monitor.ts'
import type { Recording } from './recorder/keep-recording.ts'
import { suspicionDetail } from './recorder/mark-details.ts'
import { noBooks } from './recorder/no-books.ts'
import { type Recorders, recordStream } from './recorder/record-stream.ts'
import { createStreamReach } from './recorder/stream-reach.ts'
import { retainTapes } from './recorder/tape-upkeep.ts'
import { withDeadline } from './runtime/abort.ts'
import { createHttpClient, type HttpClient } from './runtime/http.ts'
import { type DataDirectoryLock, lockDataDirectory } from './runtime/lock.ts'
import type { Logging } from './runtime/logging.ts'
import { createRateLimiter } from './runtime/rate-limit.ts'
import { rememberedRecorderId } from './runtime/recorder-id.ts'
import { Scope } from './runtime/scope.ts'
import { Supervisor } from './runtime/supervisor.ts'
import type { SystemdEnvironment } from './runtime/systemd.ts'
import { runUpkeep } from './runtime/upkeep.ts'
import type { BackfillPorts } from './sources/polymarket/backfill-collector.ts'
import { BACKFILL_STREAM, decodeBackfill } from './sources/polymarket/backfill-envelope.ts'
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
  /** Hands over what is logged, to be stored. */
  readonly observe: Logging['observe']
  /** What systemd handed over; null where it is not systemd that runs this. */
  readonly systemd: SystemdEnvironment | null
}

/** The running recorder. */
export interface Daemon {
  readonly healthPort: number
  readonly apiPort: number
  /** Rejects when going on is senseless (a refused login, a ledger from the future); resolves after `drain`. */
  readonly ended: Promise<void>
  getHealth(): DaemonHealth
  /** Gives reports of errors some time to be sent, where there are any, before the process ends. */
  lastWords(): Promise<void>
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
const LAST_WORDS_MS = 1_000

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
    scope.onRelease(() => ledger.close())
    // A refused login is told before anything else begins. The built-in server refuses nobody and is started later.
    if (config.database.url !== null) await connectFirst(ledger, clock, end.reject)
    const open = async (stream: string) => {
      const directory = join(lock.directory, 'tape')
      const tape = await openTape({
        directory,
        stream,
        clock,
        log: log.child({ part: 'tape', stream }),
        onDeath: end.reject,
      })
      scope.onRelease(() => tape.close())
      return tape
    }
    const tapes = { tape: await open(TRADES_STREAM), backfillTape: await open(BACKFILL_STREAM) }
    return await run(options, scope, { lock, ledger, end, ...tapes })
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
  readonly backfillTape: Tape
  readonly end: End
}

async function run(options: DaemonOptions, scope: Scope, parts: Parts): Promise<Daemon> {
  const { config, clock, random, log } = options
  const { lock, ledger, tape, backfillTape, end } = parts
  const stop = new AbortController()
  scope.onRelease(() => stop.abort())
  const recorderId = config.recorderId ?? rememberedRecorderId(lock.directory)
  const witness: BookWitness = { compare: (books, observedUs) => recording.compare(books, observedUs) }
  const http = openHttp(options)
  scope.onRelease(() => http.close())
  const source = openPolymarket(options, parts, { http, recorderId, witness })
  const monitor = startMonitor({ ...options, ledger, recorderId, retentionMs: config.logs.retentionMs })
  scope.onRelease(() => monitor.close())
  const { statistics } = monitor
  const ours = { recorderId, dataDir: lock.directory, board: () => board(), onFatal: end.reject }
  const operations = await startOperations({ ...options, ...ours })
  scope.onRelease(() => operations.close())
  const listener = operations.listenTo(monitor.cycles)
  const supervisor = new Supervisor({ clock, random, log, cycles: ledger, statistics, listener })
  const recorders = { clock, random, log, recorderId, ledger, signal: stop.signal }
  const [recording, backfilling] = recordAll(recorders, parts, source, config.polymarket.checkPercent / 100)
  const state = { draining: false }
  const board = (): StatusBoard => ({
    recorderId,
    version: options.version,
    startedMs: statistics.startedMs,
    uptimeMs: statistics.uptimeMs(),
    draining: state.draining,
    collectors: supervisor.status(),
    tape: tape.status(),
    ledger: ledger.status,
    recorder: recorderStatus(recording, source),
    restarts: supervisor.restarts,
  })
  const health = await startHealthListener({ ...config.health, board, clock })
  scope.onRelease(() => health.close())
  const api = await serveApi({ options, ledger, monitor, operations, board, books: recording })
  scope.onRelease(() => api.close())
  introduce(options, lock.directory, { health: health.port, api: api.port })

  if (config.database.url === null) ledger.connect().catch(end.reject)
  // Whoever reads the tape knows from here that no connection of an earlier start is open any more.
  tape.appender.mark(`b${tape.boot}`, clock.wallUs(), 'start', { recorder: recorderId, version: options.version })
  addCollectors(supervisor, source, { options, ledger, http, recorderId })
  addSignals(supervisor, scope, { options, ledger, recorderId })
  supervisor.start()
  operations.begin()
  const background = [
    runHealthLog({ clock, log, signal: stop.signal, board, intervalMs: config.health.logIntervalMs }),
    ...upkeep(config, recorders, parts),
  ]

  const [tapes, recordings] = [[tape, backfillTape] as const, [recording, backfilling]]
  const drain = { clock, log, supervisor, tapes, recordings, background, scope, stop }
  let drained: Promise<void> | null = null
  return {
    healthPort: health.port,
    apiPort: api.port,
    ended: end.promise,
    getHealth: () => getHealth(board()),
    lastWords: () => operations.flush(LAST_WORDS_MS),
    drain() {
      state.draining = true
      drained ??= drainAll(drain).finally(end.resolve)
      return drained
    },
  }
}

function openHttp({ clock, config, version }: DaemonOptions): HttpClient {
  const limiter = createRateLimiter({ clock, rules: rateRules(config.polymarket) })
  return createHttpClient({ clock, limiter, userAgent: `tapekeeper/${version}` })
}

interface PolymarketParts {
  readonly http: HttpClient
  readonly recorderId: string
  readonly witness: BookWitness
}

function openPolymarket(options: DaemonOptions, parts: Parts, own: PolymarketParts): PolymarketSource {
  const { config, clock, random } = options
  const { ledger, tape } = parts
  return createPolymarketSource({
    ...own,
    settings: config.polymarket,
    store: ledger,
    tape: tape.appender,
    clock,
    random,
    bootId: `b${tape.boot}`,
    backfill: config.polymarket.backfillEnabled ? backfillPorts(own.recorderId, parts, clock) : null,
  })
}

interface Running {
  readonly clock: Clock
  readonly log: Logger
  readonly supervisor: Supervisor
  /** The stream's first. */
  readonly tapes: readonly [Tape, ...Tape[]]
  readonly recordings: readonly Recording[]
  readonly background: readonly Promise<void>[]
  readonly scope: Scope
  readonly stop: AbortController
}

/** In the order of the data: no more of it, then the tape, then the ledger, then everything else. */
async function drainAll(running: Running): Promise<void> {
  const { clock, log, supervisor, tapes, recordings, background, scope, stop } = running
  log.info({}, 'draining: no more data is taken')
  await supervisor.stop(STOP_COLLECTORS_MS)
  tapes[0].appender.mark(`b${tapes[0].boot}`, clock.wallUs(), 'stop', {})
  const sync = { clock, timeoutMs: SYNC_TAPE_MS, signal: stop.signal, what: 'syncing the tape' }
  await withDeadline(sync, async () => Promise.all(tapes.map((tape) => tape.appender.flushed()))).catch(
    (error: unknown) => log.error({ err: error }, `the tape could not be synced: ${describeError(error)}`),
  )
  const reports = await Promise.all(recordings.map((recording) => recording.drain(DRAIN_RECORDER_MS)))
  const sum = (what: 'flushed' | 'left') => reports.reduce((total, report) => total + report[what], 0)
  stop.abort()
  await Promise.all(background)
  const left = sum('left') === 0 ? 'nothing is left' : `${sum('left')} frames stay on the tape for the next start`
  // Said before the end, so that the log in the ledger has it.
  log.info({}, `drained: ${sum('flushed')} rows flushed to the ledger, ${left}`)
  await scope.close().catch((error: unknown) => {
    log.error({ err: error }, `not everything closed cleanly: ${describeError(error)}`)
  })
}

interface Served {
  readonly options: DaemonOptions
  readonly ledger: Ledger
  readonly monitor: Monitor
  readonly operations: Operations
  readonly board: () => StatusBoard
  readonly books: LiveBooks
}

/** The HTTP API and, where it was built, the page. */
function serveApi({ options, ledger, monitor, operations, board, books }: Served): Promise<Api> {
  const { config, clock, version } = options
  const { host, port, token, allowedHosts } = config.api
  return startApi({
    host,
    port,
    token: token?.reveal() ?? null,
    allowedHosts,
    version,
    clock,
    log: options.log.child({ part: 'api' }),
    board,
    ledger,
    books,
    desk: createDesk(ledger, clock, options.log.child({ part: 'portfolios' })),
    statistics: monitor.statistics,
    logs: monitor.logs,
    alerts: operations.alerts,
    events: monitor.events,
    pageDirectory: join(dirname(fileURLToPath(import.meta.url)), 'dashboard'),
  })
}

/** The stream of the market channel, and that of what was fetched later. */
function recordAll(recorders: Recorders, { tape, backfillTape }: Parts, source: PolymarketSource, checkShare: number) {
  const { clock } = recorders
  const streamed = recordStream(recorders, {
    stream: TRADES_STREAM,
    tape,
    decode: decodeFrame,
    checker: () => new PolymarketBookChecker(source.registry),
    checkShare,
    onEvent: (event) => source.registry.observe(event),
    onSuspicion(suspicion) {
      tape.appender.mark(`b${tape.boot}`, clock.wallUs(), 'suspect', suspicionDetail(suspicion))
      if (suspicion.toUs === null) source.refresher.refresh(suspicion.tokens)
    },
    onOverdue: (tokens) => source.refresher.refresh(tokens),
    tokensOf: (market) => source.registry.tokensOf(market),
    isFollowed: (token) => source.registry.facts(token) !== undefined,
    onCommitted({ coverage }) {
      if (coverage?.gaps.some(({ endedUs }) => endedUs !== null)) source.gapClosed()
    },
  })
  const backfillStream = { stream: BACKFILL_STREAM, tape: backfillTape, decode: decodeBackfill, checker: noBooks }
  return [streamed, recordStream(recorders, backfillStream)] as const
}

function backfillPorts(recorderId: string, { ledger, tape, backfillTape }: Parts, clock: Clock): BackfillPorts {
  const reach = (stream: string, of: Tape) => createStreamReach({ recorderId, stream, tape: of, ledger, clock })
  return {
    store: ledger.tradeBackfill({ recorderId, stream: TRADES_STREAM }),
    tape: backfillTape.appender,
    streamed: reach(TRADES_STREAM, tape),
    backfilled: reach(BACKFILL_STREAM, backfillTape),
  }
}

function recorderStatus(recording: Recording, source: PolymarketSource): RecorderStatus {
  const status = recording.status()
  return { ...status, drift: { ...source.drift(), ...status.drift } }
}

function addCollectors(supervisor: Supervisor, source: PolymarketSource, parts: AssetParts): void {
  addAssets(supervisor, parts)
  const { enabled, critical, stallTimeoutMs } = parts.options.config.polymarket
  if (!enabled) return
  for (const collector of source.polling) supervisor.addPolling(collector, { eagerUntilFirstSuccess: true })
  supervisor.addStreaming({
    name: TRADES_STREAM,
    critical: critical.trades,
    stallTimeoutMs,
    build: () => source.buildTradeListener(),
  })
}

/** Housekeeping: partitions and retention of the ledger, age and size of the tapes. */
function upkeep(config: Config, recorders: Recorders, { ledger, tape, backfillTape }: Parts): Promise<void>[] {
  const { clock, log, recorderId, signal } = recorders
  const tapes = new Map([[TRADES_STREAM, tape]]).set(BACKFILL_STREAM, backfillTape)
  const ledgerRound = async () => {
    const report = await ledger.maintain(clock.wallMs())
    log.debug({ ...report }, 'upkeep of the ledger done')
  }
  const ledgerBytes = async () => {
    if (ledger.status.kind !== 'embedded') return 0
    const sizes = await ledger.read<{ bytes: string }>('SELECT pg_database_size(current_database()) AS bytes')
    return Number(sizes[0]?.bytes ?? 0)
  }
  const { tapeMaxAgeMs: maxAgeMs, maxBytes } = config.storage
  const tapeRound = () => retainTapes({ recorderId, tapes, ledger, ledgerBytes, maxAgeMs, maxBytes, log })
  return [
    runUpkeep({ what: 'upkeep of the ledger', clock, log, signal, intervalMs: LEDGER_UPKEEP_MS, round: ledgerRound }),
    runUpkeep({ what: 'upkeep of the tape', clock, log, signal, intervalMs: TAPE_UPKEEP_MS, round: tapeRound }),
  ]
}
