import type { GlobalFlags } from '../config/load.ts'
import { EXIT, type ExitCode, PermanentError } from '../core/errors.ts'
import { COMPARED_TABLES, type ComparisonRange, compareTable, type TableComparison } from '../ledger/compare-schemas.ts'
import { Database, SCHEMA_NAME } from '../ledger/database.ts'
import { openInspection, type RecorderPosition } from '../ledger/inspection.ts'
import { openLedger } from '../ledger/ledger.ts'
import { rebuildStream } from '../recorder/rebuild.ts'
import { readTapeIndex } from '../tape/tape-index.ts'
import { type CommandRun, runCommand } from './command-run.ts'
import { type LedgerAccess, openLedgerAccess } from './ledger-access.ts'
import { printJson, printResult } from './output.ts'
import { isSame, type RebuildResult, rebuildJson, rebuildLines } from './rebuild-view.ts'
import { ROW_STREAM, recorderIdOf, streamKind, tapeDirectory } from './streams.ts'

export interface RebuildFlags extends GlobalFlags {
  readonly json?: boolean
  readonly into?: string
  readonly keep?: boolean
}

const LEDGER_SCHEMA = 'public'
const DAY_MS = 86_400_000
/** Where the tape was cut, the identities of its first minute may not be those that the rows once got. */
const WARM_US = 60_000_000
const COMPARE_TIMEOUT_MS = 3_600_000

/** `tapekeeper rebuild`: the streamed tables once more from the tape, in a schema of their own, and what differs. */
export function runRebuild(flags: RebuildFlags): Promise<ExitCode> {
  return runCommand(flags, async (run) => {
    const result = await rebuildRecording(run, flags)
    run.progress.clear()
    if (flags.json) printJson(rebuildJson(result))
    else printResult(rebuildLines(result).join('\n'))
    return isSame(result) ? EXIT.ok : EXIT.unhealthy
  })
}

/** Rebuilds, compares and, unless the schema is to be kept, leaves the database as it was. */
export async function rebuildRecording(run: CommandRun, flags: RebuildFlags): Promise<RebuildResult> {
  const schema = flags.into ?? defaultSchema(run.clock.wallMs())
  if (!SCHEMA_NAME.test(schema) || schema.startsWith('pg_')) {
    throw new PermanentError(`--into ${schema}: it must be a name like rebuilt_1`, { exitCode: EXIT.usage })
  }
  const access = await openLedgerAccess(run.config, run.clock, run.log)
  try {
    const position = await loadPosition(run, access)
    const database = new Database({ target: access.target, schema: LEDGER_SCHEMA, poolSize: 2, onLost: () => {} })
    try {
      await refuseExisting(database, schema)
      let done = false
      try {
        const dropped = await derive(run, access, schema, position)
        const tables = await compare(run, database, schema, { position, access })
        done = true
        return { schema: flags.keep ? schema : null, tables, refused: dropped }
      } finally {
        if (!flags.keep || !done) await drop(database, schema)
      }
    } finally {
      await database.close()
    }
  } finally {
    await access.close()
  }
}

/** `rebuild_20260501_142530`, UTC. */
function defaultSchema(nowMs: number): string {
  const [date = '', time = ''] = new Date(nowMs).toISOString().split(/[T.]/)
  return `rebuild_${date.replaceAll('-', '')}_${time.replaceAll(':', '')}`
}

/** The place up to which the ledger has taken the tape: the rebuild ends there too. */
async function loadPosition(run: CommandRun, access: LedgerAccess): Promise<RecorderPosition> {
  const ledger = await openInspection(access.target)
  try {
    const positions = await ledger.positions(ROW_STREAM)
    const own = positions.find(({ recorderId }) => recorderId === recorderIdOf(run.config))
    if (positions.length > 1) {
      const message = 'several recorders store into this ledger; what one tape holds cannot be compared with all of it'
      throw new PermanentError(message, { exitCode: EXIT.unavailable })
    }
    if (own !== undefined) return own
  } finally {
    await ledger.close()
  }
  throw new PermanentError('the ledger has taken nothing from this tape yet', { exitCode: EXIT.unavailable })
}

