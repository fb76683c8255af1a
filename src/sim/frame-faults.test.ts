import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { DroppedFrame } from './frame-faults.ts'
import { JOURNAL_FILE, type JournalLine } from './journal.ts'
import { startVenueProcess, type VenueProcess } from './process.ts'
import { allMarkets, connect, firstFrame, type GammaMarket, type TestClient, tokensOf } from './test-client.ts'

let venue: VenueProcess
let directory: string
let markets: GammaMarket[]
let tokens: string[]

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tapekeeper-venue-'))
  const shares = { repeatShare: 0, identicalFillShare: 0.5, tradeShare: 0.3 }
  venue = await startVenueProcess({ markets: 6, seed: 5, paused: true, rate: 1_000, accountDir: directory, ...shares })
  markets = await allMarkets(venue.urls.gamma)
  tokens = markets.flatMap(tokensOf)
})

after(async () => {
  await venue.stop()
  await rm(directory, { recursive: true })
})

async function journal(): Promise<JournalLine[]> {
  const text = await readFile(join(directory, JOURNAL_FILE), 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as JournalLine)
}

async function subscribed(wanted = tokens): Promise<TestClient> {
  const client = await connect(venue.urls.ws)
  client.send(firstFrame(wanted))
  await client.until(() => client.frames.length === 1)
  return client
}

/** Waits until everything that the venue has given this client is here: the PONG comes last. */
async function settled(client: TestClient): Promise<Record<string, unknown>[]> {
  await venue.control({ drain: true })
  const pongs = client.frames.filter((frame) => frame === 'PONG').length
  client.send('PING')
  await client.until(() => client.frames.filter((frame) => frame === 'PONG').length > pongs)
  return client.events().slice(tokens.length)
}

/** What the channel told, in the words of the journal: `kind|token|time` and what distinguishes two of one time. */
function told(events: readonly Record<string, unknown>[]): string[] {
  return events.flatMap((event) => {
    const { event_type: type, timestamp, asset_id: token } = event
    if (type === 'book') return [`book|${token}|${timestamp}|||`]
    if (type === 'last_trade_price') return [`trade|${token}|${timestamp}|${event['price']}|${event['size']}|`]
    if (type !== 'price_change') return []
    const items = event['price_changes'] as Record<string, string>[]
    return items.map((item) => {
      return `change|${item['asset_id']}|${timestamp}|${item['price']}|${item['size']}|${item['side']}`
    })
  })
}

function happened(lines: readonly JournalLine[]): string[] {
  return lines.map(({ kind, token, venueMs, price = '', size = '', side = '' }) => {
    return `${kind}|${token}|${venueMs}|${price}|${size}|${kind === 'trade' ? '' : side}`
  })
}

test('the journal has everything that happened, heard or not, and nothing else', async () => {
  await venue.control({ step: 100, drain: true })
  const unheard = (await journal()).length
  assert.ok(unheard > 200)
  const client = await subscribed()
  await venue.control({ step: 300 })
  const events = await settled(client)
  const lines = (await journal()).slice(unheard)
  assert.deepEqual(told(events).sort(), happened(lines).sort())
  assert.ok(lines.every((line) => Math.abs(line.atUs / 1_000 - line.venueMs) < 1_000))
  const { engine } = await venue.account()
  assert.equal((await journal()).filter((line) => line.kind === 'trade').length, engine.fills)
  await client.close()
})

for (const kind of ['price_change', 'book', 'last_trade_price'] as const) {
  test(`dropped: so many frames of kind ${kind}, and the account says which`, async () => {
    const client = await subscribed()
    const before = ((await venue.get('account')) as { faults: { dropped: number } }).faults.dropped
    const known = (await journal()).length
    await venue.control({ dropFrames: { kind, count: 7, every: 2 }, step: 400 })
    const events = await settled(client)
    const dropped = (await venue.dropped()).slice(before)
    assert.equal(dropped.length, 7)
    assert.equal((await venue.account()).faults.dropped, before + 7)
    const lost = dropped.map((one) => JSON.parse(one.frame) as Record<string, unknown>)
    assert.ok(lost.every((event) => event['event_type'] === kind))
    const conn = (await venue.account()).connections.length
    assert.ok(dropped.every((one: DroppedFrame) => one.kind === kind && one.connections.includes(conn)))
    assert.deepEqual([...told(events), ...told(lost)].sort(), happened((await journal()).slice(known)).sort())
    await client.close()
  })
}

