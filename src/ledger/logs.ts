import { cleanText } from './clean.ts'
import type { Session } from './database.ts'
import { wordsQuery } from './words.ts'

export type StoredLogLevel = 'DEBUG' | 'INFO' | 'WARNING' | 'ERROR' | 'CRITICAL'

export interface LogRow {
  /** Unix ms. */
  readonly atMs: number
  readonly level: StoredLogLevel
  readonly message: string
  /** JSON text that fits a jsonb column. */
  readonly contextJson: string
}

export interface StoredLog {
  readonly id: number
  readonly atMs: number
  readonly level: StoredLogLevel
  readonly message: string
  readonly context: Readonly<Record<string, unknown>>
}

export interface LogQuery {
  readonly limit: number
  /** How many of the newest to leave out. */
  readonly offset: number
  /** Only entries with a smaller id. */
  readonly before: number | null
  /** Empty: all. */
  readonly levels: readonly StoredLogLevel[]
  /** Words that must all occur; null: no search. */
  readonly search: string | null
}

/** What a search counts at most: the exact number of everything that matches may take seconds. */
const SEARCH_COUNT_MAX = 1_000
const ID_MAX = Number.MAX_SAFE_INTEGER

/** Stores entries in their order. */
export async function insertLogs(session: Session, rows: readonly LogRow[]): Promise<void> {
  await session.query(
    `INSERT INTO fetcher_logs (at, level, message, context)
     SELECT to_timestamp(l.at_ms / 1000.0), l.level, l.message, l.context::jsonb
     FROM unnest($1::float8[], $2::text[], $3::text[], $4::text[])
       WITH ORDINALITY AS l (at_ms, level, message, context, n)
     ORDER BY l.n`,
    [
      rows.map((row) => row.atMs),
      rows.map((row) => row.level),
      rows.map((row) => cleanText(row.message)),
      rows.map((row) => row.contextJson),
    ],
  )
}

/** The entries asked for, newest first, and how many match in all; a search is counted up to 1,000. */
export async function selectLogPage(
  session: Session,
  query: LogQuery,
): Promise<{ readonly logs: readonly StoredLog[]; readonly total: number }> {
  const words = query.search === null ? null : wordsQuery(query.search)
  const total = await countLogs(session, query.levels, words)
  const { text, values } = words === null ? byPosition(query) : bySearch(query, words, total < SEARCH_COUNT_MAX)
  return { logs: (await session.query<LogRecord>(text, values)).rows.map(toLog), total }
}

const COLUMNS = 'id, (extract(epoch FROM at) * 1000)::bigint AS at_ms, level, message, context'

interface LogRecord extends Omit<StoredLog, 'id' | 'atMs'>, Record<string, unknown> {
  readonly id: string
  readonly at_ms: string
}

function toLog({ id, at_ms, level, message, context }: LogRecord): StoredLog {
  return { id: Number(id), atMs: Number(at_ms), level, message, context }
}

interface Statement {
  readonly text: string
  readonly values: readonly unknown[]
}

/**
 * The place is looked up in an index alone, whole rows are read from there on. Each level has its own order in its
 * index, so that a rare one is found without passing all others.
 */
function byPosition({ limit, offset, before, levels }: LogQuery): Statement {
  const end = before ?? ID_MAX
  if (levels.length > 1) return byLevels(levels, end, offset, limit)
  const level = levels.length === 0 ? '' : 'level = $3 AND'
  const skip = `OFFSET $${levels.length + 3}`
  const place = `SELECT id FROM fetcher_logs WHERE ${level} id < $1 ORDER BY id DESC ${skip} LIMIT 1`
  const start = offset === 0 ? 'id < $1' : `id <= (${place})`
  const text = `SELECT ${COLUMNS} FROM fetcher_logs WHERE ${level} ${start} ORDER BY id DESC LIMIT $2`
  return { text, values: [end, limit, ...levels, ...(offset === 0 ? [] : [offset])] }
}

