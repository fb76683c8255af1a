import type { Position, PositionMaker, Problem, Transaction } from '../core/portfolio.ts'
import { type Decimal, decimal, moneyText, plainText, ZERO } from './decimal.ts'

/** A position while it is being made. Costs of the portfolio's currency are null once a rate was not known. */
interface Running {
  quantity: Decimal
  cost: Decimal
  realized: Decimal
  fees: Decimal
  invested: Decimal | null
  realizedMoney: Decimal | null
  firstBoughtMs: number | null
}

/**
 * The position that transactions of one asset amount to, at average cost: a buy adds price and fee, a sale takes the
 * share of the cost that it sells and realizes the rest of its proceeds. Selling more than is held is refused.
 */
export const positionOf: PositionMaker = (symbol, transactions) => {
  const running: Running = {
    quantity: ZERO,
    cost: ZERO,
    realized: ZERO,
    fees: ZERO,
    invested: ZERO,
    realizedMoney: ZERO,
    firstBoughtMs: null,
  }
  for (const transaction of transactions) {
    const quantity = decimal(transaction.quantity)
    if (transaction.side === 'buy') buy(running, transaction, quantity)
    else if (quantity.gt(running.quantity)) return { ok: false, problem: oversold(symbol, transaction, running) }
    else sell(running, transaction, quantity)
  }
  return { ok: true, position: finished(running) }
}

function buy(running: Running, { price, fee, rate, executedMs }: Transaction, quantity: Decimal): void {
  const paid = quantity.times(decimal(price)).plus(decimal(fee))
  // What was sold out and bought again starts anew: old doubt about a rate does not stick to it.
  if (running.quantity.eq(ZERO)) running.invested = ZERO
  running.quantity = running.quantity.plus(quantity)
  running.cost = running.cost.plus(paid)
  running.fees = running.fees.plus(decimal(fee))
  running.invested = rate === null ? null : (running.invested?.plus(paid.times(decimal(rate))) ?? null)
  running.firstBoughtMs ??= executedMs
}

function sell(running: Running, { price, fee, rate }: Transaction, quantity: Decimal): void {
  const isAll = quantity.eq(running.quantity)
  const share = (of: Decimal) => (isAll ? of : of.times(quantity).div(running.quantity))
  const proceeds = quantity.times(decimal(price)).minus(decimal(fee))
  const soldCost = share(running.cost)
  running.realized = running.realized.plus(proceeds.minus(soldCost))
  running.cost = running.cost.minus(soldCost)
  running.fees = running.fees.plus(decimal(fee))
  if (running.invested === null || rate === null) {
    running.realizedMoney = null
  } else {
    const gain = proceeds.times(decimal(rate)).minus(share(running.invested))
    running.realizedMoney = running.realizedMoney?.plus(gain) ?? null
  }
  running.invested = running.invested === null ? null : running.invested.minus(share(running.invested))
  running.quantity = running.quantity.minus(quantity)
}

function finished(running: Running): Position {
  const { quantity, cost, invested } = running
  const isEmpty = quantity.eq(ZERO)
  return {
    quantity: plainText(quantity),
    averageCost: isEmpty ? '0' : moneyText(cost.div(quantity)),
    cost: moneyText(cost),
    realized: moneyText(running.realized),
    fees: plainText(running.fees),
    invested: isEmpty ? '0' : invested && moneyText(invested),
    realizedMoney: running.realizedMoney && moneyText(running.realizedMoney),
    firstBoughtMs: running.firstBoughtMs ?? 0,
  }
}

function oversold(symbol: string, { quantity, executedMs, line }: Transaction, running: Running): Problem {
  const at = new Date(executedMs).toISOString()
  const held = plainText(running.quantity)
  return { line, message: `cannot sell ${plainText(decimal(quantity))} ${symbol} at ${at}: only ${held} held then` }
}
