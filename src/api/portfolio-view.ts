import type {
  PortfolioDetail,
  PortfolioValue,
  PortfolioView,
  Snapshot,
  TransactionView,
  ViewedChange,
} from '../ledger/portfolio-views.ts'

/** Portfolios as programs see them, over the API and from the command line. Money is decimal text. */

export function portfolioJson({ portfolioId, name, currency, createdMs, value }: PortfolioView) {
  return {
    id: portfolioId,
    name,
    currency,
    created_at: new Date(createdMs).toISOString(),
    performance: value === null ? null : performanceJson(value),
  }
}

function performanceJson(value: PortfolioValue) {
  const { changes } = value
  return {
    current_value: value.currentValue,
    invested: value.invested,
    profit: value.profit,
    profit_percent: value.profitPercent,
    realized: value.realized,
    day_change: changeJson(changes.day),
    week_change: changeJson(changes.week),
    month_change: changeJson(changes.month),
    year_change: changeJson(changes.year),
    positions: value.positions,
    missing_count: value.missing.length,
    missing: value.missing.map(({ symbol, what }) => ({ symbol, what })),
    oldest_price_at: value.oldestPriceAt,
    oldest_price_age_seconds: value.oldestPriceAgeMs === null ? null : Math.round(value.oldestPriceAgeMs) / 1000,
    updated_at: value.updatedAt,
  }
}

function changeJson(change: ViewedChange | null) {
  return change === null ? null : { money: change.money, percent: change.percent }
}

/** What is held now, as it was valued. */
export function positionsJson({ holdings }: PortfolioDetail) {
  return holdings.map((holding) => ({
    symbol: holding.symbol,
    name: holding.name,
    type: holding.type,
    currency: holding.currency,
    quantity: holding.quantity,
    average_cost: holding.averageCost,
    invested: holding.invested,
    price: holding.price,
    price_at: holding.priceAt,
    exchange_rate: holding.exchangeRate,
    value: holding.value,
    profit: holding.profit,
  }))
}

export function snapshotJson({ day, currentValue, invested, profit, realized, missing }: Snapshot) {
  return { day, current_value: currentValue, invested, profit, realized, missing_count: missing }
}

export function transactionJson(transaction: TransactionView) {
  const { id, symbol, side, quantity, price, fee, currency, exchangeRate, executedAt, notes } = transaction
  return {
    id,
    symbol,
    side,
    quantity,
    price,
    fee,
    currency,
    exchange_rate: exchangeRate,
    executed_at: executedAt,
    notes,
  }
}
