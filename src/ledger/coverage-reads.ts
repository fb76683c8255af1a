import type { Session } from './database.ts'

/** One row of coverage_gaps, its tokens as numbers of them. Times are Unix ms. */
export interface StoredGap {
  readonly gapId: number
  readonly recorderId: string
  readonly stream: string
  readonly startedMs: number
  readonly endedMs: number | null
  readonly cause: string
  readonly tokenCount: number
  readonly quietTokenCount: number
  readonly evidence: Readonly<Record<string, unknown>>
  readonly recoveredTrades: number
  readonly backfillComplete: boolean | null
  readonly backfillError: string | null
}

export interface GapQuery {
  readonly limit: number
  /** Only gaps with a smaller id. */
  readonly before: number | null
  readonly cause: string | null
  readonly state: 'open' | 'closed' | 'all'
  /** Only gaps of this token. */
  readonly tokenKey: number | null
}

const GAP_COLUMNS = `gap_id, recorder_id, stream, cause, evidence, recovered_trades, backfill_complete, backfill_error,
  (extract(epoch FROM started_at) * 1000)::bigint AS started_ms,
  (extract(epoch FROM ended_at) * 1000)::bigint AS ended_ms,
  cardinality(tokens) AS token_count, cardinality(quiet_tokens) AS quiet_token_count`

interface GapRecord {
  gap_id: string
  recorder_id: string
  stream: string
  cause: string
  evidence: Record<string, unknown>
  recovered_trades: number
  backfill_complete: boolean | null
  backfill_error: string | null
  started_ms: string
  ended_ms: string | null
  token_count: number
  quiet_token_count: number
}

function toGap(row: GapRecord): StoredGap {
  return {
    gapId: Number(row.gap_id),
    recorderId: row.recorder_id,
    stream: row.stream,
    startedMs: Number(row.started_ms),
    endedMs: row.ended_ms === null ? null : Number(row.ended_ms),
    cause: row.cause,
    tokenCount: row.token_count,
    quietTokenCount: row.quiet_token_count,
    evidence: row.evidence,
    recoveredTrades: row.recovered_trades,
    backfillComplete: row.backfill_complete,
    backfillError: row.backfill_error,
  }
}

/** Gaps, newest first. */
export async function selectGaps(session: Session, query: GapQuery): Promise<readonly StoredGap[]> {
  const { limit, before, cause, state, tokenKey } = query
  const ended = { open: 'AND ended_at IS NULL', closed: 'AND ended_at IS NOT NULL', all: '' }[state]
  const { rows } = await session.query<GapRecord & Record<string, unknown>>(
    `SELECT ${GAP_COLUMNS} FROM coverage_gaps
     WHERE ($2::bigint IS NULL OR gap_id < $2) AND ($3::text IS NULL OR cause = $3)
       AND ($4::integer IS NULL OR $4 = ANY (tokens)) ${ended}
     ORDER BY gap_id DESC LIMIT $1`,
    [limit, before, cause, tokenKey],
  )
  return rows.map(toGap)
}

/**
 * The gaps that came after this one and those with these ids; without `after` the newest and all that are open. At
 * most `limit`, the newest first.
 */
export async function selectGapChanges(
  session: Session,
  known: { readonly after: number | null; readonly ids: readonly number[] },
  limit: number,
): Promise<readonly StoredGap[]> {
  const { rows } = await session.query<GapRecord & Record<string, unknown>>(
    `SELECT ${GAP_COLUMNS} FROM coverage_gaps
     WHERE gap_id > coalesce($1::bigint, (SELECT max(gap_id) - 1 FROM coverage_gaps))
        OR gap_id = ANY ($2::bigint[]) OR ended_at IS NULL
     ORDER BY gap_id DESC LIMIT $3`,
    [known.after, known.ids, limit],
  )
  return rows.map(toGap)
}

/** For how much of an interval something of a token may be missing. */
export interface TokenDoubt {
  readonly tokenKey: number
  readonly missingSeconds: number
  readonly isOpen: boolean
}

/** Every token with a gap in an interval, without those that were proven to have missed nothing. Unix ms. */
export async function selectDoubts(session: Session, fromMs: number, toMs: number): Promise<readonly TokenDoubt[]> {
  const { rows } = await session.query<{ token_key: number; missing: number; open: boolean }>(
    `SELECT k.token_key, bool_or(g.ended_at IS NULL) AS open,
            sum(extract(epoch FROM least(g.ended_at, i.until) - greatest(g.started_at, i.since)))::float8 AS missing
     FROM (SELECT to_timestamp($1 / 1000.0) AS since, to_timestamp($2 / 1000.0) AS until) AS i
     JOIN coverage_gaps g ON g.started_at < i.until AND (g.ended_at IS NULL OR g.ended_at > i.since)
     CROSS JOIN LATERAL (SELECT unnest(g.tokens) EXCEPT SELECT unnest(g.quiet_tokens)) AS k (token_key)
     GROUP BY k.token_key`,
    [fromMs, toMs],
  )
  return rows.map((row) => ({ tokenKey: row.token_key, missingSeconds: row.missing, isOpen: row.open }))
}

/** A stretch of time, Unix ms; `endMs` null: it has not ended. */
export interface Stretch {
  readonly startMs: number
  readonly endMs: number | null
}

export interface TokenGap extends Stretch {
  readonly gapId: number
  readonly cause: string
  readonly isQuiet: boolean
}

export interface TokenCoverageRows {
  /** When the token was to be recorded. */
  readonly spans: readonly Stretch[]
  readonly gaps: readonly TokenGap[]
}

const ROWS_MAX = 5_000

/** What there is to say about one token's recording between two moments, Unix ms. */
export async function selectTokenCoverage(
  session: Session,
  tokenKey: number,
  fromMs: number,
  toMs: number,
): Promise<TokenCoverageRows> {
  const overlaps = `started_at < to_timestamp($3 / 1000.0)
    AND (ended_at IS NULL OR ended_at > to_timestamp($2 / 1000.0))`
  const times = `(extract(epoch FROM started_at) * 1000)::float8 AS "startMs",
                 (extract(epoch FROM ended_at) * 1000)::float8 AS "endMs"`
  const values = [tokenKey, fromMs, toMs]
  const spans = await session.query<Stretch & Record<string, unknown>>(
    `SELECT ${times} FROM coverage_spans WHERE token_key = $1 AND ${overlaps} ORDER BY started_at LIMIT ${ROWS_MAX}`,
    values,
  )
  const gaps = await session.query<TokenGap & Record<string, unknown>>(
    `SELECT gap_id::float8 AS "gapId", cause, $1 = ANY (quiet_tokens) AS "isQuiet", ${times}
     FROM coverage_gaps WHERE $1 = ANY (tokens) AND ${overlaps} ORDER BY started_at LIMIT ${ROWS_MAX}`,
    values,
  )
  return { spans: spans.rows, gaps: gaps.rows }
}
