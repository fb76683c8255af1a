import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TransientError } from '../../core/errors.ts'
import type { SignalStore } from '../../core/signals.ts'
import { quietLogger } from '../../ledger/test-server.ts'
import type { DocumentClient } from '../../runtime/document-client.ts'
import { SimulatedClock } from '../../sim/clock.ts'
import { createInterests } from './interests.ts'
import { createScrapeCollector } from './scrape-collector.ts'
import type { Scraper } from './scraper.ts'

const store: SignalStore = {
  beginRun: async () => 1,
  loadDocumentState: async () => null,
  loadKnownKeys: async () => new Set(),
  saveSource: async () => ({ stored: 0, repeated: 0 }),
  finishRun: async () => {},
  loadMarketQuestions: async () => [],
  loadLinkable: async () => [],
  saveLinks: async () => 0,
}
const client: DocumentClient = {
  get: async () => assert.fail('no scraper asks here'),
  close: async () => {},
}

test('whom a cycle had no time for is first in the next: slow ones keep nobody waiting for ever', async () => {
  const clock = new SimulatedClock()
  const asked: string[] = []
  // Whoever is asked takes a whole cycle, and nothing comes of it.
  const scraper = (n: number): Scraper => ({
    ...{ name: `feed:f${n}`, trustsIds: true },
    async scrape({ signal }) {
      asked.push(`f${n}`)
      await clock.sleep(9_000, signal)
      throw new TransientError('too slow')
    },
  })
  const collector = createScrapeCollector({
    ...{ store, client, interests: createInterests([], []), intervalMs: 10_000, critical: true },
    ...{ scrapers: Array.from({ length: 20 }, (_, n) => scraper(n)), recorderId: 'here', trigger: 'schedule' },
  })
  const cycle = async () => {
    asked.length = 0
    const context = { signal: new AbortController().signal, clock, log: quietLogger([]) }
    const running = collector.collectOnce(context).catch(() => {})
    await clock.advance(9_000)
    await running
    return asked.map((name) => Number(name.slice(1)))
  }
  assert.deepEqual(await cycle(), [0, 1, 2, 3, 4, 5, 6, 7])
  assert.deepEqual(await cycle(), [8, 9, 10, 11, 12, 13, 14, 15])
  assert.deepEqual(await cycle(), [16, 17, 18, 19, 0, 1, 2, 3])
})
