import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseBookRow } from './book-parser.ts'
import { parseClobMarket } from './clob-market-parser.ts'
import { parseDataTrade } from './data-trade-parser.ts'
import { parseGammaMarket } from './market-parser.ts'
import { conditionId, gammaMarket, tokenId } from './support.test.ts'

/** JSON whose conversion to text or to a number throws. */
const STUBBORN: readonly unknown[] = [
  { toString: 0 },
  { valueOf: 0, toString: null },
  [[{ toString: {} }]],
  { toJSON: 1, length: -1 },
]
const anyJson = fc.oneof(fc.jsonValue(), fc.constantFrom(...STUBBORN))

const level = { price: '0.5', size: '10' }
const BOOK = {
  ...{ market: conditionId(1), asset_id: tokenId(1, 0), timestamp: '1778997825875', hash: 'ab'.repeat(20) },
  ...{ bids: [level], asks: [], min_order_size: '5', tick_size: '0.01', neg_risk: false, last_trade_price: '0.5' },
}
const TRADE = {
  ...{ token_id: tokenId(1, 0), condition_id: conditionId(1), side: 'BUY', price: '0.5', size: 3 },
  ...{ timestamp: 1778997825, transaction_hash: '0x1', proxy_wallet: '0x2', outcome: 'Yes' },
}
const TOKEN = { token_id: tokenId(1, 0), outcome: 'Yes', winner: true }
const CLOB_MARKET = { condition_id: conditionId(1), tokens: [TOKEN], closed: true, is_50_50_outcome: false }

const PARSERS: readonly [string, Record<string, unknown>, (row: unknown) => { readonly ok: boolean } | null][] = [
  ['a market', gammaMarket(1, { version: 'v2', positionIds: [], closedTime: '', events: [] }), parseGammaMarket],
  ['an order book', BOOK, (row) => parseBookRow(row, 20)],
  ['a level', level, (row) => parseBookRow({ ...BOOK, bids: [row] }, 20)],
  ['a trade of the history', TRADE, parseDataTrade],
  ['a market of the CLOB', CLOB_MARKET, (row) => ({ ok: parseClobMarket(row) !== null })],
  ['a token of the CLOB', TOKEN, (row) => ({ ok: parseClobMarket({ ...CLOB_MARKET, tokens: [row] }) !== null })],
]

for (const [name, row, parse] of PARSERS) {
  test(`${name} with any JSON under any of its keys is read or refused, without an exception`, () => {
    assert.equal(parse(row)?.ok, true)
    for (const key of Object.keys(row)) for (const value of STUBBORN) parse({ ...row, [key]: value })
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(row)), anyJson, (key, value) => {
        assert.equal(typeof parse({ ...row, [key]: value })?.ok, 'boolean')
      }),
      { numRuns: 300, verbose: 1 },
    )
    fc.assert(fc.property(anyJson, (value) => assert.equal(typeof parse(value)?.ok, 'boolean')))
  })
}
