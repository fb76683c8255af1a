import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { startVenueProcess, type VenueProcess } from './process.ts'
import { allMarkets, type GammaMarket, tokensOf } from './test-client.ts'

let venue: VenueProcess
let markets: GammaMarket[]

before(async () => {
  venue = await startVenueProcess({ markets: 250, seed: 5, v2Share: 0.2, paused: true })
  markets = await allMarkets(venue.urls.gamma)
})

after(async () => {
  await venue.stop()
})

interface Answer {
  readonly status: number
  readonly text: string
  readonly json: Readonly<Record<string, unknown>>
  readonly headers: Headers
}

async function get(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, init)
  const text = await response.text()
  return { status: response.status, text, json: JSON.parse(text) as Answer['json'], headers: response.headers }
}

const gamma = (path: string) => get(venue.urls.gamma + path)
const clob = (path: string) => get(venue.urls.clob + path)
const post = (path: string, body: unknown) => {
  return get(venue.urls.clob + path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) })
}

test('keyset pages hold every market once, at most 100 a page', async () => {
  assert.equal(markets.length, 250)
  assert.equal(new Set(markets.map((market) => market.conditionId)).size, 250)
  const first = await gamma('/markets/keyset?limit=1000')
  assert.equal((first.json['markets'] as unknown[]).length, 100)
  assert.equal(typeof first.json['next_cursor'], 'string')
})

test('the last page has no next_cursor; a full last page is followed by an empty one', async () => {
  assert.deepEqual(await pageSizes(100), [100, 100, 50])
  assert.deepEqual(await pageSizes(50), [50, 50, 50, 50, 50, 0])
})

async function pageSizes(limit: number): Promise<number[]> {
  const sizes: number[] = []
  for (let cursor: unknown = ''; cursor !== undefined; ) {
    const { json }: Answer = await gamma(`/markets/keyset?limit=${limit}&after_cursor=${cursor}`)
    sizes.push((json['markets'] as unknown[]).length)
    cursor = json['next_cursor']
  }
  return sizes
}

test('order by volume24hr goes through all pages, markets without volume last', async () => {
  const volumes: (number | undefined)[] = []
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const query = `limit=100&order=volume24hr&ascending=false&after_cursor=${cursor}`
    const { json }: Answer = await gamma(`/markets/keyset?${query}`)
    volumes.push(...(json['markets'] as GammaMarket[]).map((market) => market['volume24hr'] as number | undefined))
    cursor = json['next_cursor'] as string | undefined
  }
  assert.equal(volumes.length, 250)
  const known = volumes.filter((volume) => volume !== undefined)
  assert.ok(known.length < 250, 'some markets have no volume member')
  assert.deepEqual(
    volumes.slice(0, known.length),
    [...known].sort((left, right) => right - left),
  )
})

test('offset is refused, unknown parameters and order names are ignored', async () => {
  const refused = await gamma('/markets/keyset?offset=10')
  assert.equal(refused.status, 422)
  assert.deepEqual(refused.json, { type: 'validation error', error: 'offset is not allowed on keyset endpoints' })
  const plain = await gamma('/markets/keyset?limit=3')
  const cursored = await gamma(`/markets/keyset?limit=3&cursor=${plain.json['next_cursor']}`)
  const misnamed = await gamma('/markets/keyset?limit=3&order=volume_num&ascending=false')
  const ids = ({ json }: Answer) => (json['markets'] as GammaMarket[]).map((market) => market.id)
  assert.deepEqual(ids(cursored), ids(plain))
  assert.deepEqual(ids(misnamed), ids(plain))
})

test('repeated filters find markets by condition, token, id and slug', async () => {
  const [one, two] = markets.filter((market) => market.version === undefined)
  assert.ok(one && two)
  const [token] = tokensOf(one)
  for (const query of [
    `condition_ids=${one.conditionId}&condition_ids=${two.conditionId}`,
    `clob_token_ids=${token}&clob_token_ids=${tokensOf(two)[1]}`,
    `id=${one.id}&id=${two.id}`,
    `slug=${one['slug']}&slug=${two['slug']}`,
  ]) {
    const { json } = await gamma(`/markets/keyset?${query}`)
    assert.deepEqual(
      (json['markets'] as GammaMarket[]).map((market) => market.id),
      [one.id, two.id],
      query,
    )
  }
})

test('market objects have the real types', () => {
  const v1 = markets.find((market) => market.version === undefined && 'volume' in market)
  assert.ok(v1)
  assert.match(String(v1['outcomes']), /^\["\w+", "\w+"\]$/)
  assert.match(String(v1['outcomePrices']), /^\["0\.\d+", "0\.\d+"\]$/)
  assert.match(String(v1.clobTokenIds), /^\["\d{75,77}", "\d{75,77}"\]$/)
  assert.equal(typeof v1['volume'], 'string')
  assert.equal(typeof v1['volume24hr'], 'number')
  assert.equal(typeof v1.orderPriceMinTickSize, 'number')
  assert.equal(v1['orderMinSize'], 5)
  const v2 = markets.find((market) => market.version === 'v2')
  assert.ok(Array.isArray(v2?.positionIds))
  assert.ok(!('clobTokenIds' in (v2 ?? {})))
  assert.ok(
    markets.every((market) => Object.values(market).every((value) => value !== null)),
    'no nulls',
  )
})

