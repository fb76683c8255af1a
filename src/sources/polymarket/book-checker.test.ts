import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import type { BookClaim, BookLevels, ClaimOrigin } from '../../core/books.ts'
import type { BookSnapshot, Trade } from '../../core/events.ts'
import { type ConditionId, parseTokenId } from '../../core/ids.ts'
import type { TokenFacts } from '../../core/market.ts'
import { PolymarketBookChecker } from './book-checker.ts'
import { tradeValues } from './book-facts.ts'

const MARKET = `0x${'ab'.repeat(32)}`
const YES = parseTokenId('11')
const NO = parseTokenId('22')
const VENUE_MS = 1_790_766_966_313
const ALWAYS = () => true

const FACTS: TokenFacts = {
  tokenId: YES,
  conditionId: MARKET as ConditionId,
  tickSize: '0.01',
  minOrderSize: '5',
  negRisk: false,
  version: 'v1',
}

const LEVELS: BookLevels = {
  bids: { prices: [{ text: '0.4', value: 0.4 }], sizes: ['10'] },
  asks: { prices: [{ text: '0.6', value: 0.6 }], sizes: ['12.5'] },
}

interface HashParts {
  readonly minOrderSize?: string
  readonly negRisk?: boolean
  readonly token?: string
  readonly value?: string
  readonly tick?: string
  readonly version?: string
  readonly venueMs?: number
  readonly fields?: number
}

/** The venue's hash of the one book of these tests, written out here so that it shares nothing with the code. */
function hashOf(given: HashParts = {}) {
  const { token = YES, value = '', tick = '0.01', version, venueMs = VENUE_MS, fields = 10 } = given
  const { minOrderSize = '5', negRisk = false } = given
  const parts = [
    `"market":"${MARKET}"`,
    `"asset_id":"${token}"`,
    `"timestamp":"${venueMs}"`,
    '"hash":""',
    '"bids":[{"price":"0.4","size":"10"}]',
    '"asks":[{"price":"0.6","size":"12.5"}]',
    `"min_order_size":"${minOrderSize}"`,
    `"tick_size":"${tick}"`,
    `"neg_risk":${negRisk}`,
    `"last_trade_price":"${value}"`,
  ].slice(0, fields)
  if (version !== undefined) parts.push(`"version":"${version}"`)
  return createHash('sha1').update(`{${parts.join()}}`).digest('hex')
}

function claim(hash: string, origin: ClaimOrigin = 'changes', change: Partial<BookClaim> = {}): BookClaim {
  return { token: YES, market: MARKET, venueMs: VENUE_MS, hash, origin, atUs: 0, generation: 1, ...change }
}

function trade(price: string): Trade {
  return {
    kind: 'trade',
    token: YES,
    market: MARKET,
    venueMs: VENUE_MS,
    price,
    size: '1',
    side: 'BUY',
    feeRateBps: '',
    transactionHash: '',
  }
}

function book(change: Partial<BookSnapshot> = {}): BookSnapshot {
  return {
    kind: 'book',
    token: YES,
    market: MARKET,
    venueMs: VENUE_MS,
    hash: null,
    bids: [],
    asks: [],
    tickSize: null,
    lastTradePrice: null,
    afterTrade: false,
    minOrderSize: null,
    negRisk: null,
    version: null,
    ...change,
  }
}

function checker(facts: TokenFacts | undefined = FACTS): PolymarketBookChecker {
  return new PolymarketBookChecker({ facts: () => facts })
}

/** A checker that knows the market: its dump has matched. */
function proven(value = ''): PolymarketBookChecker {
  const checks = checker()
  checks.noteBook(book({ lastTradePrice: value, tickSize: '0.01' }))
  assert.equal(checks.check(claim(hashOf({ value }), 'snapshot'), LEVELS), 'match')
  return checks
}

test('a book before the first trade, and after one that a dump tells of', () => {
  assert.equal(checker().check(claim(hashOf(), 'snapshot'), LEVELS), 'match')
  proven('0.490')
})

test('a dump may tell the price in the other token’s terms, or in fewer decimals', () => {
  const checks = checker()
  checks.noteBook(book({ lastTradePrice: '0.3' }))
  assert.equal(checks.check(claim(hashOf({ value: '0.700' }), 'snapshot'), LEVELS), 'match')
})

for (const value of ['0.510', '0.490']) {
  test(`a book after a trade waits for the trade: ${value}`, () => {
    const checks = proven()
    const after = claim(hashOf({ value }), 'snapshot')
    const sibling = claim(hashOf({ value, token: NO }), 'snapshot', { token: NO })
    assert.equal(checks.check(after, LEVELS), 'pending')
    assert.equal(checks.check(sibling, LEVELS), 'pending')
    assert.deepEqual(checks.settle(80_000, ALWAYS), [])
    checks.noteTrade(trade('0.51'))
    assert.deepEqual(checks.settle(80_001, ALWAYS), [
      { claim: after, outcome: 'match', tradeMissing: false },
      { claim: sibling, outcome: 'match', tradeMissing: false },
    ])
    assert.equal(checks.pending, 0)
    assert.equal(checks.check(claim(hashOf({ value })), LEVELS), 'match', 'the value is tracked from here on')
  })
}

