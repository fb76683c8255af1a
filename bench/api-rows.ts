import type pg from 'pg'

const DAYS = 10
const ASSETS = 500
const PORTFOLIOS = 200
const POSITIONS = 50

export interface Ids {
  readonly token: string
  readonly market: string
}

/** Fills a ledger that a recorder writes to: its log, ten days of prices, gaps, assets and portfolios. */
export async function fillLedger(client: pg.Client, logs: number, prices: number): Promise<Ids> {
  await fillLog(client, logs)
  const ids = await fillPrices(client, prices)
  await fillGaps(client)
  await fillPortfolios(client)
  await client.query('ANALYZE')
  return ids
}

async function fillLog(client: pg.Client, rows: number): Promise<void> {
  await client.query(
    `INSERT INTO fetcher_logs (at, level, message, context)
     SELECT now() - n * interval '1 second',
            CASE WHEN n % 1000 = 0 THEN 'ERROR' WHEN n % 50 = 0 THEN 'WARNING' ELSE 'INFO' END,
            CASE WHEN n % 20000 = 7 THEN 'a needle' ELSE 'polymarket.prices: done, ' || n % 977 || ' items' END,
            '{"collector": "polymarket.prices", "status": "success", "duration_ms": 812}'
     FROM generate_series(1, $1) n`,
    [rows],
  )
}

async function fillPrices(client: pg.Client, prices: number): Promise<Ids> {
  const { rows: tokens } = await client.query<{ total: number; token: string; market: string }>(
    `SELECT count(*)::integer AS total, min(token_id) AS token,
            (array_agg(condition_id ORDER BY token_id))[1] AS market FROM tokens`,
  )
  const { total, token, market } = tokens[0] ?? { total: 0, token: '', market: '' }
  const perToken = Math.ceil(prices / DAYS / total)
  for (let day = 1; day <= DAYS; day += 1) {
    const { rows } = await client.query<{ name: string; from: string; to: string }>(
      `SELECT to_char(d, 'YYYYMMDD') AS name, d::date::text AS from, (d::date + 1)::text AS to
       FROM (SELECT now() AT TIME ZONE 'UTC' - $1 * interval '1 day' AS d) AS t`,
      [day],
    )
    const { name, from, to } = rows[0] ?? { name: '', from: '', to: '' }
    await client.query(
      `CREATE TABLE price_snapshots_${name} PARTITION OF price_snapshots
         FOR VALUES FROM ('${from} 00:00:00+00') TO ('${to} 00:00:00+00')`,
    )
    await client.query(
      `INSERT INTO price_snapshots (token_key, ts, price, volume_24h)
       SELECT token_key, $1::timestamptz + n * interval '1 second', 0.5, n
       FROM (SELECT token_key FROM tokens ORDER BY 1) AS k, generate_series(0, $2) n`,
      [`${from} 00:00:00+00`, perToken - 1],
    )
  }
  return { token, market }
}

async function fillGaps(client: pg.Client): Promise<void> {
  await client.query(
    `INSERT INTO coverage_gaps (recorder_id, stream, started_at, ended_at, cause, tokens)
     SELECT 'bench', 'polymarket.trades', now() - n * interval '10 minutes',
            now() - n * interval '10 minutes' + interval '20 seconds', 'disconnect',
            ARRAY(SELECT token_key FROM tokens LIMIT 500)
     FROM generate_series(1, 2000) n`,
  )
}

/** Assets with a year of days and a log of attempts; the recorder itself values what the portfolios hold. */
async function fillPortfolios(client: pg.Client): Promise<void> {
  await client.query(
    `INSERT INTO assets (symbol, name, type, currency)
     SELECT 'B' || n, 'Share ' || n, 'stock', 'USD' FROM generate_series(1, ${ASSETS}) n;
     INSERT INTO tracked_assets (asset_id) SELECT asset_id FROM assets WHERE symbol ~ '^B[0-9]+$';
     INSERT INTO asset_prices (ts, asset_id, kind, close, source)
     SELECT date_trunc('day', now()) - d * interval '1 day', asset_id, 'd', 50 + asset_id % 100 + d % 7, 'bench'
     FROM tracked_assets, generate_series(0, 400) d;
     INSERT INTO price_update_log (at, duration_ms, asset_id, success, price, source)
     SELECT now() - n * interval '10 minutes', 5, asset_id, true, 60, 'bench'
     FROM tracked_assets, generate_series(1, 1000) n;
     INSERT INTO portfolios (name, currency) SELECT 'bench ' || n, 'USD' FROM generate_series(1, ${PORTFOLIOS}) n;
     INSERT INTO transactions (executed_at, portfolio_id, asset_id, side, quantity, price)
     SELECT now() - (10 + k % 300) * interval '1 day', p.portfolio_id, a.asset_id, 'buy', 1.5 + k, 49.99
     FROM portfolios p, generate_series(0, ${POSITIONS - 1}) k
     JOIN LATERAL (SELECT min(asset_id) AS first FROM tracked_assets) f ON true
     JOIN LATERAL (SELECT f.first + (p.portfolio_id * 7 + k * 10) % ${ASSETS} AS asset_id) a ON true;
     INSERT INTO portfolio_positions
     SELECT portfolio_id, asset_id, sum(quantity), 49.99, sum(quantity) * 49.99, 0, 0, sum(quantity) * 49.99, 0,
            min(executed_at), now()
     FROM transactions GROUP BY portfolio_id, asset_id`,
  )
}
