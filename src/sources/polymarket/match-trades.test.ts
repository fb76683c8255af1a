import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { StoredTrade } from '../../core/trade-backfill.ts'
import type { DataTrade } from './data-trade-parser.ts'
import { type MissingTrade, matchTrades } from './match-trades.ts'
import { conditionId, tokenId } from './support.test.ts'

const SECOND = 1_780_000_000

interface Fill {
  readonly token: number
  readonly transaction: string
  readonly price: number
  readonly size: number
  readonly side: 'BUY' | 'SELL'
  readonly second: number
}

const FILL: Fill = { token: 0, transaction: '0xa', price: 0.5, size: 10, side: 'BUY', second: 0 }

function row(change: Partial<Fill> = {}): DataTrade {
  const { token, transaction, price, size, side, second } = { ...FILL, ...change }
  return {
    tokenId: tokenId(1, token),
    conditionId: conditionId(1),
    side,
    price: String(price),
    size: String(size),
    timestampSeconds: SECOND + second,
    transactionHash: transaction,
    wallet: null,
    outcome: null,
  }
}

function stored(change: Partial<Fill> = {}, origin: StoredTrade['origin'] = 'stream'): StoredTrade {
  const { token, transaction, price, size, side, second } = { ...FILL, ...change }
  const venueMs = (SECOND + second) * 1000 + (origin === 'stream' ? 357 : 0)
  return { tokenId: tokenId(1, token), venueMs, price, size, side, transactionHash: transaction, origin }
}

/** What the ledger holds once the missing ones were written. */
function write(missing: readonly MissingTrade[]): StoredTrade[] {
  return missing.map(({ trade }) => ({
    tokenId: trade.tokenId,
    venueMs: trade.timestampSeconds * 1000,
    price: Number(trade.price),
    size: Number(trade.size),
    side: trade.side,
    transactionHash: trade.transactionHash,
    origin: 'backfill',
  }))
}