test('a trade that came first is found at once', () => {
  const checks = proven('0.200')
  checks.noteTrade(trade('0.51'))
  assert.equal(checks.check(claim(hashOf({ value: '0.490' }), 'snapshot'), LEVELS), 'match')
})

test('a rebuilt book that fits nothing is a mismatch after two seconds of tape time, not before', () => {
  const checks = proven()
  const wrong = claim('f'.repeat(40), 'changes', { atUs: 5_000_000 })
  assert.equal(checks.check(wrong, LEVELS), 'pending')
  assert.deepEqual(checks.settle(6_999_999, ALWAYS), [])
  assert.deepEqual(checks.settle(7_000_000, ALWAYS), [{ claim: wrong, outcome: 'mismatch', tradeMissing: false }])
})

test('the hidden value is searched for once per market, then it is lost until something tells it', () => {
  const checks = proven()
  const first = claim(hashOf({ value: '0.123' }), 'snapshot')
  assert.equal(checks.check(first, LEVELS), 'pending')
  assert.deepEqual(checks.settle(2_000_000, ALWAYS), [{ claim: first, outcome: 'match', tradeMissing: true }])
  const second = claim(hashOf({ value: '0.456' }), 'snapshot')
  assert.equal(checks.check(second, LEVELS), 'pending')
  assert.deepEqual(checks.settle(2_000_000, ALWAYS), [{ claim: second, outcome: 'unverifiable', tradeMissing: true }])
  const changed = claim(hashOf({ value: '0.456', venueMs: VENUE_MS + 1 }), 'changes', { venueMs: VENUE_MS + 1 })
  assert.equal(checks.check(changed, LEVELS), 'pending')
  assert.deepEqual(checks.settle(2_000_000, ALWAYS), [{ claim: changed, outcome: 'unverifiable', tradeMissing: false }])
  checks.noteTrade(trade('0.456'))
  assert.equal(checks.check(second, LEVELS), 'match')
  assert.deepEqual(checks.unverifiableForms, [])
})

test('a market first met in the middle of its life is searched without waiting', () => {
  const checks = checker()
  const dump = claim(hashOf({ value: '0.777' }), 'snapshot')
  assert.equal(checks.check(dump, LEVELS), 'pending')
  assert.deepEqual(
    checks.settle(0, () => false),
    [],
    'not when there is no time for it',
  )
  assert.deepEqual(checks.settle(0, ALWAYS), [{ claim: dump, outcome: 'match', tradeMissing: false }])
})

test('unknown facts make a claim unverifiable, and raise no alert', () => {
  const unusual = hashOf({ minOrderSize: '15' })
  const checks = new PolymarketBookChecker({ facts: () => undefined })
  assert.equal(checks.check(claim(unusual), LEVELS), 'unverifiable')
  assert.equal(checks.check(claim(unusual, 'snapshot'), LEVELS), 'unverifiable')
  assert.equal(checker({ ...FACTS, minOrderSize: null }).check(claim(unusual), LEVELS), 'unverifiable')
  assert.equal(checker({ ...FACTS, tickSize: null }).check(claim(hashOf()), LEVELS), 'unverifiable')
  assert.deepEqual(checks.unverifiableForms, [])
})

test('a market whose metadata is not here yet verifies by what markets usually have', () => {
  for (const negRisk of [false, true]) {
    const checks = checker({ ...FACTS, minOrderSize: null, negRisk: null })
    assert.equal(checks.check(claim(hashOf({ negRisk })), LEVELS), 'match')
    assert.equal(checks.check(claim(hashOf({ negRisk: !negRisk })), LEVELS), 'pending', 'a proven guess stays')
  }
})

test('a form in which not even a dump fits is named, is never a mismatch, and is mended by a dump that fits', () => {
  const checks = checker()
  const dump = claim('0'.repeat(40), 'snapshot')
  assert.equal(checks.check(dump, LEVELS), 'pending')
  assert.deepEqual(checks.settle(2_000_000, ALWAYS), [{ claim: dump, outcome: 'unverifiable', tradeMissing: false }])
  assert.deepEqual(checks.unverifiableForms, ['10 fields'])
  assert.equal(checks.check(claim(hashOf()), LEVELS), 'unverifiable')
  assert.equal(checks.check(claim('1'.repeat(40), 'snapshot'), LEVELS), 'unverifiable')
  assert.equal(checks.check(claim(hashOf(), 'snapshot'), LEVELS), 'match')
  assert.deepEqual(checks.unverifiableForms, [])
  assert.equal(checks.check(claim(hashOf()), LEVELS), 'match')
})

