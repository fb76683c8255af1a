import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { TransientError } from '../../core/errors.ts'
import { createClobClient } from './clob.ts'
import { createDataClient, type DataClient, type TradePage } from './data.ts'
import { createGammaClient } from './gamma.ts'
import { joinPath, rateRules } from './limits.ts'
import {
  conditionId,
  gammaMarket,
  jsonServer,
  NO_SAMPLES,
  type Reply,
  type Request,
  sample,
  testHttp,
  tokenId,
} from './support.test.ts'

const http = testHttp()
const never = new AbortController().signal
after(() => http.close())

async function withServer<T>(
  answer: (request: Request) => Reply,
  use: (url: string, requests: Request[]) => Promise<T>,
) {
  const server = await jsonServer(answer)
  try {
    return await use(server.url, server.requests)
  } finally {
    await server.close()
  }
}

async function pagesOf<T>(pages: AsyncGenerator<T, void>): Promise<T[]> {
  const found: T[] = []
  for await (const page of pages) found.push(page)
  return found
}

/** Serves `count` markets by cursor. */
function keyset(count: number) {
  return ({ query }: Request): Reply => {
    const start = Number(query.get('after_cursor') ?? '0')
    const size = Number(query.get('limit'))
    const markets = Array.from({ length: Math.min(size, count - start) }, (_, index) => gammaMarket(start + index + 1))
    const next = start + size < count ? { next_cursor: String(start + size) } : {}
    return { body: { markets, ...next } }
  }
}

describe('addresses', () => {
  test('paths are joined below a prefix', () => {
    assert.equal(
      joinPath('http://127.0.0.1:9/gamma', '/markets/keyset').href,
      'http://127.0.0.1:9/gamma/markets/keyset',
    )
    assert.equal(joinPath('http://127.0.0.1:9/gamma/', 'time').href, 'http://127.0.0.1:9/gamma/time')
    assert.equal(joinPath('https://clob.example', '/books').href, 'https://clob.example/books')
  })

  test('the limits follow the addresses', () => {
    const rules = rateRules({
      gammaUrl: 'http://127.0.0.1:9/gamma',
      clobUrl: 'https://clob.example/',
      dataUrl: 'https://data.example',
    })
    const limits = rules.map(({ host, paths, limit }) => `${host} ${paths.join()} ${limit}`)
    assert.ok(limits.includes('127.0.0.1:9 /gamma/markets 300'))
    assert.ok(limits.includes('127.0.0.1:9 /gamma 4000'))
    assert.ok(limits.includes('clob.example /books 500'))
    assert.ok(limits.includes('clob.example  9000'))
    assert.ok(rules.every((rule) => rule.windowMs === 10_000))
  })
})

describe('the Gamma client', () => {
  test('follows the cursor to the end', async () => {
    await withServer(keyset(250), async (url, requests) => {
      const gamma = createGammaClient(http, `${url}/gamma`)
      const pages = await pagesOf(gamma.listMarkets({ closed: false, order: 'volume24hr', ascending: false }, never))
      assert.deepEqual(
        pages.map((page) => page.length),
        [100, 100, 50],
      )
      assert.equal(requests[0]?.path, '/gamma/markets/keyset')
      assert.equal(requests[0]?.query.get('closed'), 'false')
      assert.equal(requests[0]?.query.get('after_cursor'), null)
      assert.equal(requests[2]?.query.get('after_cursor'), '200')
    })
  })

  test('notices a server that does not heed the cursor', async () => {
    const stubborn = () => ({ body: { markets: [gammaMarket(1)], next_cursor: 'again' } })
    await withServer(stubborn, async (url, requests) => {
      const pages = pagesOf(createGammaClient(http, url).listMarkets({}, never))
      await assert.rejects(pages, TransientError)
      assert.equal(requests.length, 2)
    })
    let calls = 0
    const sly = () => {
      calls += 1
      return { body: { markets: [gammaMarket(1)], next_cursor: `new ${calls}` } }
    }
    await withServer(sly, async (url, requests) => {
      await assert.rejects(pagesOf(createGammaClient(http, url).listMarkets({}, never)), /one page twice/)
      assert.equal(requests.length, 2)
    })
    let page = 0
    const round = () => {
      page += 1
      return { body: { markets: [gammaMarket(page)], next_cursor: `${page % 3}` } }
    }
    await withServer(round, async (url, requests) => {
      await assert.rejects(pagesOf(createGammaClient(http, url).listMarkets({}, never)), /does not heed the cursor/)
      assert.equal(requests.length, 4)
    })
  })

  test('ends at an empty page, and takes the bare array of the retired listing', async () => {
    await withServer(
      () => ({ body: { markets: [], next_cursor: 'more' } }),
      async (url) => assert.deepEqual(await pagesOf(createGammaClient(http, url).listMarkets({}, never)), []),
    )
    await withServer(
      () => ({ body: [gammaMarket(1)] }),
      async (url) => assert.equal((await pagesOf(createGammaClient(http, url).listMarkets({}, never))).length, 1),
    )
    await withServer(
      () => ({ body: { error: 'odd' } }),
      async (url) => {
        await assert.rejects(pagesOf(createGammaClient(http, url).listMarkets({}, never)), /without a list of markets/)
      },
    )
  })

  test('looks markets up open and closed, in addresses below 8 KB', async () => {
    const asked = new Set<string>()
    const answer = ({ query }: Request): Reply => {
      const ids = query.getAll('condition_ids')
      for (const id of ids) asked.add(`${id} ${query.get('closed')}`)
      const markets = query.get('closed') === 'true' ? [gammaMarket(1, { closed: true })] : [gammaMarket(2)]
      return { body: { markets } }
    }
    await withServer(answer, async (url, requests) => {
      const ids = Array.from({ length: 230 }, (_, index) => conditionId(index + 1))
      const found = await createGammaClient(http, url).lookupMarkets(ids, never)
      assert.equal(asked.size, 460)
      assert.ok(requests.every((request) => request.url.length < 8_000))
      assert.equal(requests.length, 6)
      assert.deepEqual([found.markets.length, found.failures], [6, []])
    })
  })

  test('a failed part of a lookup costs that part; only a whole failure throws', async () => {
    const answer = ({ query }: Request): Reply =>
      query.get('closed') === 'true' ? { status: 500, body: {} } : { body: { markets: [gammaMarket(1)] } }
    await withServer(answer, async (url) => {
      const found = await createGammaClient(http, url).lookupMarkets([conditionId(1)], never)
      assert.equal(found.markets.length, 1)
      assert.match(found.failures[0] ?? '', /500/)
    })
    await withServer(
      () => ({ status: 500, body: {} }),
      async (url) => {
        await assert.rejects(createGammaClient(http, url).lookupMarkets([conditionId(1)], never), TransientError)
      },
    )
  })

  test('a web page is not a list of markets', async () => {
    await withServer(
      () => ({ type: 'text/html', body: '<html><title>520</title></html>' }),
      async (url) => {
        await assert.rejects(pagesOf(createGammaClient(http, url).listMarkets({}, never)), TransientError)
      },
    )
  })
})

