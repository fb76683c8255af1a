import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import { seededRandom } from '../core/random.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { startVenueProcess } from './process.ts'
import { type RunningProxy, startProxy } from './proxy.ts'
import { startProxyProcess } from './proxy-process.ts'
import { allMarkets, connect as connectChannel, firstFrame, tokensOf } from './test-client.ts'

let server: Server
let proxy: RunningProxy
let accepted: Socket[] = []

before(async () => {
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    accepted.push(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  proxy = await startProxy({ target: `http://127.0.0.1:${port}`, seed: 4 }, systemClock())
})

beforeEach(() => {
  accepted = []
  proxy.carryOut({ heal: true })
})

after(async () => {
  await proxy.close()
  await new Promise((resolve) => server.close(resolve))
})

/** A connection through the proxy: the client's end and the server's. */
async function pair(): Promise<{ client: Socket; remote: Socket }> {
  const client = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true })
  client.on('error', () => {})
  client.write('hello')
  while (accepted.length === 0) await once(server, 'connection')
  const remote = accepted[0] as Socket
  await once(remote, 'data')
  return { client, remote }
}

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function noise(bytes: number, seed: number): Buffer {
  const random = seededRandom(seed)
  return Buffer.from(Array.from({ length: bytes }, () => Math.floor(random() * 256)))
}

const LINES = {
  'a good line': {},
  'tiny slices': { sliceBytes: 3 },
  'latency with jitter': { latencyMs: 5, jitterMs: 20 },
  'a narrow line': { bytesPerSecond: 200_000, sliceBytes: 500 },
}
for (const [name, line] of Object.entries(LINES)) {
  test(`${name}: every byte arrives in order, both ways, and the end after them`, async () => {
    proxy.carryOut({ line })
    const { client, remote } = await pair()
    const [up, down] = [noise(30_000, 1), noise(40_000, 2)]
    const heard = Promise.all([readAll(client), readAll(remote)])
    for (let at = 0; at < 40_000; at += 1_000) {
      remote.write(down.subarray(at, at + 1_000))
      if (at < 30_000) client.write(up.subarray(at, at + 1_000))
    }
    remote.end()
    client.end()
    const [atClient, atRemote] = await heard
    assert.ok(atClient.equals(down))
    assert.ok(atRemote.equals(up))
  })
}

test('latency delays each way, bandwidth stretches', async () => {
  const { client, remote } = await pair()
  proxy.carryOut({ line: { latencyMs: 60 } })
  let started = performance.now()
  remote.once('data', () => remote.write('pong'))
  client.write('ping')
  await once(client, 'data')
  assert.ok(performance.now() - started >= 119)
  proxy.carryOut({ line: { bytesPerSecond: 100_000 } })
  started = performance.now()
  remote.end(Buffer.alloc(30_000))
  await readAll(client)
  assert.ok(performance.now() - started >= 190)
  client.destroy()
})

test('reset: both sides get a RST', async () => {
  const { client, remote } = await pair()
  const errors = Promise.all([once(client, 'error'), once(remote, 'error')])
  assert.equal(proxy.carryOut({ reset: {} }), 1)
  const [[atClient], [atRemote]] = (await errors) as [[NodeJS.ErrnoException], [NodeJS.ErrnoException]]
  assert.deepEqual([atClient.code, atRemote.code], ['ECONNRESET', 'ECONNRESET'])
})

test('half-open: nothing passes, nobody is told, not even of the end of the other side', async () => {
  const { client, remote } = await pair()
  const before = proxy.account().counts
  assert.equal(proxy.carryOut({ halfOpen: { direction: 'down' } }), 1)
  let heard = ''
  client.on('data', (data: Buffer) => {
    heard += data.toString()
  })
  client.write('up still works')
  assert.equal(String((await once(remote, 'data'))[0]), 'up still works')
  remote.end('down does not')
  client.end()
  await once(remote, 'close')
  const { discardedBytes, halfOpened } = proxy.account().counts
  assert.equal(discardedBytes - before.discardedBytes, 13)
  assert.equal(halfOpened - before.halfOpened, 1)
  assert.equal(heard, '')
  assert.equal(client.readableEnded, false)
  client.destroy()
  await once(client, 'close')
})

test('half-open both ways, then healed: an HTTP connection is reset', async () => {
  const { client, remote } = await pair()
  proxy.carryOut({ halfOpen: {} })
  client.write('into nothing')
  remote.write('into nothing')
  const error = once(client, 'error')
  assert.equal(proxy.carryOut({ heal: true }), 1)
  assert.equal(((await error)[0] as NodeJS.ErrnoException).code, 'ECONNRESET')
})

test('truncated: so many bytes more, then the end', async () => {
  const { client, remote } = await pair()
  assert.equal(proxy.carryOut({ truncate: { bytes: 700 } }), 1)
  const sent = noise(5_000, 3)
  remote.write(sent)
  assert.ok((await readAll(client)).equals(sent.subarray(0, 700)))
  client.destroy()
})

test('refused: a new connection is reset at once, those there are go on', async () => {
  const { client, remote } = await pair()
  proxy.carryOut({ refuse: true })
  const late = connect({ port: proxy.port, host: '127.0.0.1' })
  const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException]
  assert.equal(error.code, 'ECONNRESET')
  remote.write('still here')
  assert.equal(String((await once(client, 'data'))[0]), 'still here')
  client.destroy()
})

test('a wrong command is refused', () => {
  assert.throws(() => proxy.carryOut({ nonsense: true } as never), /unknown command nonsense/)
  assert.throws(() => proxy.carryOut({ line: { latencyMs: -1 } }), /latencyMs/)
})

test('a venue behind a proxy of its own process: WebSockets are told from HTTP', async (t) => {
  const venue = await startVenueProcess({ markets: 3, rate: 0, seed: 1 })
  t.after(() => venue.stop())
  const through = await startProxyProcess(venue.urls, 7)
  t.after(() => through.stop())
  const tokens = (await allMarkets(through.urls.gamma)).flatMap(tokensOf)
  assert.equal(tokens.length, 6)
  const client = await connectChannel(through.urls.ws)
  client.send(firstFrame(tokens))
  await client.until(() => client.frames.length === 1)
  assert.equal((await through.account()).openWebSockets, 1)
  assert.equal(await through.control({ reset: { kind: 'websocket' } }), 1)
  assert.equal((await client.closed).code, 1006)
  assert.equal((await fetch(`${through.urls.clob}/time`)).status, 200)
  await assert.rejects(through.control({ nonsense: 1 } as never), /unknown command/)
  const { counts } = await through.account()
  assert.equal(counts.resets, 1)
  assert.ok(counts.forwardedBytes > 1_000)
})
