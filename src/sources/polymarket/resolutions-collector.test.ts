import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { gamma, rowsOf, type Venue, withVenue } from './scene.test.ts'
import { conditionId, gammaMarket, market, type Reply, tokenId } from './support.test.ts'

const ENDED = { closed: true, acceptingOrders: false, umaResolutionStatus: 'resolved' }

describe('polymarket.resolutions', () => {
  test('finds the ends of the newest closed markets and of those the ledger asks for', async () => {
    const rows = [
      ...rowsOf(1, 3, { ...ENDED, outcomePrices: '["1", "0"]' }),
      ...rowsOf(10, 11, { ...ENDED, outcomePrices: '["0", "1"]' }),
      gammaMarket(20),
    ]
    const listed = gamma(() => rows.slice(0, 3))
    const known = gamma(() => rows)
    const venue: Venue = (request) => (request.query.has('condition_ids') ? known(request) : listed(request))
    await withVenue(venue, async ({ cycle, store, source }) => {
      source.registry.replaceTracked([market(10)])
      store.unresolved = [conditionId(1), conditionId(10), conditionId(11), conditionId(20)]
      const result = await cycle('polymarket.resolutions')
      assert.equal(result.items, 5)
      assert.equal(store.resolutions.get(conditionId(1))?.winnerTokenId, tokenId(1, 0))
      assert.equal(store.resolutions.get(conditionId(11))?.winnerTokenId, tokenId(11, 1))
      assert.equal(store.resolutions.get(conditionId(11))?.detectionMethod, 'gamma')
      assert.equal(store.resolutions.has(conditionId(20)), false)
      assert.deepEqual(store.checked, store.unresolved)
      assert.deepEqual([result.details['winners'], result.details['unknown']], [5, 1])
    })
  })

  test('asks the CLOB only where there is a doubt', async () => {
    const rows = [
      gammaMarket(1, { ...ENDED, outcomePrices: '["1", "0"]' }),
      gammaMarket(2, { ...ENDED, outcomePrices: '["0", "0"]' }),
      gammaMarket(3, { ...ENDED, outcomePrices: '["0.5", "0.5"]' }),
      gammaMarket(4, { ...ENDED, outcomePrices: '["0.0000004", "0.9999996"]' }),
      gammaMarket(5, { ...ENDED, umaResolutionStatus: undefined, outcomePrices: '["0.2", "0.8"]' }),
    ]
    const listing = gamma(() => rows)
    const clob = (number: number, winner: number | null): Reply => ({
      body: {
        condition_id: conditionId(number),
        closed: true,
        is_50_50_outcome: winner === null,
        tokens: [0, 1].map((index) => ({ token_id: tokenId(number, index), outcome: '', winner: winner === index })),
      },
    })
    const venue: Venue = (request) => {
      if (request.path.startsWith('/gamma')) return listing(request)
      if (request.path.endsWith(conditionId(2))) return clob(2, 1)
      if (request.path.endsWith(conditionId(3))) return clob(3, null)
      return { status: 404, body: { error: 'market not found' } }
    }
    await withVenue(venue, async ({ cycle, store, requests }) => {
      const result = await cycle('polymarket.resolutions')
      const asked = requests.filter((request) => request.path.startsWith('/clob/markets/'))
      assert.deepEqual(
        asked.map((request) => request.path.slice(-1)),
        ['2', '3', '4'],
      )
      const methods = [1, 2, 3, 4, 5].map((number) => store.resolutions.get(conditionId(number))?.detectionMethod)
      assert.deepEqual(methods, ['gamma', 'clob', 'gamma+clob', undefined, undefined])
      assert.equal(store.resolutions.get(conditionId(3))?.result, 'split')
      assert.equal(result.details['clob_asked'], 3)
    })
  })

  test('a cycle without news reads one page', async () => {
    const rows = rowsOf(1, 300, { ...ENDED, outcomePrices: '["1", "0"]' })
    await withVenue(
      gamma(() => rows),
      async ({ cycle, store, requests }) => {
        assert.equal((await cycle('polymarket.resolutions')).items, 300)
        const before = requests.length
        assert.equal((await cycle('polymarket.resolutions')).items, 0)
        assert.equal(requests.length - before, 1)
        assert.equal(store.resolutions.size, 300)
      },
    )
  })

  test('never reads more than its share of closed markets', async () => {
    await withVenue(
      gamma(() => rowsOf(1, 3000, ENDED), 10),
      async ({ cycle, requests }) => {
        await cycle('polymarket.resolutions')
        assert.equal(requests.filter((request) => request.path.startsWith('/gamma')).length, 10)
      },
    )
  })

  test('without the listing, the lookups still count', async () => {
    const known = gamma(() => [gammaMarket(1, { ...ENDED, outcomePrices: '["1", "0"]' })])
    const venue: Venue = (request) => (request.query.has('condition_ids') ? known(request) : { status: 500, body: {} })
    await withVenue(venue, async ({ cycle, store }) => {
      store.unresolved = [conditionId(1)]
      const result = await cycle('polymarket.resolutions')
      assert.equal(result.items, 1)
      assert.match(String(result.details['partial']), /500/)
    })
  })

  test('a store that is gone fails the cycle', async () => {
    const rows = [gammaMarket(1, { ...ENDED, outcomePrices: '["1", "0"]' })]
    await withVenue(
      gamma(() => rows),
      async ({ cycle, store }) => {
        store.failures = 100
        await assert.rejects(cycle('polymarket.resolutions'), /the database is away/)
      },
    )
    await withVenue(
      gamma(() => []),
      async ({ cycle, store }) => {
        store.failures = 100
        await assert.rejects(cycle('polymarket.resolutions'), /the database is away/)
      },
    )
  })
})
