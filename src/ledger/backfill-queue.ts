import type { Asset, BackfillEnd, BackfillState, BackfillTask, DayRange, History } from '../core/assets.ts'
import { insertDays } from './asset-prices.ts'
import { ASSET_COLUMNS, toAsset } from './assets.ts'
import { cleanText } from './clean.ts'
import type { Session } from './database.ts'

/** Whoever took a row and neither finished nor stored anything for this long is gone. */
const LEASE_MS = 600_000
/** How long a finished row is left alone before it is looked at for gaps again. */
const RECHECK_MS = 6 * 3_600_000
/** A day that is younger may still come: it is not noted as absent. */
const SETTLED_DAYS = 3
/** Gaps that are closer are fetched together. */
const MERGE_DAYS = 14
const ERROR_LENGTH_MAX = 500
const DAY_MS = 86_400_000

/** Days of `q.from_day` up to yesterday on which asset `a` should have a price, and has none that could be had. */
const MISSING_DAYS = `
  SELECT d::date AS day
  FROM generate_series(
    q.from_day::timestamptz, (to_timestamp($1 / 1000.0))::date - interval '1 day', interval '1 day') d
  WHERE (a.type IN ('crypto', 'outcome') OR extract(isodow FROM d) < 6)
    AND NOT EXISTS (SELECT FROM asset_prices p
                    WHERE p.asset_id = q.asset_id AND p.ts = d + interval '1 day' AND p.kind = 'd')
  EXCEPT SELECT unnest(q.absent_days)`

/**
 * Queues the history that transactions need, from a year before the first purchase, for assets and for the exchange
 * rates of foreign ones; and again what is finished and has gaps. Returns how many rows became due.
 */
export async function enqueue(session: Session, nowMs: number): Promise<number> {
  const wanted = await session.query(
    `WITH bought AS (
       SELECT t.asset_id, min(t.executed_at) AS first_at, max(t.created_at) AS newest_at
       FROM transactions t WHERE t.side = 'buy' GROUP BY t.asset_id
       UNION ALL
       SELECT pair.asset_id, min(t.executed_at), max(t.created_at)
       FROM transactions t JOIN assets a USING (asset_id) JOIN portfolios p USING (portfolio_id)
       JOIN assets pair ON pair.symbol = a.currency || p.currency || '=X'
       WHERE a.currency <> p.currency GROUP BY pair.asset_id)
     INSERT INTO backfill_queue AS q (asset_id, from_day, state, next_at, requested_at)
     SELECT asset_id, (min(first_at) - interval '1 year')::date, 'pending', to_timestamp($1 / 1000.0), max(newest_at)
     FROM bought GROUP BY asset_id ORDER BY asset_id
     ON CONFLICT (asset_id) DO UPDATE SET
       from_day = least(q.from_day, EXCLUDED.from_day), state = 'pending', attempts = 0, next_at = EXCLUDED.next_at,
       requested_at = EXCLUDED.requested_at, error = NULL
     WHERE EXCLUDED.from_day < q.from_day OR (q.state = 'failed' AND EXCLUDED.requested_at > q.requested_at)`,
    [nowMs],
  )
  const gaps = await session.query(
    `UPDATE backfill_queue q SET state = 'pending', attempts = 0, next_at = to_timestamp($1 / 1000.0)
     FROM assets a
     WHERE a.asset_id = q.asset_id AND a.active AND q.state = 'completed'
       AND q.finished_at < to_timestamp(($1::numeric - $2) / 1000.0) AND EXISTS (${MISSING_DAYS})`,
    [nowMs, RECHECK_MS],
  )
  return (wanted.rowCount ?? 0) + (gaps.rowCount ?? 0)
}

/** Takes the row that has been due longest, for as long as a lease lasts; null when none is due. */
export async function claim(session: Session, claimant: string, nowMs: number): Promise<BackfillTask | null> {
  const { rows } = await session.query<{ asset_id: number; attempts: number }>(
    `UPDATE backfill_queue SET
       state = 'in_progress', attempts = attempts + 1, claimed_by = $2, claimed_at = to_timestamp($1 / 1000.0),
       next_at = to_timestamp(($1::numeric + $3) / 1000.0)
     WHERE asset_id = (
       SELECT q.asset_id FROM backfill_queue q JOIN assets a USING (asset_id)
       WHERE q.state IN ('pending', 'rate_limited', 'in_progress') AND a.active
         AND q.next_at <= to_timestamp($1 / 1000.0)
       ORDER BY q.next_at, q.asset_id LIMIT 1 FOR UPDATE OF q SKIP LOCKED)
     RETURNING asset_id, attempts`,
    [nowMs, cleanText(claimant), LEASE_MS],
  )
  const claimed = rows[0]
  if (claimed === undefined) return null
  const asset = await session.query<Parameters<typeof toAsset>[0] & Record<string, unknown>>(
    `SELECT ${ASSET_COLUMNS} FROM assets a WHERE a.asset_id = $1`,
    [claimed.asset_id],
  )
  const days = await session.query<{ day: string }>(
    `SELECT m.day::text FROM backfill_queue q JOIN assets a USING (asset_id) CROSS JOIN LATERAL (${MISSING_DAYS}) m
     WHERE q.asset_id = $2 ORDER BY m.day`,
    [nowMs, claimed.asset_id],
  )
  const gaps = toRanges(days.rows.map(({ day }) => day))
  const [row] = asset.rows
  return row === undefined ? null : { asset: toAsset(row), attempts: claimed.attempts, gaps }
}

