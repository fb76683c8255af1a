import { textArray } from './array-literal.ts'
import type { Inspection } from './inspection.ts'

/** Why something may be missing, as the table has it. */
export const GAP_CAUSES = [
  'down',
  'disconnect',
  'stall',
  'hash_mismatch',
  'missing_trade',
  'tape_failure',
  'parse_failure',
  'subscribe_refused',
] as const
export type GapCause = (typeof GAP_CAUSES)[number]

/** One row of `coverage_gaps`. Times are ISO 8601 with µs. */
export interface Incident {
  /** null: known and not yet a row, because no recorder runs that could write it. */
  readonly gapId: string | null
  readonly recorderId: string
  readonly stream: string
  readonly startedAt: string
  /** null while it is open. */
  readonly endedAt: string | null
  readonly durationMs: number
  readonly cause: GapCause
  readonly evidence: Readonly<Record<string, unknown>>
  readonly tokens: number
  /** Those of them that were proven to have missed nothing. */
  readonly quietTokens: number
  readonly markets: number
  /** Of the one market concerned; null when there are several, or it is not known. */
  readonly conditionId: string | null
  readonly question: string | null
  readonly recoveredTrades: number
  readonly backfillComplete: boolean | null
  readonly backfillAttempts: number
  readonly backfillError: string | null
}

/** How much of what was to be recorded has been. Lengths are summed over tokens. */
export interface Coverage {
  readonly recorderId: string
  readonly stream: string
  readonly tokens: number
  readonly wantedSeconds: number
  readonly missingSeconds: number
  /** 0 to 100, rounded down to four decimals, so that 100 means all of it; null when nothing was wanted. */
  readonly percent: number | null
  /** Tokens whose silence was proven right, and the newest such proof in the interval. */
  readonly verifiedTokens: number
  readonly verifiedAt: string | null
}

export interface StreamCoverage extends Coverage {
  readonly markets: number
  readonly marketsWithGaps: number
  readonly firstAt: string | null
}

export interface MarketCoverage extends Coverage {
  readonly conditionId: string | null
  readonly question: string | null
}

/** Time since a recorder was last seen that has no row, because nobody runs who could write it. Unix µs. */
export interface DownSince {
  readonly recorderId: string
  readonly stream: string
  readonly sinceUs: number
}

export interface CoverageQuestion {
  /** Unix ms; null: from the beginning. */
  readonly sinceMs: number | null
  readonly untilMs: number
  /** null: all markets. */
  readonly conditionIds: readonly string[] | null
  readonly down: DownSince | null
}

export interface IncidentFilter extends CoverageQuestion {
  readonly cause: GapCause | null
  readonly openOnly: boolean
  readonly limit: number
}

type Reader = Pick<Inspection, 'read'>

const ISO = `'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`
/** $1 since (µs or null) and $2 until (µs), as every query here has them. */
const SINCE = `coalesce(to_timestamp($1::float8 / 1000000), '-infinity')`
const UNTIL = 'to_timestamp($2::float8 / 1000000)'
/** $3: the tokens of these markets; null means all. */
const CHOSEN = `SELECT token_key FROM tokens WHERE $3::text[] IS NULL OR condition_id = ANY ($3::text[])`

/** The condition ids that a user means by a condition id or a slug; empty when the ledger knows no such market. */
export async function findMarkets(ledger: Reader, name: string): Promise<readonly string[]> {
  const rows = await ledger.read<{ condition_id: string }>(
    `SELECT condition_id FROM markets WHERE condition_id = $1 OR slug = $1
     UNION SELECT condition_id FROM tokens WHERE condition_id = $1`,
    [name],
  )
  return rows.map((row) => row.condition_id)
}

/** When the ledger last took anything from this recorder's stream, Unix µs; null: never. */
export async function lastSeenUs(ledger: Reader, recorderId: string, stream: string): Promise<number | null> {
  const rows = await ledger.read<{ us: string | null }>(
    `SELECT (extract(epoch FROM at) * 1000000)::bigint AS us FROM tape_positions
     WHERE recorder_id = $1 AND stream = $2`,
    [recorderId, stream],
  )
  return rows[0]?.us == null ? null : Number(rows[0].us)
}

