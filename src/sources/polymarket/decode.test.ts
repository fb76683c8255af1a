import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../core/random.ts'
import { fuzzDecoder } from '../../recorder/decode-fuzz.ts'
import { decodeFrame } from './decode.ts'
import { NO_SAMPLES, sample } from './support.test.ts'

const MARKET = `0x${'ab'.repeat(32)}`
const YES = '1'.repeat(77)
const NO = '2'.repeat(76)
const TIME = '1790766966313'
const HASH = 'e3410359d71458619127b4dd21b72d79b6193e74'

function decode(frame: unknown) {
  return decodeFrame(Buffer.from(typeof frame === 'string' ? frame : JSON.stringify(frame)))
}

const BOOK = {
  market: MARKET,
  asset_id: YES,
  timestamp: TIME,
  hash: HASH,
  bids: [{ price: '0.01', size: '92790' }],
  asks: [{ price: '0.99', size: '5.5' }],
  tick_size: '0.01',
  event_type: 'book',
  last_trade_price: '',
}

const ITEM = {
  asset_id: YES,
  price: '0.46',
  size: '918.34',
  side: 'BUY',
  hash: HASH,
  best_bid: '0.5',
  best_ask: '0.51',
}

const PRICE_CHANGE = { market: MARKET, price_changes: [ITEM], timestamp: TIME, event_type: 'price_change' }

const TRADE = {
  market: MARKET,
  asset_id: YES,
  price: '0.51',
  size: '20',
  fee_rate_bps: '0',
  side: 'BUY',
  timestamp: TIME,
  event_type: 'last_trade_price',
  transaction_hash: '0xe3c2',
}

const NEW_MARKET = {
  id: '1',
  question: 'Will it rain?',
  market: MARKET,
  slug: 'rain',
  assets_ids: [YES, NO],
  outcomes: ['Yes', 'No'],
  timestamp: TIME,
  event_type: 'new_market',
  condition_id: MARKET,
  order_price_min_tick_size: '0.01',
}

const CHANGE = { token: YES, side: 'BUY', price: '0.46', size: '918.34', hash: HASH, bestBid: '0.5', bestAsk: '0.51' }

test('a dump: an array of books', () => {
  const { events, rejects, drift } = decode([BOOK, { ...BOOK, asset_id: NO, version: 'v2', bids: [], asks: [] }])
  assert.deepEqual(rejects, [])
  assert.deepEqual(drift, [])
  assert.deepEqual(events[0], {
    kind: 'book',
    token: YES,
    market: MARKET,
    venueMs: 1_790_766_966_313,
    hash: HASH,
    bids: BOOK.bids,
    asks: BOOK.asks,
    tickSize: '0.01',
    lastTradePrice: '',
    minOrderSize: null,
    negRisk: null,
    version: null,
    afterTrade: false,
  })
  assert.equal(events[1]?.kind === 'book' && events[1].version, 'v2')
})

test('a book after a trade says less, an early one says buys and sells', () => {
  const { tick_size: _, last_trade_price: __, bids: buys, asks: sells, ...rest } = BOOK
  const after = decode({ ...rest, bids: buys, asks: sells }).events[0]
  assert.equal(after?.kind === 'book' && after.lastTradePrice, null)
  assert.equal(after?.kind === 'book' && after.tickSize, null)
  assert.equal(after?.kind === 'book' && after.afterTrade, true)
  const early = decode({ ...rest, buys, sells })
  assert.deepEqual(early.rejects, [])
  assert.deepEqual(early.events[0]?.kind === 'book' && early.events[0].bids, buys)
})

test('price changes of all three generations are the same event', () => {
  const event = { kind: 'price_change', market: MARKET, venueMs: 1_790_766_966_313, changes: [CHANGE] }
  assert.deepEqual(decode(PRICE_CHANGE), { events: [event], rejects: [], drift: [] })
  const { best_bid: _, best_ask: __, ...early } = ITEM
  const plain = { ...event, changes: [{ ...CHANGE, bestBid: null, bestAsk: null }] }
  const { asset_id, hash, ...item } = early
  const frame = { market: MARKET, timestamp: TIME, event_type: 'price_change' }
  assert.deepEqual(decode({ ...frame, asset_id, hash, changes: [item] }), { events: [plain], rejects: [], drift: [] })
  assert.deepEqual(decode({ ...frame, ...early }), { events: [plain], rejects: [], drift: [] })
})

