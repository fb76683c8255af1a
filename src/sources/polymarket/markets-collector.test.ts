import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Market } from '../../core/market.ts'
import { gamma, rowsOf, withVenue } from './scene.test.ts'
import { until } from './support.test.ts'

test('whole markets do not pile up: they are stored while the listing is still being read', async () => {
  await withVenue(
    gamma(() => rowsOf(1, 1_730)),
    async ({ cycle, store, source, requests }) => {
      const stored: { markets: number; pages: number }[] = []
      const save = store.saveMarkets.bind(store)
      store.saveMarkets = (markets: readonly Market[]) => {
        stored.push({ markets: markets.length, pages: requests.length })
        return save(markets)
      }
      const result = await cycle('polymarket.markets')
      assert.deepEqual(stored, [
        { markets: 500, pages: 5 },
        { markets: 500, pages: 10 },
        { markets: 500, pages: 15 },
        { markets: 230, pages: 18 },
      ])
      assert.deepEqual([result.items, result.details['tracked'], source.registry.marketCount], [1_730, 1_730, 1_730])
    },
    2_000,
  )
})

test('of an unsorted listing those that turn out to be too small are not stored once that is known', async () => {
  await withVenue(
    gamma(() => rowsOf(1, 900).reverse()),
    async ({ cycle, store, source }) => {
      await cycle('polymarket.markets')
      assert.equal(source.registry.marketCount, 100)
      const volumes = [...store.markets.values()].map((market) => Number(market.volume24h)).sort((a, b) => b - a)
      assert.deepEqual(
        volumes.slice(0, 100),
        Array.from({ length: 100 }, (_, index) => 999 - index),
      )
    },
    100,
  )
})

test('a ledger that does not answer holds nothing up: everything is tracked, and stored when it does', async () => {
  await withVenue(
    gamma(() => rowsOf(1, 1_200)),
    async ({ cycle, store, source, clock }) => {
      const save = store.saveMarkets.bind(store)
      let answer = () => {}
      const answering = new Promise<void>((resolve) => {
        answer = resolve
      })
      store.saveMarkets = async (markets: readonly Market[]) => {
        await answering
        return save(markets)
      }
      const cycling = cycle('polymarket.markets')
      await until('every market to be tracked', () => source.registry.marketCount === 1_200)
      assert.equal(clock.monotonicMs(), 2_000, 'it was waited for once')
      assert.equal(store.markets.size, 0)
      answer()
      assert.equal((await cycling).items, 1_200)
      assert.equal(store.markets.size, 1_200)
    },
    2_000,
  )
})
