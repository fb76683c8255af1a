import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { BookLevels, BookSide } from '../core/books.ts'
import { matchExplains } from './match-explains.ts'

/** Levels as `price size`, worst first. */
function side(...levels: string[]): BookSide {
  const parts = levels.map((level) => level.split(' ') as [string, string])
  return { prices: parts.map(([text]) => ({ text, value: Number(text) })), sizes: parts.map(([, size]) => size) }
}

const BIDS = ['0.3 10', '0.4 20', '0.5 30']
const ASKS = ['0.8 10', '0.7 20', '0.6 30']
const before: BookLevels = { bids: side(...BIDS), asks: side(...ASKS) }
const after = (bids: string[], asks: string[]): BookLevels => ({ bids: side(...bids), asks: side(...asks) })

test('a match takes from the best levels of one side', () => {
  assert.ok(matchExplains(before, after(BIDS, ['0.8 10', '0.7 20', '0.6 29.5'])))
  assert.ok(matchExplains(before, after(BIDS, ['0.8 10', '0.7 20'])))
  assert.ok(matchExplains(before, after(BIDS, ['0.8 10', '0.7 5'])))
  assert.ok(matchExplains(before, after([], ASKS)))
  assert.ok(matchExplains(before, after(BIDS, ['0.80 10.0', '0.7 20', '0.6 30'])), 'the same in other words')
})

test('what is left of the taker’s order rests as the best of the other side', () => {
  assert.ok(matchExplains(before, after([...BIDS, '0.6 7'], ['0.8 10', '0.7 20'])))
  assert.ok(matchExplains(before, after([...BIDS, '0.65 7'], ['0.8 10', '0.7 20'])))
})

test('nothing else', () => {
  assert.ok(!matchExplains(before, after(['0.3 11', '0.4 20', '0.5 30'], ['0.8 10', '0.7 20'])), 'a deep level')
  assert.ok(!matchExplains(before, after(['0.4 20', '0.5 30'], ['0.8 10', '0.7 20'])), 'a deep level gone')
  assert.ok(!matchExplains(before, after(BIDS, ['0.8 10', '0.7 20', '0.65 1', '0.6 29'])), 'a level in between')
  assert.ok(!matchExplains(before, after(['0.3 10', '0.4 20'], ['0.8 10', '0.7 20'])), 'both sides taken')
  assert.ok(!matchExplains(before, after([...BIDS, '0.55 1', '0.56 1'], ASKS)), 'two new levels')
  assert.ok(!matchExplains(before, after(['0.3 10', '0.4 20', '0.5 37'], ['0.8 10', '0.7 20'])), 'a best level grown')
  assert.ok(!matchExplains(before, after([...BIDS, '0.55 7'], ['0.8 10', '0.7 20'])), 'too low to have taken that')
  assert.ok(!matchExplains(before, after([...BIDS, '0.55 7'], ASKS)), 'a new level, and nothing taken')
})

test('any match is explained, and any other change of a level below the best is not', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 3, maxLength: 12 })
  const levels = (list: readonly number[], from: number, step: number) =>
    list.map((size, index) => `${(from + step * index).toFixed(2)} ${size}`)
  const given = fc.record({
    bids: sizes,
    asks: sizes,
    levels: fc.nat(),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  fc.assert(
    fc.property(given, ({ bids, asks, levels: taken, part }) => {
      const [low, high] = [levels(bids, 0.1, 0.01), levels(asks, 0.9, -0.01)]
      const book = { bids: side(...low), asks: side(...high) }
      const left = high.slice(0, 1 + (taken % (high.length - 1)))
      const [price, size] = (left.pop() ?? '').split(' ')
      const rest = Number(size) * part
      const matched = [...left, ...(rest > 0 ? [`${price} ${rest}`] : [])]
      assert.ok(matchExplains(book, { bids: side(...low), asks: side(...matched) }))
      const [first = ''] = low
      const [deepPrice, deepSize] = first.split(' ')
      const deeper = [`${deepPrice} ${Number(deepSize) + 1}`, ...low.slice(1)]
      assert.ok(!matchExplains(book, { bids: side(...deeper), asks: side(...matched) }))
    }),
    { numRuns: 200 },
  )
})
