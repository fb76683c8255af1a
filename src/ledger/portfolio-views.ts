import type { Missing, Portfolio, Side, ValuedHolding } from '../core/portfolio.ts'
import type { Session } from './database.ts'
import { PORTFOLIO_COLUMNS, toPortfolio } from './portfolios.ts'

/** A portfolio with its cached value; `value` is null before it was valued for the first time. */
export interface PortfolioView extends Portfolio {
  readonly value: PortfolioValue | null
}

/** The same with what it holds, as it was valued. */
export interface PortfolioDetail extends PortfolioView {
  readonly holdings: readonly ValuedHolding[]
}

/** Money is decimal text, times are ISO 8601 UTC. */
export interface PortfolioValue {
  readonly currentValue: string
  readonly invested: string
  readonly profit: string
  readonly profitPercent: string | null
  readonly realized: string
  readonly changes: Readonly<Record<'day' | 'week' | 'month' | 'year', ViewedChange | null>>
  readonly positions: number
  readonly missing: readonly Missing[]
  readonly oldestPriceAt: string | null
  readonly oldestPriceAgeMs: number | null
  readonly updatedAt: string
}

export interface ViewedChange {
  readonly money: string
  readonly percent: string | null
}

interface ValueRow {
  readonly current_value: string | null
  readonly invested: string
  readonly profit: string
  readonly profit_percent: string | null
  readonly realized: string
  readonly day_change: string | null
  readonly day_change_percent: string | null
  readonly week_change: string | null
  readonly week_change_percent: string | null
  readonly month_change: string | null
  readonly month_change_percent: string | null
  readonly year_change: string | null
  readonly year_change_percent: string | null
  readonly positions: number
  readonly missing: readonly Missing[]
  readonly oldest_price_at: Date | null
  readonly oldest_price_age_ms: number | null
  readonly value_updated_at: Date
}

type ViewRow = Parameters<typeof toPortfolio>[0] & ValueRow & Record<string, unknown>

const COLUMNS = `${PORTFOLIO_COLUMNS}, c.current_value, c.invested, c.profit, c.profit_percent, c.realized,
  c.day_change, c.day_change_percent, c.week_change, c.week_change_percent, c.month_change, c.month_change_percent,
  c.year_change, c.year_change_percent, c.positions, c.missing, c.oldest_price_at, c.oldest_price_age_ms,
  c.updated_at AS value_updated_at`
const FROM = 'FROM portfolios p LEFT JOIN portfolio_performance_cache c USING (portfolio_id)'

export async function selectPortfolioViews(session: Session, limit: number, offset: number): Promise<PortfolioView[]> {
  const { rows } = await session.query<ViewRow>(`SELECT ${COLUMNS} ${FROM} ORDER BY p.name LIMIT $1 OFFSET $2`, [
    limit,
    offset,
  ])
  return rows.map(toView)
}

/** By its name; by its number where there is none of that name. */
export async function selectPortfolioView(session: Session, nameOrId: string): Promise<PortfolioDetail | null> {
  const { rows } = await session.query<ViewRow & { holdings: readonly ValuedHolding[] | null }>(
    `SELECT ${COLUMNS}, c.holdings ${FROM} WHERE p.name = $1 OR p.portfolio_id::text = $1
     ORDER BY p.name = $1 DESC LIMIT 1`,
    [nameOrId.replaceAll('\0', '')],
  )
  const [row] = rows
  return row === undefined ? null : { ...toView(row), holdings: row.holdings ?? [] }
}

function toView(row: ViewRow): PortfolioView {
  const change = (money: string | null, percent: string | null) => (money === null ? null : { money, percent })
  const value =
    row.current_value === null
      ? null
      : {
          currentValue: row.current_value,
          invested: row.invested,
          profit: row.profit,
          profitPercent: row.profit_percent,
          realized: row.realized,
          changes: {
            day: change(row.day_change, row.day_change_percent),
            week: change(row.week_change, row.week_change_percent),
            month: change(row.month_change, row.month_change_percent),
            year: change(row.year_change, row.year_change_percent),
          },
          positions: row.positions,
          missing: row.missing,
          oldestPriceAt: row.oldest_price_at?.toISOString() ?? null,
          oldestPriceAgeMs: row.oldest_price_age_ms,
          updatedAt: row.value_updated_at.toISOString(),
        }
  return { ...toPortfolio(row), value }
}

/** The last value of a UTC day. */
export interface Snapshot {
  readonly day: string
  readonly currentValue: string
  readonly invested: string
  readonly profit: string
  readonly realized: string
  readonly missing: number
}

/** The newest days, oldest of them first. */
export async function selectSnapshots(session: Session, portfolioId: number, days: number): Promise<Snapshot[]> {
  const { rows } = await session.query<{
    day: string
    current_value: string
    invested: string
    profit: string
    realized: string
    missing_count: number
  }>(
    `SELECT day::text, current_value, invested, profit, realized, missing_count FROM portfolio_snapshots
     WHERE portfolio_id = $1 ORDER BY portfolio_snapshots.day DESC LIMIT $2`,
    [portfolioId, days],
  )
  return rows.reverse().map((row) => ({
    day: row.day,
    currentValue: row.current_value,
    invested: row.invested,
    profit: row.profit,
    realized: row.realized,
    missing: row.missing_count,
  }))
}

export interface TransactionView {
  readonly id: string
  readonly symbol: string
  readonly side: Side
  readonly quantity: string
  readonly price: string
  readonly fee: string
  readonly currency: string | null
  readonly exchangeRate: string | null
  readonly executedAt: string
  readonly notes: string | null
}

/** Newest first. */
export async function selectTransactionViews(
  session: Session,
  portfolioId: number,
  limit: number,
  offset: number,
): Promise<TransactionView[]> {
  const { rows } = await session.query<{
    transaction_id: string
    symbol: string
    side: Side
    quantity: string
    price: string
    fee: string
    currency: string | null
    exchange_rate: string | null
    executed_at: Date
    notes: string | null
  }>(
    `SELECT t.transaction_id, a.symbol, t.side, t.quantity, t.price, t.fee, a.currency, t.exchange_rate, t.executed_at,
            t.notes
     FROM transactions t JOIN assets a USING (asset_id)
     WHERE t.portfolio_id = $1 ORDER BY t.executed_at DESC, t.transaction_id DESC LIMIT $2 OFFSET $3`,
    [portfolioId, limit, offset],
  )
  return rows.map((row) => ({
    id: row.transaction_id,
    symbol: row.symbol,
    side: row.side,
    quantity: row.quantity,
    price: row.price,
    fee: row.fee,
    currency: row.currency,
    exchangeRate: row.exchange_rate,
    executedAt: row.executed_at.toISOString(),
    notes: row.notes,
  }))
}