test('one bad part is refused with its reason, its siblings live', () => {
  const bad = decode({
    ...PRICE_CHANGE,
    price_changes: [ITEM, { ...ITEM, price: '1.5' }, 7, { ...ITEM, asset_id: NO }],
  })
  assert.equal(bad.events[0]?.kind === 'price_change' && bad.events[0].changes.length, 2)
  assert.deepEqual(bad.rejects, ['price_change: bad price', 'price_change: item is not an object'])
  const mixed = decode([BOOK, { ...BOOK, bids: [{ price: '0.1' }] }, null, TRADE])
  assert.deepEqual(
    mixed.events.map(({ kind }) => kind),
    ['book', 'trade'],
  )
  assert.deepEqual(mixed.rejects, ['book: bad levels', 'part is not an object'])
})

test('a trade, and the members that old captures leave out', () => {
  const { events } = decode(TRADE)
  const expected = {
    kind: 'trade',
    token: YES,
    market: MARKET,
    venueMs: 1_790_766_966_313,
    price: '0.51',
    size: '20',
    side: 'BUY',
    feeRateBps: '0',
    transactionHash: '0xe3c2',
  }
  assert.deepEqual(events, [expected])
  const { transaction_hash: _, ...early } = TRADE
  assert.deepEqual(decode({ ...early, fee_rate_bps: '' }).events, [
    { ...expected, feeRateBps: '', transactionHash: '' },
  ])
})

test('numbers are taken where text is expected, by their text', () => {
  const { events, rejects } = decode({ ...TRADE, price: 0.5, size: 20.25, fee_rate_bps: 0, timestamp: Number(TIME) })
  assert.deepEqual(rejects, [])
  const [event] = events
  assert.ok(event?.kind === 'trade')
  assert.deepEqual([event.price, event.size, event.feeRateBps, event.venueMs], ['0.5', '20.25', '0', Number(TIME)])
})

const DEEP = `${'['.repeat(200_000)}${']'.repeat(200_000)}`

const REFUSED: readonly (readonly [string, unknown])[] = [
  ['a token id that was a number', { ...TRADE, asset_id: 123 }],
  ['a token id of 79 digits', { ...TRADE, asset_id: '1'.repeat(79) }],
  ['a price above one', { ...TRADE, price: '1.01' }],
  ['a negative price', { ...TRADE, price: '-0.1' }],
  ['a price with an exponent', { ...TRADE, price: '1e-3' }],
  ['a price of 41 characters', { ...TRADE, price: `0.${'1'.repeat(39)}` }],
  ['a price that ends in a point', { ...TRADE, price: '0.' }],
  ['two points', { ...TRADE, price: '0.1.2' }],
  ['no size', { ...TRADE, size: '' }],
  ['an infinite size', '{"event_type":"last_trade_price","size":1e999}'],
  ['seconds instead of ms', { ...TRADE, timestamp: '1790766966' }],
  ['µs instead of ms', { ...TRADE, timestamp: '1790766966313000' }],
  ['a time with a fraction', { ...TRADE, timestamp: 1_790_766_966_313.5 }],
  ['a time in an array', { ...TRADE, timestamp: [1_790_766_966_313] }],
  ['another side', { ...TRADE, side: 'HOLD' }],
  ['no market', { ...TRADE, market: '' }],
  ['a market with a line break', { ...TRADE, market: 'a\nb' }],
  ['a transaction that is a number', { ...TRADE, transaction_hash: 5 }],
  ['no event type', { ...TRADE, event_type: undefined }],
  ['an event type that is no text', { ...TRADE, event_type: 5 }],
  ['a number', 5],
  ['an array in an array', [[BOOK]]],
  ['not JSON', 'INVALID OPERATION'],
  ['nothing', ''],
  ['half a frame', '{"event_type":"book"'],
  ['too many parts', Array.from({ length: 10_001 }, () => TRADE)],
  ['too many levels', { ...BOOK, bids: Array.from({ length: 20_001 }, () => BOOK.bids[0]) }],
  ['too many changes', { ...PRICE_CHANGE, price_changes: Array.from({ length: 20_001 }, () => ITEM) }],
  ['a million brackets', '['.repeat(1_000_000)],
  ['deep nesting', DEEP],
  [
    'a new market that is too deep to write out',
    `{"event_type":"new_market","market":"${MARKET}","timestamp":"${TIME}","a":${DEEP}}`,
  ],
]

for (const [what, frame] of REFUSED) {
  test(`refused: ${what}`, () => {
    const { events, rejects } = decode(frame)
    assert.deepEqual(events, [])
    assert.equal(rejects.length, 1)
    assert.ok((rejects[0] as string).length < 300)
  })
}

test('heartbeats and the empty answer are nothing at all', () => {
  for (const quiet of ['PONG', 'PING', '[]']) assert.deepEqual(decode(quiet), { events: [], rejects: [], drift: [] })
})