async function refuseExisting(database: Database, schema: string): Promise<void> {
  const exists = await database.transaction(
    async (session) => (await session.query('SELECT FROM pg_namespace WHERE nspname = $1', [schema])).rowCount,
  )
  if (exists === 0) return
  throw new PermanentError(`there is a schema ${schema} already; it is left as it is`, { exitCode: EXIT.usage })
}

/** Fills the schema by the recorder's own path; returns how many rows and frames it refused. */
async function derive(
  { config, clock, log, progress, signal }: CommandRun,
  access: LedgerAccess,
  schema: string,
  { position, recorderId }: RecorderPosition,
): Promise<number> {
  const kind = streamKind(ROW_STREAM)
  if (kind === null) throw new PermanentError(`the tape of ${ROW_STREAM} is of an unknown kind`)
  const ledger = openLedger({
    databaseUrl: access.connectionString,
    dataDir: config.dataDir,
    clock,
    log,
    schema,
    retentionDays: retentionDays(config.storage.rowsMaxAgeMs),
  })
  try {
    await ledger.connect()
    if (ledger.status.state !== 'ok') {
      throw new PermanentError(`the schema ${schema} cannot be made: ${ledger.status.trouble ?? 'no reason given'}`, {
        exitCode: EXIT.unavailable,
      })
    }
    const status = await rebuildStream(
      {
        tapeDirectory: tapeDirectory(config),
        stream: ROW_STREAM,
        recorderId,
        until: position,
        ledger,
        decode: kind.decode,
        // Books are what `verify` is for.
        checker: kind.createChecker({ facts: () => undefined }),
        checkShare: 0,
        clock,
        log,
        onProgress: ({ tradesInserted }) => progress.show(`${schema}: ${tradesInserted} trades derived from the tape`),
      },
      signal,
    )
    signal.throwIfAborted()
    return status.deadLetters
  } finally {
    await ledger.close()
  }
}

async function compare(
  { config, clock, progress, signal }: CommandRun,
  database: Database,
  schema: string,
  { position, access }: { position: RecorderPosition; access: LedgerAccess },
): Promise<TableComparison[]> {
  const range = rangeOf(tapeDirectory(config), schema, access.recording ? position.atUs : null)
  const keptFromMs = (Math.floor(clock.wallMs() / DAY_MS) - retentionDays(config.storage.rowsMaxAgeMs) + 1) * DAY_MS
  const limits = { readOnly: true, statementTimeoutMs: COMPARE_TIMEOUT_MS }
  const tables: TableComparison[] = []
  for (const table of COMPARED_TABLES) {
    signal.throwIfAborted()
    progress.show(`comparing ${table}`, tables.length, COMPARED_TABLES.length)
    const ask = (text: string) =>
      database.transaction(async (session) => (await session.query(text)).rows as never, limits)
    tables.push(await compareTable(ask, table, { ...range, keptFromMs }))
  }
  return tables
}

function rangeOf(directory: string, schema: string, growsFromUs: number | null): Omit<ComparisonRange, 'keptFromMs'> {
  const { segments, truncated } = readTapeIndex(directory, ROW_STREAM)
  const first = segments[0]
  const fromUs = truncated && first !== undefined ? first.firstAtUs + WARM_US : null
  return { rebuilt: schema, ledger: LEDGER_SCHEMA, fromUs, growsFromUs }
}

async function drop(database: Database, schema: string): Promise<void> {
  const limits = { statementTimeoutMs: COMPARE_TIMEOUT_MS }
  await database.transaction((session) => session.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`), limits)
}

function retentionDays(rowsMaxAgeMs: number): number {
  return Math.ceil(rowsMaxAgeMs / DAY_MS)
}
