import type { AssetType } from '../core/assets.ts'
import {
  type Dated,
  type Flow,
  HORIZONS,
  type Holding,
  type Horizon,
  type MarketData,
  type Performance,
  type Period,
  type PortfolioContents,
} from '../core/portfolio.ts'
import { numberArray } from './array-literal.ts'
import { cleanJson } from './clean.ts'
import type { Session } from './database.ts'
import { PORTFOLIO_COLUMNS, TRANSACTION_RATE, toPortfolio } from './portfolios.ts'

export type HorizonsMs = Readonly<Record<Horizon, number>>

/** The last price of every held asset, and the last rate of every pair that is needed, at each horizon. */
export async function selectMarketData(session: Session, horizonsMs: HorizonsMs): Promise<MarketData> {
  const times = numberArray(HORIZONS.map((horizon) => horizonsMs[horizon]))
  const prices = await session.query<{ asset_id: number; n: string; close: string; at_ms: number }>(
    `SELECT h.asset_id, at.n, p.close, (extract(epoch FROM p.ts) * 1000)::float8 AS at_ms
     FROM (SELECT DISTINCT asset_id FROM portfolio_positions) h
     CROSS JOIN unnest($1::float8[]) WITH ORDINALITY AS at (ms, n)
     CROSS JOIN LATERAL (
       SELECT close, ts FROM asset_prices WHERE asset_id = h.asset_id AND ts <= to_timestamp(at.ms / 1000.0)
       ORDER BY ts DESC, kind DESC LIMIT 1) p`,
    [times],
  )
  const rates = await session.query<{ base: string; quote: string; n: string; rate: string; at_ms: number }>(
    `SELECT need.base, need.quote, at.n, known.rate, (extract(epoch FROM known.ts) * 1000)::float8 AS at_ms
     FROM (SELECT DISTINCT a.currency AS base, p.currency AS quote
           FROM portfolio_positions h JOIN assets a USING (asset_id) JOIN portfolios p USING (portfolio_id)
           WHERE a.currency <> p.currency) need
     CROSS JOIN unnest($1::float8[]) WITH ORDINALITY AS at (ms, n)
     CROSS JOIN LATERAL (
       SELECT ts, rate FROM (
         (SELECT ts, rate FROM exchange_rates
          WHERE base = need.base AND quote = need.quote AND ts <= to_timestamp(at.ms / 1000.0)
          ORDER BY ts DESC LIMIT 1)
         UNION ALL
         (SELECT ts, round(1 / rate, 18) FROM exchange_rates
          WHERE base = need.quote AND quote = need.base AND ts <= to_timestamp(at.ms / 1000.0)
          ORDER BY ts DESC LIMIT 1)) both_ways
       ORDER BY ts DESC LIMIT 1) known`,
    [times],
  )
  const horizonOf = (n: string) => HORIZONS[Number(n) - 1]
  const priceOf = new Map<string, Dated>(
    prices.rows.map((row) => [`${row.asset_id} ${horizonOf(row.n)}`, { value: row.close, atMs: row.at_ms }]),
  )
  const rateOf = new Map<string, Dated>(
    rates.rows.map((row) => [`${row.base} ${row.quote} ${horizonOf(row.n)}`, { value: row.rate, atMs: row.at_ms }]),
  )
  return {
    nowMs: horizonsMs.now,
    price: (assetId, horizon) => priceOf.get(`${assetId} ${horizon}`) ?? null,
    rate: (from, to, horizon) =>
      from === to ? { value: '1', atMs: horizonsMs[horizon] } : (rateOf.get(`${from} ${to} ${horizon}`) ?? null),
  }
}

interface HoldingRow {
  readonly portfolio_id: number
  readonly asset_id: number
  readonly symbol: string
  readonly name: string
  readonly type: AssetType
  readonly currency: string | null
  readonly quantity: string
  readonly average_cost: string
  readonly cost: string
  readonly realized: string
  readonly fees: string
  readonly invested: string | null
  readonly realized_money: string | null
  readonly first_bought_ms: number
}