test('dropped: with a trade all fills of its transaction', async () => {
  const client = await subscribed()
  const before = (await venue.account()).faults.dropped
  await venue.control({ dropFrames: { kind: 'last_trade_price', count: 10, wholeMatch: true }, step: 400 })
  const events = await settled(client)
  const dropped = (await venue.dropped()).slice(before)
  const transactionOf = (event: Record<string, unknown>) => event['transaction_hash']
  const lost = new Set(dropped.map((one) => transactionOf(JSON.parse(one.frame) as Record<string, unknown>)))
  assert.equal(lost.size, 10)
  assert.ok(dropped.length > 10, 'some matches have several fills')
  assert.ok(!events.some((event) => lost.has(transactionOf(event))))
  assert.equal((await venue.account()).faults.dropped, before + dropped.length)
  await client.close()
})

test('dropped: only frames of the market asked for', async () => {
  const client = await subscribed()
  const [token = ''] = tokensOf(markets[2] as GammaMarket)
  const before = (await venue.account()).faults.dropped
  await venue.control({ dropFrames: { kind: 'price_change', count: 3, token }, step: 400 })
  await settled(client)
  const dropped = (await venue.dropped()).slice(before)
  assert.equal(dropped.length, 3)
  assert.ok(dropped.every((one) => one.tokens.includes(token)))
  await client.close()
})

test('repeated: books and changes come twice, trades never', async () => {
  const client = await subscribed()
  const known = (await journal()).length
  await venue.control({ repeatFrames: 0.5, step: 200 })
  const events = await settled(client)
  await venue.control({ clearFrameFaults: true })
  const { repeated } = (await venue.account()).faults
  assert.ok(repeated > 50)
  const once = client.data().filter((frame, index, all) => frame !== all[index - 1] || frame.includes('last_trade'))
  assert.equal(client.data().length - once.length, repeated)
  const lines = happened((await journal()).slice(known))
  const trades = (list: readonly string[]) => list.filter((line) => line.startsWith('trade')).length
  assert.equal(trades(told(events)), trades(lines))
  assert.deepEqual(new Set(told(events)), new Set(lines))
  await client.close()
})

test('reordered: neighbours of one market change places, and nothing is lost', async () => {
  const client = await subscribed()
  const known = (await journal()).length
  await venue.control({ reorderFrames: 0.3, step: 200 })
  const events = await settled(client)
  await venue.control({ clearFrameFaults: true })
  const { swapped } = (await venue.account()).faults
  assert.ok(swapped > 30)
  const lines = happened((await journal()).slice(known))
  assert.deepEqual(told(events).sort(), [...lines].sort())
  const times = events.filter((event) => event['market'] === markets[0]?.conditionId).map((event) => event['timestamp'])
  assert.notDeepEqual(times, [...times].sort(), 'some came late')
  await client.close()
})