test('a dump that does not fit says nothing against a form that has verified elsewhere', () => {
  const checks = proven()
  const other = `0x${'cd'.repeat(32)}`
  checks.check(claim('0'.repeat(40), 'snapshot', { market: other }), LEVELS)
  assert.equal(checks.settle(2_000_000, ALWAYS)[0]?.outcome, 'unverifiable')
  assert.deepEqual(checks.unverifiableForms, [])
})

test('a book under a new tick size waits for the change to be told', () => {
  const checks = proven()
  const early = claim(hashOf({ tick: '0.001' }))
  assert.equal(checks.check(early, LEVELS), 'pending')
  checks.noteTickSize({
    kind: 'tick_size_change',
    token: YES,
    market: MARKET,
    venueMs: VENUE_MS,
    oldTickSize: '0.01',
    newTickSize: '0.001',
  })
  assert.deepEqual(checks.settle(1, ALWAYS), [{ claim: early, outcome: 'match', tradeMissing: false }])
  assert.equal(checks.check(early, LEVELS), 'match')
  assert.equal(checks.check(claim(hashOf({ tick: '0.01' })), LEVELS), 'match', 'what was under way has the old one')
})

test('V2 markets have an eleventh field, as the dump or the directory says', () => {
  const hash = hashOf({ version: 'v2' })
  const byDump = checker({ ...FACTS, version: null })
  byDump.noteBook(book({ version: 'v2' }))
  assert.equal(byDump.check(claim(hash, 'snapshot'), LEVELS), 'match')
  assert.equal(checker({ ...FACTS, version: 'v2' }).check(claim(hash), LEVELS), 'match')
  assert.notEqual(checker().check(claim(hash), LEVELS), 'match')
})

for (const fields of [6, 9]) {
  test(`captures from before 2026 verify in their form of ${fields} fields`, () => {
    const checks = fields === 6 ? new PolymarketBookChecker({ facts: () => undefined }) : checker()
    assert.equal(checks.check(claim(hashOf({ fields }), 'snapshot'), LEVELS), 'match')
    const later = { venueMs: VENUE_MS + 1 }
    assert.equal(checks.check(claim(hashOf({ fields, ...later }), 'changes', later), LEVELS), 'match')
  })
}

test('a claim whose batch goes on is taken back', () => {
  const checks = proven()
  const wrong = claim('f'.repeat(40))
  checks.check(wrong, LEVELS)
  assert.equal(checks.withdraw({ ...wrong, hash: 'e'.repeat(40) }), false)
  assert.equal(checks.withdraw(wrong), true)
  assert.equal(checks.withdraw(wrong), false)
  assert.deepEqual(checks.settle(9_000_000, ALWAYS), [])
})

test('the last book of a market that is over still meets its trade', () => {
  const checks = proven()
  const last = claim(hashOf({ value: '0.510' }), 'snapshot')
  assert.equal(checks.check(last, LEVELS), 'pending')
  checks.release(MARKET)
  checks.noteTrade(trade('0.51'))
  assert.deepEqual(checks.settle(0, ALWAYS), [{ claim: last, outcome: 'match', tradeMissing: false }])
  // Nothing is known of it any more: its next claim is one of a new market.
  assert.equal(checks.check(claim(hashOf({ value: '' })), LEVELS), 'match')
})

test('what waits is bounded per market; a market that is over, and the end, leave nothing waiting', () => {
  const checks = proven()
  const outcomes = Array.from({ length: 70 }, (_, index) =>
    checks.check(claim('f'.repeat(40), 'changes', { venueMs: VENUE_MS + index }), LEVELS),
  )
  assert.equal(outcomes.filter((outcome) => outcome === 'pending').length, 64)
  assert.equal(outcomes.filter((outcome) => outcome === 'skipped').length, 6)
  checks.check(claim('f'.repeat(40), 'snapshot'), LEVELS)
  assert.equal(checks.undecided(MARKET).length, 64, 'those on books rebuilt from changes')
  assert.deepEqual(checks.undecided('another'), [])
  checks.release(MARKET)
  assert.equal(checks.settle(9_000_000, ALWAYS).length, 64)
  assert.equal(checks.pending, 0)
  const again = proven()
  again.check(claim('f'.repeat(40)), LEVELS)
  assert.deepEqual(
    again.abandon().map(({ outcome }) => outcome),
    ['skipped'],
  )
  assert.equal(again.pending, 0)
})

test('a trade’s values hold its price and the other token’s, to three decimals, rounded either way', () => {
  assert.deepEqual(tradeValues('0.51'), ['0.510', '0.490'])
  assert.deepEqual(tradeValues('0.5'), ['0.500'])
  assert.deepEqual(tradeValues('0.0125'), ['0.012', '0.013', '0.988', '0.987'])
  const thousandths = fc.integer({ min: 1, max: 999 })
  fc.assert(
    fc.property(thousandths, (count) => {
      const values = tradeValues(String(count / 1000))
      assert.deepEqual(new Set(values), new Set([(count / 1000).toFixed(3), ((1000 - count) / 1000).toFixed(3)]))
    }),
    { numRuns: 200 },
  )
})