/** A page of portfolios with what they hold and what went in and out since each horizon. */
export async function selectContents(
  session: Session,
  afterId: number,
  limit: number,
  horizonsMs: HorizonsMs,
): Promise<PortfolioContents[]> {
  // The revision is read first: what changes after it makes the value of this one void.
  const { rows } = await session.query<Parameters<typeof toPortfolio>[0] & { revision: string }>(
    `SELECT ${PORTFOLIO_COLUMNS}, p.revision FROM portfolios p WHERE p.portfolio_id > $1
     ORDER BY p.portfolio_id LIMIT $2`,
    [afterId, limit],
  )
  if (rows.length === 0) return []
  const ids = numberArray(rows.map((row) => row.portfolio_id))
  const flows = await selectFlows(session, ids, horizonsMs)
  const holdings = new Map<number, Holding[]>()
  for (const row of await selectHoldings(session, ids)) {
    const list = holdings.get(row.portfolio_id) ?? []
    list.push(toHolding(row, flows.get(`${row.portfolio_id} ${row.asset_id}`) ?? []))
    holdings.set(row.portfolio_id, list)
  }
  return rows.map((row) => ({
    portfolio: toPortfolio(row),
    revision: row.revision,
    holdings: holdings.get(row.portfolio_id) ?? [],
  }))
}

async function selectHoldings(session: Session, ids: string): Promise<readonly HoldingRow[]> {
  const { rows } = await session.query<HoldingRow & Record<string, unknown>>(
    `SELECT h.portfolio_id, h.asset_id, a.symbol, a.name, a.type, a.currency, h.quantity, h.average_cost, h.cost,
            h.realized, h.fees, h.invested, h.realized_money,
            (extract(epoch FROM h.first_bought_at) * 1000)::float8 AS first_bought_ms
     FROM portfolio_positions h JOIN assets a USING (asset_id)
     WHERE h.portfolio_id = ANY ($1::integer[]) ORDER BY h.portfolio_id, a.symbol`,
    [ids],
  )
  return rows
}

function toHolding(row: HoldingRow, flows: readonly Flow[]): Holding {
  const { symbol, name, type, currency, quantity, cost, realized, fees, invested } = row
  return {
    ...{ symbol, name, type, currency, quantity, cost, realized, fees, invested, flows },
    assetId: row.asset_id,
    averageCost: row.average_cost,
    realizedMoney: row.realized_money,
    firstBoughtMs: row.first_bought_ms,
  }
}

async function selectFlows(
  session: Session,
  ids: string,
  horizonsMs: HorizonsMs,
): Promise<ReadonlyMap<string, readonly Flow[]>> {
  const { rows } = await session.query<{
    portfolio_id: number
    asset_id: number
    n: string
    quantity: string
    paid: string | null
    received: string | null
  }>(
    `WITH recent AS MATERIALIZED (
       SELECT t.portfolio_id, t.asset_id, t.executed_at, t.side, t.quantity,
              t.quantity * t.price AS gross, t.fee, ${TRANSACTION_RATE} AS rate
       FROM transactions t JOIN assets a USING (asset_id) JOIN portfolios p USING (portfolio_id)
       WHERE t.portfolio_id = ANY ($1::integer[]) AND t.executed_at > to_timestamp($2 / 1000.0))
     SELECT portfolio_id, asset_id, at.n,
            sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END) AS quantity,
            CASE WHEN bool_and(rate IS NOT NULL OR side <> 'buy')
                 THEN coalesce(sum((gross + fee) * rate) FILTER (WHERE side = 'buy'), 0) END AS paid,
            CASE WHEN bool_and(rate IS NOT NULL OR side <> 'sell')
                 THEN coalesce(sum((gross - fee) * rate) FILTER (WHERE side = 'sell'), 0) END AS received
     FROM recent JOIN unnest($3::float8[]) WITH ORDINALITY AS at (ms, n)
       ON executed_at > to_timestamp(at.ms / 1000.0)
     GROUP BY portfolio_id, asset_id, at.n`,
    [ids, horizonsMs.year, numberArray(PERIODS.map((period) => horizonsMs[period]))],
  )
  const flows = new Map<string, Flow[]>()
  for (const { portfolio_id: portfolioId, asset_id: assetId, n, quantity, paid, received } of rows) {
    const period = PERIODS[Number(n) - 1]
    if (period === undefined) continue
    const list = flows.get(`${portfolioId} ${assetId}`) ?? []
    list.push({ period, quantity, paid, received })
    flows.set(`${portfolioId} ${assetId}`, list)
  }
  return flows
}

