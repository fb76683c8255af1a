import type { GlobalFlags } from '../config/load.ts'
import { EXIT, type ExitCode, PermanentError } from '../core/errors.ts'
import type { TradeOrigin } from '../core/rows.ts'
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
import { ROW_STREAMS, recorderIdOf, type StreamKind, streamKind, tapeDirectory } from './streams.ts'

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
    const parts = await loadParts(run, access)
    const database = new Database({ target: access.target, schema: LEDGER_SCHEMA, poolSize: 2, onLost: () => {} })
    try {
      await refuseExisting(database, schema)
      let done = false
      try {
        const dropped = await derive(run, access, schema, parts)
        const tables = await compare(run, database, schema, { parts, access })
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

/** A tape that rows are derived from, and the place up to which the ledger has taken it: the rebuild ends there too. */
interface Part {
  readonly stream: string
  readonly kind: StreamKind
  readonly position: RecorderPosition
}

async function loadParts(run: CommandRun, access: LedgerAccess): Promise<readonly Part[]> {
  const ledger = await openInspection(access.target)
  try {
    const parts: Part[] = []
    for (const stream of ROW_STREAMS) {
      const positions = await ledger.positions(stream)
      if (positions.length > 1) {
        const message =
          'several recorders store into this ledger; what one tape holds cannot be compared with all of it'
        throw new PermanentError(message, { exitCode: EXIT.unavailable })
      }
      const position = positions.find(({ recorderId }) => recorderId === recorderIdOf(run.config))
      const kind = streamKind(stream)
      if (position !== undefined && kind !== null) parts.push({ stream, kind, position })
    }
    if (parts.length > 0) return parts
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
  parts: readonly Part[],
): Promise<number> {
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
    let refused = 0
    for (const { stream, kind, position } of parts) {
      const status = await rebuildStream(
        {
          tapeDirectory: tapeDirectory(config),
          stream,
          recorderId: position.recorderId,
          until: position.position,
          ledger,
          decode: kind.decode,
          // Books are what `verify` is for.
          checker: kind.createChecker({ facts: () => undefined }),
          checkShare: 0,
          clock,
          log,
          onProgress: ({ tradesInserted }) =>
            progress.show(`${schema}: ${tradesInserted} trades derived from ${stream}`),
        },
        signal,
      )
      signal.throwIfAborted()
      refused += status.deadLetters
    }
    return refused
  } finally {
    await ledger.close()
  }
}

async function compare(
  { config, clock, progress, signal }: CommandRun,
  database: Database,
  schema: string,
  { parts, access }: { parts: readonly Part[]; access: LedgerAccess },
): Promise<TableComparison[]> {
  const range = rangeOf(tapeDirectory(config), schema, { parts, isGrowing: access.recording })
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

function rangeOf(
  directory: string,
  schema: string,
  { parts, isGrowing }: { parts: readonly Part[]; isGrowing: boolean },
): Omit<ComparisonRange, 'keptFromMs'> {
  const fromUs: Record<TradeOrigin, number | null> = { stream: null, backfill: null }
  const growsFromUs: Record<TradeOrigin, number | null> = { stream: null, backfill: null }
  for (const stream of ROW_STREAMS) {
    const kind = streamKind(stream)
    if (kind === null) continue
    const part = parts.find((one) => one.stream === stream)
    const { segments, truncated } = readTapeIndex(directory, stream)
    const first = segments[0]
    if (truncated && first !== undefined) fromUs[kind.origin] = first.firstAtUs + WARM_US
    // What has no position yet may begin at any moment.
    if (isGrowing) growsFromUs[kind.origin] = part === undefined ? 0 : part.position.atUs
  }
  return { rebuilt: schema, ledger: LEDGER_SCHEMA, fromUs, growsFromUs }
}

async function drop(database: Database, schema: string): Promise<void> {
  const limits = { statementTimeoutMs: COMPARE_TIMEOUT_MS }
  await database.transaction((session) => session.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`), limits)
}

function retentionDays(rowsMaxAgeMs: number): number {
  return Math.ceil(rowsMaxAgeMs / DAY_MS)
}
