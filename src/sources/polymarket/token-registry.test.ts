import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { MarketEvent } from '../../core/events.ts'
import { SimulatedClock } from '../../sim/clock.ts'
import { conditionId, market, tokenId } from './support.test.ts'
import { createTokenRegistry } from './token-registry.ts'

function setUp(maxMarkets = 100) {
  const clock = new SimulatedClock()
  const registry = createTokenRegistry({ clock, maxMarkets, graceMs: 60_000 })
  let changes = 0
  registry.onChange(() => {
    changes += 1
  })
  return { clock, registry, changes: () => changes }
}

const created = (number: number): MarketEvent => ({
  kind: 'new_market',
  market: conditionId(number),
  venueMs: 1,
  question: '',
  slug: '',
  tokens: [tokenId(number, 0), tokenId(number, 1)],
  outcomes: ['Yes', 'No'],
  tickSize: '0.01',
  raw: '{}',
})

const resolved = (number: number): MarketEvent => ({
  kind: 'market_resolved',
  market: conditionId(number),
  venueMs: 1,
  tokens: [],
  winningToken: null,
  winningOutcome: null,
  raw: '{}',
})

describe('the token registry', () => {
  test('knows the facts of every tracked token', () => {
    const { registry, changes } = setUp()
    registry.replaceTracked([market(1, { negRisk: true }), market(2)])
    assert.equal(registry.marketCount, 2)
    assert.equal(registry.tokenCount, 4)
    assert.deepEqual(registry.facts(tokenId(1, 1)), {
      tokenId: tokenId(1, 1),
      conditionId: conditionId(1),
      tickSize: '0.01',
      minOrderSize: '5',
      negRisk: true,
      version: null,
    })
    assert.equal(registry.facts(tokenId(3, 0)), undefined)
    assert.equal(changes(), 1)
  })

  test('says nothing when nothing changed, and takes new facts all the same', () => {
    const { registry, changes } = setUp()
    registry.replaceTracked([market(1)])
    registry.replaceTracked([market(1, { orderPriceMinTickSize: 0.001 })])
    assert.equal(changes(), 1)
    assert.equal(registry.facts(tokenId(1, 0))?.tickSize, '0.001')
  })

  test('drops a market that two lists in a row lack', () => {
    const { registry } = setUp()
    registry.replaceTracked([market(1), market(2)])
    registry.replaceTracked([market(1)])
    assert.equal(registry.tracks(conditionId(2)), true)
    registry.replaceTracked([market(1)])
    assert.equal(registry.tracks(conditionId(2)), false)
    assert.equal(registry.tokenCount, 2)
  })

  test('forgives one miss', () => {
    const { registry, changes } = setUp()
    for (const list of [[market(1), market(2)], [market(1)], [market(1), market(2)], [market(1)]]) {
      registry.replaceTracked(list)
    }
    assert.equal(registry.tracks(conditionId(2)), true)
    assert.equal(changes(), 1)
  })

  test('a part of the list drops nothing', () => {
    const { registry } = setUp()
    registry.replaceTracked([market(1), market(2)])
    registry.addTracked([market(3)])
    registry.addTracked([market(3)])
    assert.equal(registry.marketCount, 3)
  })

  test('adds a new market at once, whose facts come with the next list', () => {
    const { registry, changes } = setUp()
    registry.observe(created(7))
    assert.equal(changes(), 1)
    assert.equal(registry.facts(tokenId(7, 0))?.minOrderSize, null)
    registry.replaceTracked([market(7)])
    assert.equal(registry.facts(tokenId(7, 0))?.minOrderSize, '5')
    registry.observe(created(7))
    assert.equal(registry.facts(tokenId(7, 0))?.minOrderSize, '5')
  })

  test('keeps a resolved market for the grace period and then drops it', async () => {
    const { registry, clock } = setUp()
    registry.replaceTracked([market(1), market(2)])
    registry.observe(resolved(1))
    registry.dropExpired()
    assert.equal(registry.tracks(conditionId(1)), true)
    await clock.advance(59_000)
    registry.dropExpired()
    assert.equal(registry.tracks(conditionId(1)), true)
    await clock.advance(1_000)
    registry.dropExpired()
    assert.equal(registry.tracks(conditionId(1)), false)
    assert.equal(registry.tracks(conditionId(2)), true)
  })

  test('a stale list does not bring a resolved market back', async () => {
    const { registry, clock } = setUp()
    registry.replaceTracked([market(1)])
    registry.observe(resolved(1))
    await clock.advance(61_000)
    registry.replaceTracked([market(1)])
    registry.observe(created(1))
    assert.equal(registry.tracks(conditionId(1)), false)
    await clock.advance(600_000)
    registry.replaceTracked([market(1)])
    assert.equal(registry.tracks(conditionId(1)), true)
  })

  test('is bounded, and the list of now goes before the list of before', () => {
    const { registry } = setUp(10) // and room for 100 more
    registry.replaceTracked(Array.from({ length: 110 }, (_, index) => market(index + 1)))
    registry.observe(created(500))
    assert.equal(registry.marketCount, 110)
    assert.equal(registry.refused, 1)
    registry.replaceTracked(Array.from({ length: 110 }, (_, index) => market(index + 201)))
    assert.equal(registry.marketCount, 110)
    assert.equal(registry.tracks(conditionId(201)), true)
    assert.equal(registry.tracks(conditionId(1)), false)
  })

  test('a token belongs to the market that named it first', () => {
    const { registry } = setUp()
    registry.replaceTracked([market(1), market(2, { clobTokenIds: `["${tokenId(1, 0)}", "${tokenId(2, 1)}"]` })])
    assert.equal(registry.facts(tokenId(1, 0))?.conditionId, conditionId(1))
    assert.equal(registry.tokenCount, 3)
  })

  test('is seeded once, and not after markets have come from elsewhere', () => {
    const facts = { tickSize: '0.01', minOrderSize: '5', negRisk: false, version: null, volume24h: '1' }
    const seeds = [0, 1].map((outcome) => ({ ...facts, tokenId: tokenId(1, outcome), conditionId: conditionId(1) }))
    const first = setUp()
    first.registry.seed(seeds)
    assert.deepEqual(
      [...first.registry.markets()],
      [{ conditionId: conditionId(1), tokens: [tokenId(1, 0), tokenId(1, 1)] }],
    )
    const second = setUp()
    second.registry.replaceTracked([market(2)])
    second.registry.seed(seeds)
    assert.equal(second.registry.tracks(conditionId(1)), false)
  })

  test('waits for the first token, or for the signal', async () => {
    const { registry } = setUp()
    const controller = new AbortController()
    const aborted = registry.untilFirst(controller.signal)
    controller.abort()
    await aborted
    const first = registry.untilFirst(new AbortController().signal)
    registry.observe(created(1))
    await first
    await registry.untilFirst(new AbortController().signal)
  })
})
