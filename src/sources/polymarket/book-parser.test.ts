import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseBookRow } from './book-parser.ts'
import { conditionId, NO_SAMPLES, sample, tokenId } from './support.test.ts'

const level = (price: string, size = '10') => ({ price, size })

function row(changes: Record<string, unknown> = {}) {
  return {
    market: conditionId(1),
    asset_id: tokenId(1, 0),
    timestamp: '1778997825875',
    hash: 'ab'.repeat(20),
    bids: [level('0.1'), level('0.45'), level('0.49')],
    asks: [level('0.99'), level('0.55'), level('0.5')],
    ...changes,
  }
}

function read(changes: Record<string, unknown> = {}, depth = 20) {
  const parsed = parseBookRow(row(changes), depth)
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.reason)
  return parsed.book
}

describe('a REST order book', () => {
  test('best level first, spread and midpoint exact', () => {
    const book = read()
    assert.deepEqual(
      book.bids.map((one) => one.price),
      ['0.49', '0.45', '0.1'],
    )
    assert.deepEqual(
      book.asks.map((one) => one.price),
      ['0.5', '0.55', '0.99'],
    )
    assert.equal(book.spread, '0.01')
    assert.equal(book.midpoint, '0.495')
    assert.equal(book.venueMs, 1778997825875)
  })

  test('the best level is the one with the best price, wherever it stands', () => {
    const prices = fc.uniqueArray(fc.integer({ min: 1, max: 999 }), { minLength: 2, maxLength: 40 })
    fc.assert(
      fc.property(prices, fc.integer({ min: 1, max: 20 }), (units, depth) => {
        const texts = units.map((unit) => String(unit / 1000))
        const book = read({ bids: texts.map((text) => level(text)), asks: texts.map((text) => level(text)) }, depth)
        const down = [...units].sort((a, b) => b - a).map((unit) => String(unit / 1000))
        assert.deepEqual(
          book.bids.map((one) => one.price),
          down.slice(0, depth),
        )
        assert.deepEqual(
          book.asks.map((one) => one.price),
          down.toReversed().slice(0, depth),
        )
      }),
      { numRuns: 200, verbose: 1 },
    )
  })

  test('an empty side has no spread', () => {
    const book = read({ bids: [] })
    assert.deepEqual([book.spread, book.midpoint, book.bids.length], [null, null, 0])
    assert.equal(read({ bids: null, asks: undefined }).asks.length, 0)
  })

  test('levels without a size do not exist', () => {
    assert.equal(read({ bids: [level('0.3'), level('0.4', '0')] }).bids[0]?.price, '0.3')
  })

  test('numbers are taken like text', () => {
    const book = read({ bids: [{ price: 0.001, size: 5 }], asks: [{ price: 0.002, size: 5.5 }] })
    assert.deepEqual(book.bids, [{ price: '0.001', size: '5' }])
    assert.equal(book.midpoint, '0.0015')
  })

  test('what cannot be read has a reason', () => {
    const reason = (changes: Record<string, unknown>) => {
      const parsed = parseBookRow(row(changes), 20)
      return parsed.ok ? 'readable' : parsed.reason
    }
    assert.match(reason({ asset_id: 'x' }), /asset id/)
    assert.match(reason({ market: 'x' }), /market/)
    assert.match(reason({ hash: '' }), /hash/)
    assert.match(reason({ timestamp: 'soon' }), /timestamp/)
    assert.match(reason({ bids: {} }), /side/)
    assert.match(reason({ asks: [{ price: '0.5' }] }), /side/)
    assert.equal(parseBookRow(null, 20).ok, false)
  })

  test('recorded books', { skip: NO_SAMPLES }, () => {
    const rows = JSON.parse(sample('clob/books-2026-05-17.json')) as unknown[]
    assert.equal(rows.length, 10)
    for (const one of rows) {
      const parsed = parseBookRow(one, 20)
      assert.ok(parsed.ok)
      const [bid, ask] = [parsed.book.bids[0]?.price, parsed.book.asks[0]?.price]
      if (bid !== undefined && ask !== undefined) assert.ok(Number(bid) < Number(ask))
    }
  })
})