function multiset(fills: readonly (DataTrade | StoredTrade)[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { tokenId: token, transactionHash, price, size, side } of fills) {
    const key = [token, transactionHash, Number(price), Number(size), side].join()
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

const identities = (missing: readonly MissingTrade[]) =>
  missing.map(({ trade, ordinal }) => [...multiset([trade]).keys()].join() + trade.timestampSeconds + ordinal)

const fill = fc.record({
  token: fc.constantFrom(0, 1),
  transaction: fc.constantFrom('0xa', '0xb', '0xc'),
  price: fc.constantFrom(0.5, 0.51, 0.001),
  size: fc.constantFrom(10, 20.5),
  side: fc.constantFrom('BUY' as const, 'SELL' as const),
  second: fc.constantFrom(0, 1),
})
/** A fill of the venue, and how the ledger has it. */
const history = fc.array(fc.record({ fill, has: fc.constantFrom('stream', 'backfill', null) }), { maxLength: 60 })

describe('matching', () => {
  test('what is missing is exactly the difference, and nothing once it is written', () => {
    fc.assert(
      fc.property(history, (fills) => {
        const rows = fills.map(({ fill: one }) => row(one))
        const known = fills.flatMap(({ fill: one, has }) => (has === null ? [] : [stored(one, has)]))
        const { missing, toldDifferently, partly } = matchTrades(rows, known)
        assert.deepEqual([toldDifferently, partly], [0, []])
        const after = [...known, ...write(missing)]
        assert.deepEqual(new Map([...multiset(after)].sort()), new Map([...multiset(rows)].sort()))
        assert.deepEqual(matchTrades(rows, after).missing, [])
        assert.equal(new Set(identities(missing)).size, missing.length, 'every one has an identity of its own')
      }),
      { numRuns: 500 },
    )
  })

  test('the order of rows and of what is stored does not matter', () => {
    fc.assert(
      fc.property(history, fc.infiniteStream(fc.nat()), (fills, dice) => {
        const shuffled = <T>(items: readonly T[]) =>
          items.map((item) => [dice.next().value as number, item] as const).sort(([a], [b]) => a - b)
        const rows = fills.map(({ fill: one }) => row(one))
        const known = fills.flatMap(({ fill: one, has }) => (has === null ? [] : [stored(one, has)]))
        const [first, second] = [rows, shuffled(rows).map(([, item]) => item)].map((some) =>
          matchTrades(
            some,
            shuffled(known).map(([, item]) => item),
          ).missing.map(({ trade }) => trade),
        )
        assert.deepEqual(new Map([...multiset(first ?? [])].sort()), new Map([...multiset(second ?? [])].sort()))
      }),
      { numRuns: 200 },
    )
  })

  test('any rows and anything stored: never more than the API has, and the same once more writes nothing', () => {
    // A transaction is in one block; without one, any time is possible.
    const hashless = fc.record({ ...fillModel(), transaction: fc.constant('') })
    const named = fc.record(fillModel()).chain((one) => {
      const [early, late] = [
        { ...one, transaction: '0xa', second: 0 },
        { ...one, transaction: '0xb', second: 100 },
      ]
      return fc.constantFrom(early, late)
    })
    const anything = fc.array(fc.oneof(hashless, named))
    fc.assert(
      fc.property(anything, anything, (told, known) => {
        const rows = told.map(row)
        const before = known.map((one) => stored(one))
        const { missing } = matchTrades(rows, before)
        const after = [...before, ...write(missing)]
        const [wanted, had, has] = [multiset(rows), multiset(before), multiset(after)]
        for (const [key, count] of has) {
          // Without a transaction, two that are minutes apart are two.
          if (key.includes('0x')) assert.ok(count <= Math.max(wanted.get(key) ?? 0, had.get(key) ?? 0), key)
        }
        assert.deepEqual(matchTrades(rows, after).missing, [])
      }),
      { numRuns: 500 },
    )
  })

  test('of two identical fills one was streamed: one is missing', () => {
    const { missing } = matchTrades([row(), row()], [stored()])
    assert.deepEqual(
      missing.map(({ ordinal }) => ordinal),
      [0],
    )
    const again = matchTrades([row(), row(), row()], [stored(), stored({}, 'backfill')])
    assert.deepEqual(
      again.missing.map(({ ordinal }) => ordinal),
      [1],
      'the one that was fetched before keeps its number',
    )
  })

  test('numbers are compared as numbers, times are not', () => {
    const told = { ...row({ second: 40 }), price: '0.50', size: '10.000' }
    assert.deepEqual(matchTrades([told], [stored()]).missing, [])
  })

  test('a trade that was streamed without its transaction is the same trade', () => {
    assert.deepEqual(matchTrades([row()], [stored({ transaction: '' })]).missing, [])
    assert.equal(matchTrades([row({ second: 90 })], [stored({ transaction: '' })]).missing.length, 1)
    assert.equal(matchTrades([row(), row()], [stored({ transaction: '' })]).missing.length, 1)
  })

  test('of identical rows without a transaction, it does not matter which one was written before', () => {
    const twin = row({ transaction: '', second: 1, price: 0.51 })
    const rows = [twin, row({ price: 0.51 }), { ...twin }]
    const before = [stored({ price: 0.5 }), stored({ transaction: '', price: 0.51 })]
    const { missing } = matchTrades(rows, before)
    assert.equal(missing.length, 1)
    assert.deepEqual(matchTrades(rows, [...before, ...write(missing)]).missing, [])
  })

  test('one row for a transaction of which every match was streamed is no trade of its own', () => {
    const streamed = [stored({ price: 0.88, size: 10 }), stored({ price: 0.9, size: 9 })]
    const told = row({ price: 0.8894736842105263, size: 19 })
    assert.deepEqual(matchTrades([told], streamed), { missing: [], toldDifferently: 1, partly: [] })
    const { missing, partly } = matchTrades([told], streamed.slice(1))
    assert.deepEqual([missing.length, partly.length], [0, 1], 'a part is missing that cannot be told apart')
    assert.equal(matchTrades([told], []).missing.length, 1, 'nothing of it is stored: it is written as it is told')
    const other = matchTrades([row({ price: 0.88, size: 10, transaction: '0xb' })], streamed)
    assert.equal(other.missing.length, 1, 'another transaction')
  })
})

function fillModel() {
  return {
    token: fc.constantFrom(0, 1),
    price: fc.constantFrom(0.5, 0.51),
    size: fc.constantFrom(10, 20.5),
    side: fc.constantFrom('BUY' as const, 'SELL' as const),
    second: fc.constantFrom(0, 1, 100),
  }
}
