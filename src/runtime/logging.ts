import { type DestinationStream, destination, pino } from 'pino'
import type { Clock } from '../core/clock.ts'
import type { LogContext, Logger } from '../core/log.ts'
import { prettyLine } from './pretty-log.ts'
import { redact, redactText } from './redact.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'fatal'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** One log line as an observer sees it: already redacted, plain data. */
export interface LogEntry {
  /** Unix ms. */
  readonly atMs: number
  readonly level: LogLevel
  readonly message: string
  readonly context: Readonly<Record<string, unknown>>
}

export interface LoggingOptions {
  readonly clock: Clock
  readonly level: LogLevel
  /** `pretty` is for people at a terminal, `json` for everything else. */
  readonly format: 'json' | 'pretty'
  readonly colors?: boolean
  /** Where lines go; stderr unless given. */
  readonly write?: (line: string) => void
}

export interface Logging {
  readonly log: Logger
  /**
   * Hands every entry of level `info` and above to `observer`, whatever is written; returns how to stop that. The first
   * observer is also handed what was logged before it came, 200 entries at most.
   */
  observe(observer: (entry: LogEntry) => void): () => void
  /** A text (a password, a token) that must never be written from now on. */
  addSecret(text: string): void
  /** Entries that could not be handed to an observer or written. */
  failures(): number
}

const MESSAGE_LENGTH_MAX = 2_000
const EARLY_ENTRIES_MAX = 200
const SECRET_LENGTH_MIN = 6
const RANK: Readonly<Record<LogLevel, number>> = { debug: 20, info: 30, warn: 40, error: 50, fatal: 60 }

/** Builds the logger of the process. Nothing here keeps state outside the returned object. */
export function createLogging(options: LoggingOptions): Logging {
  const secrets = new Set<string>()
  const observers = new Set<(entry: LogEntry) => void>()
  const state = { failures: 0, observing: false }
  let early: LogEntry[] | null = []
  const writer = pino(
    {
      level: options.level,
      base: null,
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date(options.clock.wallMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (err: unknown) => err }, // plain data already
    },
    lineSink(options, state),
  )

  const hide = (text: string): string => {
    let safe = redactText(text)
    for (const secret of secrets) safe = safe.replaceAll(secret, '***')
    return safe
  }

  const emit = (level: LogLevel, bindings: LogContext, context: LogContext, message: string) => {
    const observed = (observers.size > 0 || early !== null) && RANK[level] >= RANK.info && !state.observing
    if (!observed && RANK[level] < RANK[options.level]) return
    const text = hide(message.slice(0, MESSAGE_LENGTH_MAX))
    const safe = redact({ ...bindings, ...context }, hide) as Record<string, unknown>
    writer[level](safe, text)
    if (!observed) return
    const entry: LogEntry = { atMs: options.clock.wallMs(), level, message: text, context: safe }
    if (early !== null && early.length < EARLY_ENTRIES_MAX) early.push(entry)
    hand(entry)
  }

  const hand = (entry: LogEntry) => {
    state.observing = true // an observer that logs must not be handed its own line
    for (const observer of observers) {
      try {
        observer(entry)
      } catch {
        state.failures += 1
      }
    }
    state.observing = false
  }

  return {
    log: bind(emit, {}),
    observe(observer) {
      observers.add(observer)
      const before = early ?? []
      early = null
      for (const entry of before) hand(entry)
      return () => {
        observers.delete(observer)
      }
    },
    addSecret(text) {
      if (text.length >= SECRET_LENGTH_MIN) secrets.add(text)
    },
    failures: () => state.failures,
  }
}

type Emit = (level: LogLevel, bindings: LogContext, context: LogContext, message: string) => void

function bind(emit: Emit, bindings: LogContext): Logger {
  return {
    debug: (context, message) => emit('debug', bindings, context, message),
    info: (context, message) => emit('info', bindings, context, message),
    warn: (context, message) => emit('warn', bindings, context, message),
    error: (context, message) => emit('error', bindings, context, message),
    fatal: (context, message) => emit('fatal', bindings, context, message),
    child: (more) => bind(emit, { ...bindings, ...more }),
  }
}

function lineSink(options: LoggingOptions, state: { failures: number }): DestinationStream {
  const write = options.write ?? stderrWriter(state)
  const shape = options.format === 'json' ? (line: string) => line : (line: string) => prettyLine(line, options)
  return {
    write(line) {
      try {
        write(shape(line))
      } catch {
        state.failures += 1 // a full disk or a closed terminal must not stop the recorder
      }
    },
  }
}

function stderrWriter(state: { failures: number }): (line: string) => void {
  const stderr = destination({ fd: 2, sync: true })
  stderr.on('error', () => {
    state.failures += 1
  })
  return (line) => {
    stderr.write(line)
  }
}
