import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BookSnapshot } from '../core/events.ts'
import type { TokenId } from '../core/ids.ts'
import { Books, type RebuiltBook } from './books.ts'
import { liveBookOf } from './live-book.ts'

const TOKEN = '1'.repeat(60) as TokenId

test('the best level comes first, as numbers, and no more levels than asked for', () => {
  const books = new Books({ onBatch() {}, onReopened() {}, onSkipped() {} })
  const level = (price: string, size: string) => ({ price, size })
  const snapshot: BookSnapshot = {
    kind: 'book',
    token: TOKEN,
    market: 'm',
    venueMs: 7,
    hash: null,
    afterTrade: false,
    bids: [level('0.1', '5'), level('0.20', '7.50'), level('0.3', '1')],
    asks: [level('0.9', '2'), level('0.4', '3')],
    tickSize: null,
    minOrderSize: null,
    negRisk: null,
    version: null,
    lastTradePrice: null,
  }
  books.applySnapshot(snapshot, 'one')
  const rebuilt = books.rebuilt(TOKEN) as RebuiltBook
  assert.deepEqual(liveBookOf(rebuilt, 2), {
    venueMs: 7,
    bids: [
      { price: 0.3, size: 1 },
      { price: 0.2, size: 7.5 },
    ],
    asks: [
      { price: 0.4, size: 3 },
      { price: 0.9, size: 2 },
    ],
    spread: 0.1,
    midpoint: 0.35,
  })
  books.applySnapshot({ ...snapshot, venueMs: 8, asks: [] }, 'one')
  const { asks, spread, midpoint } = liveBookOf(books.rebuilt(TOKEN) as RebuiltBook, 2)
  assert.deepEqual({ asks, spread, midpoint }, { asks: [], spread: null, midpoint: null })
})
