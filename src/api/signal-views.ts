import { isoTime } from '../core/health.ts'
import type { ScrapeRun } from '../ledger/scrape-runs.ts'
import type { StoredSignal } from '../ledger/signal-reads.ts'
import type { ScrapeRun as ScrapeRunView, Signal } from './contract.ts'
import { iso } from './reading.ts'

export function signalView(row: StoredSignal): Signal {
  return {
    id: row.id,
    source: row.source,
    external_id: row.externalId,
    url: row.url,
    title: row.title,
    summary: row.summary,
    published_at: isoTime(row.publishedMs),
    seen_at: iso(row.seenMs),
    keywords: [...row.keywords],
    companies: [...row.companies],
    markets: row.markets.map(({ conditionId, question, score, reason }) => {
      return { condition_id: conditionId, question, score, reason }
    }),
  }
}

export function scrapeRunView(run: ScrapeRun): ScrapeRunView {
  return {
    id: run.runId,
    trigger: run.trigger,
    state: run.state,
    started_at: iso(run.startedMs),
    finished_at: isoTime(run.finishedMs),
    error: run.error,
    sources: run.sources.map(({ startedMs, durationMs, ...source }) => {
      return { ...source, started_at: isoTime(startedMs), duration_ms: durationMs }
    }),
  }
}
