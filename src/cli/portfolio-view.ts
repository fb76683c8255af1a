import { formatDuration } from '../core/duration.ts'
import type { PortfolioDetail, PortfolioView, TransactionView, ViewedChange } from '../ledger/portfolio-views.ts'
import { columns } from './columns.ts'

const NOTHING = '–'

export function listLines(portfolios: readonly PortfolioView[]): readonly string[] {
  const rows = portfolios.map(({ portfolioId, name, currency, value }) => [
    String(portfolioId),
    name,
    value === null ? NOTHING : `${money(value.currentValue)} ${currency}`,
    value === null ? NOTHING : signed(value.profit, value.profitPercent),
    value === null ? NOTHING : change(value.changes.day),
    value === null ? NOTHING : String(value.positions),
    value === null || value.missing.length === 0 ? '' : `${value.missing.length} prices or rates missing`,
  ])
  return columns([['id', 'portfolio', 'value', 'profit', 'day', 'positions', ''], ...rows])
}

export function showLines(view: PortfolioDetail, transactions: readonly TransactionView[]): readonly string[] {
  const { name, currency, value } = view
  if (value === null) return [`${name}   not valued yet`]
  const age = value.oldestPriceAgeMs === null ? 'none used' : `${formatDuration(value.oldestPriceAgeMs)} old`
  const lines = [
    `${name}   ${money(value.currentValue)} ${currency}   profit ${signed(value.profit, value.profitPercent)}`,
    `invested ${money(value.invested)} · realized ${signed(value.realized, null)}`,
    (['day', 'week', 'month', 'year'] as const)
      .map((period) => `${period} ${change(value.changes[period])}`)
      .join(' · '),
    `as of ${value.updatedAt} · oldest price ${age}`,
  ]
  for (const { symbol, what } of value.missing) {
    lines.push(`missing: ${what.replaceAll('_', ' ')} of ${symbol}; what needs it is left out`)
  }
  return [...lines, '', ...holdingLines(view), '', ...transactionLines(transactions)]
}

function holdingLines({ holdings }: PortfolioDetail): readonly string[] {
  if (holdings.length === 0) return ['it holds nothing']
  const rows = holdings.map((holding) => [
    short(holding.symbol),
    short(holding.name),
    holding.quantity,
    `${money(holding.averageCost)} ${holding.currency ?? '?'}`,
    holding.price === null ? NOTHING : money(holding.price),
    holding.value === null ? NOTHING : money(holding.value),
    holding.profit === null ? NOTHING : signed(holding.profit, null),
  ])
  return columns([['asset', 'name', 'quantity', 'average cost', 'price', 'value', 'profit'], ...rows])
}

function transactionLines(transactions: readonly TransactionView[]): readonly string[] {
  const rows = transactions.map((one) => [
    one.executedAt.slice(0, 16).replace('T', ' '),
    one.side,
    one.quantity,
    short(one.symbol),
    `at ${one.price}`,
    /^0(\.0*)?$/.test(one.fee) ? '' : `fee ${one.fee}`,
    one.notes === null ? '' : clean(one.notes),
  ])
  return columns(rows)
}

/** Text from outside must not steer a terminal. */
function clean(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ')
}

function short(text: string): string {
  const shown = clean(text)
  return shown.length > 32 ? `${shown.slice(0, 20)}…${shown.slice(-6)}` : shown
}

/** Two digits after the point where that shows all that matters, more below one cent. */
function money(text: string): string {
  const [whole = '0', fraction = ''] = text.split('.')
  const isSmall = /^-?0$/.test(whole) && /^00/.test(fraction)
  const digits = isSmall ? fraction.slice(0, 8) : fraction.slice(0, 2).padEnd(2, '0')
  return `${whole.replaceAll(/\B(?=(\d{3})+$)/g, ',')}.${digits}`
}

function signed(text: string, percent: string | null): string {
  const sign = text.startsWith('-') ? '' : '+'
  return `${sign}${money(text)}${percent === null ? '' : ` (${sign}${money(percent)} %)`}`
}

function change(value: ViewedChange | null): string {
  return value === null ? NOTHING : signed(value.money, value.percent)
}
