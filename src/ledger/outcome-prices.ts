import type { DayBar, DayRange, OutcomePrice } from '../core/assets.ts'
import { textArray } from './array-literal.ts'
import type { Session } from './database.ts'

/** What a token is worth after its market has resolved: the payout for the winner, nothing for the others. */
const PAYOUT = `CASE WHEN r.result = 'split' OR r.winner_token_id = t.token_id THEN r.payout_price ELSE 0 END`

/**
 * The newest price of each token, from the price rows; a resolved market's is its payout, dated so that it is newer
 * than every price before it.
 */
export async function selectOutcomePrices(session: Session, tokenIds: readonly string[]): Promise<OutcomePrice[]> {
  const { rows } = await session.query<{ token_id: string; price: string; at_ms: number; name: string | null }>(
    `SELECT t.token_id,
            m.question || ': ' || t.outcome AS name,
            CASE WHEN r.condition_id IS NULL THEN l.price::numeric ELSE ${PAYOUT} END AS price,
            (extract(epoch FROM CASE WHEN r.condition_id IS NULL THEN l.stored_at
                                     ELSE greatest(r.resolved_at, r.detected_at, l.stored_at) END) * 1000)::float8
              AS at_ms
     FROM tokens t
     LEFT JOIN markets m USING (condition_id)
     LEFT JOIN resolutions r USING (condition_id)
     LEFT JOIN last_prices l USING (token_key)
     WHERE t.token_id = ANY ($1::text[]) AND (r.condition_id IS NOT NULL OR l.token_key IS NOT NULL)`,
    [textArray(tokenIds)],
  )
  return rows.map((row) => ({
    tokenId: row.token_id,
    price: row.price,
    atMs: Math.round(row.at_ms),
    name: row.name,
  }))
}

/** Days of one token from its hourly candles, and its payout for every day after the resolution. */
export async function selectOutcomeDays(session: Session, tokenId: string, range: DayRange): Promise<DayBar[]> {
  const { rows } = await session.query<DayBar & Record<string, unknown>>(
    `WITH token AS (
       SELECT t.token_key, r.resolved_at::date AS resolved_on,
              CASE WHEN r.condition_id IS NULL THEN NULL ELSE ${PAYOUT} END AS payout
       FROM tokens t LEFT JOIN resolutions r USING (condition_id) WHERE t.token_id = $1),
     traded AS (
       SELECT c.hour::date AS day,
              (array_agg(c.open ORDER BY c.open_at))[1]::numeric AS open,
              max(c.high)::numeric AS high,
              min(c.low)::numeric AS low,
              (array_agg(c.close ORDER BY c.close_at DESC))[1]::numeric AS close,
              sum(c.shares) FILTER (WHERE c.source = 'trade') AS volume
       FROM token JOIN price_candles_1h c USING (token_key)
       WHERE c.hour >= $2::date AND c.hour < $3::date + 1
         AND (token.resolved_on IS NULL OR c.hour::date < token.resolved_on)
       GROUP BY 1),
     settled AS (
       SELECT d::date AS day, payout AS open, payout AS high, payout AS low, payout AS close, NULL::numeric AS volume
       FROM token CROSS JOIN LATERAL generate_series(greatest(resolved_on, $2::date), $3::date, interval '1 day') d
       WHERE resolved_on IS NOT NULL)
     SELECT day::text, open, high, low, close, volume
     FROM (SELECT * FROM traded UNION ALL SELECT * FROM settled) days ORDER BY days.day`,
    [tokenId, range.fromDay, range.toDay],
  )
  return rows.map(({ day, open, high, low, close, volume }) => ({ day, open, high, low, close, volume }))
}
