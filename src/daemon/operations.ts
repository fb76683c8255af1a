import type { Config } from '../config/config.ts'
import type { Clock } from '../core/clock.ts'
import { EXIT, PermanentError } from '../core/errors.ts'
import { computeHealth } from '../core/health.ts'
import type { Logger } from '../core/log.ts'
import type { CycleListener } from '../core/ports.ts'
import type { Random } from '../core/random.ts'
import { StandstillWatch } from '../core/standstill.ts'
import type { StatusBoard } from '../core/status.ts'
import { type Alerts, type AlertsStatus, startAlerts } from '../monitor/alerts/alerts.ts'
import { type BeatSink, Beats } from '../monitor/beats/beats.ts'
import type { Logging } from '../runtime/logging.ts'
import { createPoster, type Poster } from '../runtime/post.ts'
import { redactText } from '../runtime/redact.ts'
import { runSystemd, type SystemdEnvironment } from '../runtime/systemd.ts'
import { startWatchdog, type Watchdog } from '../runtime/watchdog.ts'
import { channelsOf } from './alert-channels.ts'

export interface OperationsParts {
  readonly config: Config
  readonly version: string
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly observe: Logging['observe']
  readonly recorderId: string
  readonly dataDir: string
  readonly board: () => StatusBoard
  /** What systemd handed over; null elsewhere. */
  readonly systemd: SystemdEnvironment | null
  /** Ends the daemon with this error. */
  readonly onFatal: (error: unknown) => void
}

/** What tells the outside how it goes: alerts, pings, check-ins and reports of errors. */
export interface Operations {
  /** `first` is told of cycles before everybody else. */
  listenTo(first: CycleListener): CycleListener
  /** From here on it is recorded: systemd is told, and nothing may stand still any more. */
  begin(): void
  /** What became of the alerts; null before `begin`. */
  alerts(): AlertsStatus | null
  /** Gives what was reported last some time to be sent. */
  flush(timeoutMs: number): Promise<void>
  close(): Promise<void>
}

const CLOSE_FLUSH_MS = 1_000
const STATUS_LENGTH_MAX = 400

/** Starts what is configured; what is not is not even loaded. */
export async function startOperations(parts: OperationsParts): Promise<Operations> {
  const { config, version, clock, random, log, dataDir, board } = parts
  const stop = new AbortController()
  const poster = createPoster()
  const { intervalMs } = config.alerts
  const channels = channelsOf(config, version, poster)
  const common = { clock, random, log: log.child({ part: 'alerts' }), dataDir, board, channels }
  let alerts: Alerts | null = null
  const sentry = await connectSentry(parts, poster, stop.signal)
  const pings = await connectPings(parts, poster)
  const sinks: readonly BeatSink[] = [pings, sentry].filter((sink) => sink !== null)
  const beats = new Beats({ clock, board, sinks, signal: stop.signal })
  let running: Promise<void> | null = null
  const ignore = sentry === null ? () => {} : parts.observe((entry) => sentry.report(entry))
  const rescue = createRescue(parts, stop.signal)
  return {
    begin() {
      alerts = startAlerts({ ...common, policy: config.alerts, intervalMs })
      running = sinks.length > 0 ? beats.run() : null
      rescue.begin()
    },
    alerts: () => alerts?.status() ?? null,
    listenTo: (first) => (sinks.length > 0 ? both(first, beats) : first),
    flush: async (timeoutMs) => sentry?.flush(timeoutMs),
    async close() {
      rescue.stop()
      await alerts?.close()
      ignore()
      await sentry?.flush(CLOSE_FLUSH_MS)
      stop.abort()
      await pings?.close()
      await running
      await rescue.ended()
      await poster.close()
    },
  }
}

/** Ends a process that stands still, and tells systemd of one that does not. */
function createRescue({ config, clock, log, board, systemd, onFatal }: OperationsParts, signal: AbortSignal) {
  const { enabled, timeoutMs } = config.watchdog
  const watch = new StandstillWatch(timeoutMs / 2)
  const onStandstill = (what: string) => {
    const text = `nothing moves any more: ${what}`
    log.fatal({}, text)
    onFatal(new PermanentError(`${text}; ends, to be started anew`, { exitCode: EXIT.internal }))
  }
  let dog: Watchdog | null = null
  let told: Promise<void> | null = null
  return {
    begin() {
      if (!enabled && systemd === null) return
      const standstill = (sinceMs: number) => watch.look(board(), clock.wallMs(), sinceMs)
      const started = startWatchdog({ timeoutMs: enabled ? timeoutMs : null, standstill, onStandstill })
      dog = started
      if (systemd === null) return
      const status = () => statusLine(board())
      const isMoving = () => started.isMoving
      const isReady = () => board().ledger.state === 'ok'
      told = runSystemd({ environment: systemd, clock, log, signal, isReady, status, isMoving })
    },
    stop: () => dog?.stop(),
    ended: async () => told,
  }
}

/** One line for `systemctl status`. */
function statusLine(board: StatusBoard): string {
  const { status, reasons } = computeHealth(board)
  return redactText(reasons.length === 0 ? status : `${status}: ${reasons.join('; ')}`).slice(0, STATUS_LENGTH_MAX)
}

async function connectSentry(
  { config, version, clock, recorderId }: OperationsParts,
  poster: Poster,
  signal: AbortSignal,
) {
  const { dsn, environment } = config.sentry
  if (dsn === null) return null
  const { createSentry } = await import('../monitor/beats/sentry.ts')
  return await createSentry({ dsn: dsn.reveal(), environment, recorder: recorderId, version, clock, poster, signal })
}

async function connectPings({ config, version, clock, log }: OperationsParts, poster: Poster) {
  const url = config.pings.url?.reveal()
  if (url === undefined) return null
  const { createPings } = await import('../monitor/beats/pings.ts')
  return createPings({ url, poster, clock, log: log.child({ part: 'pings' }), userAgent: `tapekeeper/${version}` })
}

/** The second is told even where the first throws. */
function both(first: CycleListener, second: CycleListener): CycleListener {
  return {
    cycleStarted(collector, startedMs) {
      first.cycleStarted?.(collector, startedMs)
      second.cycleStarted?.(collector, startedMs)
    },
    cycleFinished(cycle, cause) {
      try {
        first.cycleFinished(cycle, cause)
      } finally {
        second.cycleFinished(cycle, cause)
      }
    },
  }
}
