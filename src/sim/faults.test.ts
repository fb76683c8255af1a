import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { after, before, test } from 'node:test'
import type { HttpFaultMode } from './faults.ts'
import { startVenueProcess, type VenueProcess } from './process.ts'
import { allMarkets, connect, firstFrame, type GammaMarket, tokensOf } from './test-client.ts'

let venue: VenueProcess
let markets: GammaMarket[]
let tokens: string[]

before(async () => {
  const limits = { bufferLimitBytes: 200_000, maxTokensPerConnection: 30 }
  venue = await startVenueProcess({ markets: 20, seed: 2, paused: true, rate: 1_000, ...limits })
  markets = await allMarkets(venue.urls.gamma)
  tokens = markets.flatMap(tokensOf)
})

after(async () => {
  await venue.stop()
})

test('a new market is told to every custom connection, whatever it subscribed to', async () => {
  const [custom, discovery, plain] = [
    await connect(venue.urls.ws),
    await connect(venue.urls.ws),
    await connect(venue.urls.ws),
  ]
  custom.send(firstFrame(tokens.slice(0, 2), { custom_feature_enabled: true }))
  discovery.send(firstFrame([], { custom_feature_enabled: true }))
  plain.send(firstFrame(tokens.slice(0, 2)))
  await custom.until(() => custom.frames.length === 1)
  await plain.until(() => plain.frames.length === 1)
  discovery.send('PING')
  await discovery.until(() => discovery.frames.length === 1)
  const answer = await venue.control({ createMarket: true })
  const [created] = answer['created'] as { condition_id: string; tokens: string[] }[]
  assert.ok(created)
  await custom.until(() => custom.frames.length === 2)
  await discovery.until(() => discovery.data().length === 1)
  const event = JSON.parse(custom.frames[1] ?? '') as Record<string, unknown>
  assert.equal(event['event_type'], 'new_market')
  assert.equal(event['condition_id'], created.condition_id)
  assert.deepEqual(event['assets_ids'], created.tokens)
  const listed = await allMarkets(venue.urls.gamma)
  assert.ok(listed.some((market) => market.conditionId === created.condition_id))
  await venue.control({ resolveMarket: { condition_id: created.condition_id, winner: 0 } })
  await custom.until(() => custom.frames.length === 3)
  const resolved = JSON.parse(custom.frames[2] ?? '') as Record<string, unknown>
  assert.equal(resolved['event_type'], 'market_resolved')
  assert.equal(resolved['winning_asset_id'], created.tokens[0])
  plain.send('PING')
  await plain.until(() => plain.frames.includes('PONG'))
  assert.equal(plain.data().length, 1, 'a connection without the custom features is not told')
  const { lifecycle } = await venue.account()
  assert.deepEqual(
    lifecycle.filter((entry) => entry.conditionId === created.condition_id).map((entry) => entry.kind),
    ['created', 'resolved'],
  )
  for (const client of [custom, discovery, plain]) await client.close()
})

test('a frozen connection answers PING and says nothing else', async () => {
  const client = await connect(venue.urls.ws)
  client.send(firstFrame(tokens.slice(0, 10)))
  await client.until(() => client.frames.length === 1)
  const conn = (await venue.account()).connections.length
  await venue.control({ freeze: { connections: [conn] }, step: 200 })
  client.send('PING')
  client.send({ operation: 'subscribe', assets_ids: tokens.slice(10, 12) })
  await client.until(() => client.frames.length === 3)
  assert.deepEqual(client.frames.slice(1), ['PONG', '[]\n'])
  const frozen = (await venue.account()).connections[conn - 1]
  assert.ok((frozen?.withheld ?? 0) > 10)
  assert.equal(frozen?.frames, 2, 'what was withheld is not counted as sent')
  await venue.control({ unfreeze: true, step: 200, drain: true })
  await client.until(() => client.data().length > 10)
  await client.close()
})

test('a frozen token is silent while the others go on', async () => {
  const client = await connect(venue.urls.ws)
  client.send(firstFrame(tokens.slice(0, 20)))
  await client.until(() => client.frames.length === 1)
  const [token = ''] = tokens
  await venue.control({ freeze: { token }, step: 500, drain: true })
  client.send('PING')
  await client.until(() => client.frames.includes('PONG'))
  const [, ...live] = client.data()
  assert.ok(live.length > 50)
  assert.ok(!live.some((frame) => frame.includes(token)))
  await venue.control({ unfreeze: true })
  await client.close()
})

test('above the limit of a connection tokens get no initial book', async () => {
  const client = await connect(venue.urls.ws)
  client.send(firstFrame(tokens))
  await client.until(() => client.frames.length === 1)
  assert.equal((JSON.parse(client.frames[0] ?? '') as unknown[]).length, 30)
  await client.close()
})

