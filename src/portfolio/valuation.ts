import type {
  Change,
  Dated,
  Holding,
  Horizon,
  MarketData,
  Missing,
  Performance,
  Period,
  PortfolioContents,
  ValuedHolding,
} from '../core/portfolio.ts'
import { type Decimal, decimal, moneyText, percentText, sum, ZERO } from './decimal.ts'

const DAY_MS = 86_400_000
/** A price from longer before a horizon says nothing about it. */
const STALE_MS = 7 * DAY_MS
const HUNDRED = decimal('100')

/** The moments that are compared with now, Unix ms: a day, 7, 30 and 365 days ago. */
export function horizonsOf(nowMs: number): Readonly<Record<Horizon, number>> {
  return {
    now: nowMs,
    day: nowMs - DAY_MS,
    week: nowMs - 7 * DAY_MS,
    month: nowMs - 30 * DAY_MS,
    year: nowMs - 365 * DAY_MS,
  }
}

/**
 * Says what portfolios are worth at one moment. Pure. What is not known is listed and left out; nothing is guessed.
 * Many portfolios hold the same assets: what one unit of each is worth is worked out once.
 */
export function valuation(market: MarketData): (contents: PortfolioContents) => Performance {
  const units = new Units(market)
  return (contents) => valuePortfolio(contents, units)
}

function valuePortfolio({ portfolio, revision, holdings }: PortfolioContents, units: Units): Performance {
  const read = holdings.map((holding) => readHolding(holding, units.of(holding, portfolio.currency)))
  const held = read.filter(({ quantity }) => !quantity.eq(ZERO))
  const lines = held.map(valueHolding)
  const valued = lines.filter((line) => line.value !== null)
  const compared = valued.filter((line) => line.invested !== null)
  const profit = sum(compared.map((line) => (line.value ?? ZERO).minus(line.invested ?? ZERO)))
  const comparedInvested = sum(compared.map((line) => line.invested ?? ZERO))
  const unknownRealized = holdings.filter((holding) => holding.realizedMoney === null)
  const missing = [
    ...lines.flatMap((line) => line.missing),
    ...unknownRealized.map(({ symbol }): Missing => ({ symbol, what: 'purchase_rate' })),
  ]
  return {
    portfolioId: portfolio.portfolioId,
    revision,
    currentValue: moneyText(sum(valued.map((line) => line.value ?? ZERO))),
    invested: moneyText(sum(lines.map((line) => line.invested ?? ZERO))),
    profit: moneyText(profit),
    profitPercent: percentOf(profit, comparedInvested),
    realized: moneyText(sum(holdings.map(({ realizedMoney }) => decimal(realizedMoney ?? '0')))),
    changes: changesOf(read),
    positions: held.length,
    missing: unique(missing),
    oldestPriceMs: oldest(valued.map((line) => line.priceMs)),
    holdings: lines.map((line) => line.shown),
    valuedMs: units.market.nowMs,
  }
}

/** What one unit of an asset is worth. */
interface Unit {
  readonly price: Dated | null
  readonly rate: Dated | null
  readonly worth: Decimal | null
  /** Old for its horizon. */
  readonly isStale: boolean
}

type UnitAt = Readonly<Record<Horizon, Unit>>

class Units {
  readonly market: MarketData
  readonly #horizonsMs: Readonly<Record<Horizon, number>>
  readonly #known = new Map<string, UnitAt>()

  constructor(market: MarketData) {
    this.market = market
    this.#horizonsMs = horizonsOf(market.nowMs)
  }