function byLevels(levels: readonly StoredLogLevel[], end: number, offset: number, limit: number): Statement {
  const text = `SELECT ${COLUMNS} FROM fetcher_logs WHERE id IN (
      SELECT l.id FROM unnest($4::text[]) AS w (level)
      CROSS JOIN LATERAL (SELECT id FROM fetcher_logs WHERE level = w.level AND id < $1
                          ORDER BY id DESC LIMIT $2::bigint + $3::bigint) AS l
      ORDER BY l.id DESC OFFSET $2 LIMIT $3)
    ORDER BY id DESC`
  return { text, values: [end, offset, limit, levels] }
}

/**
 * Many that match are met soon on the way back from the newest. Few are found by their words first: the server believes
 * in meeting them soon as well, and would pass a million rows.
 */
function bySearch({ limit, offset, before, levels }: LogQuery, words: string, areFew: boolean): Statement {
  const chosen = levels.length === 0 ? '' : 'AND level = ANY($5::text[])'
  const found = `FROM fetcher_logs WHERE words @@ to_tsquery('simple', $1) AND id < $2 ${chosen}`
  const page = 'ORDER BY id DESC OFFSET $3 LIMIT $4'
  const few = `WITH found AS MATERIALIZED (SELECT id, at, level, message, context ${found})`
  const text = areFew ? `${few} SELECT ${COLUMNS} FROM found ${page}` : `SELECT ${COLUMNS} ${found} ${page}`
  const values = [words, before ?? ID_MAX, offset, limit]
  return { text, values: levels.length === 0 ? values : [...values, levels] }
}

/** How many match, whatever page of them is asked for. */
async function countLogs(session: Session, levels: readonly StoredLogLevel[], words: string | null): Promise<number> {
  const chosen = levels.length === 0 ? '' : 'level = ANY($1::text[])'
  if (words === null) {
    const text = `SELECT coalesce(sum(total), 0)::bigint AS total FROM fetcher_log_counts
      ${chosen === '' ? '' : `WHERE ${chosen}`}`
    const { rows } = await session.query<{ total: string }>(text, chosen === '' ? [] : [levels])
    return Number(rows[0]?.total ?? 0)
  }
  const { rows } = await session.query<{ total: string }>(
    `SELECT count(*) AS total FROM (
       SELECT 1 FROM fetcher_logs WHERE words @@ to_tsquery('simple', $2) AND ($1::text[] = '{}' OR level = ANY($1))
       LIMIT ${SEARCH_COUNT_MAX}) AS found`,
    [levels, words],
  )
  return Number(rows[0]?.total ?? 0)
}

/** Entries with a larger id, oldest first. */
export async function selectLogsAfter(
  session: Session,
  { after, limit, levels, search }: Omit<LogQuery, 'offset' | 'before'> & { readonly after: number },
): Promise<readonly StoredLog[]> {
  const words = search === null ? null : wordsQuery(search)
  const { rows } = await session.query<LogRecord>(
    `SELECT ${COLUMNS} FROM fetcher_logs
     WHERE id > $1 AND ($3::text[] = '{}' OR level = ANY($3))
       AND ($4::text IS NULL OR words @@ to_tsquery('simple', $4))
     ORDER BY id LIMIT $2`,
    [after, limit, levels, words],
  )
  return rows.map(toLog)
}

/** Deletes at most `limit` of the oldest entries before this time; returns how many. */
export async function deleteLogsBefore(session: Session, beforeMs: number, limit: number): Promise<number> {
  const { rowCount } = await session.query(
    `DELETE FROM fetcher_logs WHERE id IN (
       SELECT id FROM fetcher_logs WHERE at < to_timestamp($1 / 1000.0) ORDER BY at LIMIT $2)`,
    [beforeMs, limit],
  )
  return rowCount ?? 0
}
