import type { Event, MonitorConfig, StackFrame } from '@sentry/core'
import type { Clock } from '../../core/clock.ts'
import { PermanentError } from '../../core/errors.ts'
import type { LogEntry } from '../../runtime/logging.ts'
import type { Poster } from '../../runtime/post.ts'
import type { Beat, BeatSink } from './beats.ts'

export interface SentryOptions {
  /** A secret. */
  readonly dsn: string
  readonly environment: string
  readonly recorder: string
  readonly version: string
  readonly clock: Clock
  readonly poster: Poster
  readonly signal: AbortSignal
}

export interface Sentry extends BeatSink {
  /** Reports what was logged as an error; the same once in a while, and not more than Sentry is for. */
  report(entry: LogEntry): void
  /** Reports that were left out because there were too many. */
  readonly dropped: number
  /** Waits for what is under way, `timeoutMs` at most. */
  flush(timeoutMs: number): Promise<void>
}

const MINUTE_MS = 60_000
const SAME_REPORT_MS = 600_000
const REPORTS_AN_HOUR = 30
const KNOWN_MAX = 200
/** So many missed or failed check-ins in a row make an issue. */
const FAILURES_BEFORE_ISSUE = 2

/** Loads the SDK's core, which takes 15 MB of memory: to be called only where there is a DSN. */
export async function createSentry(options: SentryOptions): Promise<Sentry> {
  const { createStackParser, createTransport } = await import('@sentry/core')
  const { nodeStackLineParser, ServerRuntimeClient } = await import('@sentry/core/server')
  const { dsn, environment, recorder, version, clock, poster, signal } = options
  const userAgent = `tapekeeper/${version}`
  const stackParser = createStackParser(nodeStackLineParser())
  const client = new ServerRuntimeClient({
    dsn,
    environment,
    release: `tapekeeper@${version}`,
    serverName: recorder,
    platform: 'node',
    integrations: [],
    stackParser,
    traceLifecycle: 'static',
    sendClientReports: false,
    transport: (settings) =>
      createTransport(settings, async ({ body }) => {
        const contentType = 'application/x-sentry-envelope'
        const answer = await poster.exchange(settings.url, body, {
          signal,
          nowMs: clock.wallMs(),
          userAgent,
          contentType,
        })
        const header = (name: string) => [answer.headers[name]].flat()[0] ?? null
        const limits = { 'x-sentry-rate-limits': header('x-sentry-rate-limits'), 'retry-after': header('retry-after') }
        return { statusCode: answer.status, headers: limits }
      }),
  })
  client.init()
  if (client.getDsn() === undefined) throw new PermanentError('sentry.dsn is no DSN like https://key@sentry.example/1')
  const running = new Map<string, string>()
  const reports = new Reports(clock)
  const dropped = () => reports.dropped
  return {
    started(beat) {
      running.set(
        beat.name,
        client.captureCheckIn({ monitorSlug: slugOf(beat), status: 'in_progress' }, monitorOf(beat)),
      )
    },
    finished(beat, outcome, durationMs) {
      const checkInId = running.get(beat.name)
      running.delete(beat.name)
      const checkIn = { monitorSlug: slugOf(beat), status: outcome }
      const duration = durationMs === null ? {} : { duration: durationMs / 1000 }
      client.captureCheckIn(checkInId === undefined ? checkIn : { ...checkIn, checkInId, ...duration }, monitorOf(beat))
    },
    healthy: () => undefined,
    report(entry) {
      if (!reports.take(entry)) return
      const event = eventOf(entry, stackParser)
      client.captureEvent(
        dropped() === 0 ? event : { ...event, extra: { ...event.extra, reports_left_out: dropped() } },
      )
    },
    get dropped() {
      return dropped()
    },
    async flush(timeoutMs) {
      await client.flush(timeoutMs)
    },
  }
}

function slugOf({ name }: Beat): string {
  return `tapekeeper-${name.replaceAll(/[^a-z0-9]+/gi, '-')}`.toLowerCase()
}

/** Sent with every check-in, so that the monitor is there and follows the configuration. Sentry counts in minutes. */
function monitorOf({ intervalMs }: Beat): MonitorConfig {
  const minutes = Math.max(1, Math.ceil(intervalMs / MINUTE_MS))
  return {
    schedule: { type: 'interval', value: minutes, unit: 'minute' },
    checkinMargin: Math.max(2, minutes),
    maxRuntime: Math.max(10, 4 * minutes),
    failureIssueThreshold: FAILURES_BEFORE_ISSUE,
    recoveryThreshold: 1,
  }
}

/** Which errors are worth a report. */
class Reports {
  readonly #clock: Clock
  readonly #lastMs = new Map<string, number>()
  #recentMs: number[] = []
  dropped = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  take({ level, message }: LogEntry): boolean {
    if (level !== 'error' && level !== 'fatal') return false
    const nowMs = this.#clock.monotonicMs()
    const kind = message.replaceAll(/\d+/g, '#')
    const lastMs = this.#lastMs.get(kind)
    if (lastMs !== undefined && nowMs - lastMs < SAME_REPORT_MS) return false
    this.#recentMs = this.#recentMs.filter((atMs) => nowMs - atMs < 60 * MINUTE_MS)
    if (this.#recentMs.length >= REPORTS_AN_HOUR) {
      this.dropped += 1
      return false
    }
    this.#recentMs.push(nowMs)
    if (this.#lastMs.size >= KNOWN_MAX) this.#lastMs.clear()
    this.#lastMs.set(kind, nowMs)
    return true
  }
}

interface LoggedError {
  readonly type?: string
  readonly message?: string
  readonly stack?: string
  readonly cause?: LoggedError
}

/** Made from what the log has, where secrets are masked already. Sentry wants the innermost cause first. */
function eventOf({ atMs, level, message, context }: LogEntry, parse: (stack: string) => StackFrame[]): Event {
  const { err, ...extra } = context
  const values = []
  for (let error = err as LoggedError | undefined; typeof error === 'object' && error !== null; error = error.cause) {
    const frames = error.stack === undefined ? [] : parse(error.stack)
    values.unshift({ type: error.type ?? 'Error', value: error.message ?? '', stacktrace: { frames } })
  }
  return {
    timestamp: atMs / 1000,
    level: level === 'fatal' ? 'fatal' : 'error',
    message,
    extra,
    ...(values.length > 0 ? { exception: { values } } : {}),
  }
}
