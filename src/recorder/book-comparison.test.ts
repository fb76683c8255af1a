import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import type { WitnessedBook } from '../core/coverage.ts'
import { parseTokenId, type TokenId } from '../core/ids.ts'
import { BookComparison } from './book-comparison.ts'
import type { RebuiltBook } from './books.ts'
import type { Suspicion } from './mark-details.ts'

const [A, B] = [parseTokenId('11'), parseTokenId('22')]
const SECOND = 1_000_000

function rebuilt(venueMs: number, provenHash: string | null, size = '7'): RebuiltBook {
  const bids = { prices: [{ text: '0.5', value: 0.5 }], sizes: [size] }
  return { bids, asks: { prices: [], sizes: [] }, atUs: venueMs * 1000, venueMs, provenHash }
}

function fetched(token: TokenId, venueMs: number, hash: string, size = '7.0'): WitnessedBook {
  return { token, venueMs, hash, bids: [{ price: '0.50', size }], asks: [] }
}

describe('a fetched book', () => {
  const books = new Map<TokenId, RebuiltBook>()
  let equal: string[]
  let suspicions: Suspicion[]
  let comparison: BookComparison
  beforeEach(() => {
    books.clear()
    equal = []
    suspicions = []
    comparison = new BookComparison({
      bookOf: (token) => books.get(token) ?? null,
      onEqual: (token, atUs, hash) => void equal.push(`${token} ${atUs} ${hash}`),
      onSuspicion: (suspicion) => void suspicions.push(suspicion),
    })
  })

  test('that has the proven hash proves silence right', () => {
    books.set(A, rebuilt(1_000, 'h'))
    comparison.compare([fetched(A, 1_000, 'h')], 9 * SECOND)
    assert.deepEqual(equal, [`11 ${9 * SECOND} h`])
    assert.deepEqual(comparison.counts, { equal: 1, older: 0, ahead: 0, skipped: 0 })
  })

  test('that is ahead while the stream does not follow is a stall, told once for all tokens', () => {
    books.set(A, rebuilt(1_000, 'h'))
    books.set(B, rebuilt(1_500, 'i'))
    comparison.compare([fetched(A, 3_000, 'new', '8'), fetched(B, 3_000, 'new', '8')], 4 * SECOND)
    comparison.turn(8.9 * SECOND)
    assert.deepEqual(suspicions, [])
    comparison.turn(9 * SECOND)
    assert.deepEqual(
      suspicions.map(({ cause, tokens, fromUs, toUs }) => ({ cause, tokens, fromUs, toUs })),
      [{ cause: 'stall', tokens: [A, B], fromUs: SECOND, toUs: null }],
    )
    comparison.turn(20 * SECOND)
    assert.equal(suspicions.length, 1)
  })

  test('that the stream reaches within the time of grace is no stall', () => {
    books.set(A, rebuilt(1_000, 'h'))
    comparison.compare([fetched(A, 3_000, 'new', '8')], 4 * SECOND)
    books.set(A, rebuilt(3_001, null))
    comparison.turn(10 * SECOND)
    assert.deepEqual(suspicions, [])
    assert.equal(comparison.counts.older, 1)
  })

  test('of a venue that stamps every answer anew is compared by its levels', () => {
    books.set(A, rebuilt(1_000, 'h'))
    comparison.compare([fetched(A, 3_000, 'stamped')], 4 * SECOND)
    assert.equal(equal.length, 1)
    comparison.turn(10 * SECOND)
    assert.deepEqual(suspicions, [])
  })

  test('that is older, or of a token without a book, says nothing', () => {
    books.set(A, rebuilt(2_000, 'h'))
    comparison.compare([fetched(A, 1_000, 'old', '8'), fetched(B, 1_000, 'x')], 4 * SECOND)
    comparison.turn(10 * SECOND)
    assert.deepEqual([equal, suspicions], [[], []])
    assert.deepEqual(comparison.counts, { equal: 0, older: 1, ahead: 0, skipped: 1 })
  })

  test('without proof is not taken for quiet, even with the same hash', () => {
    books.set(A, rebuilt(1_000, null, '9'))
    comparison.compare([fetched(A, 1_000, 'h')], 4 * SECOND)
    assert.deepEqual(equal, [])
  })
})
