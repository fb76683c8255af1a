import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Position, Transaction } from '../core/portfolio.ts'
import { decimal, ZERO } from './decimal.ts'
import { positionOf } from './positions.ts'

const DAY_MS = 86_400_000

const transaction = (side: 'buy' | 'sell', quantity: string, price: string, more: Partial<Transaction> = {}) => {
  return { side, quantity, price, fee: '0', rate: '1', executedMs: DAY_MS, line: null, ...more }
}
const buy = (quantity: string, price: string, more: Partial<Transaction> = {}) =>
  transaction('buy', quantity, price, more)
const sell = (quantity: string, price: string, more: Partial<Transaction> = {}) =>
  transaction('sell', quantity, price, more)

function made(...transactions: readonly Transaction[]): Position {
  const result = positionOf('ABC', transactions)
  assert.ok(result.ok, JSON.stringify(result))
  return result.position
}

describe('a position', () => {
  test('costs what was paid for it with fees, on average', () => {
    const position = made(buy('10', '100', { fee: '5', executedMs: 7 }), buy('10', '120', { executedMs: 9 }))
    assert.deepEqual(position, {
      quantity: '20',
      averageCost: '110.25',
      cost: '2205',
      realized: '0',
      fees: '5',
      invested: '2205',
      realizedMoney: '0',
      firstBoughtMs: 7,
    })
  })

  test('that is sold in part realizes the proceeds less its share of the cost; the average stays', () => {
    const { averageCost, cost, realized, fees } = made(
      buy('10', '100', { fee: '5' }),
      buy('10', '120'),
      sell('5', '150', { fee: '2' }),
    )
    assert.deepEqual([averageCost, cost, realized, fees], ['110.25', '1653.75', '196.75', '7'])
  })

  test('that is sold in three thirds leaves nothing behind', () => {
    const parts = made(buy('3', '3.333'), sell('1', '4'), sell('1', '4'), sell('1', '4'))
    assert.deepEqual([parts.quantity, parts.averageCost, parts.cost, parts.invested], ['0', '0', '0', '0'])
    assert.equal(parts.realized, '2.001')
    const uneven = made(buy('7', '1', { fee: '0.1' }), sell('2.1', '1'), sell('4.9', '1'))
    assert.deepEqual([uneven.cost, uneven.realized], ['0', '-0.1'])
  })

  test('is counted in decimals, not in floats', () => {
    assert.equal(made(buy('0.1', '0.1'), buy('0.2', '0.1')).quantity, '0.3')
    const large = made(buy('12345678901234567890.123456789012345678', '1'))
    assert.equal(large.quantity, '12345678901234567890.123456789012345678')
    assert.equal(made(buy('1', '0.000000000000000001', { fee: '0' })).quantity, '1')
  })

  test('that is oversold is refused with both numbers, the moment and the line', () => {
    const at = { executedMs: Date.UTC(2026, 4, 2), line: 4 }
    assert.deepEqual(positionOf('ABC', [buy('2', '1'), sell('2.50', '1', at), buy('10', '1')]), {
      ok: false,
      problem: { line: 4, message: 'cannot sell 2.5 ABC at 2026-05-02T00:00:00.000Z: only 2 held then' },
    })
    assert.equal(positionOf('ABC', [sell('1', '1')]).ok, false, 'what is bought later does not help')
    assert.equal(positionOf('ABC', [buy('2', '1'), sell('2', '1')]).ok, true)
  })

  test('counts its cost in the portfolio’s currency at the rate of each transaction', () => {
    const { invested, realizedMoney, cost, realized } = made(
      buy('10', '10', { rate: '0.5' }),
      buy('10', '10', { rate: '0.7' }),
      sell('10', '20', { rate: '0.9' }),
    )
    assert.deepEqual([cost, realized], ['100', '100'])
    assert.deepEqual([invested, realizedMoney], ['60', '120'], '200 × 0.9 − half of 50 + 70')
  })

  test('does not guess a rate; what was sold out and bought anew is known again', () => {
    const unknown = { rate: null }
    const open = made(buy('1', '5', unknown), buy('1', '5'))
    assert.deepEqual([open.invested, open.realizedMoney, open.cost], [null, '0', '10'])
    const sold = made(buy('1', '5', unknown), sell('1', '6'))
    assert.deepEqual([sold.invested, sold.realizedMoney, sold.realized], ['0', null, '1'])
    const again = made(buy('1', '5', unknown), sell('1', '6'), buy('2', '7'))
    assert.deepEqual([again.invested, again.realizedMoney], ['14', null])
    assert.equal(made(buy('1', '5'), sell('1', '6', unknown)).realizedMoney, null)
  })

  test('keeps what was paid: proceeds − paid = realized − cost, whatever is bought and sold', () => {
    const amount = fc.integer({ min: 1, max: 10_000_000 }).map((n) => decimal(String(n)).div(1_000).toFixed())
    const step = fc.record({ isSale: fc.boolean(), share: fc.integer({ min: 1, max: 100 }), amount, price: amount })
    fc.assert(
      fc.property(fc.array(fc.tuple(step, fc.nat(500)), { maxLength: 12 }), (steps) => {
        let held = ZERO
        let [paid, received] = [ZERO, ZERO]
        const transactions = steps.flatMap(([{ isSale, share, amount: quantity, price }, fee]) => {
          const sold = isSale && held.gt(ZERO) ? held.times(share).div(100) : null
          const amountOf = sold ?? decimal(quantity)
          const gross = amountOf.times(price)
          if (sold === null) paid = paid.plus(gross).plus(fee)
          else received = received.plus(gross).minus(fee)
          held = sold === null ? held.plus(amountOf) : held.minus(amountOf)
          return [transaction(sold === null ? 'buy' : 'sell', amountOf.toFixed(), price, { fee: String(fee) })]
        })
        const position = made(...transactions)
        assert.equal(position.quantity, held.eq(ZERO) ? '0' : held.toFixed())
        const kept = decimal(position.realized).minus(position.cost)
        assert.ok(kept.minus(received.minus(paid)).abs().lt('0.00000001'), `${kept} is not ${received} − ${paid}`)
        assert.deepEqual([position.invested, position.realizedMoney], [position.cost, position.realized], 'rate 1')
      }),
      { numRuns: 300 },
    )
  })
})