/** Incidents that overlap the interval, newest first, and how many there are in all. */
export async function selectIncidents(
  ledger: Reader,
  filter: IncidentFilter,
): Promise<{ incidents: readonly Incident[]; total: number }> {
  const rows = await ledger.read<Record<string, unknown>>(
    `WITH found AS MATERIALIZED (
       SELECT g.*, count(*) OVER () AS total FROM coverage_gaps g
       WHERE g.started_at < ${UNTIL} AND (g.ended_at IS NULL OR g.ended_at >= ${SINCE})
         AND ($4::text IS NULL OR g.cause = $4) AND (NOT $5::boolean OR g.ended_at IS NULL)
         AND ($3::text[] IS NULL OR g.tokens && (SELECT array_agg(token_key) FROM (${CHOSEN}) AS chosen))
       ORDER BY g.started_at DESC, g.gap_id DESC LIMIT $6::integer)
     SELECT g.gap_id::text, g.recorder_id, g.stream, g.cause, g.evidence, g.total::integer,
            to_char(g.started_at, ${ISO}) AS started_at, to_char(g.ended_at, ${ISO}) AS ended_at,
            extract(epoch FROM greatest(coalesce(g.ended_at, ${UNTIL}) - g.started_at, '0'))::float8 AS seconds,
            cardinality(g.tokens) AS tokens, cardinality(g.quiet_tokens) AS quiet_tokens,
            g.recovered_trades, g.backfill_complete, g.backfill_attempts, g.backfill_error,
            of.markets::integer, CASE WHEN of.markets = 1 THEN of.condition_id END AS condition_id, m.question
     FROM found g
     CROSS JOIN LATERAL (
       SELECT count(DISTINCT coalesce(t.condition_id, t.token_id)) AS markets, max(t.condition_id) AS condition_id
       FROM unnest(g.tokens) AS k (token_key) JOIN tokens t USING (token_key)) AS of
     LEFT JOIN markets m ON of.markets = 1 AND m.condition_id = of.condition_id
     ORDER BY g.started_at DESC, g.gap_id DESC`,
    [...argumentsOf(filter), filter.cause, filter.openOnly, filter.limit],
  )
  return { incidents: rows.map(toIncident), total: Number(rows[0]?.['total'] ?? 0) }
}

/** The part of the wanted time that lies in no gap, per stream and for the `worst` markets. Overlaps count once. */
export async function selectCoverage(
  ledger: Reader,
  question: CoverageQuestion,
  worst: number,
): Promise<{ streams: readonly StreamCoverage[]; markets: readonly MarketCoverage[] }> {
  const { down } = question
  const rows = await ledger.read<Record<string, unknown>>(COVERAGE, [
    ...argumentsOf(question),
    down?.recorderId ?? null,
    down?.stream ?? null,
    down?.sinceUs ?? null,
    worst,
  ])
  return {
    streams: rows.filter((row) => row['is_stream']).map(toStreamCoverage),
    markets: rows.filter((row) => !row['is_stream']).map(toMarketCoverage),
  }
}

/** Seconds, exact to the µs. */
const lengthOf = (times: string) =>
  `coalesce((SELECT sum(extract(epoch FROM upper(part) - lower(part))) FROM unnest(${times}) AS part), 0)`

