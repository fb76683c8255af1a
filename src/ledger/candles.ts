/**
 * SQL that keeps the hourly candles current. It follows a CTE `inserted` with the rows that were really inserted, in
 * the order of their arrival, so that duplicates never count and late rows find their place.
 */
const OPEN_TO_CLOSE = `
       (array_agg(price ORDER BY ts, arrival))[1] AS open, max(price) AS high, min(price) AS low,
       (array_agg(price ORDER BY ts DESC, arrival DESC))[1] AS close, min(ts) AS open_at, max(ts) AS close_at`

const ARRIVED = "arrived AS (SELECT *, row_number() OVER () AS arrival, date_trunc('hour', ts) AS hour FROM inserted)"

/** Sorted, so that two transactions cannot lock each other's candles. */
const GROUPED = 'FROM arrived GROUP BY token_key, hour ORDER BY token_key, hour'

/** Continues a WITH list after `inserted (token_key, ts, price, size, side)`. */
export const TRADE_CANDLES = `${ARRIVED},
  hours AS (
    SELECT token_key, hour, ${OPEN_TO_CLOSE}, count(*)::integer AS trades,
       (count(*) FILTER (WHERE side = 'B'))::integer AS buys,
       sum(size::numeric) AS shares, sum(price::numeric * size::numeric) AS notional
    ${GROUPED}),
  ${upsert('trade')}`

/** Continues a WITH list after `inserted (token_key, ts, price)`. */
export const SNAPSHOT_CANDLES = `${ARRIVED},
  hours AS (
    SELECT token_key, hour, ${OPEN_TO_CLOSE}, 0 AS trades, 0 AS buys, 0::numeric AS shares, 0::numeric AS notional
    ${GROUPED}),
  ${upsert('snapshot')}`

function upsert(source: string): string {
  return `candles AS (
    INSERT INTO price_candles_1h AS c
      (token_key, hour, source, open, high, low, close, open_at, close_at, trades, buys, shares, notional)
    SELECT token_key, hour, '${source}', open, high, low, close, open_at, close_at, trades, buys, shares, notional
    FROM hours
    ON CONFLICT (token_key, hour, source) DO UPDATE SET
      open = CASE WHEN EXCLUDED.open_at < c.open_at THEN EXCLUDED.open ELSE c.open END,
      high = greatest(c.high, EXCLUDED.high),
      low = least(c.low, EXCLUDED.low),
      close = CASE WHEN EXCLUDED.close_at >= c.close_at THEN EXCLUDED.close ELSE c.close END,
      open_at = least(c.open_at, EXCLUDED.open_at),
      close_at = greatest(c.close_at, EXCLUDED.close_at),
      trades = c.trades + EXCLUDED.trades,
      buys = c.buys + EXCLUDED.buys,
      shares = c.shares + EXCLUDED.shares,
      notional = c.notional + EXCLUDED.notional)`
}
