import type { ConditionId } from '../core/ids.ts'
import type {
  BackfillBacklog,
  FillAttempt,
  GapToFill,
  HoursAttempt,
  HoursQuery,
  HourToReconcile,
  StoredTrade,
  StoredTradesQuery,
  TradedMarket,
} from '../core/trade-backfill.ts'
import { numberArray, textArray } from './array-literal.ts'
import { cleanOrNull } from './clean.ts'
import type { Session } from './database.ts'
import { clusterMissed, type MissedTrade } from './missed-trades.ts'

/** Whose gaps and hours are filled. */
export interface BackfillScope {
  readonly recorderId: string
  /** The stream that missed something. */
  readonly stream: string
}

const HOUR_MS = 3_600_000
/** Until its first subscription a market's trades are not missing, where nothing is known of that. */
const SUBSCRIBE_MS = 60_000
/** Snapshots before and after an hour show a volume that changed within it. */
const SNAPSHOTS_AROUND_MS = 3_900_000
/** Backfilled trades that lie in a gap, by the second that the API knows. */
const WITHIN = `r.ts >= g.started_at - interval '1 second' AND r.ts <= g.ended_at + interval '1 second'`

export async function selectGapsToFill(
  session: Session,
  { recorderId, stream }: BackfillScope,
  nowMs: number,
  limit: number,
): Promise<GapToFill[]> {
  const { rows } = await session.query<Record<string, unknown>>(
    `SELECT g.gap_id, g.backfill_attempts, k.ids, k.strangers,
            extract(epoch FROM g.started_at)::float8 * 1000 AS started_ms,
            (extract(epoch FROM g.ended_at) * 1000000)::bigint::text AS ended_us
     FROM (
       SELECT * FROM coverage_gaps
       WHERE recorder_id = $1 AND stream = $2 AND ended_at IS NOT NULL AND backfill_complete IS NULL
         AND (backfill_next_at IS NULL OR backfill_next_at <= to_timestamp($3 / 1000.0))
       ORDER BY backfill_attempts, ended_at, gap_id LIMIT $4) AS g
     CROSS JOIN LATERAL (
       SELECT coalesce(array_agg(DISTINCT t.condition_id) FILTER (WHERE t.condition_id IS NOT NULL), '{}') AS ids,
              (count(*) FILTER (WHERE t.condition_id IS NULL))::integer AS strangers
       FROM (SELECT unnest(g.tokens) AS token_key EXCEPT SELECT unnest(g.quiet_tokens)) AS n
       LEFT JOIN tokens t USING (token_key)) AS k
     ORDER BY g.backfill_attempts, g.ended_at, g.gap_id`,
    [recorderId, stream, nowMs, limit],
  )
  return rows.map((row) => {
    const endedUs = Number(row['ended_us'])
    return {
      gapId: Number(row['gap_id']),
      startedMs: Number(row['started_ms']),
      endedMs: endedUs / 1000,
      endedUs,
      attempts: Number(row['backfill_attempts']),
      conditionIds: row['ids'] as ConditionId[],
      strangers: Number(row['strangers']),
    }
  })
}

/** Leaves a row alone that was reopened, extended or settled since it was loaded. */
export async function updateGapAttempt(session: Session, gap: GapToFill, attempt: FillAttempt): Promise<boolean> {
  const { rowCount } = await session.query(
    `UPDATE coverage_gaps g SET
       backfill_complete = $3, backfill_attempts = g.backfill_attempts + 1,
       backfill_next_at = to_timestamp($4::float8 / 1000.0), backfilled_at = to_timestamp($5 / 1000.0),
       backfill_error = $6, backfill_reached = $7::jsonb, recovered_trades = ${recoveredOf('g.tokens')}
     WHERE g.gap_id = $1 AND g.backfill_complete IS NULL
       AND g.ended_at = 'epoch'::timestamptz + $2::bigint * interval '1 microsecond'`,
    [
      gap.gapId,
      gap.endedUs,
      attempt.complete,
      attempt.nextMs,
      attempt.nowMs,
      cleanOrNull(attempt.error),
      JSON.stringify(attempt.reached),
    ],
  )
  return rowCount === 1
}

export async function selectStoredTrades(session: Session, query: StoredTradesQuery): Promise<StoredTrade[]> {
  const { rows } = await session.query<StoredTrade>(
    `SELECT t.token_id AS "tokenId", extract(epoch FROM r.ts)::float8 * 1000 AS "venueMs", r.price, r.size,
            CASE r.side WHEN 'B' THEN 'BUY' ELSE 'SELL' END AS side, r.transaction_hash AS "transactionHash",
            CASE r.origin WHEN 's' THEN 'stream' ELSE 'backfill' END AS origin
     FROM trades r JOIN tokens t USING (token_key)
     WHERE r.token_key IN (SELECT token_key FROM tokens WHERE token_id = ANY ($1::text[]))
       AND r.ts >= to_timestamp($2 / 1000.0) AND r.ts < to_timestamp($3 / 1000.0)
       AND (r.transaction_hash = ANY ($4::text[]) OR r.transaction_hash = '')`,
    [textArray(query.tokenIds), query.fromMs, query.toMs, textArray(query.transactionHashes)],
  )
  return rows
}