test('a new market, with everything it said', () => {
  const { events, rejects, drift } = decode(NEW_MARKET)
  assert.deepEqual([rejects, drift], [[], []])
  assert.deepEqual(events, [
    {
      kind: 'new_market',
      market: MARKET,
      venueMs: 1_790_766_966_313,
      question: 'Will it rain?',
      slug: 'rain',
      tokens: [YES, NO],
      outcomes: ['Yes', 'No'],
      tickSize: '0.01',
      raw: JSON.stringify(NEW_MARKET),
    },
  ])
  const { assets_ids: _, ...rest } = NEW_MARKET
  const other = decode({ ...rest, clob_token_ids: [YES, 'x'] })
  assert.deepEqual(other.events[0]?.kind === 'new_market' && other.events[0].tokens, [YES])
  assert.deepEqual(other.rejects, ['new_market: 1 bad token ids'])
})

test('a resolved market, with or without a winner', () => {
  const frame = { event_type: 'market_resolved', market: MARKET, assets_ids: [YES, NO], timestamp: TIME }
  const won = decode({ ...frame, winning_asset_id: NO, winning_outcome: 'No' }).events[0]
  assert.ok(won?.kind === 'market_resolved')
  assert.deepEqual([won.winningToken, won.winningOutcome], [NO, 'No'])
  const open = decode({ ...frame, winning_asset_id: '' }).events[0]
  assert.ok(open?.kind === 'market_resolved')
  assert.deepEqual([open.winningToken, open.winningOutcome], [null, null])
})

test('tick sizes and best prices, empty ones too', () => {
  const tick = { event_type: 'tick_size_change', asset_id: YES, market: MARKET, timestamp: TIME }
  const [changed] = decode({ ...tick, old_tick_size: '0.01', new_tick_size: '0.001' }).events
  assert.ok(changed?.kind === 'tick_size_change')
  assert.deepEqual([changed.oldTickSize, changed.newTickSize], ['0.01', '0.001'])
  const best = { event_type: 'best_bid_ask', market: MARKET, asset_id: YES, spread: '', timestamp: TIME }
  const [prices] = decode({ ...best, best_bid: '0.63', best_ask: '' }).events
  assert.ok(prices?.kind === 'best_bid_ask')
  assert.deepEqual([prices.bestBid, prices.bestAsk], ['0.63', ''])
})

test('what is not known is named: types, and keys at every place', () => {
  assert.deepEqual(decode({ event_type: 'halo', x: 1 }), {
    events: [{ kind: 'unknown', eventType: 'halo' }],
    rejects: [],
    drift: ['halo'],
  })
  assert.deepEqual(decode({ ...TRADE, maker: 'm' }).drift, ['last_trade_price.maker'])
  assert.deepEqual(decode({ ...BOOK, bids: [{ price: '0.1', size: '1', orders: 3 }] }).drift, ['book.level.orders'])
  const item = { ...ITEM, sequence: 1 }
  const drift = ['price_change.item.sequence', 'price_change.epoch']
  assert.deepEqual(decode({ ...PRICE_CHANGE, epoch: 1, price_changes: [item] }).drift, drift)
  const { best_bid: _, ...swapped } = item
  assert.deepEqual(decode({ ...PRICE_CHANGE, price_changes: [swapped] }).drift, ['price_change.item.sequence'])
  const { drift: many } = decode(
    Object.fromEntries([
      ['event_type', 'book'],
      ['market', MARKET],
      ...Object.entries(BOOK),
      ...Array.from({ length: 200 }, (__, index) => [`k${index}`, 1]),
    ]),
  )
  assert.equal(many.length, 50)
})

const FRAMES = [[BOOK, { ...BOOK, asset_id: NO }], PRICE_CHANGE, TRADE, NEW_MARKET, BOOK].map((frame) =>
  Buffer.from(JSON.stringify(frame)),
)

test('no mutation of a frame gets through or throws', () => {
  const report = fuzzDecoder(decodeFrame, FRAMES, 4_000, seededRandom(20_260_930))
  assert.equal(report.frames, 4_000)
  assert.ok(report.refused > 1_000)
  assert.ok(report.understood > 400)
})

test('no mutation of a recorded frame gets through or throws', { skip: NO_SAMPLES }, () => {
  const lines = sample('market-channel/frames-2026-09-30.jsonl').trim().split('\n')
  const frames = lines.map((line) => Buffer.from((JSON.parse(line) as { payloadUtf8: string }).payloadUtf8))
  const report = fuzzDecoder(decodeFrame, frames, 2_000, seededRandom(1))
  assert.ok(report.refused > 500)
})

test('any JSON at all, and any bytes, are answered', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), fc.constantFrom('book', 'price_change', 'new_market'), (value, type) => {
      decode([value, { event_type: type, market: value, price_changes: value, bids: value, timestamp: value }])
      decode(Object.fromEntries(Object.keys(ITEM).map((key) => [key, value])))
    }),
    { numRuns: 300 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      decodeFrame(Buffer.from(bytes))
    }),
    { numRuns: 300 },
  )
})
