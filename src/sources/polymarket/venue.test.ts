import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { PollingCollector } from '../../core/collector.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { startVenueProcess, type VenueProcess } from '../../sim/process.ts'
import { createPolymarketSource, type PolymarketSource } from './index.ts'
import {
  collectorContext,
  MemoryStore,
  MemoryTape,
  streamContext,
  testHttp,
  testRandom,
  until,
} from './support.test.ts'

/** The whole source against the simulated venue in a process of its own; what is right is the venue's account. */
describe('the simulated venue', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tapekeeper-venue-'))
  const clock = systemClock()
  const http = testHttp(clock)
  const store = new MemoryStore()
  const tape = new MemoryTape()
  const { context, status, abort } = streamContext(clock)
  let venue: VenueProcess
  let source: PolymarketSource
  let running: Promise<void>

  before(async () => {
    venue = await startVenueProcess({ markets: 130, rate: 400, seed: 11, accountDir: folder })
    const { gamma, clob, data, ws } = venue.urls
    const intervals = {
      marketsIntervalMs: 1,
      priceIntervalMs: 1,
      orderbookIntervalMs: 1000,
      resolutionIntervalMs: 1,
      backfillIntervalMs: 1_000,
    }
    source = createPolymarketSource({
      settings: {
        gammaUrl: gamma,
        clobUrl: clob,
        dataUrl: data,
        wsUrl: ws,
        ...intervals,
        maxMarkets: 1000,
        maxTokensPerConnection: 100,
        pingIntervalMs: 500,
        stallTimeoutMs: 1_500,
        orderbookDepth: 20,
        critical: { markets: true, prices: true, orderbooks: true, resolutions: true, trades: true, backfill: false },
      },
      http,
      store,
      tape,
      witness: { compare() {} },
      clock,
      random: testRandom(),
      bootId: 'boot',
      backfill: null,
    })
    running = source.buildTradeListener().run(context)
    running.catch(() => {})
  })

  after(async () => {
    abort()
    await running
    await http.close()
    await venue.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const cycle = (name: string) => {
    const found = source.polling.find((collector): collector is PollingCollector => collector.name === name)
    assert.ok(found !== undefined)
    return found.collectOnce(collectorContext(clock).context)
  }

  test('metadata, then a subscription to every token', async () => {
    const result = await cycle('polymarket.markets')
    assert.equal(result.items, 130)
    assert.equal(result.details['unreadable'], 0)
    assert.deepEqual(source.drift(), {})
    await until('every token', () => status.tokensSubscribed === 260 && status.connectionsActive === 3)
    assert.ok([...store.markets.values()].some((market) => market.version === 'v2'))
    assert.ok([...store.markets.values()].every((market) => market.tickSize !== null && market.minOrderSize !== null))
  })

  test('prices and books are those of the venue', async () => {
    const prices = await cycle('polymarket.prices')
    assert.equal(prices.items, 260)
    const served = new Set((await venue.prices()).map((row) => `${row.token} ${row.price} ${row.volume24h}`))
    for (const row of store.prices) assert.ok(served.has(`${row.tokenId} ${row.price} ${row.volume24h}`))
    const books = await cycle('polymarket.orderbooks')
    assert.equal(books.details['unreadable'], 0)
    const hashes = new Set((await venue.books()).map((row) => `${row.token} ${row.hash} ${row.venueMs}`))
    assert.equal(store.books.size, Number(books.details['observed']))
    for (const book of store.books.values()) assert.ok(hashes.has(`${book.tokenId} ${book.hash} ${book.venueMs}`))
  })

  test('a market created while recording is announced, listed and subscribed', async () => {
    const before = source.registry.tokenCount
    await venue.control({ createMarket: true })
    await until('its announcement', () => tape.frames().some((line) => line.text.includes('"new_market"')))
    await cycle('polymarket.markets')
    assert.equal(source.registry.tokenCount, before + 2)
    await until('the subscription', () => status.tokensSubscribed === before + 2, 5_000)
  })

  test('a resolved market gets its winner and is dropped from the listing', async () => {
    await venue.control({ resolveMarket: { winner: 1 } })
    const result = await cycle('polymarket.resolutions')
    assert.equal(result.details['winners'], 1)
    const [resolution] = store.resolutions.values()
    const market = resolution && store.markets.get(resolution.conditionId)
    assert.equal(market?.tokens[1]?.tokenId, resolution?.winnerTokenId)
  })

  test('a frozen connection is replaced and a closed one comes back', async () => {
    await until('a steady stream', () => status.framesReceived > 2_000)
    await venue.control({ freeze: { connections: [1] } })
    await until('the stall', () => tape.marks('stall').length === 1, 20_000)
    const frozen = tape.marks('stall')[0]?.connection
    // Only with its successor is the frozen one replaced; closed before that, it would come back as one, not as two.
    await until('its successor', () => tape.marks('open').some((line) => line.detail['replaces'] === frozen))
    await until('health', () => status.connectionsStalled === 0 && status.trouble === null)
    assert.equal(status.reconnections, 1)
    await venue.control({ closeConnections: { code: 1001, reason: 'restart' } })
    await until('all of them again', () => status.reconnections >= 4 && status.trouble === null)
  })

  test('every frame the venue sent is on the tape byte for byte', async () => {
    await venue.control({ drain: true })
    const sent = readdirSync(folder)
      .filter((name) => name.startsWith('frames-')) // beside them is the journal of the markets
      .flatMap((name) => framesIn(join(folder, name)))
    assert.ok(sent.length > 2_000)
    await until('the last frames', () => tape.frames().length >= sent.length)
    const taken = tape.frames().map((line) => line.text)
    assert.deepEqual(taken.sort(), sent.sort())
  })
})

function framesIn(path: string): readonly string[] {
  const lines = readFileSync(path, 'utf8').trim().split('\n')
  return lines.map((line) => (JSON.parse(line) as { frame: string }).frame)
}