describe('the CLOB client', () => {
  test('asks for books by token and takes 404 for none', async () => {
    await withServer(
      () => ({ body: [{ asset_id: 'x' }] }),
      async (url, requests) => {
        const rows = await createClobClient(http, url).books([tokenId(1, 0), tokenId(1, 1)], never)
        assert.equal(rows.length, 1)
        assert.deepEqual(requests[0]?.body, [{ token_id: tokenId(1, 0) }, { token_id: tokenId(1, 1) }])
      },
    )
    await withServer(
      () => ({ status: 404, body: { error: 'No orderbook exists for the requested token id' } }),
      async (url) => {
        const clob = createClobClient(http, url)
        assert.deepEqual(await clob.books([tokenId(1, 0)], never), [])
        assert.equal(await clob.market(conditionId(1), never), null)
      },
    )
    await withServer(
      () => ({ body: { error: 'odd' } }),
      async (url) => assert.rejects(createClobClient(http, url).books([], never), /without a list/),
    )
  })

  test('reads one market and the time', async () => {
    const row = {
      condition_id: conditionId(1),
      closed: true,
      tokens: [{ token_id: '5', outcome: 'Yes', winner: true }],
    }
    await withServer(
      ({ path }) => ({ body: path === '/clob/time' ? 1778884904 : row }),
      async (url, requests) => {
        const clob = createClobClient(http, `${url}/clob`)
        assert.equal(await clob.time(never), 1778884904)
        const read = await clob.market(conditionId(1), never)
        assert.deepEqual(read?.tokens, [{ tokenId: '5', outcome: 'Yes', winner: true }])
        assert.equal(requests[1]?.path, `/clob/markets/${conditionId(1)}`)
      },
    )
  })
})

const v2Row = (number: number) => ({
  proxy_wallet: '0x1',
  side: 'BUY',
  token_id: tokenId(1, 0),
  condition_id: conditionId(1),
  size: 78.55,
  price: 0.62,
  timestamp: 1788887014 + number,
  outcome: 'Yes',
  transaction_hash: `0x${number}`,
})

const v1Row = (number: number) => ({
  proxyWallet: '0x1',
  side: 'SELL',
  asset: tokenId(1, 0),
  conditionId: conditionId(1),
  size: 20,
  price: 0.47,
  timestamp: 1772184013 + number,
  outcome: 'Down',
  transactionHash: `0x${number}`,
})

async function tradesOf(url: string, form: keyof DataClient): Promise<TradePage[]> {
  return pagesOf(createDataClient(http, url)[form]({ conditionIds: [conditionId(1), conditionId(2)] }, never))
}

