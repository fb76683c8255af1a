import { EXIT, PermanentError } from '../core/errors.ts'
import type { TokenId } from '../core/ids.ts'
import type { TokenFacts } from '../core/market.ts'
import type { TradeOrigin } from '../core/rows.ts'
import type { TapePosition } from '../core/tape.ts'
import { textArray } from './array-literal.ts'
import { Database, type Session } from './database.ts'
import { newestMigration } from './migrate.ts'
import { dayOf, listPartitions } from './partitions.ts'
import type { DatabaseTarget } from './target.ts'

/** The tables whose rows are derived from the tape. */
export const STREAMED_TABLES = ['trades', 'tick_size_changes', 'market_events'] as const
export type StreamedTable = (typeof STREAMED_TABLES)[number]

/** A streamed row as the ledger holds it. */
export interface StoredRow {
  /** Token id, or condition id of a market event; null when the token is not in `tokens`. */
  readonly subject: string | null
  /** Venue time, Unix µs: what was changed by hand may have a fraction of a millisecond. */
  readonly venueUs: number
  /** 32 hex digits. */
  readonly contentHash: string
  readonly ordinal: number
  /** Receive time, Unix µs. */
  readonly atUs: number
  /** The other columns, in the order of `CONTENT_COLUMNS`. */
  readonly content: readonly unknown[]
}

/** The columns beyond identity and receive time. */
export const CONTENT_COLUMNS: Readonly<Record<StreamedTable, readonly string[]>> = {
  trades: ['price', 'size', 'side', 'fee_rate_bps', 'transaction_hash'],
  tick_size_changes: ['old_tick_size', 'new_tick_size'],
  market_events: ['kind', 'winning_token_id', 'raw'],
}

/** How far one recorder's stream was taken. */
export interface RecorderPosition {
  readonly recorderId: string
  readonly position: TapePosition
  /** Receive time of the last line before it, Unix µs. */
  readonly atUs: number | null
}

export interface StoredLetter {
  /** Unix ms. */
  readonly atMs: number
  readonly reason: string
  readonly raw: string
}

/** A view of a ledger that never writes: no migrations, no partitions. */
export interface Inspection {
  positions(stream: string): Promise<readonly RecorderPosition[]>
  /** What is known of these tokens, as listed last. */
  tokenFacts(tokens: readonly TokenId[]): Promise<readonly TokenFacts[]>
  /** The UTC days for which the table has a partition, Unix ms, in order. */
  days(table: StreamedTable): Promise<readonly number[]>
  /** Every row with a venue time in [fromMs, toMs), in no order and by chunks. */
  scan(table: StreamedTable, fromMs: number, toMs: number, take: (rows: readonly StoredRow[]) => void): Promise<void>
  /** The dead letters of one stream with one of these times (Unix ms). */
  letters(stream: string, timesMs: readonly number[]): Promise<readonly StoredLetter[]>
  read<Row extends Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<readonly Row[]>
  /** The same view of the rows that one stream brought: only trades are ever backfilled. */
  ofOrigin(origin: TradeOrigin): Inspection
  close(): Promise<void>
}

const CHUNK_ROWS = 5_000
/** The first rows of a large day may be a while in coming. */
const STATEMENT_TIMEOUT_MS = 600_000

const SELECT_CONTENT: Readonly<Record<StreamedTable, string>> = {
  trades: `t.token_id AS subject, r.price, r.size, r.side::text AS side, r.fee_rate_bps, r.transaction_hash
    FROM trades r LEFT JOIN tokens t USING (token_key)`,
  tick_size_changes: `t.token_id AS subject, r.old_tick_size, r.new_tick_size
    FROM tick_size_changes r LEFT JOIN tokens t USING (token_key)`,
  market_events: 'r.condition_id AS subject, r.kind, r.winning_token_id, r.raw FROM market_events r',
}

/** Opens the ledger for reading; throws PermanentError (exit code 69) when there is none that this program can read. */
export async function openInspection(target: DatabaseTarget, schema = 'public'): Promise<Inspection> {
  const database = new Database({ target, schema, poolSize: 2, onLost: () => {} })
  try {
    await checkVersion(database)
  } catch (error) {
    await database.close()
    throw error
  }
  const limits = { readOnly: true, statementTimeoutMs: STATEMENT_TIMEOUT_MS }
  const run = <T>(work: (session: Session) => Promise<T>) => database.transaction(work, limits)
  const view = (origin: TradeOrigin | null): Inspection => ({
    positions: (stream) => run((session) => selectPositions(session, stream)),
    tokenFacts: (tokens) => run((session) => selectFacts(session, tokens)),
    days: (table) =>
      origin === 'backfill' && table !== 'trades'
        ? Promise.resolve([])
        : run((session) => selectDays(session, schema, table)),
    scan: (table, fromMs, toMs, take) => run((session) => scan(session, { table, origin }, [fromMs, toMs], take)),
    letters: (stream, timesMs) => run((session) => selectLetters(session, stream, timesMs)),
    read: (text, values) => run(async (session) => (await session.query(text, values)).rows as never),
    ofOrigin: view,
    close: () => database.close(),
  })
  return view(null)
}

