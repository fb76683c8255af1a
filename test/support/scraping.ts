import type { CollectorContext, CycleResult } from '../../src/core/collector.ts'
import type { SignalStore } from '../../src/core/signals.ts'
import { quietLogger } from '../../src/ledger/test-server.ts'
import { createDocumentClient } from '../../src/runtime/document-client.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import type { VenueProcess } from '../../src/sim/process.ts'
import { createSignalsSource, type SignalsSettings } from '../../src/sources/signals/index.ts'
import type { ScrapeProgress } from '../../src/sources/signals/scrape-collector.ts'

export interface Cycle {
  readonly result: CycleResult | null
  readonly error: string
  readonly progress: readonly ScrapeProgress[]
  readonly lines: readonly string[]
}

export const NO_SOURCES: SignalsSettings = {
  ...{ intervalMs: 1_800_000, critical: true, feeds: [], hackernewsUrl: null, pages: [], keywords: [], companies: [] },
}

/** One cycle of the real collector over real HTTP. */
export async function scrapeOnce(
  store: SignalStore,
  settings: Partial<SignalsSettings>,
  change: Partial<CollectorContext> = {},
): Promise<Cycle> {
  const lines: string[] = []
  const progress: ScrapeProgress[] = []
  const clock = systemClock()
  const client = createDocumentClient({ clock, userAgent: 'tapekeeper/test', delayMs: 0, allowPrivate: true })
  const collector = createSignalsSource({
    ...{ settings: { ...NO_SOURCES, ...settings }, client, store, clock, recorderId: 'test', trigger: 'command' },
    onProgress: (one) => progress.push(one),
  })
  const context = { signal: new AbortController().signal, clock, log: quietLogger(lines), ...change }
  try {
    const result = await collector.collectOnce(context)
    return { result, error: '', progress, lines }
  } catch (error) {
    return { result: null, error: error instanceof Error ? error.message : String(error), progress, lines }
  } finally {
    await client.close()
  }
}

/** Feeds of the simulated press, by name; the query says how much is in them. */
export function feedsOf(venue: VenueProcess, names: readonly string[], query = ''): SignalsSettings['feeds'] {
  return names.map((name) => ({ name, url: `${venue.urls.news}/feed/${name}${query}` }))
}

/** JSON lines of the venue's own account. */
export async function accountOf<T>(venue: VenueProcess, list: 'news' | 'stories'): Promise<readonly T[]> {
  const response = await fetch(new URL(`/sim/account/${list}`, venue.urls.news))
  const text = await response.text()
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as T]))
}
