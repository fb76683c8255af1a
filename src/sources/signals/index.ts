import type { Clock } from '../../core/clock.ts'
import type { PollingCollector } from '../../core/collector.ts'
import type { RunTrigger, SignalStore } from '../../core/signals.ts'
import type { DocumentClient } from '../../runtime/document-client.ts'
import { createFeedScraper, type FeedPlace } from './feed.ts'
import { createHackerNewsScraper } from './hackernews.ts'
import { createInterests } from './interests.ts'
import { createPageScraper, type PagePlace } from './page.ts'
import { createRobots } from './robots.ts'
import { createScrapeCollector, type ScrapeProgress } from './scrape-collector.ts'
import type { Scraper } from './scraper.ts'

export interface SignalsSettings {
  readonly intervalMs: number
  readonly critical: boolean
  readonly feeds: readonly FeedPlace[]
  /** Null: it is not read. */
  readonly hackernewsUrl: string | null
  readonly pages: readonly PagePlace[]
  readonly keywords: readonly string[]
  readonly companies: readonly string[]
}

export interface SignalsOptions {
  readonly settings: SignalsSettings
  readonly client: DocumentClient
  readonly store: SignalStore
  readonly clock: Clock
  readonly recorderId: string
  readonly trigger: RunTrigger
  readonly onProgress?: (progress: ScrapeProgress) => void
}

/** Wires everything that records signals. Does nothing by itself. A source is one line here. */
export function createSignalsSource({ settings, clock, ...parts }: SignalsOptions): PollingCollector {
  const { feeds, hackernewsUrl, pages, keywords, companies, intervalMs, critical } = settings
  const robots = createRobots(clock)
  const scrapers: readonly Scraper[] = [
    ...feeds.map(createFeedScraper),
    ...(hackernewsUrl === null ? [] : [createHackerNewsScraper(hackernewsUrl)]),
    ...pages.map((page) => createPageScraper(page, robots)),
  ]
  const interests = createInterests(keywords, companies)
  return createScrapeCollector({ ...parts, scrapers, interests, intervalMs, critical })
}