/** Recorder and stream become one number, because what is grouped by them can be millions of (token, gap) pairs. */
const COVERAGE = `
  WITH scopes AS MATERIALIZED (
    SELECT row_number() OVER ()::integer AS scope, recorder_id, stream
    FROM (SELECT DISTINCT recorder_id, stream FROM coverage_spans) AS every
  ), spans AS MATERIALIZED (
    SELECT scope, recorder_id, stream, token_key, verified_at, started_at, ended_at
    FROM coverage_spans JOIN scopes USING (recorder_id, stream)
    WHERE started_at < ${UNTIL} AND (ended_at IS NULL OR ended_at > ${SINCE})
      AND ($3::text[] IS NULL OR token_key IN (${CHOSEN}))
  ), wanted AS (
    SELECT scope, token_key, min(started_at) AS first_at,
           range_agg(tstzrange(started_at, ended_at)) * tstzmultirange(tstzrange(${SINCE}, ${UNTIL})) AS times,
           max(verified_at) FILTER (WHERE verified_at >= ${SINCE} AND verified_at < ${UNTIL}) AS verified_at
    FROM spans GROUP BY scope, token_key
  ), gaps AS (
    SELECT scope, unnest(tokens) AS token_key, times FROM (
      SELECT scope, tstzrange(started_at, ended_at) AS times,
             CASE WHEN quiet_tokens = '{}' THEN tokens
                  ELSE ARRAY(SELECT unnest(tokens) EXCEPT SELECT unnest(quiet_tokens)) END AS tokens
      FROM coverage_gaps JOIN scopes USING (recorder_id, stream)
      WHERE started_at < ${UNTIL} AND (ended_at IS NULL OR ended_at > ${SINCE}) OFFSET 0) AS incidents
    UNION ALL
    SELECT scope, token_key, tstzrange(to_timestamp($6::float8 / 1000000), NULL)
    FROM spans WHERE ended_at IS NULL AND recorder_id = $4 AND stream = $5
  ), missing AS (
    SELECT scope, token_key, range_agg(times) AS times FROM gaps GROUP BY scope, token_key
  ), per_token AS (
    SELECT w.scope, w.token_key, w.first_at, w.verified_at, ${lengthOf('w.times')} AS wanted,
           ${lengthOf('w.times * m.times')} AS missing
    FROM wanted w LEFT JOIN missing m USING (scope, token_key)
  ), per_market AS (
    SELECT s.recorder_id, s.stream, coalesce(t.condition_id, t.token_id) AS market, min(t.condition_id) AS condition_id,
           count(*) AS tokens, sum(wanted) AS wanted, sum(missing) AS missing,
           count(verified_at) AS verified_tokens, max(verified_at) AS verified_at, min(first_at) AS first_at
    FROM per_token JOIN scopes s USING (scope) JOIN tokens t USING (token_key)
    GROUP BY s.recorder_id, s.stream, coalesce(t.condition_id, t.token_id)
  ), worst AS (
    SELECT *, missing / nullif(wanted, 0) AS share FROM per_market WHERE missing > 0
    ORDER BY share DESC, missing DESC, market LIMIT $7::integer
  ), lines AS (
    SELECT true AS is_stream, recorder_id, stream, null AS condition_id, sum(tokens) AS tokens, sum(wanted) AS wanted,
           sum(missing) AS missing, sum(verified_tokens) AS verified_tokens, max(verified_at) AS verified_at,
           count(*) AS markets, count(*) FILTER (WHERE missing > 0) AS with_gaps, min(first_at) AS first_at
    FROM per_market GROUP BY recorder_id, stream
    UNION ALL
    SELECT false, recorder_id, stream, condition_id, tokens, wanted, missing, verified_tokens, verified_at, 1, 1,
           first_at
    FROM worst
  )
  SELECT is_stream, recorder_id, stream, l.condition_id, m.question, tokens::integer, wanted::float8, missing::float8,
         trunc(100 * (1 - missing / nullif(wanted, 0)), 4)::float8 AS percent, verified_tokens::integer,
         to_char(l.verified_at, ${ISO}) AS verified_at, markets::integer, with_gaps::integer,
         to_char(first_at, ${ISO}) AS first_at
  FROM lines l LEFT JOIN markets m USING (condition_id)
  ORDER BY is_stream DESC, percent, missing DESC, stream, recorder_id, condition_id`

function argumentsOf({ sinceMs, untilMs, conditionIds }: CoverageQuestion): readonly unknown[] {
  const since = sinceMs === null ? null : sinceMs * 1000
  return [since, untilMs * 1000, conditionIds === null ? null : textArray(conditionIds)]
}

function toIncident(row: Readonly<Record<string, unknown>>): Incident {
  return {
    gapId: String(row['gap_id']),
    recorderId: String(row['recorder_id']),
    stream: String(row['stream']),
    startedAt: String(row['started_at']),
    endedAt: textOrNull(row['ended_at']),
    durationMs: Number(row['seconds']) * 1000,
    cause: row['cause'] as GapCause,
    evidence: row['evidence'] as Incident['evidence'],
    tokens: Number(row['tokens']),
    quietTokens: Number(row['quiet_tokens']),
    markets: Number(row['markets']),
    conditionId: textOrNull(row['condition_id']),
    question: textOrNull(row['question']),
    recoveredTrades: Number(row['recovered_trades']),
    backfillComplete: row['backfill_complete'] as boolean | null,
    backfillAttempts: Number(row['backfill_attempts']),
    backfillError: textOrNull(row['backfill_error']),
  }
}

function toCoverage(row: Readonly<Record<string, unknown>>): Coverage {
  return {
    recorderId: String(row['recorder_id']),
    stream: String(row['stream']),
    tokens: Number(row['tokens']),
    wantedSeconds: Number(row['wanted']),
    missingSeconds: Number(row['missing']),
    percent: row['percent'] as number | null,
    verifiedTokens: Number(row['verified_tokens']),
    verifiedAt: textOrNull(row['verified_at']),
  }
}

function toStreamCoverage(row: Readonly<Record<string, unknown>>): StreamCoverage {
  const [markets, marketsWithGaps] = [Number(row['markets']), Number(row['with_gaps'])]
  return { ...toCoverage(row), markets, marketsWithGaps, firstAt: textOrNull(row['first_at']) }
}

function toMarketCoverage(row: Readonly<Record<string, unknown>>): MarketCoverage {
  return { ...toCoverage(row), conditionId: textOrNull(row['condition_id']), question: textOrNull(row['question']) }
}

function textOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value)
}