test('the old listing answers with an array, its deprecation and at most 100', async () => {
  const { text, headers } = await gamma('/markets?limit=500&offset=200')
  assert.equal((JSON.parse(text) as unknown[]).length, 50)
  assert.equal(headers.get('deprecation'), 'true')
  assert.equal((await gamma('/markets?offset=10001')).status, 422)
})

test('events hold numbers and their markets', async () => {
  const { json } = await gamma('/events/keyset?limit=2')
  const [event] = json['events'] as Record<string, unknown>[]
  assert.ok(event)
  assert.equal(typeof event['volume'], 'number')
  assert.equal((event['markets'] as unknown[]).length, 1)
})

test('a closed market leaves the listing, its prices tell the winner', async () => {
  const [market] = markets.slice(-1)
  assert.ok(market)
  const id = market.conditionId
  await venue.control({ closeMarket: { condition_id: id } })
  assert.equal(((await gamma(`/markets/keyset?condition_ids=${id}`)).json['markets'] as unknown[]).length, 0)
  const closed = await closedMarket(id)
  assert.notEqual(closed['umaResolutionStatus'] ?? closed['resolutionStatus'], 'resolved')
  await venue.control({ resolveMarket: { condition_id: id, winner: 1 } })
  const resolved = await closedMarket(id)
  assert.equal(resolved['outcomePrices'], '["0", "1"]')
  assert.equal(resolved['umaResolutionStatus'] ?? resolved['resolutionStatus'], 'resolved')
  assert.match(String(resolved['closedTime']), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00$/)
  const row = await clob(`/markets/${id}`)
  assert.deepEqual(
    (row.json['tokens'] as { winner: boolean; price: number }[]).map(({ winner, price }) => [winner, price]),
    [
      [false, 0],
      [true, 1],
    ],
  )
  assert.equal((await clob(`/book?token_id=${tokensOf(market)[0]}`)).status, 404)
})

async function closedMarket(conditionId: string): Promise<GammaMarket> {
  const { json } = await gamma(
    `/markets/keyset?closed=true&order=closedTime&ascending=false&condition_ids=${conditionId}`,
  )
  const [market] = json['markets'] as GammaMarket[]
  assert.ok(market)
  return market
}

test('books have ten members, eleven on V2, and hashes over exactly themselves', async () => {
  const body = markets.slice(0, 40).flatMap((market) => tokensOf(market).map((token_id) => ({ token_id })))
  const { json } = await post('/books', [...body, { token_id: '42' }])
  const books = json as unknown as Record<string, unknown>[]
  assert.equal(books.length, 80, 'unknown tokens are left out')
  const counts = new Set<number>()
  for (const book of books) {
    counts.add(Object.keys(book).length)
    const hash = createHash('sha1')
      .update(JSON.stringify({ ...book, hash: '' }))
      .digest('hex')
    assert.equal(book['hash'], hash)
  }
  assert.deepEqual([...counts].sort(), [10, 11])
  const account = (await venue.books()).slice(-80)
  assert.deepEqual(
    account.map(({ token, hash }) => [token, hash]),
    books.map((book) => [book['asset_id'], book['hash']]),
  )
})

test('errors have the bodies of the venue', async () => {
  const cases: readonly (readonly [Answer, number, string])[] = [
    [await clob('/book?token_id=42'), 404, 'No orderbook exists for the requested token id'],
    [await clob('/book?token_id=abc'), 400, 'Invalid token id'],
    [await clob(`/price?token_id=${tokensOf(markets[0] as GammaMarket)[0]}&side=X`), 400, 'Invalid side'],
    [await post('/books', '{'), 400, 'Invalid payload'],
    [await post('/books', [{ token: '1' }]), 400, 'Invalid payload'],
    [await post('/books', Array(501).fill({ token_id: '1' })), 400, 'Payload exceeds the limit'],
    [await clob(`/markets/0x${'0'.repeat(64)}`), 404, 'market not found'],
  ]
  for (const [answer, status, error] of cases) {
    assert.equal(answer.status, status)
    assert.deepEqual(answer.json, { error })
  }
})