const PERIODS: readonly Period[] = ['day', 'week', 'month', 'year']

/**
 * The cached row and the day's snapshot in one statement, so that nobody ever sees half of a value. False when the
 * transactions have changed since they were read, or a newer value is there.
 */
export async function upsertPerformance(session: Session, performance: Performance): Promise<boolean> {
  const { changes, oldestPriceMs, valuedMs } = performance
  const result = await session.query<{ current: number }>(
    `WITH current AS (
       SELECT portfolio_id FROM portfolios WHERE portfolio_id = $1 AND revision = $2 FOR SHARE),
     cached AS (
       INSERT INTO portfolio_performance_cache AS c
         (portfolio_id, revision, current_value, invested, profit, profit_percent, realized,
          day_change, day_change_percent, week_change, week_change_percent, month_change, month_change_percent,
          year_change, year_change_percent, positions, missing, missing_count, oldest_price_at, oldest_price_age_ms,
          holdings, updated_at)
       SELECT portfolio_id, $2::bigint, $3::numeric, $4::numeric, $5::numeric, $6::numeric, $7::numeric,
              $8::numeric, $9::numeric, $10::numeric, $11::numeric, $12::numeric, $13::numeric,
              $14::numeric, $15::numeric, $16::integer, $17::jsonb, $18::integer,
              to_timestamp($19::float8 / 1000.0), $20::float8, $21::jsonb, to_timestamp($22::float8 / 1000.0)
       FROM current
       ON CONFLICT (portfolio_id) DO UPDATE SET
         revision = EXCLUDED.revision, current_value = EXCLUDED.current_value, invested = EXCLUDED.invested,
         profit = EXCLUDED.profit, profit_percent = EXCLUDED.profit_percent, realized = EXCLUDED.realized,
         day_change = EXCLUDED.day_change, day_change_percent = EXCLUDED.day_change_percent,
         week_change = EXCLUDED.week_change, week_change_percent = EXCLUDED.week_change_percent,
         month_change = EXCLUDED.month_change, month_change_percent = EXCLUDED.month_change_percent,
         year_change = EXCLUDED.year_change, year_change_percent = EXCLUDED.year_change_percent,
         positions = EXCLUDED.positions, missing = EXCLUDED.missing, missing_count = EXCLUDED.missing_count,
         oldest_price_at = EXCLUDED.oldest_price_at, oldest_price_age_ms = EXCLUDED.oldest_price_age_ms,
         holdings = EXCLUDED.holdings, updated_at = EXCLUDED.updated_at
       WHERE EXCLUDED.revision > c.revision OR EXCLUDED.updated_at >= c.updated_at),
     snapshot AS (
       INSERT INTO portfolio_snapshots AS s
         (portfolio_id, day, current_value, invested, profit, realized, positions, missing_count, taken_at)
       SELECT portfolio_id, (to_timestamp($22::float8 / 1000.0))::date, $3::numeric, $4::numeric, $5::numeric,
              $7::numeric, $16::integer, $18::integer, to_timestamp($22::float8 / 1000.0)
       FROM current
       ON CONFLICT (portfolio_id, day) DO UPDATE SET
         current_value = EXCLUDED.current_value, invested = EXCLUDED.invested, profit = EXCLUDED.profit,
         realized = EXCLUDED.realized, positions = EXCLUDED.positions, missing_count = EXCLUDED.missing_count,
         taken_at = EXCLUDED.taken_at
       WHERE EXCLUDED.taken_at >= s.taken_at)
     SELECT count(*)::integer AS current FROM current`,
    [
      ...[performance.portfolioId, performance.revision, performance.currentValue, performance.invested],
      ...[performance.profit, performance.profitPercent, performance.realized],
      ...PERIODS.flatMap((period) => [changes[period]?.money ?? null, changes[period]?.percent ?? null]),
      ...[performance.positions, cleanJson(performance.missing), performance.missing.length],
      ...[oldestPriceMs, oldestPriceMs === null ? null : Math.max(0, valuedMs - oldestPriceMs)],
      ...[cleanJson(performance.holdings), valuedMs],
    ],
  )
  return result.rows[0]?.current === 1
}
