import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { PermanentError } from '../../core/errors.ts'
import type { MarketEvent } from '../../core/events.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { type ChannelServer, channelServer } from './channel-server.test.ts'
import { MemoryStore, MemoryTape, market, streamContext, testRandom, tokenId, until } from './support.test.ts'
import { createTokenMoves } from './token-moves.ts'
import { createTokenRegistry } from './token-registry.ts'
import { createTradeListener, type TradeListenerOptions } from './trade-listener.ts'

const TRADE =
  '{"market":"0x1", "event_type":"last_trade_price", "price":"0.5", "transaction_hash":"0xfeed", "size":"1"}'
const resolvedMarket = (number: number): MarketEvent => {
  const none = { winningToken: null, winningOutcome: null, raw: '{}', tokens: [], venueMs: 1 }
  return { kind: 'market_resolved', market: market(number).conditionId, ...none }
}

interface Harness extends ReturnType<typeof streamContext> {
  readonly tape: MemoryTape
  readonly store: MemoryStore
  readonly registry: ReturnType<typeof createTokenRegistry>
  readonly running: Promise<void>
  /** Stops the listener and waits for it. */
  stop(): Promise<void>
}

function start(url: string, markets: readonly number[], changes: Partial<TradeListenerOptions> = {}): Harness {
  const clock = systemClock()
  const { context, status, log, abort } = streamContext(clock)
  const tape = new MemoryTape()
  const store = new MemoryStore()
  const registry = createTokenRegistry({ clock, maxMarkets: 1000, graceMs: 50 })
  registry.replaceTracked(markets.map((number) => market(number)))
  const listener = createTradeListener({
    registry,
    moves: createTokenMoves(),
    store,
    tape,
    random: testRandom(),
    wsUrl: url,
    bootId: 'boot',
    critical: true,
    maxMarkets: 1000,
    maxTokensPerConnection: 500,
    pingIntervalMs: 80,
    stallTimeoutMs: 60_000,
    subscribePaceMs: 5,
    ...changes,
  })
  const running = listener.run(context)
  running.catch(() => {})
  const stop = async () => {
    abort()
    await running
  }
  return { context, status, log, abort, tape, store, registry, running, stop }
}

async function withServer(use: (server: ChannelServer) => Promise<void>): Promise<void> {
  const server = await channelServer()
  try {
    await use(server)
  } finally {
    await server.close()
  }
}

/** Runs a listener against a server of its own, from its first subscription to a clean stop. */
async function withListener(
  markets: readonly number[],
  changes: Partial<TradeListenerOptions>,
  use: (server: ChannelServer, harness: Harness) => Promise<void>,
): Promise<void> {
  await withServer(async (server) => {
    const harness = start(server.url, markets, changes)
    try {
      await until('every subscription', () => harness.status.tokensSubscribed === markets.length * 2)
      await use(server, harness)
    } finally {
      await harness.stop()
    }
  })
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)
const operations = (sent: readonly string[]) => sent.filter((text) => text !== 'PING').map((text) => JSON.parse(text))

describe('subscribing', () => {
  test('one initial frame, then operations, at most 100 ids each, before the first PING', async () => {
    await withListener(range(1, 125), {}, async (server) => {
      const [client] = server.clients
      await until('a PING', () => client?.sent.includes('PING') === true)
      const frames = operations(client?.sent ?? [])
      assert.deepEqual(
        frames.map((frame) => frame.assets_ids.length),
        [100, 100, 50],
      )
      const { assets_ids: ids, ...first } = frames[0]
      assert.deepEqual(first, { type: 'market', initial_dump: true, level: 2, custom_feature_enabled: true })
      assert.equal(new Set([...ids, ...frames[1].assets_ids, ...frames[2].assets_ids]).size, 250)
      for (const frame of frames.slice(1)) {
        assert.equal(frame.operation, 'subscribe')
        assert.equal(frame.custom_feature_enabled, true)
        assert.equal('type' in frame, false)
      }
      assert.ok((client?.sent.indexOf('PING') ?? 0) > 0)
    })
  })

  test('as many connections as it takes, a market on one of them, no token twice', async () => {
    await withListener(range(1, 12), { maxTokensPerConnection: 5 }, async (server, { status }) => {
      assert.equal(status.connectionsWanted, 6)
      assert.equal(status.connectionsActive, 6)
      const ids = server.clients.flatMap((client) => [...client.ids])
      assert.equal(ids.length, 24)
      assert.equal(new Set(ids).size, 24)
      for (const client of server.clients) {
        for (const id of client.ids) assert.ok(client.ids.has(id.slice(0, -1) + (id.endsWith('0') ? '1' : '0')))
      }
    })
  })

  test('a new market is subscribed on the open connection, a resolved one is dropped', async () => {
    await withListener([1, 2], {}, async (server, { registry, tape, status }) => {
      const [client] = server.clients
      registry.addTracked([market(3)])
      await until('the new market', () => client?.ids.has(tokenId(3, 0)) === true, 2_000)
      registry.observe(resolvedMarket(1))
      await until('the end of the old one', () => client?.ids.has(tokenId(1, 0)) === false, 2_000)
      assert.equal(client?.ids.size, 4)
      assert.equal(server.clients.length, 1)
      const [unsubscribed] = tape.marks('unsubscribe')
      assert.deepEqual(unsubscribed?.detail['assets_ids'], [tokenId(1, 0), tokenId(1, 1)])
      await until('the counts', () => status.tokensSubscribed === 4 && status.tokensWanted === 4)
    })
  })

  test('a connection without tokens is closed', async () => {
    await withListener([1, 2], { maxTokensPerConnection: 2 }, async (server, { registry, status, tape }) => {
      registry.observe(resolvedMarket(1))
      await until('one connection', () => server.live.length === 1 && status.connectionsWanted === 1)
      await until('the mark', () => tape.marks('close').length === 1)
      assert.equal(tape.marks('close')[0]?.detail['reason'], 'no tokens left')
      assert.equal(status.reconnections, 0)
    })
  })
})