  of({ assetId, currency: from }: Holding, to: string): UnitAt {
    const key = `${assetId} ${from} ${to}`
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const at = (horizon: Horizon): Unit => {
      const price = this.market.price(assetId, horizon)
      const rate = from === null ? null : this.market.rate(from, to, horizon)
      const worth = price && rate ? decimal(price.value).times(decimal(rate.value)) : null
      const oldestMs = Math.min(price?.atMs ?? 0, rate?.atMs ?? 0)
      return { price, rate, worth, isStale: oldestMs < this.#horizonsMs[horizon] - STALE_MS }
    }
    const unit = { now: at('now'), day: at('day'), week: at('week'), month: at('month'), year: at('year') }
    this.#known.set(key, unit)
    return unit
  }
}

interface Held {
  readonly holding: Holding
  readonly quantity: Decimal
  readonly unit: UnitAt
  /** What it is worth now; null where that is not known. */
  readonly value: Decimal | null
}

function readHolding(holding: Holding, unit: UnitAt): Held {
  const quantity = decimal(holding.quantity)
  return { holding, quantity, unit, value: worthOf(quantity, unit.now) }
}

interface Line {
  readonly value: Decimal | null
  readonly invested: Decimal | null
  readonly priceMs: number | null
  readonly missing: readonly Missing[]
  readonly shown: ValuedHolding
}

function valueHolding({ holding, unit, value }: Held): Line {
  const { symbol } = holding
  const { price, rate } = unit.now
  const missing: Missing[] = []
  if (price === null) missing.push({ symbol, what: 'price' })
  if (holding.currency === null) missing.push({ symbol, what: 'currency' })
  else if (rate === null) missing.push({ symbol, what: 'exchange_rate' })
  if (holding.invested === null) missing.push({ symbol, what: 'purchase_rate' })
  const invested = holding.invested === null ? null : decimal(holding.invested)
  const shown: ValuedHolding = {
    symbol,
    name: holding.name,
    type: holding.type,
    currency: holding.currency,
    quantity: holding.quantity,
    averageCost: holding.averageCost,
    invested: holding.invested,
    price: price?.value ?? null,
    priceAt: price ? new Date(price.atMs).toISOString() : null,
    exchangeRate: rate?.value ?? null,
    value: value && moneyText(value),
    profit: value && invested && moneyText(value.minus(invested)),
  }
  return { value, invested, priceMs: price?.atMs ?? null, missing, shown }
}

function changesOf(held: readonly Held[]): Record<Period, Change | null> {
  const change = (period: Period) => changeSince(period, held)
  return { day: change('day'), week: change('week'), month: change('month'), year: change('year') }
}

/**
 * What the market did to the money: the value now, less the value of what was held then, less what was paid in since,
 * plus what was taken out. In percent of what was held then and paid in since.
 */
function changeSince(period: Period, held: readonly Held[]): Change | null {
  let change = ZERO
  let base = ZERO
  for (const { holding, quantity, unit, value: now } of held) {
    const flow = holding.flows.find((one) => one.period === period)
    const heldThen = flow === undefined ? quantity : quantity.minus(decimal(flow.quantity))
    const then = unit[period].isStale && !heldThen.eq(ZERO) ? null : worthOf(heldThen, unit[period])
    if (now === null || then === null) return null
    change = change.plus(now).minus(then)
    base = base.plus(then)
    if (flow === undefined) continue
    if (flow.paid === null || flow.received === null) return null
    const paid = decimal(flow.paid)
    change = change.plus(decimal(flow.received)).minus(paid)
    base = base.plus(paid)
  }
  return { money: moneyText(change), percent: percentOf(change, base) }
}

/** Nothing is worth 0, whatever one would be. */
function worthOf(quantity: Decimal, { worth }: Unit): Decimal | null {
  return quantity.eq(ZERO) ? ZERO : worth && quantity.times(worth)
}

function percentOf(part: Decimal, whole: Decimal): string | null {
  return whole.gt(ZERO) ? percentText(part.times(HUNDRED).div(whole)) : null
}

function oldest(times: readonly (number | null)[]): number | null {
  return times.reduce((least, time) => (time !== null && (least === null || time < least) ? time : least), null)
}

function unique(missing: readonly Missing[]): readonly Missing[] {
  return [...new Map(missing.map((one) => [`${one.symbol} ${one.what}`, one])).values()]
}
