/** What the tests of polling collectors share: a venue on loopback, a store in memory, a clock that tests move. */
import assert from 'node:assert/strict'
import { after } from 'node:test'
import type { CycleResult, PollingCollector } from '../../core/collector.ts'
import { SimulatedClock } from '../../sim/clock.ts'
import { createPolymarketSource, type PolymarketSource } from './index.ts'
import {
  collectorContext,
  gammaMarket,
  jsonServer,
  MemoryStore,
  MemoryTape,
  type Reply,
  type Request,
  testHttp,
  testRandom,
} from './support.test.ts'

const http = testHttp()
after(() => http.close())

export type Venue = (request: Request) => Reply

export interface Scene {
  readonly source: PolymarketSource
  readonly store: MemoryStore
  readonly clock: SimulatedClock
  readonly requests: readonly Request[]
  readonly log: ReturnType<typeof collectorContext>['log']
  /** One cycle of a collector; time stands still unless the store fails. */
  cycle(name: string): Promise<CycleResult>
}

export async function withVenue(venue: Venue, use: (scene: Scene) => Promise<void>, maxMarkets = 1000): Promise<void> {
  const server = await jsonServer(venue)
  const clock = new SimulatedClock()
  const { context, log } = collectorContext(clock)
  const store = new MemoryStore()
  const urls = { gammaUrl: `${server.url}/gamma`, clobUrl: `${server.url}/clob`, dataUrl: server.url, wsUrl: 'ws://x' }
  const intervals = {
    marketsIntervalMs: 1,
    priceIntervalMs: 1,
    orderbookIntervalMs: 60_000,
    resolutionIntervalMs: 1,
    backfillIntervalMs: 1,
  }
  const stream = { maxTokensPerConnection: 500, pingIntervalMs: 10_000, stallTimeoutMs: 30_000 }
  const critical = { markets: true, prices: true, orderbooks: true, resolutions: false, trades: true, backfill: false }
  const source = createPolymarketSource({
    settings: { ...urls, ...intervals, ...stream, maxMarkets, orderbookDepth: 2, critical },
    http,
    store,
    tape: new MemoryTape(),
    witness: { compare() {} },
    clock,
    random: testRandom(),
    bootId: 'boot',
    backfill: null,
  })
  const named = (name: string): PollingCollector => {
    const found = source.polling.find((collector) => collector.name === name)
    assert.ok(found !== undefined)
    return found
  }
  const cycle = (name: string) => moving(clock, named(name).collectOnce(context))
  try {
    await use({ source, store, clock, requests: server.requests, log, cycle })
  } finally {
    await server.close()
  }
}

/** Moves the clock whenever the work waits for it. */
async function moving<T>(clock: SimulatedClock, work: Promise<T>): Promise<T> {
  let ended = false
  const end = () => {
    ended = true
  }
  work.then(end, end)
  while (!ended) {
    await new Promise((resolve) => setTimeout(resolve, 1))
    const waits = clock.pending().filter((sleep) => sleep.delayMs <= 30_000)
    if (waits[0] !== undefined) await clock.advance(Math.max(0, waits[0].dueMs - clock.monotonicMs()))
  }
  return work
}

/** A Gamma that serves these rows: by id where ids are given, else by cursor, `pageSize` a page. */
export function gamma(rows: () => readonly Record<string, unknown>[], pageSize = 100): Venue {
  return ({ query }) => {
    const ids = query.getAll('condition_ids')
    const closed = query.get('closed') === 'true'
    const fitting = rows().filter((row) => (row['closed'] === true) === closed)
    if (ids.length > 0) return { body: { markets: fitting.filter((row) => ids.includes(String(row['conditionId']))) } }
    const start = Number(query.get('after_cursor') ?? 0)
    const next = start + pageSize < fitting.length ? { next_cursor: String(start + pageSize) } : {}
    return { body: { markets: fitting.slice(start, start + pageSize), ...next } }
  }
}

export const rowsOf = (from: number, to: number, changes: Record<string, unknown> = {}) =>
  Array.from({ length: to - from + 1 }, (_, index) => gammaMarket(from + index, changes))
