import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startVenueProcess, type VenueProcess } from './process.ts'
import { checkBooks } from './test-books.ts'
import { allMarkets, connect, firstFrame, type GammaMarket, tokensOf } from './test-client.ts'

let venue: VenueProcess
let markets: GammaMarket[]
let tokens: string[]
const accountDir = mkdtempSync(join(tmpdir(), 'tapekeeper-sim-'))

before(async () => {
  const seed = 11
  venue = await startVenueProcess({ markets: 30, seed, v2Share: 0.3, paused: true, rate: 2_000, accountDir })
  markets = await allMarkets(venue.urls.gamma)
  tokens = markets.flatMap(tokensOf)
})

after(async () => {
  await venue.stop()
  rmSync(accountDir, { recursive: true, force: true })
})

test('the initial dump is one compact array with a final newline', async () => {
  const client = await connect(venue.urls.ws)
  client.send(firstFrame(tokens.slice(0, 4)))
  await client.until(() => client.frames.length === 1)
  const [frame = ''] = client.frames
  assert.ok(frame.startsWith('[{"market":"0x') && frame.endsWith('}]\n'))
  assert.ok(!frame.includes(', '))
  const books = JSON.parse(frame) as Record<string, unknown>[]
  assert.deepEqual(
    books.map((book) => book['asset_id']),
    tokens.slice(0, 4),
  )
  const [v1] = books.filter((book) => book['version'] === undefined)
  assert.ok(v1)
  assert.equal(
    Object.keys(v1).join(' '),
    'market asset_id timestamp hash bids asks tick_size event_type last_trade_price',
  )
  const bids = (v1['bids'] as { price: string }[]).map(({ price }) => Number(price))
  const asks = (v1['asks'] as { price: string }[]).map(({ price }) => Number(price))
  assert.deepEqual(
    bids,
    [...bids].sort((left, right) => left - right),
    'best bid last',
  )
  assert.deepEqual(
    asks,
    [...asks].sort((left, right) => right - left),
    'best ask last',
  )
  await client.close()
})

test('a V2 market says so at the end of its book', async () => {
  const v2 = markets.find((market) => market.version === 'v2')
  assert.ok(v2)
  const client = await connect(venue.urls.ws)
  client.send(firstFrame(tokensOf(v2)))
  await client.until(() => client.frames.length === 1)
  assert.match(client.frames[0] ?? '', /"last_trade_price":"","version":"v2"\}/)
  assert.equal(checkBooks(client.data(), [v2]).dumps, 2)
  await client.close()
})

test('text PING is answered with text PONG, after a subscription', async () => {
  const client = await connect(venue.urls.ws)
  client.send(firstFrame([]))
  client.send('PING')
  await client.until(() => client.frames.includes('PONG'))
  assert.deepEqual(client.frames, ['PONG'])
  await client.close()
})

for (const [name, message] of [
  ['PING', 'PING'],
  ['an operation', { operation: 'subscribe', assets_ids: ['1'] }],
  ['no JSON', '{'],
  ['another type', { type: 'user', assets_ids: [] }],
  ['ids that are not text', { type: 'market', assets_ids: [1] }],
] as const) {
  test(`${name} before a valid subscription closes with 1008`, async () => {
    const client = await connect(venue.urls.ws)
    client.send(message)
    assert.deepEqual(await client.closed, { code: 1008, reason: 'invalid subscription payload' })
  })
}

test('a second initial form is refused as INVALID OPERATION and subscribes nothing', async () => {
  const client = await connect(venue.urls.ws)
  client.send(firstFrame(tokens.slice(0, 2)))
  client.send(firstFrame(tokens.slice(2, 4)))
  await client.until(() => client.frames.length === 2)
  assert.equal(client.frames[1], 'INVALID OPERATION')
  const [last] = (await venue.account()).connections.slice(-1)
  assert.equal(last?.tokens, 2)
  await client.close()
})

test('unknown ids are answered with an empty array', async () => {
  const client = await connect(venue.urls.ws)
  client.send(firstFrame(['123456']))
  await client.until(() => client.frames.length === 1)
  assert.deepEqual(JSON.parse(client.frames[0] ?? ''), [])
  await client.close()
})

test('a subscribe frame with too many ids ends the connection', async () => {
  const client = await connect(venue.urls.ws)
  client.send(firstFrame(Array.from({ length: 501 }, (_, index) => String(index))))
  assert.equal((await client.closed).code, 1008)
})

test('subscribe and unsubscribe work while connected; a subscribe dumps only new ids', async () => {
  const client = await connect(venue.urls.ws)
  client.send(firstFrame(tokens.slice(0, 2)))
  client.send({ operation: 'subscribe', assets_ids: tokens.slice(0, 4) })
  await client.until(() => client.frames.length === 2)
  assert.equal((JSON.parse(client.frames[1] ?? '') as unknown[]).length, 2)
  client.send({ operation: 'unsubscribe', assets_ids: tokens.slice(0, 4) })
  client.send({ operation: 'subscribe', assets_ids: tokens.slice(0, 1) })
  await client.until(() => client.frames.length === 3)
  assert.equal((JSON.parse(client.frames[2] ?? '') as unknown[]).length, 1)
  client.send({ operation: 'subscribe', assets_ids: tokens.slice(0, 1) })
  client.send('PING')
  await client.until(() => client.frames.includes('PONG'))
  assert.equal(client.data().length, 3, 'nothing is dumped for an id that is subscribed')
  await client.close()
})