describe('the Data client', () => {
  test('v2 follows the cursor', async () => {
    const answer = ({ query }: Request): Reply => {
      const cursor = query.get('cursor')
      const pagination =
        cursor === null ? { has_more: true, next_cursor: 'two' } : { has_more: false, next_cursor: 'x' }
      return { body: { data: [v2Row(1), { side: 'HOLD' }], pagination } }
    }
    await withServer(answer, async (url, requests) => {
      const pages = await tradesOf(url, 'tradesV2')
      assert.equal(pages.length, 2)
      assert.equal(pages[0]?.trades.length, 1)
      assert.equal(pages[0]?.unreadable.length, 1)
      assert.equal(requests[0]?.query.get('condition'), `${conditionId(1)},${conditionId(2)}`)
      assert.equal(requests[0]?.query.get('taker_only'), 'true')
      assert.equal(requests[1]?.query.get('cursor'), 'two')
      const [trade] = pages[0]?.trades ?? []
      assert.deepEqual([trade?.price, trade?.size, trade?.timestampSeconds], ['0.62', '78.55', 1788887015])
    })
  })

  test('v2 notices a server that does not heed the cursor', async () => {
    const stubborn = () => ({ body: { data: [v2Row(1)], pagination: { has_more: true, next_cursor: 'again' } } })
    await withServer(stubborn, async (url) => assert.rejects(tradesOf(url, 'tradesV2'), /does not heed the cursor/))
  })

  test('v1 stops where the venue does, and says so', async () => {
    const answer = ({ query }: Request): Reply => {
      const offset = Number(query.get('offset'))
      if (offset > 3000) return { status: 400, body: { error: 'max historical activity offset of 3000 exceeded' } }
      return { body: Array.from({ length: 1000 }, (_, index) => v1Row(offset + index)) }
    }
    await withServer(answer, async (url, requests) => {
      const pages = await tradesOf(url, 'tradesV1')
      assert.deepEqual(
        pages.map((page) => page.truncated),
        [false, false, false, false, true],
      )
      assert.equal(pages.flatMap((page) => page.trades).length, 4000)
      assert.equal(requests.length, 5, 'pages overlap')
      assert.equal(requests[0]?.query.get('market'), `${conditionId(1)},${conditionId(2)}`)
    })
  })

  test('v1 puts pages together while trades arrive, identical ones included', async () => {
    // Every third trade is identical to the one before it; before each page another 7 have come.
    const all = Array.from({ length: 3_500 }, (_, number) => v1Row(number % 3 === 2 ? number - 1 : number))
    let shown = 3_000
    const answer = ({ query }: Request): Reply => {
      const newestFirst = all.slice(0, shown).reverse()
      shown += 7
      const offset = Number(query.get('offset'))
      return { body: newestFirst.slice(offset, offset + 1_000) }
    }
    await withServer(answer, async (url) => {
      const pages = await tradesOf(url, 'tradesV1')
      const seconds = pages.flatMap((page) => page.trades.map((trade) => trade.timestampSeconds))
      const expected = all.slice(0, 3_000).map(({ timestamp }) => timestamp)
      assert.deepEqual(seconds, expected.reverse())
    })
  })

  test('v1 pages that do not fit together are not used', async () => {
    const answer = ({ query }: Request): Reply => {
      const offset = Number(query.get('offset'))
      return { body: Array.from({ length: 1000 }, (_, index) => v1Row(offset * 5 + index)) }
    }
    await withServer(answer, async (url) => assert.rejects(tradesOf(url, 'tradesV1'), /do not fit together/))
  })

  test('an empty page that promises more is no end', async () => {
    const empty = () => ({ body: { data: [], pagination: { has_more: true, next_cursor: 'more' } } })
    await withServer(empty, async (url) => {
      const pages = await tradesOf(url, 'tradesV2')
      assert.deepEqual(
        pages.map(({ truncated }) => truncated),
        [true],
      )
    })
  })

  test('falls back to v1 where v2 does not exist, and only there', async () => {
    const old = ({ path, query }: Request): Reply => {
      if (path !== '/trades') return { status: 404, body: {} }
      return { body: query.get('offset') === '0' ? [v1Row(1)] : [] }
    }
    await withServer(old, async (url) => {
      const pages = await tradesOf(url, 'trades')
      assert.deepEqual([pages[0]?.api, pages[0]?.trades[0]?.side, pages[1]?.trades], ['v1', 'SELL', []])
    })
    await withServer(
      ({ path }) => (path === '/trades' ? { body: [v1Row(1)] } : { status: 500, body: {} }),
      async (url) => assert.rejects(tradesOf(url, 'trades'), TransientError),
    )
  })

  test('recorded rows of both versions are read', { skip: NO_SAMPLES }, async () => {
    const v1 = JSON.parse(sample('data/trades-v1-page0.json')) as unknown[]
    const v2 = JSON.parse(sample('data/v2-trades.json')) as unknown[]
    await withServer(
      ({ path, query }) => ({ body: path === '/trades' ? (query.get('offset') === '0' ? v1 : []) : { data: v2 } }),
      async (url) => {
        const [first] = await tradesOf(url, 'tradesV2')
        const [second] = await tradesOf(url, 'tradesV1')
        assert.deepEqual([first?.trades.length, first?.unreadable], [v2.length, []])
        assert.deepEqual([second?.trades.length, second?.unreadable], [1000, []])
      },
    )
  })
})
