import colors from 'picocolors'
import type { GlobalFlags } from '../config/load.ts'
import type { Clock } from '../core/clock.ts'
import { describeError, EXIT, type ExitCode, PermanentError, TransientError } from '../core/errors.ts'
import { Database, type Session } from '../ledger/database.ts'
import { appliedMigration } from '../ledger/inspection.ts'
import { type LogQuery, type StoredLog, type StoredLogLevel, selectLogPage, selectLogsAfter } from '../ledger/logs.ts'
import { type CommandRun, runCommand } from './command-run.ts'
import { openLedgerAccess } from './ledger-access.ts'
import { printMessage, printResult } from './output.ts'

export interface LogsFlags extends GlobalFlags {
  readonly follow?: boolean
  readonly level?: string
  readonly limit: number
  readonly search?: string
}

const LEVELS: readonly StoredLogLevel[] = ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL']
const FOLLOW_INTERVAL_MS = 500
const FOLLOW_ROWS_MAX = 1_000
const LIMIT_MAX = 100_000
const TIMEOUT_MS = 30_000
/** The first migration with a log. */
const LOG_MIGRATION = 4

/** `tapekeeper logs`: the newest entries of the stored log, oldest first, so that the newest are in sight. */
export async function runLogs(flags: LogsFlags): Promise<ExitCode> {
  const levels = levelsFrom(flags.level)
  if (flags.limit > LIMIT_MAX) throw usage(`--limit ${flags.limit}: it must be ${LIMIT_MAX} at most`)
  return await runCommand(flags, (run) => show(run, flags, levels))
}

async function show(run: CommandRun, flags: LogsFlags, levels: readonly StoredLogLevel[]): Promise<ExitCode> {
  const { config, clock, log, signal } = run
  const access = await openLedgerAccess(config, clock, log)
  const database = new Database({ target: access.target, schema: 'public', poolSize: 1, onLost: () => {} })
  try {
    const view = <T>(work: (session: Session) => Promise<T>) =>
      database.transaction(work, { readOnly: true, statementTimeoutMs: TIMEOUT_MS })
    await checkTable(database)
    const query: LogQuery = { limit: flags.limit, offset: 0, before: null, levels, search: flags.search ?? null }
    const newestOf = async (asked: LogQuery) => (await view((session) => selectLogPage(session, asked))).logs
    const found = flags.limit === 0 ? [] : await newestOf(query)
    for (const entry of [...found].reverse()) print(entry, flags)
    if (!flags.follow) return EXIT.ok
    if (!access.recording)
      printMessage('tapekeeper: no recorder runs here now; waiting for one that writes to this ledger')
    const newest = await newestOf({ ...query, limit: 1, levels: [], search: null })
    await follow({ view, query, flags, clock, signal, after: found[0]?.id ?? newest[0]?.id ?? 0 })
    return EXIT.ok
  } finally {
    await database.close()
    await access.close()
  }
}

interface Following {
  readonly view: <T>(work: (session: Session) => Promise<T>) => Promise<T>
  readonly query: LogQuery
  readonly flags: LogsFlags
  readonly clock: Clock
  readonly signal: AbortSignal
  /** The newest entry that was shown. */
  readonly after: number
}

/** Shows what comes until the signal aborts; a database that goes away is waited for. */
async function follow({ view, query, flags, clock, signal, after }: Following): Promise<void> {
  let newest = after
  let trouble: string | null = null
  while (!signal.aborted) {
    try {
      const asked = { ...query, after: newest, limit: FOLLOW_ROWS_MAX }
      const rows = await view((session) => selectLogsAfter(session, asked))
      for (const entry of rows) print(entry, flags)
      newest = rows.at(-1)?.id ?? newest
      trouble = null
      if (rows.length === FOLLOW_ROWS_MAX) continue
    } catch (error) {
      if (!(error instanceof TransientError)) throw error
      if (trouble === null) printMessage(`tapekeeper: ${describeError(error)}; waiting for it`)
      trouble = describeError(error)
    }
    await clock.sleep(FOLLOW_INTERVAL_MS, signal)
  }
}

async function checkTable(database: Database): Promise<void> {
  const applied = await appliedMigration(database)
  if (applied !== null && applied >= LOG_MIGRATION) return
  const message = 'the ledger holds no log yet: start tapekeeper collect once'
  throw new PermanentError(message, { exitCode: EXIT.unavailable })
}

/** This level and those that are worse. */
function levelsFrom(level: string | undefined): readonly StoredLogLevel[] {
  if (level === undefined) return []
  const word = level.toUpperCase()
  const at = LEVELS.findIndex((name) => name === word || (word === 'WARN' && name === 'WARNING'))
  if (at < 0) throw usage(`--level ${level}: it must be one of ${LEVELS.join(', ').toLowerCase()}`)
  return LEVELS.slice(at)
}

function usage(message: string): PermanentError {
  return new PermanentError(message, { exitCode: EXIT.usage })
}

const COLOURS: Readonly<Record<StoredLogLevel, (text: string) => string>> = {
  DEBUG: colors.dim,
  INFO: colors.green,
  WARNING: colors.yellow,
  ERROR: colors.red,
  CRITICAL: colors.red,
}

function print(entry: StoredLog, { json }: LogsFlags): void {
  const { id, atMs, level, message, context } = entry
  const timestamp = new Date(atMs).toISOString()
  // One object a line, so that it can be piped while it goes on.
  printResult(json ? JSON.stringify({ id, timestamp, level, message, context }) : readable(timestamp, entry))
}

function readable(timestamp: string, { level, message, context }: StoredLog): string {
  const lines = [`${colors.dim(timestamp)} ${COLOURS[level](level.padEnd(8))} ${oneLine(message)}`]
  const stack = (context['err'] as { stack?: unknown } | undefined)?.stack
  if (typeof stack === 'string' && (level === 'ERROR' || level === 'CRITICAL')) {
    lines.push(...stack.split('\n').map((line) => colors.dim(`  ${oneLine(line)}`)))
  }
  return lines.join('\n')
}

/** Text from outside must not steer a terminal. */
function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ')
}