describe('recording', () => {
  test('every frame goes to the tape byte for byte, heartbeats do not', async () => {
    await withListener([1], {}, async (server, { tape, status }) => {
      const odd = ['{"a": 1}\n', '{', '[]', 'x'.repeat(100), '"PONG"', '{"emoji":"😀"}', ' PONGS ']
      for (const frame of [TRADE, ...odd, TRADE]) server.broadcast(frame)
      await until('all frames', () => tape.frames().length === odd.length + 3)
      const [client] = server.clients
      await until('some PINGs', () => (client?.sent.filter((text) => text === 'PING').length ?? 0) >= 3)
      const texts = tape.frames().map((line) => line.text)
      const dump = server.dump([tokenId(1, 0), tokenId(1, 1)])
      assert.deepEqual(texts, [dump, TRADE, ...odd, TRADE])
      assert.equal(status.framesReceived, texts.length)
      assert.equal(status.bytesReceived, Buffer.byteLength(texts.join('')))
      assert.ok(status.lastDataMs !== null && status.lastUsefulMs === status.lastDataMs)
      assert.equal(status.trouble, null)
    })
  })

  test('the tape tells of each connection from its opening to its end', async () => {
    await withListener([1], {}, async (_server, harness) => {
      await harness.stop()
      const { tape, status } = harness
      const kinds = tape.lines.map((line) => line.mark ?? 'frame')
      assert.deepEqual(kinds, ['open', 'subscribe', 'frame', 'close'])
      assert.ok(tape.lines.every((line) => line.connection === 'boot-1'))
      assert.match(String(tape.marks('open')[0]?.detail['host']), /^127\.0\.0\.1:\d+$/)
      assert.deepEqual(tape.marks('subscribe')[0]?.detail['assets_ids'], [tokenId(1, 0), tokenId(1, 1)])
      assert.equal(typeof tape.marks('close')[0]?.detail['code'], 'number')
      assert.deepEqual([status.connectionsActive, status.tokensSubscribed], [0, 0])
    })
  })
})