/** From the hour in which the first market was seen. */
export async function selectHours(
  session: Session,
  { stream }: BackfillScope,
  { nowMs, settleMs, maxAgeMs, limit }: HoursQuery,
): Promise<HourToReconcile[]> {
  const lastMs = Math.floor((nowMs - settleMs) / HOUR_MS) * HOUR_MS - HOUR_MS
  const earliestMs = Math.ceil((nowMs - maxAgeMs) / HOUR_MS) * HOUR_MS
  const { rows } = await session.query<{ ms: number; attempts: number }>(
    `SELECT extract(epoch FROM h.hour)::float8 * 1000 AS ms, coalesce(d.attempts, 0) AS attempts
     FROM generate_series(
            greatest(to_timestamp($2 / 1000.0), date_trunc('hour', (SELECT min(first_seen_at) FROM markets), 'UTC')),
            to_timestamp($3 / 1000.0), interval '1 hour') AS h (hour)
     LEFT JOIN reconciled_hours d ON d.stream = $1 AND d.hour = h.hour
     WHERE (SELECT min(first_seen_at) FROM markets) IS NOT NULL
       AND d.complete IS NULL AND (d.next_at IS NULL OR d.next_at <= to_timestamp($4 / 1000.0))
     ORDER BY 1 LIMIT $5`,
    [stream, earliestMs, lastMs, nowMs, limit],
  )
  return rows.map(({ ms, attempts }) => ({ hourMs: ms, attempts }))
}

/** A market's tokens have one volume: the snapshots of one of them say whether it changed. */
export async function selectTradedMarkets(
  session: Session,
  { stream }: BackfillScope,
  fromMs: number,
  toMs: number,
): Promise<TradedMarket[]> {
  const { rows } = await session.query<{ id: ConditionId; trades: number; since: number }>(
    `WITH stored AS (
       SELECT t.condition_id, count(*)::integer AS trades FROM trades r JOIN tokens t USING (token_key)
       WHERE r.ts >= to_timestamp($2 / 1000.0) AND r.ts < to_timestamp($3 / 1000.0) AND t.condition_id IS NOT NULL
       GROUP BY 1),
     watched AS (
       SELECT t.condition_id, min(l.token_key) AS token_key FROM last_prices l JOIN tokens t USING (token_key)
       WHERE t.condition_id IS NOT NULL AND t.condition_id NOT IN (SELECT condition_id FROM stored) GROUP BY 1),
     moved AS (
       SELECT w.condition_id, 0 AS trades FROM watched w CROSS JOIN LATERAL (
         SELECT min(p.volume_24h) AS least, max(p.volume_24h) AS most FROM price_snapshots p
         WHERE p.token_key = w.token_key AND p.ts >= to_timestamp(($2 - ${SNAPSHOTS_AROUND_MS}) / 1000.0)
           AND p.ts < to_timestamp(($3 + ${SNAPSHOTS_AROUND_MS}) / 1000.0)) AS v
       WHERE v.least < v.most),
     traded AS (SELECT * FROM stored UNION ALL SELECT * FROM moved)
     SELECT d.condition_id AS id, d.trades,
            coalesce(extract(epoch FROM s.since)::float8 * 1000,
                     extract(epoch FROM m.first_seen_at)::float8 * 1000 + ${SUBSCRIBE_MS}, 0) AS since
     FROM traded d
     LEFT JOIN markets m USING (condition_id)
     LEFT JOIN LATERAL (
       SELECT min(c.started_at) AS since FROM coverage_spans c JOIN tokens t USING (token_key)
       WHERE c.stream = $1 AND t.condition_id = d.condition_id) AS s ON true
     ORDER BY 1`,
    [stream, fromMs, toMs],
  )
  return rows.map(({ id, trades, since }) => ({ conditionId: id, trades, sinceMs: since }))
}

/** The rows of the hours, and a gap for each trade that was found in no gap. Returns how many gaps that made. */
export async function storeHoursAttempt(
  session: Session,
  scope: BackfillScope,
  hoursMs: readonly number[],
  attempt: HoursAttempt,
): Promise<number> {
  const [first, last] = [Math.min(...hoursMs), Math.max(...hoursMs) + HOUR_MS]
  const gaps = clusterMissed(await selectMissed(session, scope, first, last))
  for (const { startedMs, endedMs, tokenKeys, transactionHashes, trades } of gaps) {
    const evidence = { found_by: 'reconciliation', trades, transaction_hashes: transactionHashes }
    await session.query(
      `INSERT INTO coverage_gaps (recorder_id, stream, started_at, ended_at, cause, tokens, evidence, recovered_trades,
                                  backfill_complete, backfill_attempts, backfilled_at)
       VALUES ($1, $2, to_timestamp($3 / 1000.0), to_timestamp($4 / 1000.0), 'missing_trade', $5::integer[],
               $6::jsonb, $7, true, 1, to_timestamp($8 / 1000.0))`,
      [
        scope.recorderId,
        scope.stream,
        startedMs,
        endedMs,
        numberArray(tokenKeys),
        JSON.stringify(evidence),
        trades,
        attempt.nowMs,
      ],
    )
  }
  await recountGaps(session, scope, first, last)
  await upsertHours(session, scope, hoursMs, attempt)
  return gaps.length
}

