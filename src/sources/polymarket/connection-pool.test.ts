import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Clock } from '../../core/clock.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { channelServer } from './channel-server.test.ts'
import { ConnectionPool, type PoolOptions } from './connection-pool.ts'
import { conditionId, MemoryTape, streamContext, testRandom, tokenId, until } from './support.test.ts'

const market = (number: number) => ({
  conditionId: conditionId(number),
  tokens: [tokenId(number, 0), tokenId(number, 1)],
})
const OVERLAP_MS = 5_000

/** A pool on a channel of its own. `overrides`: what a test needs otherwise. */
async function poolOn(t: TestContext, overrides: Partial<PoolOptions>) {
  const server = await channelServer()
  t.after(() => server.close())
  // Time may be moved on: what is awaited is real all the same.
  let aheadMs = 0
  const real = systemClock()
  const clock: Clock = { ...real, monotonicMs: () => real.monotonicMs() + aheadMs }
  const { context, status, log, abort } = streamContext(clock)
  const pool = new ConnectionPool(
    {
      ...{ tape: new MemoryTape(), random: testRandom(), wsUrl: server.url, bootId: 'boot' },
      ...{ maxTokensPerConnection: 4, pingIntervalMs: 60_000, stallTimeoutMs: 60_000 },
      ...{ subscribePaceMs: 1, connectsPerSecond: 100, ...overrides },
    },
    { clock, log, status, signal: context.signal },
  )
  t.after(async () => {
    abort()
    await pool.stop()
  })
  return { server, clock, status, pool, moveOn: (ms: number) => (aheadMs += ms) }
}

test('a connection whose last tokens have moved to another one ends once it has let go of them', async (t) => {
  const { server, clock, status, pool } = await poolOn(t, {})
  pool.update([market(1), market(2), market(3)])
  pool.update([market(2), market(3)]) // the first connection has room now
  await until('both connections', () => {
    pool.tick(clock.monotonicMs(), false)
    return status.tokensSubscribed === 4 && server.clients.length === 2
  })
  const nowMs = clock.monotonicMs()
  pool.move(market(3).tokens, nowMs)
  pool.tick(nowMs + OVERLAP_MS - 1, false)
  assert.equal(status.connectionsWanted, 2, 'for a while both listen')
  pool.tick(nowMs + OVERLAP_MS, false)
  assert.equal(status.connectionsWanted, 1)
  await until('its end', () => {
    pool.tick(clock.monotonicMs(), false)
    return server.live.length === 1 && status.tokensSubscribed === 4
  })
  assert.equal(status.connectionsActive, 1)
})

test('a token that moves away is not taken along when its old connection is replaced', async (t) => {
  const { server, clock, status, pool } = await poolOn(t, { stallTimeoutMs: 150 })
  pool.update([market(1), market(2), market(3)])
  const tick = () => pool.tick(clock.monotonicMs(), true)
  await until('both connections', () => {
    tick()
    return status.tokensSubscribed === 6 && server.live.length === 2
  })
  const [first] = server.clients
  assert.ok(first)
  assert.ok(first.ids.has(tokenId(1, 0)))
  pool.move([tokenId(1, 0)], clock.monotonicMs())
  await until('the other connection to have it', () => {
    tick()
    return server.live.filter(({ ids }) => ids.has(tokenId(1, 0))).length === 2
  })
  first.socket.terminate()
  await until('a successor', () => {
    tick()
    return server.clients.some(({ number, sent }) => number > 2 && sent.length > 0)
  })
  const successor = server.clients.find(({ number }) => number > 2)
  const asked = JSON.parse(successor?.sent[0] ?? '') as { assets_ids: string[] }
  assert.deepEqual(asked.assets_ids.sort(), [tokenId(1, 1), ...market(2).tokens].sort())
})

test('after a connection that fell silent a new absence begins, whatever went before it', async (t) => {
  let chance = 0
  let refusing = true
  const { server, clock, status, pool, moveOn } = await poolOn(t, { random: () => chance, pingIntervalMs: 50 })
  server.onText = (client) => {
    if (refusing) client.socket.terminate()
    if (server.clients.length === 9) refusing = false
  }
  pool.update([market(1)])
  const tick = () => pool.tick(clock.monotonicMs(), true)
  await until('data, after nine failures', () => {
    tick()
    return status.tokensSubscribed === 2 && server.clients.length === 10 && status.framesReceived > 0
  })
  // It has lived a minute; then it is deaf, and so is what comes after it. Chance says the longest from here.
  moveOn(60_000)
  server.deaf = true
  chance = 1
  refusing = true
  await until('the second attempt', () => {
    tick()
    return server.clients.length >= 12
  })
})
