import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { StoredRow } from '../ledger/inspection.ts'
import { Buckets, groupBuckets } from './verify-buckets.ts'
import { differences, isoUs, normalize, type TapeRow } from './verify-rows.ts'

const HOUR_US = 3_600_000_000

const row = fc.record({
  hour: fc.integer({ min: 0, max: 3 }),
  hash: fc.integer({ min: 0, max: 40 }),
  price: fc.integer({ min: 0, max: 5 }),
})

function stored({ hour, hash, price }: { hour: number; hash: number; price: number }): StoredRow {
  const contentHash = `${hash.toString(16).padStart(2, '0')}`.padEnd(32, String(hour))
  const content = [price / 10, 5, 'B', null, '0x1']
  return { subject: '7', venueUs: hour * HOUR_US + 1, contentHash, ordinal: 0, atUs: 10, content }
}

function onTape(given: StoredRow): TapeRow {
  return { ...given, subject: '7', table: 'trades', payload: Buffer.alloc(0), refusable: false }
}

/** One row an identity: the first. */
function distinct(rows: readonly StoredRow[]): StoredRow[] {
  return [...new Map(rows.toReversed().map((one) => [one.contentHash, one])).values()]
}

test('two sides differ exactly where their rows do, in whatever order they come', () => {
  fc.assert(
    fc.property(fc.array(row, { maxLength: 60 }), fc.array(row, { maxLength: 60 }), (left, right) => {
      const [tape, ledger] = [distinct(left.map(stored)), distinct(right.map(stored))]
      const buckets = new Buckets()
      for (const one of tape) buckets.addTape(onTape(one), 's')
      for (const one of ledger.toReversed()) buckets.addLedger('trades', one)
      const textOf = (one: StoredRow) => `${one.contentHash} ${one.content[0]}`
      const [a, b] = [new Set(tape.map(textOf)), new Set(ledger.map(textOf))]
      const wrong = [...tape, ...ledger].filter((one) => a.has(textOf(one)) !== b.has(textOf(one)))
      const places = new Set(wrong.map((one) => `${Math.floor(one.venueUs / HOUR_US)} ${one.contentHash.slice(0, 1)}`))
      const found = buckets.differing().map(({ hourMs, slice }) => `${hourMs / 3_600_000} ${slice}`)
      assert.deepEqual(found.toSorted(), [...places].toSorted())
    }),
    { numRuns: 300 },
  )
})

test('repeats of the tape count once; a repeat in the ledger is a difference', () => {
  const one = stored({ hour: 1, hash: 3, price: 2 })
  const buckets = new Buckets()
  assert.equal(buckets.addTape(onTape(one), 'a'), true)
  assert.equal(buckets.addTape(onTape(one), 'b'), false)
  buckets.addLedger('trades', one)
  assert.deepEqual(buckets.differing(), [])
  buckets.addLedger('trades', one)
  const [bucket] = buckets.differing()
  assert.deepEqual([bucket?.tapeRows, bucket?.ledgerRows, bucket?.firstSegment], [1, 2, 'a'])
})

test('groups stay within their size, and nothing is left out', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 90 }), { maxLength: 40 }), (sizes) => {
      const buckets = sizes.map((size, index) => ({
        ...{ table: 'trades' as const, hourMs: index, slice: '0', ledgerRows: 0, low: 1, high: 1 },
        ...{ tapeRows: size, firstSegment: null, lastSegment: null },
      }))
      const groups = groupBuckets(buckets, 50)
      assert.deepEqual(groups.flat(), buckets)
      for (const group of groups) {
        const rows = group.reduce((sum, { tapeRows }) => sum + tapeRows, 0)
        assert.ok(rows <= 50 || group.length === 1)
      }
    }),
  )
})

test('JSON is compared by what it says, numbers by value, times to the microsecond', () => {
  const event = (raw: unknown): StoredRow => ({
    ...stored({ hour: 0, hash: 0, price: 0 }),
    content: ['new_market', null, raw],
  })
  const [a, b] = [event({ b: [1, { y: 1, x: 2 }], a: 'x' }), event({ a: 'x', b: [1, { x: 2, y: 1 }] })]
  const same = differences('market_events', normalize('market_events', a), normalize('market_events', b), true)
  assert.deepEqual(same, [])
  const other = normalize('market_events', event({ a: 'x', b: [1, { x: 2, y: 3 }] }))
  const wrong = differences('market_events', normalize('market_events', a), other, true)
  assert.deepEqual(
    wrong.map(({ column }) => column),
    ['raw'],
  )
  const later = { ...a, atUs: 11 }
  assert.deepEqual(differences('market_events', a, later, false), [])
  assert.deepEqual(
    differences('market_events', a, later, true).map(({ column, tape, ledger }) => [column, tape, ledger]),
    [['received_at', '1970-01-01T00:00:00.000010Z', '1970-01-01T00:00:00.000011Z']],
  )
  assert.equal(isoUs(1_700_000_000_000_000), '2023-11-14T22:13:20.000Z')
})
