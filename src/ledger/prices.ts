import type { PriceSnapshot } from '../core/market.ts'
import type { DeadLetter } from '../core/ports.ts'
import { nullableArray, numberArray, textArray } from './array-literal.ts'
import { SNAPSHOT_CANDLES } from './candles.ts'
import { decimalOrNull } from './clean.ts'
import type { Session } from './database.ts'

/** A price whose token is known. */
export interface PriceRow extends PriceSnapshot {
  readonly tokenKey: number
}

/** Splits what can be stored from what cannot: a price is a decimal from 0 to 1. */
export function checkPrices(prices: readonly PriceSnapshot[], observedMs: number) {
  const good = new Map<string, PriceSnapshot>()
  const bad: DeadLetter[] = []
  for (const price of prices) {
    const value = Number(decimalOrNull(price.price) ?? Number.NaN)
    // The last one wins when a token is there twice.
    if (value >= 0 && value <= 1) good.set(price.tokenId, price)
    else bad.push({ atMs: observedMs, source: 'prices', reason: 'not a price from 0 to 1', raw: JSON.stringify(price) })
  }
  return { good: [...good.values()], bad }
}

/**
 * Stores the prices that changed, or whose newest row is an hour old (or in the future, after a clock was set back).
 * The newest rows are kept in `last_prices`, so that the rule outlives a restart.
 */
export async function insertPrices(session: Session, rows: readonly PriceRow[], observedMs: number): Promise<number> {
  if (rows.length === 0) return 0
  const result = await session.query<{ stored: number }>(
    `WITH observed AS (
       SELECT token_key, price, volume_24h, to_timestamp($4 / 1000.0) AS ts
       FROM unnest($1::integer[], $2::float8[], $3::float8[]) AS p (token_key, price, volume_24h)),
     changed AS (
       SELECT o.* FROM observed o LEFT JOIN last_prices l USING (token_key)
       WHERE l.token_key IS NULL
          OR o.price IS DISTINCT FROM l.price
          OR o.volume_24h IS DISTINCT FROM l.volume_24h
          OR l.stored_at NOT BETWEEN o.ts - interval '1 hour' + interval '1 microsecond' AND o.ts + interval '1 hour'
       ORDER BY o.token_key),
     inserted AS (
       INSERT INTO price_snapshots (token_key, ts, price, volume_24h)
       SELECT token_key, ts, price, volume_24h FROM changed
       ON CONFLICT DO NOTHING RETURNING token_key, ts, price),
     newest AS (
       INSERT INTO last_prices AS l (token_key, stored_at, price, volume_24h)
       SELECT token_key, ts, price, volume_24h FROM changed
       ON CONFLICT (token_key) DO UPDATE SET
         stored_at = EXCLUDED.stored_at, price = EXCLUDED.price, volume_24h = EXCLUDED.volume_24h),
     ${SNAPSHOT_CANDLES}
     SELECT count(*)::integer AS stored FROM inserted`,
    [
      numberArray(rows.map((row) => row.tokenKey)),
      textArray(rows.map((row) => row.price)),
      nullableArray(rows.map((row) => decimalOrNull(row.volume24h))),
      observedMs,
    ],
  )
  return result.rows[0]?.stored ?? 0
}