/** Days in order as ranges; gaps that are close are one. */
export function toRanges(days: readonly string[]): DayRange[] {
  const ranges: { fromDay: string; toDay: string }[] = []
  for (const day of days) {
    const last = ranges.at(-1)
    if (last !== undefined && Date.parse(day) - Date.parse(last.toDay) <= MERGE_DAYS * DAY_MS) last.toDay = day
    else ranges.push({ fromDay: day, toDay: day })
  }
  return ranges
}

/** Stores the days of a range; those that the source has not are noted, so that they are not asked for again. */
export async function storeHistory(
  session: Session,
  asset: Asset,
  source: string,
  range: DayRange,
  history: History,
  nowMs: number,
): Promise<number> {
  const today = new Date(nowMs).toISOString().slice(0, 10)
  const inside = history.bars.filter(({ day }) => day >= range.fromDay && day <= range.toDay && day < today)
  const stored = await insertDays(session, asset, source, { ...history, bars: inside })
  await session.query(
    `UPDATE backfill_queue q SET
       rows_stored = q.rows_stored + $3,
       next_at = to_timestamp(($1::numeric + $4) / 1000.0),
       absent_days = ARRAY(
         SELECT unnest(q.absent_days)
         UNION
         SELECT m.day FROM (${MISSING_DAYS}) m
         WHERE m.day BETWEEN $5::date AND $6::date AND m.day < (to_timestamp($1 / 1000.0))::date - $7::integer
         ORDER BY 1)
     FROM assets a WHERE a.asset_id = q.asset_id AND q.asset_id = $2`,
    [nowMs, asset.assetId, stored, LEASE_MS, range.fromDay, range.toDay, SETTLED_DAYS],
  )
  return stored
}

/** Notes how an attempt ended. A row that was queued anew meanwhile stays queued. Being told to wait is no failure. */
export async function finish(session: Session, assetId: number, end: BackfillEnd, nowMs: number): Promise<void> {
  const error = 'error' in end ? cleanText(end.error).slice(0, ERROR_LENGTH_MAX) : null
  const isOver = end.state === 'completed' || end.state === 'failed'
  await session.query(
    `UPDATE backfill_queue SET
       state = $2, error = $3, next_at = to_timestamp($4 / 1000.0), claimed_by = NULL, claimed_at = NULL,
       attempts = CASE $2 WHEN 'completed' THEN 0 WHEN 'rate_limited' THEN greatest(attempts - 1, 0) ELSE attempts END,
       finished_at = CASE WHEN $5 THEN to_timestamp($6 / 1000.0) ELSE finished_at END
     WHERE asset_id = $1 AND state = 'in_progress'`,
    [assetId, end.state, error, 'retryAtMs' in end ? end.retryAtMs : nowMs, isOver, nowMs],
  )
}

export async function nextDueMs(session: Session): Promise<number | null> {
  const { rows } = await session.query<{ next_ms: number | null }>(
    `SELECT (extract(epoch FROM min(q.next_at)) * 1000)::float8 AS next_ms
     FROM backfill_queue q JOIN assets a USING (asset_id)
     WHERE q.state IN ('pending', 'rate_limited', 'in_progress') AND a.active`,
  )
  return rows[0]?.next_ms ?? null
}

/** What a claimant left in progress when it was killed. */
export async function release(session: Session, claimant: string, nowMs: number): Promise<number> {
  const result = await session.query(
    `UPDATE backfill_queue SET state = 'pending', next_at = to_timestamp($2 / 1000.0), claimed_by = NULL
     WHERE state = 'in_progress' AND claimed_by = $1`,
    [cleanText(claimant), nowMs],
  )
  return result.rowCount ?? 0
}

/** The state of one asset's history, for people. */
export interface BackfillStatus {
  readonly symbol: string
  readonly state: BackfillState
  readonly attempts: number
  readonly fromDay: string
  readonly rowsStored: number
  readonly error: string | null
}

export async function selectBackfills(session: Session, limit: number): Promise<BackfillStatus[]> {
  const { rows } = await session.query<{
    symbol: string
    state: BackfillState
    attempts: number
    from_day: string
    rows_stored: string
    error: string | null
  }>(
    `SELECT a.symbol, q.state, q.attempts, q.from_day::text, q.rows_stored, q.error
     FROM backfill_queue q JOIN assets a USING (asset_id) ORDER BY a.symbol LIMIT $1`,
    [limit],
  )
  return rows.map((row) => ({
    symbol: row.symbol,
    state: row.state,
    attempts: row.attempts,
    fromDay: row.from_day,
    rowsStored: Number(row.rows_stored),
    error: row.error,
  }))
}
