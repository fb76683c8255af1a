import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BookSnapshot, Trade } from '../core/events.ts'
import { parseTokenId } from '../core/ids.ts'
import { TradeWatch } from './trade-watch.ts'

const [YES, NO] = [parseTokenId('11'), parseTokenId('22')]
const SECOND = 1_000_000

function book(venueMs: number, token = YES, afterTrade = true, hash = 'h'): BookSnapshot {
  const nothing = { tickSize: null, lastTradePrice: null, minOrderSize: null, negRisk: null, version: null }
  return { kind: 'book', token, market: 'm', venueMs, hash, bids: [], asks: [], afterTrade, ...nothing }
}

function trade(venueMs: number, transactionHash: string): Trade {
  const rest = { price: '0.5', size: '1', side: 'BUY', feeRateBps: '0' } as const
  return { kind: 'trade', token: YES, market: 'm', venueMs, transactionHash, ...rest }
}

test('a book after a match without its trade within 2 s is missing one, both outcomes together', () => {
  const watch = new TradeWatch()
  watch.book(book(1_000), 0)
  watch.book(book(1_000, NO), 10)
  watch.book(book(1_000), 20) // repeated
  watch.book(book(500, NO, false), 30) // a dump
  assert.deepEqual(watch.expire(1.9 * SECOND), [])
  assert.deepEqual(watch.expire(2 * SECOND), [{ token: YES, market: 'm', venueMs: 1_000, atUs: 0 }])
  assert.deepEqual(watch.expire(9 * SECOND), [])
})

test('many fills of one transaction are one match; each match needs its own', () => {
  const watch = new TradeWatch()
  watch.book(book(1_000), 0)
  watch.book(book(1_010), 10_000)
  watch.trade(trade(1_050, '0xa'), 50_000)
  watch.trade(trade(1_050, '0xa'), 50_000)
  assert.equal(watch.expire(3 * SECOND).length, 1)
  watch.book(book(5_000), 5 * SECOND)
  watch.trade(trade(5_040, '0xb'), 5 * SECOND)
  watch.trade(trade(5_040, '0xa'), 5 * SECOND) // the other connection's
  assert.deepEqual(watch.expire(9 * SECOND), [])
})

test('two matches within one millisecond are told apart by their books', () => {
  const watch = new TradeWatch()
  for (const [token, hash] of [
    [YES, 'a'],
    [NO, 'b'],
    [YES, 'c'],
    [NO, 'd'],
    [NO, 'd'],
  ] as const) {
    watch.book(book(1_000, token, true, hash), 0)
  }
  watch.trade(trade(1_050, '0xa'), 50_000)
  assert.equal(watch.expire(3 * SECOND).length, 1)
})

test('a trade that overtakes its book is not missing, an older one does not stand in for it', () => {
  const watch = new TradeWatch()
  watch.trade(trade(1_040, '0xa'), 0)
  watch.book(book(1_000), 1_000)
  assert.deepEqual(watch.expire(3 * SECOND), [])
  watch.trade(trade(6_000, '0xb'), 6 * SECOND)
  watch.book(book(6_500), 6.5 * SECOND)
  assert.equal(watch.expire(9 * SECOND).length, 1)
})

test('is bounded', () => {
  const watch = new TradeWatch()
  for (let market = 0; market < 30_000; market += 1) watch.book({ ...book(1_000), market: String(market) }, 0)
  for (let venueMs = 0; venueMs < 1_000; venueMs += 1) watch.book({ ...book(2_000 + venueMs), market: 'one' }, 0)
  assert.equal(watch.expire(3 * SECOND).length, 20_000 - 1 + 64)
})
