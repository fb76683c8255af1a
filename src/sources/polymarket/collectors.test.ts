import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TransientError } from '../../core/errors.ts'
import { gamma, rowsOf, type Venue, withVenue } from './scene.test.ts'
import { conditionId, gammaMarket, market, tokenId } from './support.test.ts'

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

  test('keeps a market that moved past the cursor while the pages were read', async () => {
    const known = gamma(() => rowsOf(1, 3))
    const listed = gamma(() => rowsOf(2, 3))
    let moved = false
    const venue: Venue = (request) => (moved && !request.query.has('condition_ids') ? listed(request) : known(request))
    await withVenue(venue, async ({ cycle, source }) => {
      await cycle('polymarket.markets')
      moved = true
      for (let count = 0; count < 3; count += 1) {
        const { details } = await cycle('polymarket.markets')
        assert.deepEqual([details['missing'], details['closed'], details['tracked']], [1, 0, 3])
      }
      assert.equal(source.registry.tracks(conditionId(1)), true)
    })
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
