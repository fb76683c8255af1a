import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { CycleResult, PollingCollector } from '../../core/collector.ts'
import { TransientError } from '../../core/errors.ts'
import { SimulatedClock } from '../../sim/clock.ts'
import { createPolymarketSource, type PolymarketSource } from './index.ts'
import {
  collectorContext,
  conditionId,
  gammaMarket,
  jsonServer,
  MemoryStore,
  MemoryTape,
  market,
  type Reply,
  type Request,
  testHttp,
  testRandom,
  tokenId,
} from './support.test.ts'

const http = testHttp()
after(() => http.close())

type Venue = (request: Request) => Reply

interface Scene {
  readonly source: PolymarketSource
  readonly store: MemoryStore
  readonly clock: SimulatedClock
  readonly requests: readonly Request[]
  readonly log: ReturnType<typeof collectorContext>['log']
  /** One cycle of a collector; time stands still unless the store fails. */
  cycle(name: string): Promise<CycleResult>
}

async function withVenue(venue: Venue, use: (scene: Scene) => Promise<void>, maxMarkets = 1000): Promise<void> {
  const server = await jsonServer(venue)
  const clock = new SimulatedClock()
  const { context, log } = collectorContext(clock)
  const store = new MemoryStore()
  const urls = { gammaUrl: `${server.url}/gamma`, clobUrl: `${server.url}/clob`, dataUrl: server.url, wsUrl: 'ws://x' }
  const intervals = { marketsIntervalMs: 1, priceIntervalMs: 1, orderbookIntervalMs: 60_000, resolutionIntervalMs: 1 }
  const stream = { maxTokensPerConnection: 500, pingIntervalMs: 10_000, stallTimeoutMs: 30_000 }
  const critical = { markets: true, prices: true, orderbooks: true, resolutions: false, trades: true }
  const source = createPolymarketSource({
    settings: { ...urls, ...intervals, ...stream, maxMarkets, orderbookDepth: 2, critical },
    http,
    store,
    tape: new MemoryTape(),
    clock,
    random: testRandom(),
    bootId: 'boot',
  })
  const named = (name: string): PollingCollector => {
    const found = source.polling.find((collector) => collector.name === name)
    assert.ok(found !== undefined)
    return found
  }
  const cycle = (name: string) => moving(clock, named(name).collectOnce(context))
  try {
    await use({ source, store, clock, requests: server.requests, log, cycle })
  } finally {
    await server.close()
  }
}

/** Moves the clock whenever the work waits for it. */
async function moving<T>(clock: SimulatedClock, work: Promise<T>): Promise<T> {
  let ended = false
  const end = () => {
    ended = true
  }
  work.then(end, end)
  while (!ended) {
    await new Promise((resolve) => setTimeout(resolve, 1))
    const waits = clock.pending().filter((sleep) => sleep.delayMs <= 30_000)
    if (waits[0] !== undefined) await clock.advance(Math.max(0, waits[0].dueMs - clock.monotonicMs()))
  }
  return work
}

/** A Gamma that serves these rows: by id where ids are given, else by cursor, `pageSize` a page. */
function gamma(rows: () => readonly Record<string, unknown>[], pageSize = 100): Venue {
  return ({ query }) => {
    const ids = query.getAll('condition_ids')
    const closed = query.get('closed') === 'true'
    const fitting = rows().filter((row) => (row['closed'] === true) === closed)
    if (ids.length > 0) return { body: { markets: fitting.filter((row) => ids.includes(String(row['conditionId']))) } }
    const start = Number(query.get('after_cursor') ?? 0)
    const next = start + pageSize < fitting.length ? { next_cursor: String(start + pageSize) } : {}
    return { body: { markets: fitting.slice(start, start + pageSize), ...next } }
  }
}

const rowsOf = (from: number, to: number, changes: Record<string, unknown> = {}) =>
  Array.from({ length: to - from + 1 }, (_, index) => gammaMarket(from + index, changes))

