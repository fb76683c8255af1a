import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseGammaMarket } from './market-parser.ts'
import { gammaMarket, market, NO_SAMPLES, sample, tokenId } from './support.test.ts'

function reason(value: unknown): string {
  const parsed = parseGammaMarket(value)
  return parsed.ok ? 'readable' : parsed.reason
}

describe('a Gamma market', () => {
  test('becomes a market with plain text figures', () => {
    const read = market(1, { orderPriceMinTickSize: 0.001, orderMinSize: 5, volume24hr: 12.5, liquidity: '3.10' })
    assert.equal(read.tickSize, '0.001')
    assert.equal(read.minOrderSize, '5')
    assert.equal(read.volume24h, '12.5')
    assert.equal(read.volume, '1234.5')
    assert.equal(read.liquidity, '3.10')
    assert.deepEqual(read.tokens, [
      { tokenId: tokenId(1, 0), outcome: 'Yes', outcomeIndex: 0, price: '0.25' },
      { tokenId: tokenId(1, 1), outcome: 'No', outcomeIndex: 1, price: '0.75' },
    ])
    assert.equal(read.endAt, '2027-01-01T00:00:00Z')
    assert.equal(read.acceptingOrders, true)
  })

  test('takes figures as numbers or as text', () => {
    const read = market(1, { orderPriceMinTickSize: '0.0010', orderMinSize: '5.0', volume: 7, volume24hr: '8.25' })
    assert.deepEqual([read.tickSize, read.minOrderSize, read.volume, read.volume24h], ['0.001', '5', '7', '8.25'])
  })

  test('may lack almost everything', () => {
    const parsed = parseGammaMarket({ conditionId: `0x${'a'.repeat(62)}` })
    assert.ok(parsed.ok)
    assert.deepEqual(parsed.market.tokens, [])
    assert.equal(parsed.market.closed, false)
    assert.equal(parsed.market.acceptingOrders, false)
    assert.equal(parsed.market.volume24h, null)
    assert.equal(parsed.market.question, '')
  })

  test('names its tokens by its version', () => {
    const positions = [tokenId(9, 0), tokenId(9, 1)]
    const ids = (changes: Record<string, unknown>) => market(1, changes).tokens.map((token) => token.tokenId)
    const clob = [tokenId(1, 0), tokenId(1, 1)]
    assert.deepEqual(ids({ version: 'v2', positionIds: positions }), positions)
    assert.deepEqual(ids({ version: 'v1', positionIds: positions }), clob)
    assert.deepEqual(ids({ version: null, positionIds: positions }), clob)
    assert.deepEqual(ids({ positionIds: positions, clobTokenIds: undefined }), positions)
    assert.deepEqual(ids({ version: 'v2', positionIds: JSON.stringify(positions) }), positions)
  })

  test('takes its status from the key of its version', () => {
    const status = (changes: Record<string, unknown>) => market(1, changes).resolutionStatus
    assert.equal(status({ umaResolutionStatus: 'proposed' }), 'proposed')
    assert.equal(status({ version: 'v2', resolutionStatus: 'resolved', umaResolutionStatus: 'proposed' }), 'resolved')
    assert.equal(status({ version: 'v1', resolutionStatus: 'resolved', umaResolutionStatus: 'proposed' }), 'proposed')
    assert.equal(status({}), null)
  })

  test('keeps what has no column, and what could not be read', () => {
    const parsed = parseGammaMarket(gammaMarket(1, { spread: 0.01, zodiac: 'lion', endDate: 'soon', negRisk: 'maybe' }))
    assert.ok(parsed.ok)
    assert.deepEqual(parsed.market.raw, { spread: 0.01, zodiac: 'lion', endDate: 'soon', negRisk: 'maybe' })
    assert.deepEqual(parsed.unknownKeys, ['zodiac'])
    assert.equal(parsed.market.endAt, null)
  })

  test('keeps its tokens when the prices do not belong to them', () => {
    assert.deepEqual(
      market(1, { outcomePrices: '["1"]' }).tokens.map((token) => token.price),
      [null, null],
    )
  })

  test('is unreadable without identity, or when tokens and outcomes disagree', () => {
    assert.equal(reason(null), 'not an object')
    assert.equal(reason([]), 'not an object')
    assert.match(reason(gammaMarket(1, { conditionId: '0x12' })), /no condition id/)
    assert.match(reason(gammaMarket(1, { conditionId: { toString: 0 } })), /no condition id: {"toString":0}$/)
    assert.match(reason(gammaMarket(1, { clobTokenIds: '["1", "x"]' })), /not a token id/)
    assert.match(reason(gammaMarket(1, { clobTokenIds: '["1", "1"]' })), /twice/)
    assert.match(reason(gammaMarket(1, { clobTokenIds: '{"a":1}' })), /not a list/)
    assert.match(reason(gammaMarket(1, { clobTokenIds: [1e77, 2e77] })), /not a list/)
    assert.match(reason(gammaMarket(1, { outcomes: '["Yes"]' })), /1 outcomes and 2 token ids/)
  })
})

describe('recorded Gamma markets', { skip: NO_SAMPLES }, () => {
  test('all closed ones are read without a key that is new to us', () => {
    const rows = sample('gamma/closed-markets-2026-07-24.jsonl').trim().split('\n')
    assert.equal(rows.length, 146)
    for (const row of rows) {
      const parsed = parseGammaMarket(JSON.parse(row))
      assert.ok(parsed.ok, parsed.ok ? '' : parsed.reason)
      assert.deepEqual(parsed.unknownKeys, [])
      assert.equal(parsed.market.tokens.length, 2)
      assert.match(parsed.market.closedAt ?? '', /^2026-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)
      assert.equal('clobTokenIds' in parsed.market.raw, false)
    }
  })

  test('an open event', () => {
    const event = JSON.parse(sample('gamma/event-2026-05-17.json')) as { markets: unknown[] }
    for (const row of event.markets) {
      const parsed = parseGammaMarket(row)
      assert.ok(parsed.ok && parsed.unknownKeys.length === 0)
      assert.equal(parsed.market.tickSize, '0.001')
      assert.equal(parsed.market.minOrderSize, '5')
      assert.equal(parsed.market.negRisk, true)
    }
  })
})