describe('a lost connection', () => {
  test('comes back with every token, and a crash of one is no crash of the listener', async () => {
    await withListener([1, 2], {}, async (server, { status, tape }) => {
      server.clients[0]?.socket.close(1001, 'going away')
      await until('the successor', () => server.clients[1]?.ids.size === 4)
      await until('the count', () => status.reconnections === 1 && status.lastReconnectMs !== null)
      const { rtt_ms: lagMs, ...end } = tape.marks('close')[0]?.detail ?? {}
      assert.deepEqual(end, { code: 1001, reason: 'going away' })
      assert.ok(Number.isInteger(lagMs))
      assert.deepEqual(
        tape.marks('open').map((line) => line.connection),
        ['boot-1', 'boot-2'],
      )
    })
  })

  test('forty drops at once do not storm', async () => {
    const changes = { maxTokensPerConnection: 2, connectsPerSecond: 20 }
    await withListener(range(1, 40), changes, async (server, { status }) => {
      assert.equal(server.clients.length, 40)
      const droppedMs = performance.now()
      for (const client of server.clients) client.socket.terminate()
      await until('all of them', () => status.connectionsActive === 40 && server.clients.length === 80)
      // The budget held at most 20 and fills at 20 a second: the other 20 take a second.
      assert.ok(performance.now() - droppedMs > 900, `${performance.now() - droppedMs} ms`)
      assert.equal(status.reconnections, 40)
    })
  })

  test('a frame that the protocol forbids ends the connection, which comes back within seconds', async () => {
    const broken: [string, (socket: import('ws').WebSocket) => void][] = [
      ['broken UTF-8', (socket) => socket.send(Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), { binary: false })],
      ['17 MiB', (socket) => socket.send(Buffer.alloc(17 * 1024 * 1024, 0x20), { binary: false })],
    ]
    await withListener([1], {}, async (server, { tape, status }) => {
      for (const [name, send] of broken) {
        const before = server.clients.length
        const victim = server.live[0]
        assert.ok(victim !== undefined)
        send(victim.socket)
        await until(`the successor after ${name}`, () => server.clients[before]?.ids.size === 2, 5_000)
        await until('the count', () => status.connectionsActive === 1 && status.trouble === null)
      }
      await until('both ends, the last dump', () => tape.marks('close').length === 2 && tape.frames().length >= 3)
      assert.equal(tape.frames().length, 3) // three dumps, and nothing of what was forbidden
    })
  })

  test('INVALID OPERATION is kept, and the connection is replaced', async () => {
    await withListener([1], {}, async (server, { tape }) => {
      server.clients[0]?.socket.send('INVALID OPERATION')
      await until('the successor', () => server.clients[1]?.ids.size === 2)
      await until('the end of the first', () => server.clients[0]?.closed === true)
      assert.ok(tape.frames().some((line) => line.text === 'INVALID OPERATION'))
    })
  })
})

describe('silence', () => {
  test('of a connection that answers PING: first a new one is opened, then the old one closed', async () => {
    await withListener([1], { stallTimeoutMs: 300 }, async (server, { tape, status }) => {
      const events: string[] = []
      const feeding = setInterval(() => {
        if (!server.frozen) server.broadcast(TRADE)
      }, 5)
      try {
        await until('a rate', () => tape.frames().length > 100)
        server.frozen = true
        server.clients[0]?.socket.on('close', () => events.push('old closed'))
        server.onText = (client) => {
          if (client.number !== 2 || events.includes('new subscribed')) return
          events.push('new subscribed')
          server.frozen = false
        }
        await until('the stall', () => tape.marks('stall').length === 1)
        await until('the end of the old one', () => events.includes('old closed'))
        assert.deepEqual(events, ['new subscribed', 'old closed'])
        const [stall] = tape.marks('stall')
        assert.equal(stall?.connection, 'boot-1')
        assert.ok(Number(stall?.detail['expected_frames']) >= 8)
        assert.equal(tape.marks('open')[1]?.detail['replaces'], 'boot-1')
        await until('health', () => status.connectionsStalled === 0 && status.trouble === null)
        assert.equal(status.reconnections, 1)
      } finally {
        clearInterval(feeding)
      }
    })
  })

  test('is reported until a successor speaks', async () => {
    await withListener([1], { stallTimeoutMs: 200 }, async (server, { tape, status }) => {
      for (let count = 0; count < 200; count += 1) server.broadcast(TRADE)
      await until('the frames', () => tape.frames().length > 200)
      server.frozen = true
      await until('the stall', () => tape.marks('stall').length === 1)
      assert.equal(status.connectionsStalled, 1)
      await until('a successor as silent as the first', () => server.clients.length === 3)
      assert.equal(status.connectionsStalled, 1)
      assert.match(status.trouble ?? '', /1 of 1 connections are silent/)
      server.frozen = false
      server.broadcast(TRADE)
      await until('health', () => status.connectionsStalled === 0 && status.connectionsActive === 1)
    })
  })

  test('an empty answer is not believed at once, and the second time it is', async () => {
    await withServer(async (server) => {
      server.dump = () => '[]'
      const harness = start(server.url, [1], { stallTimeoutMs: 150 })
      await until('a successor', () => server.clients.length === 2 && server.live.length === 1)
      await until('belief', () => harness.status.connectionsStalled === 0 && harness.status.trouble === null)
      const pings = () => server.clients[1]?.sent.filter((text) => text === 'PING').length ?? 0
      await until('some PINGs more', () => pings() >= 8)
      assert.equal(server.clients.length, 2)
      assert.equal(harness.tape.marks('stall').length, 1)
      await harness.stop()
    })
  })

  test('a peer that answers no PING is replaced', async () => {
    await withListener([1], { stallTimeoutMs: 400 }, async (server, { tape }) => {
      server.deaf = true
      await until('the stall', () => tape.marks('stall').length === 1)
      assert.match(String(tape.marks('stall')[0]?.detail['reason']), /no answer for 0\.\d s/)
      server.deaf = false
      await until('the successor', () => (server.live.at(-1)?.ids.size ?? 0) === 2 && server.live.length === 1)
    })
  })

  test('a quiet connection that answers PING is left alone', async () => {
    await withListener([1], { stallTimeoutMs: 100 }, async (server, { tape }) => {
      const [client] = server.clients
      await until('ten PINGs', () => (client?.sent.filter((text) => text === 'PING').length ?? 0) >= 10)
      assert.equal(tape.marks('stall').length, 0)
      assert.equal(server.clients.length, 1)
    })
  })
})