describe('polymarket.markets', () => {
  test('stores the open markets and tracks their tokens', async () => {
    await withVenue(
      gamma(() => rowsOf(1, 250)),
      async ({ cycle, store, source, requests }) => {
        const result = await cycle('polymarket.markets')
        assert.equal(result.items, 250)
        assert.equal(store.markets.size, 250)
        assert.equal(source.registry.tokenCount, 500)
        assert.equal(source.registry.facts(tokenId(250, 1))?.minOrderSize, '5')
        assert.equal(requests.length, 3)
        assert.deepEqual(
          [result.details['observed'], result.details['pages'], result.details['ordered']],
          [250, 3, 'yes'],
        )
      },
    )
  })

  test('stops at max_markets when the venue sorts', async () => {
    const venue = gamma(() => rowsOf(1, 500))
    await withVenue(
      venue,
      async ({ cycle, store, requests }) => {
        await cycle('polymarket.markets')
        assert.equal(store.markets.size, 120)
        assert.equal(requests.length, 2)
      },
      120,
    )
  })

  test('reads everything and sorts by itself when the venue does not', async () => {
    const orders = {
      'rising volumes': () => rowsOf(1, 300).reverse(),
      'absent volumes first': () => [...rowsOf(301, 450, { volume24hr: undefined }), ...rowsOf(1, 300)],
    }
    for (const [name, rows] of Object.entries(orders)) {
      await withVenue(
        gamma(rows),
        async ({ cycle, source }) => {
          const result = await cycle('polymarket.markets')
          assert.equal(result.details['ordered'], 'no', name)
          const tracked = [...source.registry.markets()].map((one) => one.conditionId).sort()
          assert.deepEqual(
            tracked,
            rowsOf(1, 10)
              .map((row) => row['conditionId'])
              .sort(),
            name,
          )
        },
        10,
      )
    }
  })

  test('leaves out what accepts no orders', async () => {
    const rows = [
      gammaMarket(1),
      gammaMarket(2, { acceptingOrders: false }),
      gammaMarket(3, { clobTokenIds: undefined }),
    ]
    await withVenue(
      gamma(() => rows),
      async ({ cycle, store }) => {
        await cycle('polymarket.markets')
        assert.deepEqual([...store.markets.keys()], [conditionId(1)])
      },
    )
  })

  test('tells of markets that have left the listing, and stops tracking the closed ones', async () => {
    let rows = rowsOf(1, 3)
    await withVenue(
      gamma(() => rows),
      async ({ cycle, store, source, clock }) => {
        await cycle('polymarket.markets')
        rows = [gammaMarket(1), gammaMarket(2, { closed: true, acceptingOrders: false }), gammaMarket(3)]
        const result = await cycle('polymarket.markets')
        assert.deepEqual([result.details['missing'], result.details['closed']], [1, 1])
        assert.equal(store.markets.get(conditionId(2))?.closed, true)
        await clock.advance(60_000)
        source.registry.dropExpired()
        assert.equal(source.registry.tracks(conditionId(2)), false)
        assert.equal(source.registry.tracks(conditionId(3)), true)
      },
    )
  })

  test('a bad row is a dead letter, once, and its neighbours are stored', async () => {
    const rows = [gammaMarket(1), gammaMarket(2, { conditionId: 'nonsense' }), gammaMarket(3)]
    await withVenue(
      gamma(() => rows),
      async ({ cycle, store, source }) => {
        const result = await cycle('polymarket.markets')
        await cycle('polymarket.markets')
        await cycle('polymarket.prices')
        assert.deepEqual([...store.markets.keys()], [conditionId(1), conditionId(3)])
        assert.equal(result.details['unreadable'], 1)
        assert.equal(store.deadLetters.length, 1)
        const [letter] = store.deadLetters
        assert.equal(letter?.source, 'polymarket.markets')
        assert.match(letter?.reason ?? '', /condition id/)
        assert.match(letter?.raw ?? '', /nonsense/)
        assert.deepEqual(source.drift(), {})
      },
    )
  })

  test('counts keys that are new to us by name and keeps them', async () => {
    await withVenue(
      gamma(() => [gammaMarket(1, { zodiac: 'lion' })]),
      async ({ cycle, store, source, log }) => {
        await cycle('polymarket.markets')
        await cycle('polymarket.prices')
        assert.deepEqual(source.drift(), { 'market.zodiac': 2 })
        assert.equal(store.markets.get(conditionId(1))?.raw['zodiac'], 'lion')
        assert.equal(log.lines.filter((line) => line.message.includes('zodiac')).length, 1)
      },
    )
  })

  test('what a broken listing gave is used, and nothing is dropped for it', async () => {
    let broken = false
    const whole = gamma(() => rowsOf(1, 300))
    const venue: Venue = (request) => {
      if (broken && request.query.get('after_cursor') === '100') return { status: 500, body: {} }
      return whole(request)
    }
    await withVenue(venue, async ({ cycle, source }) => {
      await cycle('polymarket.markets')
      broken = true
      for (let count = 0; count < 3; count += 1) {
        const result = await cycle('polymarket.markets')
        assert.equal(result.items, 100)
        assert.match(String(result.details['partial']), /500/)
      }
      assert.equal(source.registry.marketCount, 300)
    })
  })

  test('throws when nothing could be fetched', async () => {
    await withVenue(
      () => ({ status: 500, body: {} }),
      async ({ cycle }) => {
        for (const name of ['polymarket.markets', 'polymarket.prices', 'polymarket.orderbooks']) {
          await assert.rejects(cycle(name), TransientError, name)
        }
        await assert.rejects(cycle('polymarket.resolutions'), TransientError)
      },
    )
  })

  test('a database error is logged and tried once more after a second', async () => {
    await withVenue(
      gamma(() => rowsOf(1, 3)),
      async ({ cycle, store, clock, log }) => {
        store.failures = 1
        const startMs = clock.monotonicMs()
        assert.equal((await cycle('polymarket.markets')).items, 3)
        assert.equal(store.calls, 2)
        assert.equal(clock.monotonicMs() - startMs, 1_000)
        assert.ok(log.lines.some((line) => line.level === 'warn' && /the database is away/.test(line.message)))
      },
    )
  })

  test('a second one fails the cycle, but not what is recorded', async () => {
    await withVenue(
      gamma(() => rowsOf(1, 3)),
      async ({ cycle, store, source }) => {
        store.failures = 100
        await assert.rejects(cycle('polymarket.markets'), /the database is away/)
        assert.equal(store.calls, 2)
        assert.equal(source.registry.tokenCount, 6)
      },
    )
  })
})