/** The newest migration that was applied to a schema; null when there is no ledger in it. */
export function appliedMigration(database: Database): Promise<number | null> {
  return database.transaction(
    async (session) => {
      const { rows: found } = await session.query<{ found: boolean }>(
        `SELECT to_regclass('"${database.schema}".schema_migrations') IS NOT NULL AS found`,
      )
      if (!found[0]?.found) return null
      const { rows } = await session.query<{ newest: number | null }>(
        'SELECT max(number) AS newest FROM schema_migrations',
      )
      return rows[0]?.newest ?? null
    },
    { readOnly: true },
  )
}

async function checkVersion(database: Database): Promise<void> {
  const [applied, newest] = [await appliedMigration(database), await newestMigration()]
  if (applied === newest) return
  const message =
    applied === null
      ? 'the database holds no ledger yet: tapekeeper collect makes it'
      : applied > newest
        ? `the ledger is at migration ${applied}, this program knows ${newest}: use the newer version`
        : `the ledger is at migration ${applied} of ${newest}: start tapekeeper collect once to bring it up to date`
  throw new PermanentError(message, { exitCode: EXIT.unavailable })
}

async function selectPositions(session: Session, stream: string): Promise<RecorderPosition[]> {
  const { rows } = await session.query<Record<'recorder_id' | 'segment' | 'segment_offset' | 'line', string>>(
    `SELECT recorder_id, segment, segment_offset, line, (extract(epoch FROM at) * 1000000)::bigint AS at_us
     FROM tape_positions WHERE stream = $1 ORDER BY recorder_id`,
    [stream],
  )
  return rows.map((row: Record<string, string | null>) => ({
    recorderId: String(row['recorder_id']),
    position: { segment: String(row['segment']), offset: Number(row['segment_offset']), line: Number(row['line']) },
    atUs: row['at_us'] == null ? null : Number(row['at_us']),
  }))
}

async function selectFacts(session: Session, tokens: readonly TokenId[]): Promise<TokenFacts[]> {
  const { rows } = await session.query<Omit<TokenFacts, never>>(
    `SELECT t.token_id AS "tokenId", t.condition_id AS "conditionId", m.tick_size AS "tickSize",
            m.min_order_size AS "minOrderSize", m.neg_risk AS "negRisk", m.version
     FROM tokens t JOIN markets m USING (condition_id) WHERE t.token_id = ANY($1::text[])`,
    [textArray(tokens)],
  )
  return rows
}

async function selectDays(session: Session, schema: string, table: StreamedTable): Promise<number[]> {
  const names = [...(await listPartitions(session, schema))].filter((name) => name.slice(0, -9) === table)
  return names.map(dayOf).sort((a, b) => a - b)
}

/** One range is one short transaction per day, so that nobody waits for a lock of ours for long. */
async function scan(
  session: Session,
  { table, origin }: { readonly table: StreamedTable; readonly origin: TradeOrigin | null },
  [fromMs, toMs]: readonly [number, number],
  take: (rows: readonly StoredRow[]) => void,
): Promise<void> {
  const own = table === 'trades' && origin !== null ? `AND r.origin = '${origin === 'stream' ? 's' : 'b'}'` : ''
  await session.query(`DECLARE stored NO SCROLL CURSOR FOR
    SELECT (extract(epoch FROM r.ts) * 1000000)::bigint AS venue_us, r.content_hash, r.ordinal,
           (extract(epoch FROM r.received_at) * 1000000)::bigint AS at_us, ${SELECT_CONTENT[table]}
    WHERE r.ts >= to_timestamp(${fromMs} / 1000.0) AND r.ts < to_timestamp(${toMs} / 1000.0) ${own}`)
  for (;;) {
    const { rows } = await session.query<Record<string, unknown>>(`FETCH ${CHUNK_ROWS} FROM stored`)
    if (rows.length === 0) break
    take(rows.map((row) => toStoredRow(table, row)))
  }
  await session.query('CLOSE stored')
}

function toStoredRow(table: StreamedTable, row: Readonly<Record<string, unknown>>): StoredRow {
  return {
    subject: row['subject'] === null ? null : String(row['subject']),
    venueUs: Number(row['venue_us']),
    contentHash: String(row['content_hash']).replaceAll('-', ''),
    ordinal: Number(row['ordinal']),
    atUs: Number(row['at_us']),
    content: CONTENT_COLUMNS[table].map((column) => row[column]),
  }
}

async function selectLetters(session: Session, stream: string, timesMs: readonly number[]): Promise<StoredLetter[]> {
  const { rows } = await session.query<{ ms: string; reason: string; raw: string }>(
    `SELECT (extract(epoch FROM at) * 1000)::bigint AS ms, reason, raw FROM dead_letters
     WHERE source = $1 AND at = ANY (SELECT to_timestamp(ms / 1000.0) FROM unnest($2::float8[]) AS t (ms))`,
    [stream, timesMs],
  )
  return rows.map(({ ms, reason, raw }) => ({ atMs: Number(ms), reason, raw }))
}