/** For health: what waits. */
export async function selectBacklog(session: Session, scope: BackfillScope): Promise<BackfillBacklog> {
  const { rows } = await session.query<Record<'gaps' | 'incomplete' | 'hours', number> & { oldest: number | null }>(
    `SELECT (count(*) FILTER (WHERE backfill_complete IS NULL))::integer AS gaps,
            (count(*) FILTER (WHERE NOT backfill_complete))::integer AS incomplete,
            extract(epoch FROM min(ended_at) FILTER (WHERE backfill_complete IS NULL))::float8 * 1000 AS oldest,
            (SELECT count(*) FROM reconciled_hours WHERE stream = $2 AND complete IS NULL)::integer AS hours
     FROM coverage_gaps WHERE recorder_id = $1 AND stream = $2 AND ended_at IS NOT NULL`,
    [scope.recorderId, scope.stream],
  )
  const row = rows[0]
  return {
    gaps: row?.gaps ?? 0,
    gapsIncomplete: row?.incomplete ?? 0,
    hours: row?.hours ?? 0,
    oldestMs: row?.oldest ?? null,
  }
}

/** Backfilled trades that lie in no gap of their token. */
async function selectMissed(session: Session, scope: BackfillScope, fromMs: number, toMs: number) {
  const { rows } = await session.query<MissedTrade>(
    `WITH covered AS (
       SELECT unnest(tokens) AS token_key, started_at, coalesce(ended_at, 'infinity') AS ended_at FROM coverage_gaps
       WHERE stream = $1 AND started_at < to_timestamp($3 / 1000.0) + interval '2 seconds'
         AND (ended_at IS NULL OR ended_at > to_timestamp($2 / 1000.0) - interval '2 seconds'))
     SELECT r.token_key AS "tokenKey", extract(epoch FROM r.ts)::float8 * 1000 AS "atMs",
            r.transaction_hash AS "transactionHash", coalesce(t.condition_id, t.token_id) AS market
     FROM trades r JOIN tokens t USING (token_key)
     WHERE r.origin = 'b' AND r.ts >= to_timestamp($2 / 1000.0) AND r.ts < to_timestamp($3 / 1000.0)
       AND NOT EXISTS (SELECT FROM covered g WHERE g.token_key = r.token_key AND ${WITHIN})
     ORDER BY r.ts`,
    [scope.stream, fromMs, toMs],
  )
  return rows
}

/** What was found later counts for the gaps that it lies in. */
async function recountGaps(session: Session, scope: BackfillScope, fromMs: number, toMs: number): Promise<void> {
  await session.query(
    `UPDATE coverage_gaps g SET recovered_trades = c.count
     FROM (SELECT gap_id, ${recoveredOf('g.tokens')} AS count FROM coverage_gaps g
           WHERE stream = $1 AND backfill_complete IS NOT NULL AND started_at < to_timestamp($3 / 1000.0)
             AND ended_at > to_timestamp($2 / 1000.0)) AS c
     WHERE g.gap_id = c.gap_id AND g.recovered_trades <> c.count`,
    [scope.stream, fromMs, toMs],
  )
}

async function upsertHours(
  session: Session,
  { stream }: BackfillScope,
  hoursMs: readonly number[],
  attempt: HoursAttempt,
): Promise<void> {
  await session.query(
    `INSERT INTO reconciled_hours AS d
       (stream, hour, complete, attempts, next_at, reconciled_at, markets, recovered_trades, error, reached)
     SELECT $1, h.hour, $3::boolean, 1, to_timestamp($4::float8 / 1000.0), to_timestamp($5 / 1000.0), $6::integer,
            (SELECT count(*) FROM trades r
             WHERE r.origin = 'b' AND r.ts >= h.hour AND r.ts < h.hour + interval '1 hour')::integer, $7, $8::jsonb
     FROM (SELECT to_timestamp(ms / 1000.0) AS hour FROM unnest($2::float8[]) AS u (ms)) AS h
     ON CONFLICT (stream, hour) DO UPDATE SET
       complete = EXCLUDED.complete, attempts = d.attempts + 1, next_at = EXCLUDED.next_at,
       reconciled_at = EXCLUDED.reconciled_at, markets = EXCLUDED.markets,
       recovered_trades = EXCLUDED.recovered_trades, error = EXCLUDED.error, reached = EXCLUDED.reached`,
    [
      stream,
      numberArray(hoursMs),
      attempt.complete,
      attempt.nextMs,
      attempt.nowMs,
      attempt.markets,
      cleanOrNull(attempt.error),
      JSON.stringify(attempt.reached),
    ],
  )
}

/** Counts the backfilled trades of the gap `g`. */
function recoveredOf(tokens: string): string {
  return `(SELECT count(*) FROM trades r WHERE r.token_key = ANY (${tokens}) AND r.origin = 'b' AND ${WITHIN})::integer`
}