describe('polymarket.prices', () => {
  test('stores token, price and volume', async () => {
    const odd = { outcomePrices: '["1.5", "-0.1"]' }
    await withVenue(
      gamma(() => [gammaMarket(1), gammaMarket(2, odd)]),
      async ({ cycle, store }) => {
        const result = await cycle('polymarket.prices')
        assert.equal(result.items, 2)
        assert.deepEqual(store.prices, [
          { tokenId: tokenId(1, 0), conditionId: conditionId(1), price: '0.25', volume24h: '999' },
          { tokenId: tokenId(1, 1), conditionId: conditionId(1), price: '0.75', volume24h: '999' },
        ])
      },
    )
  })
})

function bookRow(token: string, changes: Record<string, unknown> = {}) {
  const level = (price: string) => ({ price, size: '7' })
  return {
    market: conditionId(1),
    asset_id: token,
    timestamp: '1778997825875',
    hash: 'cd'.repeat(20),
    bids: [level('0.1'), level('0.2'), level('0.3')],
    asks: [level('0.9'), level('0.5'), level('0.4')],
    ...changes,
  }
}

describe('polymarket.orderbooks', () => {
  test('fetches every tracked token in batches of 500, whatever the order of the answer', async () => {
    const sizes: number[] = []
    const venue: Venue = ({ body }) => {
      const tokens = (body as { token_id: string }[]).map((one) => one.token_id)
      sizes.push(tokens.length)
      return { body: tokens.reverse().map((token) => bookRow(token)) }
    }
    await withVenue(venue, async ({ cycle, store, source, requests }) => {
      source.registry.replaceTracked(Array.from({ length: 600 }, (_, index) => market(index + 1)))
      const result = await cycle('polymarket.orderbooks')
      assert.deepEqual(sizes, [500, 500, 200])
      assert.equal(requests[0]?.path, '/clob/books')
      assert.equal(result.items, 1200)
      const book = store.books.get(tokenId(600, 1))
      assert.deepEqual(
        [book?.bids.map((one) => one.price), book?.asks.map((one) => one.price)],
        [
          ['0.3', '0.2'],
          ['0.4', '0.5'],
        ],
      )
      assert.deepEqual([book?.spread, book?.midpoint], ['0.1', '0.35'])
    })
  })

  test('absent books are normal, unreadable ones dead letters, unasked ones ignored', async () => {
    const rows = [
      bookRow(tokenId(1, 0)),
      bookRow(tokenId(2, 0), { bids: 'none' }),
      bookRow(tokenId(99, 0)),
      'not a book',
    ]
    await withVenue(
      () => ({ body: rows }),
      async ({ cycle, store, source }) => {
        source.registry.replaceTracked([market(1), market(2)])
        const result = await cycle('polymarket.orderbooks')
        assert.deepEqual([...store.books.keys()], [tokenId(1, 0)])
        assert.equal(store.deadLetters.length, 2)
        assert.deepEqual(
          [result.details['observed'], result.details['unreadable'], result.details['absent']],
          [1, 2, 1],
        )
      },
    )
  })

  test('a failed batch costs that batch', async () => {
    let calls = 0
    const venue: Venue = ({ body }) => {
      calls += 1
      if (calls === 1) return { status: 500, body: {} }
      return { body: (body as { token_id: string }[]).map((one) => bookRow(one.token_id)) }
    }
    await withVenue(venue, async ({ cycle, source }) => {
      source.registry.replaceTracked(Array.from({ length: 300 }, (_, index) => market(index + 1)))
      const result = await cycle('polymarket.orderbooks')
      assert.equal(result.items, 100)
      assert.match(String(result.details['partial']), /500/)
    })
  })

  test('waits for the first listing, and says so when it does not come', async () => {
    const venue: Venue = ({ body }) => ({ body: (body as { token_id: string }[]).map((one) => bookRow(one.token_id)) })
    await withVenue(venue, async ({ cycle, source }) => {
      await assert.rejects(cycle('polymarket.orderbooks'), /no tokens are known yet/)
      const first = cycle('polymarket.orderbooks')
      source.registry.addTracked([market(1)])
      assert.equal((await first).items, 2)
    })
  })
})

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