test('connections can be ended with any code, and without a word', async () => {
  for (const end of [
    { code: 1012, reason: 'service restart' },
    { code: 1006, reason: '' },
  ]) {
    const client = await connect(venue.urls.ws)
    client.send(firstFrame(tokens.slice(0, 2)))
    await client.until(() => client.frames.length === 1)
    await venue.control({ closeConnections: end })
    assert.deepEqual(await client.closed, end)
    const [last] = (await venue.account()).connections.slice(-1)
    assert.deepEqual([last?.closedBy, last?.closeCode], ['venue', end.code])
  }
})

test('a client that does not read is ended, and the account says what it never got', async () => {
  const { hostname, port, pathname } = new URL(venue.urls.ws)
  const socket = connectTcp(Number(port), hostname)
  await once(socket, 'connect')
  const key = Buffer.alloc(16, 1).toString('base64')
  socket.write(
    `GET ${pathname} HTTP/1.1\r\nhost: ${hostname}\r\nupgrade: websocket\r\nconnection: upgrade\r\n` +
      `sec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n\r\n`,
  )
  await once(socket, 'data')
  socket.pause()
  socket.write(maskedText(JSON.stringify(firstFrame(tokens))))
  const { connections } = await venue.waitFor((account) => (account.connections.at(-1)?.tokens ?? 0) > 0)
  const conn = connections.length
  for (let round = 0; round < 200; round += 1) {
    await venue.control({ step: 200 })
    if ((await venue.account()).connections[conn - 1]?.closedMs) break
  }
  const slow = (await venue.account()).connections[conn - 1]
  assert.equal(slow?.closedBy, 'venue')
  assert.equal(slow?.closeReason, 'slow consumer')
  assert.ok((slow?.unsentBytes ?? 0) > 200_000)
  socket.destroy()
})

/** One client frame, as the protocol wants it: masked, here with zeros. */
function maskedText(text: string): Buffer {
  const payload = Buffer.from(text)
  const header = Buffer.alloc(8)
  header[0] = 0x81
  header[1] = 0x80 | 126
  header.writeUInt16BE(payload.length, 2)
  return Buffer.concat([header, payload])
}

const REPLIES: readonly (readonly [HttpFaultMode, number, RegExp, string])[] = [
  ['html', 520, /^<html>/, 'text/html; charset=UTF-8'],
  ['429', 429, /Too Many Requests/, 'application/json'],
  ['500', 500, /"error"/, 'application/json'],
  ['425', 425, /"error"/, 'application/json'],
  ['502', 502, /"error"/, 'application/json'],
  ['503', 503, /"error"/, 'application/json'],
  ['empty', 200, /^$/, 'application/json'],
]
for (const [mode, status, body, type] of REPLIES) {
  test(`HTTP fault ${mode} hits as often as asked and then never again`, async () => {
    await venue.control({ httpFault: { path: '/gamma/markets', mode, retryAfter: 7, count: 2 } })
    for (let round = 0; round < 2; round += 1) {
      const response = await fetch(`${venue.urls.gamma}/markets/keyset`)
      assert.equal(response.status, status)
      assert.equal(response.headers.get('content-type'), type)
      if (mode !== 'empty') assert.equal(response.headers.get('retry-after'), '7')
      assert.match(await response.text(), body)
    }
    assert.equal((await fetch(`${venue.urls.clob}/time`)).status, 200, 'other paths are well')
    assert.equal((await fetch(`${venue.urls.gamma}/markets/keyset`)).status, 200)
  })
}

test('HTTP fault reset cuts the connection, hang answers nothing', async () => {
  await venue.control({ httpFault: { path: '/clob/time', mode: 'reset', count: 1 } })
  await assert.rejects(fetch(`${venue.urls.clob}/time`))
  await venue.control({ httpFault: { path: '/clob/time', mode: 'hang', count: 1 } })
  await assert.rejects(fetch(`${venue.urls.clob}/time`, { signal: AbortSignal.timeout(100) }), { name: 'TimeoutError' })
  assert.equal((await fetch(`${venue.urls.clob}/time`)).status, 200)
})

test('a wrong command is refused with its reason', async () => {
  await assert.rejects(venue.control({ rate: -1 }), /rate/)
  await assert.rejects(venue.control({ nonsense: true } as never), /unknown command nonsense/)
  await assert.rejects(venue.control({ resolveMarket: { condition_id: '0x00' } }), /unknown market/)
})

test('a connection without PING is ended', async (t) => {
  const strict = await startVenueProcess({ markets: 1, rate: 0, heartbeatTimeoutMs: 60 })
  t.after(() => strict.stop())
  const client = await connect(strict.urls.ws)
  client.send(firstFrame([]))
  assert.deepEqual(await client.closed, { code: 1001, reason: 'no heartbeat' })
})

test('bad options are refused before a process starts', async () => {
  await assert.rejects(startVenueProcess({ markets: -1 }), /markets must be a whole number/)
  await assert.rejects(startVenueProcess({ play: '/nowhere/frames.jsonl' }), /cannot read the recording/)
})