test('a token frozen on one connection: silent there for good, alive on the next', async () => {
  const [token = ''] = tokens
  const [one, other] = [await subscribed(), await subscribed()]
  await venue.control({ freeze: { token, connections: [(await venue.account()).connections.length - 1] }, step: 100 })
  await settled(one)
  await settled(other)
  const tells = (client: TestClient) =>
    client
      .data()
      .slice(1)
      .filter((frame) => frame.includes(token)).length
  assert.equal(tells(one), 0)
  assert.ok(tells(other) > 5)
  assert.ok(one.data().length > 50, 'its other tokens go on')
  const before = one.data().length
  one.send({ operation: 'unsubscribe', assets_ids: [token] })
  one.send({ operation: 'subscribe', assets_ids: [token] })
  await one.until(() => one.data().length > before)
  assert.equal(one.data().at(-1), '[]\n')
  const third = await subscribed([token])
  assert.equal(third.events().length, 1, 'a new connection gets its book')
  await venue.control({ step: 100 })
  await settled(third)
  assert.ok(tells(third) > 5)
  await venue.control({ unfreeze: true, freeze: { token, connections: 'current' }, step: 100 })
  const fourth = await subscribed([token])
  const silent = third.data().length
  await venue.control({ step: 100 })
  await settled(third)
  await settled(fourth)
  assert.equal(third.data().length, silent)
  assert.ok(tells(fourth) > 5, 'those that come later are not meant')
  await venue.control({ clearFaults: true })
  for (const client of [one, other, third, fourth]) await client.close()
})

test('a wrong clock: every time that the venue tells is off by as much', async () => {
  const client = await subscribed()
  await venue.control({ clockSkew: -300 })
  const seconds = Number(await (await fetch(`${venue.urls.clob}/time`)).text())
  assert.ok(Math.abs(Date.now() / 1_000 - 300 - seconds) < 5)
  const known = (await journal()).length
  await venue.control({ step: 50 })
  const events = await settled(client)
  assert.ok(events.length > 50)
  for (const event of events) assert.ok(Math.abs(Number(event['timestamp']) + 300_000 - Date.now()) < 10_000)
  const lines = (await journal()).slice(known)
  assert.ok(lines.every((line) => Math.abs(line.atUs / 1_000 - 300_000 - line.venueMs) < 1_000))
  assert.equal((await venue.account()).faults.clockSkewSeconds, -300)
  await venue.control({ clearFaults: true })
  assert.equal((await venue.account()).faults.clockSkewSeconds, 0)
  await client.close()
})

const EMPTY_PAGES: readonly (readonly [string, unknown])[] = [
  ['/gamma/markets/keyset', { markets: [] }],
  ['/gamma/events/keyset', { events: [] }],
  ['/gamma/markets', []],
  ['/clob/markets', { limit: 100, count: 0, next_cursor: 'LTE=', data: [] }],
  ['/clob/books', []],
  ['/data/trades', []],
]
test('an empty page is well formed, lists nothing and is the last one', async () => {
  const base = venue.urls.gamma.replace(/\/gamma$/, '')
  for (const [path, body] of EMPTY_PAGES) {
    await venue.control({ httpFault: { path, mode: 'empty_page', count: 1 } })
    assert.deepEqual(await (await fetch(base + path)).json(), body)
  }
  await venue.control({ httpFault: { path: '/data/v2/trades', mode: 'empty_page', count: 1 } })
  const { data } = (await (await fetch(`${venue.urls.data}/v2/trades`)).json()) as { data: unknown[] }
  assert.deepEqual(data, [])
  assert.equal((await venue.account()).faults.http.empty_page, 7)
})

test('a page of 20,000 new tokens: all at once, whatever limit was asked for', async (t) => {
  const large = await startVenueProcess({ markets: 1, seed: 3, rate: 0 })
  t.after(() => large.stop())
  const client = await connect(large.urls.ws)
  client.send(firstFrame([], { custom_feature_enabled: true }))
  client.send('PING')
  await client.until(() => client.frames.length === 1)
  await large.control({ createMarket: { count: 10_000 } })
  await client.until(() => client.data().length === 10_000)
  await large.control({ httpFault: { path: '/gamma/markets/keyset', mode: 'whole_page', count: 1 } })
  const whole = async () => {
    const response = await fetch(`${large.urls.gamma}/markets/keyset?limit=100`)
    return (await response.json()) as { markets: GammaMarket[]; next_cursor?: string }
  }
  const page = await whole()
  assert.equal(page.markets.flatMap(tokensOf).length, 20_002)
  assert.equal(page.next_cursor, undefined)
  assert.equal((await whole()).markets.length, 100)
  await client.close()
})