describe('when the tape refuses', () => {
  test('nothing is received until it takes frames again, and the hole is marked', async () => {
    await withListener([1, 2], { maxTokensPerConnection: 2 }, async (server, { tape, status, log }) => {
      tape.accepting = false
      server.broadcast(TRADE)
      await until('no connection', () => server.live.length === 0 && status.connectionsActive === 0)
      await until('the trouble', () => /tape/.test(status.trouble ?? ''))
      assert.ok(status.framesRefused >= 1)
      assert.ok(log.lines.some((line) => line.level === 'error' && /tape takes no frames/.test(line.message)))
      const opened = server.clients.length
      await new Promise((resolve) => setTimeout(resolve, 300))
      assert.equal(server.clients.length, opened)

      tape.accepting = true
      await until('both again', () => status.connectionsActive === 2 && status.trouble === null)
      const refused = tape.marks('refused').map((line) => line.connection)
      assert.deepEqual([...refused].sort(), ['boot-1', 'boot-2'])
      for (const name of refused) {
        const own = tape.lines.filter((line) => line.connection === name && line.mark !== null).map((line) => line.mark)
        assert.deepEqual(own, ['open', 'subscribe', 'refused', 'close'])
      }
      server.broadcast(TRADE)
      await until('new frames', () => tape.frames().filter((line) => line.text === TRADE).length === 2)
    })
  })
})

describe('starting and stopping', () => {
  test('waits for the first market instead of dying', async () => {
    await withServer(async (server) => {
      const harness = start(server.url, [])
      await until('the word', () => harness.status.trouble === 'waiting for the first markets')
      harness.registry.addTracked([market(1)])
      await until('the subscription', () => server.clients[0]?.ids.size === 2)
      await harness.stop()
    })
  })

  test('begins with what the ledger knows, as soon as the ledger answers', async () => {
    await withServer(async (server) => {
      const facts = { tickSize: '0.01', minOrderSize: '5', negRisk: false, version: null, volume24h: '1' }
      const harness = start(server.url, [])
      harness.store.tracked = [{ tokenId: tokenId(1, 0), conditionId: market(1).conditionId, ...facts }]
      await harness.stop()
      const second = start(server.url, [], { store: harness.store })
      await until('the subscription', () => server.clients[0]?.ids.has(tokenId(1, 0)) === true)
      await second.stop()
    })
  })

  test('an unreachable venue is trouble in words, not a crash and not a flood', async () => {
    const server = await channelServer()
    const port = Number(new URL(server.url).port)
    await server.close()
    const harness = start(server.url, range(1, 10), { maxTokensPerConnection: 2 })
    await until('the word', () => /ECONNREFUSED.*next attempt in \d+ s/.test(harness.status.trouble ?? ''))
    assert.match(harness.status.trouble ?? '', new RegExp(`10 of 10 connections to 127.0.0.1:${port} down`))
    await new Promise((resolve) => setTimeout(resolve, 500))
    assert.ok(harness.log.lines.filter((line) => line.level !== 'debug').length <= 2)
    const back = await channelServer(port)
    await until('all of them', () => harness.status.connectionsActive === 10 && harness.status.trouble === null)
    assert.ok(harness.log.lines.some((line) => line.level === 'info' && /recording 20 tokens/.test(line.message)))
    await harness.stop()
    await back.close()
  })

  test('an address that is none ends it for good', async () => {
    for (const url of ['not a url', 'https://example.com/']) {
      await assert.rejects(start(url, [1]).running, PermanentError)
    }
  })

  test('stops while it is still connecting', async () => {
    const harness = start('ws://127.0.0.1:1/ws', [1])
    await until('a failure', () => harness.status.trouble !== null)
    await harness.stop()
    assert.equal(harness.status.connectionsActive, 0)
  })
})
