import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { type WebSocket, WebSocketServer } from 'ws'
import { TransientError } from '../core/errors.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { createPacer, openWebSocket } from './websocket.ts'

const never = new AbortController().signal
let http: Server
let sockets: WebSocketServer
let url: string
let greet: (socket: WebSocket) => void

beforeEach(async () => {
  greet = () => {}
  http = createServer()
  sockets = new WebSocketServer({ server: http })
  sockets.on('connection', (socket) => greet(socket))
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws/market`
})
afterEach(() => {
  for (const socket of sockets.clients) socket.terminate()
  http.closeAllConnections()
  http.close()
})

/** Opens a connection and collects what it says. */
async function open(options: { signal?: AbortSignal; payloadBytesMax?: number } = {}) {
  const messages: string[] = []
  let closed: (end: [number, string]) => void
  let heard = () => {}
  const end = new Promise<[number, string]>((resolve) => {
    closed = resolve
  })
  const socket = await openWebSocket({
    url,
    signal: never,
    onMessage: (data, isBinary) => {
      assert.ok(Buffer.isBuffer(data))
      messages.push(`${isBinary ? 'binary ' : ''}${data.toString()}`)
      heard()
    },
    onClose: (code, reason) => closed([code, reason]),
    ...options,
  })
  const nextMessage = () =>
    new Promise<void>((resolve) => {
      heard = resolve
    })
  return { socket, messages, end, nextMessage }
}

describe('a WebSocket connection', () => {
  test('carries text both ways as buffers, and closes with code and reason', async () => {
    greet = (socket) =>
      socket.on('message', (data) =>
        String(data) === 'bye' ? socket.close(4001, 'as asked') : socket.send(`>${data}`),
      )
    const { socket, messages, end, nextMessage } = await open()
    assert.equal(socket.isOpen, true)
    const answer = nextMessage()
    assert.equal(socket.send('PING'), true)
    await answer
    assert.deepEqual(messages, ['>PING'])
    socket.send('bye')
    assert.deepEqual(await end, [4001, 'as asked'])
    assert.equal(socket.isOpen, false)
    assert.equal(socket.send('too late'), false)
  })

  test('offers no compression', async () => {
    const upgrade = once(http, 'upgrade')
    const { socket, end } = await open()
    const [request] = await upgrade
    assert.equal(request.headers['sec-websocket-extensions'], undefined)
    socket.close()
    assert.deepEqual(await end, [1000, ''])
  })

  test('ends on what the protocol forbids: too large a frame, broken UTF-8', async () => {
    greet = (socket) => socket.send('x'.repeat(2_000))
    const large = await open({ payloadBytesMax: 1_000 })
    assert.equal((await large.end)[0], 1006)
    greet = (socket) => {
      // A text frame of two bytes that are not UTF-8.
      Reflect.get(socket, '_socket').write(Buffer.from([0x81, 0x02, 0xc3, 0x28]))
    }
    const broken = await open()
    const [code, reason] = await broken.end
    assert.equal(code, 1006)
    assert.match(reason, /UTF-8/)
    assert.deepEqual([...large.messages, ...broken.messages], [])
  })

  test('reports an end without a word as 1006, once', async () => {
    greet = (socket) => socket.terminate()
    const { end, socket } = await open()
    assert.equal((await end)[0], 1006)
    socket.terminate()
    socket.close()
  })

  test('ends with its signal, before and after it is open', async () => {
    const abort = new AbortController()
    const { end } = await open({ signal: abort.signal })
    abort.abort()
    assert.equal((await end)[0], 1001)
    await assert.rejects(open({ signal: abort.signal }), TransientError)
    const silent = createTcpServer((socket) => socket.resume().on('error', () => {}))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    url = `ws://127.0.0.1:${(silent.address() as AddressInfo).port}/`
    const later = new AbortController()
    const connection = once(silent, 'connection')
    const attempt = open({ signal: later.signal })
    await connection
    later.abort()
    await assert.rejects(attempt, TransientError)
    await new Promise((resolve) => silent.close(resolve))
  })

  test('is cut when the other side does not answer the goodbye', async () => {
    greet = (socket) => Reflect.get(socket, '_socket').pause()
    const { socket, end } = await open()
    socket.close()
    assert.equal((await end)[0], 1006)
  })

  test('a failed handshake is a transient error that says why and when to come back', async () => {
    sockets.options.verifyClient = (_info, done) => done(false, 429, 'no', { 'Retry-After': '7' })
    const refused = await open().catch((error: unknown) => error)
    assert.ok(refused instanceof TransientError)
    assert.match(refused.message, /^cannot connect to 127\.0\.0\.1:\d+: it answered 429$/)
    assert.equal(refused.retryAfterMs, 7_000)
    http.closeAllConnections()
    await new Promise((resolve) => http.close(resolve))
    await assert.rejects(open(), /cannot connect to .*ECONNREFUSED/)
  })

  test('a server that never answers the handshake is given up', async () => {
    const silent = createTcpServer((socket) => socket.resume().on('error', () => {}))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const address = silent.address() as AddressInfo
    const attempt = openWebSocket({
      url: `ws://127.0.0.1:${address.port}/`,
      signal: never,
      handshakeTimeoutMs: 30,
      onMessage: () => {},
      onClose: () => assert.fail('it was never open'),
    })
    await assert.rejects(attempt, /handshake has timed out/)
    await new Promise((resolve) => silent.close(resolve))
  })
})

test('a pacer spreads connections', async () => {
  const clock = new SimulatedClock()
  const pacer = createPacer(clock, 5, 2)
  const turns: number[] = []
  const all = Array.from({ length: 5 }, async () => {
    await pacer.turn(never)
    turns.push(clock.monotonicMs())
  })
  await clock.advance(1_000)
  await Promise.all(all)
  assert.deepEqual(turns, [0, 0, 200, 400, 600])
})