test('prices, midpoints and spreads agree with the book', async () => {
  const [token = ''] = tokensOf(markets[0] as GammaMarket)
  const book = (await clob(`/book?token_id=${token}`)).json
  const bid = (book['bids'] as { price: string }[]).at(-1)?.price
  const ask = (book['asks'] as { price: string }[]).at(-1)?.price
  assert.deepEqual((await clob(`/price?token_id=${token}&side=BUY`)).json, { price: bid })
  assert.deepEqual((await clob(`/prices?token_ids=${token},${token}&sides=BUY,SELL`)).json, {
    [token]: { BUY: bid, SELL: ask },
  })
  const mid = (await clob(`/midpoint?token_id=${token}`)).json['mid']
  assert.equal(Number(mid).toFixed(4), ((Number(bid) + Number(ask)) / 2).toFixed(4))
  assert.deepEqual((await post('/midpoints', [{ token_id: token }])).json, { [token]: mid })
  assert.deepEqual((await clob(`/last-trade-price?token_id=${token}`)).json, { price: '0.5', side: '' })
  assert.match((await clob('/time')).text, /^\d{10}$/)
})

test('the paged CLOB listing ends with LTE=', async () => {
  let cursor = 'MA=='
  let rows = 0
  while (cursor !== 'LTE=') {
    const { json } = await clob(`/markets?next_cursor=${cursor}`)
    rows += (json['data'] as unknown[]).length
    cursor = String(json['next_cursor'])
  }
  assert.equal(rows, (await venue.account()).lifecycle.filter(({ kind }) => kind === 'created').length)
})

test('the account holds every price that Gamma served', async () => {
  const earlier = (await venue.prices()).length
  const { json } = await gamma('/markets/keyset?limit=10')
  const expected = (json['markets'] as GammaMarket[]).flatMap((market) => {
    const prices = JSON.parse(String(market['outcomePrices'])) as string[]
    const volume = market['volume24hr'] === undefined ? null : String(market['volume24hr'])
    return tokensOf(market).map((token, index) => [token, prices[index], volume])
  })
  const told = (await venue.prices()).slice(earlier)
  assert.deepEqual(
    told.map(({ token, price, volume24h }) => [token, price, volume24h]),
    expected,
  )
})

test('the Data API pages through the trades of a market, newest first', async () => {
  await venue.control({ step: 3_000, drain: true })
  const fills = (await linesOf('account/fills')) as { market: string; transactionHash: string; venueMs: number }[]
  const counts = new Map<string, number>()
  for (const { market } of fills) counts.set(market, (counts.get(market) ?? 0) + 1)
  const [busiest] = [...counts].sort(([, left], [, right]) => right - left)[0] ?? []
  const own = fills.filter(({ market }) => market === busiest)
  assert.ok(own.length >= 5)
  const rows: Record<string, unknown>[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: Answer = await get(`${venue.urls.data}/v2/trades?condition=${busiest}&limit=3&cursor=${cursor}`)
    rows.push(...(page.json['data'] as Record<string, unknown>[]))
    cursor = (page.json['pagination'] as { next_cursor: string | null }).next_cursor
  }
  assert.deepEqual(
    rows.map((row) => row['transaction_hash']),
    own.map((fill) => fill.transactionHash).reverse(),
  )
  assert.equal(rows[0]?.['timestamp'], Math.floor((own.at(-1)?.venueMs ?? 0) / 1_000))
  const old = await get(`${venue.urls.data}/trades?market=${busiest}&limit=5000`)
  assert.equal((old.json as unknown as unknown[]).length, own.length)
  const past = await get(`${venue.urls.data}/trades?offset=3001`)
  assert.deepEqual(past.json, { error: 'max historical activity offset of 3000 exceeded' })
})

test('the Data API holds back what it is told to', async () => {
  const rowsOf = async (path: string) => ((await get(`${venue.urls.data}${path}`)).json['data'] as unknown[]).length
  const all = await rowsOf('/v2/trades?limit=1000')
  assert.ok(all > 10)
  await venue.control({ dataLimits: { pageRows: 7 } })
  assert.equal(await rowsOf('/v2/trades?limit=1000'), 7)
  await venue.control({ dataLimits: { pageRows: 1_000, delayMs: 3_600_000 } })
  assert.equal(await rowsOf('/v2/trades?limit=1000'), 0)
  await venue.control({ dataLimits: { v2: false } })
  assert.equal((await get(`${venue.urls.data}/v2/trades`)).status, 404)
  await venue.control({ dataLimits: { v1Offset: 5 } })
  assert.deepEqual((await get(`${venue.urls.data}/trades?offset=6`)).json, {
    error: 'max historical activity offset of 5 exceeded',
  })
  await assert.rejects(venue.control({ dataLimits: { delayMs: -1 } }), /delayMs/)
  await venue.control({ dataLimits: {} })
  assert.equal(await rowsOf('/v2/trades?limit=1000'), all)
})

async function linesOf(path: string): Promise<unknown[]> {
  const text = await (await fetch(`${new URL(venue.urls.gamma).origin}/sim/${path}`)).text()
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as unknown)
}
