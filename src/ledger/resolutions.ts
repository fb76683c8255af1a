import type { ConditionId } from '../core/ids.ts'
import type { Resolution } from '../core/market.ts'
import { nullableArray, textArray } from './array-literal.ts'
import { cleanOrNull, cleanText, decimalOrNull, timeOrNull } from './clean.ts'
import type { Session } from './database.ts'

/**
 * Markets without a resolution that are closed, past their end, ended according to the stream, or not in the newest
 * listing; those never asked for first, then the oldest question.
 */
export async function selectUnresolved(session: Session, nowMs: number, limit: number): Promise<ConditionId[]> {
  const { rows } = await session.query<{ condition_id: ConditionId }>(
    `SELECT m.condition_id
     FROM markets m LEFT JOIN market_checks c USING (condition_id)
     WHERE c.resolved IS NOT TRUE
       AND (m.closed OR c.ended OR m.end_at < to_timestamp($1 / 1000.0)
            OR coalesce(c.seen_at, m.first_seen_at) < (SELECT newest_at FROM market_listing))
     ORDER BY c.checked_at NULLS FIRST, m.condition_id
     LIMIT $2`,
    [nowMs, limit],
  )
  return rows.map((row) => row.condition_id)
}

export async function updateChecked(session: Session, ids: readonly ConditionId[], nowMs: number): Promise<void> {
  if (ids.length === 0) return
  await session.query(
    `INSERT INTO market_checks (condition_id, checked_at)
     SELECT id, to_timestamp($2 / 1000.0) FROM unnest($1::text[]) AS m (id) ORDER BY id
     ON CONFLICT (condition_id) DO UPDATE SET checked_at = EXCLUDED.checked_at`,
    [textArray([...new Set(ids)]), nowMs],
  )
}

/** Inserts what is not yet known; a resolution is never changed. Returns how many were new. */
export async function insertResolutions(
  session: Session,
  resolutions: readonly Resolution[],
  observedMs: number,
): Promise<number> {
  if (resolutions.length === 0) return 0
  const ids = textArray(resolutions.map((resolution) => resolution.conditionId))
  const observedAt = new Date(observedMs).toISOString()
  const result = await session.query(
    `INSERT INTO resolutions
       (condition_id, result, outcome, winner_token_id, payout_price, resolved_at, detection_method, detected_at)
     SELECT r.*, $8::timestamptz
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::numeric[], $6::timestamptz[], $7::text[]) AS r
     ORDER BY 1 ON CONFLICT DO NOTHING`,
    [
      ids,
      textArray(resolutions.map((resolution) => resolution.result)),
      nullableArray(resolutions.map((resolution) => cleanOrNull(resolution.outcome))),
      nullableArray(resolutions.map((resolution) => resolution.winnerTokenId)),
      nullableArray(resolutions.map((resolution) => decimalOrNull(resolution.payoutPrice))),
      nullableArray(resolutions.map((resolution) => timeOrNull(resolution.resolvedAt) ?? observedAt)),
      textArray(resolutions.map((resolution) => cleanText(resolution.detectionMethod))),
      observedAt,
    ],
  )
  await session.query(
    `INSERT INTO market_checks (condition_id, resolved)
     SELECT DISTINCT id, true FROM unnest($1::text[]) AS m (id) ORDER BY id
     ON CONFLICT (condition_id) DO UPDATE SET resolved = true`,
    [ids],
  )
  return result.rowCount ?? 0
}