test('every frame has its form, every hash is right, and the account is what the client received', async () => {
  const client = await connect(venue.urls.ws)
  client.send(firstFrame(tokens, { custom_feature_enabled: true }))
  await client.until(() => client.frames.length === 1)
  const conn = (await venue.account()).connections.length
  await venue.control({ resume: true })
  await venue.waitFor((account) => (account.connections[conn - 1]?.frames ?? 0) > 3_000)
  // A market close to the edge changes its tick size while all this goes on.
  const coarse = markets.find((market) => market.orderPriceMinTickSize === 0.01)
  await venue.control({ movePrice: { condition_id: coarse?.conditionId ?? '', price: 0.975 } })
  await venue.waitFor((account) => (account.connections[conn - 1]?.frames ?? 0) > 4_000)
  await venue.control({ drain: true })
  const own = (await venue.account()).connections[conn - 1]
  await client.until(() => client.data().length === own?.frames)

  const [, ...live] = client.data()
  for (const frame of live) assertForm(frame)
  const kinds = new Set(client.events().map((event) => event['event_type']))
  for (const kind of ['book', 'price_change', 'last_trade_price', 'best_bid_ask', 'tick_size_change']) {
    assert.ok(kinds.has(kind), `${kind} was sent`)
  }
  const checked = checkBooks(client.data(), markets)
  assert.equal(checked.dumps, tokens.length)
  assert.ok(checked.batches > 1_000 && checked.tradedBooks > 100, JSON.stringify({ ...checked, hashes: 0 }))
  await assertRestAgrees(checked.hashes)
  assertBestFirst(client.events())

  const bytes = client.data().reduce((sum, frame) => sum + Buffer.byteLength(frame), 0)
  assert.equal(own?.bytes, bytes)
  const kept = readFileSync(join(accountDir, `frames-${conn}.ndjson`), 'utf8')
    .trimEnd()
    .split('\n')
  assert.deepEqual(
    kept.map((line) => (JSON.parse(line) as { frame: string }).frame),
    client.data(),
  )
  await assertTradesAgree(conn, client.data())
  await client.close()
})

const MEMBERS: Readonly<Record<string, string>> = {
  book: 'market asset_id bids asks hash timestamp event_type',
  price_change: 'market price_changes timestamp event_type',
  last_trade_price: 'market asset_id price size fee_rate_bps side timestamp event_type transaction_hash',
  best_bid_ask: 'market asset_id best_bid best_ask spread timestamp event_type',
  tick_size_change: 'event_type asset_id market old_tick_size new_tick_size timestamp',
}

function assertForm(frame: string): void {
  const event = JSON.parse(frame) as Record<string, unknown>
  const members = Object.keys(event).filter((key) => key !== 'version')
  assert.equal(members.join(' '), MEMBERS[String(event['event_type'])])
  assert.ok(!frame.endsWith('\n'))
  assert.ok(!/":\s/.test(frame) && !/"[},\]]*,"/.test(frame), `", " between members: ${frame.slice(0, 200)}`)
  for (const [key, value] of Object.entries(event)) {
    assert.notEqual(typeof value, 'number', `${key} is text`)
  }
}

/** best_bid_ask comes before the frames of its step, and every best price that they name has been told by then. */
function assertBestFirst(events: readonly Record<string, unknown>[]): void {
  const told = new Map<unknown, string>()
  events.forEach((event, index) => {
    if (event['event_type'] === 'best_bid_ask') {
      told.set(event['asset_id'], `${event['best_bid']} ${event['best_ask']}`)
      const next = events.slice(index).find((later) => later['event_type'] !== 'best_bid_ask')
      assert.deepEqual([next?.['market'], next?.['timestamp']], [event['market'], event['timestamp']])
    }
    if (event['event_type'] === 'book') {
      const [bid, ask] = ['bids', 'asks'].map((side) => (event[side] as { price: string }[]).at(-1)?.price)
      if ('tick_size' in event) told.set(event['asset_id'], `${bid} ${ask}`)
      assert.equal(told.get(event['asset_id']), `${bid} ${ask}`)
    }
    for (const change of (event['price_changes'] ?? []) as Record<string, string>[]) {
      assert.equal(told.get(change['asset_id']), `${change['best_bid']} ${change['best_ask']}`)
    }
  })
}

/** The books that the client rebuilt are the books that REST serves. */
async function assertRestAgrees(rebuilt: ReadonlyMap<string, string>): Promise<void> {
  const body = JSON.stringify(tokens.map((token) => ({ token_id: token })))
  const response = await fetch(`${venue.urls.clob}/books`, { method: 'POST', body })
  const books = (await response.json()) as { asset_id: string; bids: unknown; asks: unknown }[]
  assert.equal(books.length, tokens.length)
  for (const book of books) {
    assert.equal(JSON.stringify([book.bids, book.asks]), rebuilt.get(book.asset_id))
  }
}

async function assertTradesAgree(conn: number, frames: readonly string[]): Promise<void> {
  const accounted = (await venue.trades()).filter((trade) => trade.conn === conn)
  const received = frames.flatMap((frame, index) => {
    const event = JSON.parse(frame) as Record<string, string>
    if (event['event_type'] !== 'last_trade_price') return []
    return [
      `${index + 1} ${event['asset_id']} ${event['price']} ${event['size']} ${event['side']} ${event['timestamp']}`,
    ]
  })
  const told = accounted.map(({ frame, token, price, size, side, venueMs }) => {
    return `${frame} ${token} ${price} ${size} ${side} ${venueMs}`
  })
  assert.deepEqual(told, received)
  assert.ok(told.length > 50)
  const identical = told.length - new Set(told.map((text) => text.replace(/^\d+ /, ''))).size
  assert.ok(identical > 0, 'identical fills were among them')
}
