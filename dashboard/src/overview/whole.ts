import type { Collector, Cycle, FetcherStatus, Health } from '../../../src/api/contract.ts'
import { judgeHealth } from '../judge.ts'
import type { Statistics } from '../parts/statistics-card.tsx'
import type { Status } from '../parts/status-card.tsx'
import { count, durationInWords, plural } from '../words.ts'

/** The whole recorder as one status. */
export function statusOfAll(health: Health, collectors: readonly Collector[], assets: number | null): Status {
  const waits = collectors.flatMap(({ next_update_in_seconds: seconds }) => (seconds === null ? [] : [seconds]))
  const { tokens_subscribed, tokens_wanted } = health.trade_listener
  const tokens =
    tokens_subscribed === tokens_wanted
      ? plural(tokens_wanted, 'token')
      : `${count(tokens_subscribed)} of ${plural(tokens_wanted, 'token')}`
  return {
    verdict: judgeHealth(health.status),
    detail: whatIsRecorded(collectors),
    lastUpdate: health.last_scrape_time,
    nextUpdateInSeconds: waits.length === 0 ? null : Math.min(...waits),
    noNext: 'nothing is scheduled',
    tracked: assets === null || assets === 0 ? tokens : `${tokens}, ${plural(assets, 'asset')}`,
    uptimeSeconds: health.uptime_seconds,
    version: health.version,
    extra: [['Restarts', count(health.total_restarts)]],
  }
}

/** `Recording polymarket: markets, prices, trades.`; the part before the dot of a collector's name is its source. */
export function whatIsRecorded(collectors: readonly Collector[]): string | null {
  const bySource = new Map<string, string[]>()
  for (const { name } of collectors) {
    const [source = name, ...rest] = name.split('.')
    bySource.set(source, [...(bySource.get(source) ?? []), rest.join('.')])
  }
  const parts = [...bySource].map(([source, kinds]) => `${capital(source)} (${kinds.join(', ')})`)
  return parts.length === 0 ? null : `Recording ${parts.join(' and ')}.`
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}

/** The fetcher of asset prices as a status. */
export function statusOfFetcher(fetcher: FetcherStatus): Status {
  const verdict = {
    running: { kind: 'good', word: 'Running' },
    stopped: { kind: 'off', word: 'Stopped' },
    error: { kind: 'bad', word: 'Error' },
  } as const
  return {
    verdict: verdict[fetcher.status],
    detail: fetcher.detail === null ? null : `${capital(fetcher.detail)}.`,
    lastUpdate: fetcher.last_update,
    nextUpdateInSeconds: fetcher.next_update_in_seconds,
    noNext: 'not scheduled',
    tracked: plural(fetcher.tracked_assets_count, 'asset'),
    uptimeSeconds: fetcher.uptime_seconds,
    version: null,
    extra:
      fetcher.update_interval_minutes === 0 ? [] : [['Every', durationInWords(60 * fetcher.update_interval_minutes)]],
  }
}

/** The cycles of all polling collectors added up. A stream has none. */
export function statisticsOfAll(collectors: readonly Collector[], newest: Cycle | undefined): Statistics {
  const polling = collectors.filter(({ kind }) => kind === 'polling').map(({ statistics }) => statistics)
  const sum = (read: (one: Statistics) => number) => polling.reduce((all, one) => all + read(one), 0)
  const total = sum((one) => one.total_cycles)
  const good = sum((one) => one.successful_cycles)
  const timed = polling.filter((one) => one.average_cycle_duration_seconds !== null)
  // the average of each is over its last 100
  const weights = timed.reduce((all, one) => all + Math.min(100, one.total_cycles), 0)
  const weighed = timed.reduce(
    (all, one) => all + Math.min(100, one.total_cycles) * (one.average_cycle_duration_seconds ?? 0),
    0,
  )
  return {
    uptime_seconds: Math.max(0, ...collectors.map(({ statistics }) => statistics.uptime_seconds)),
    total_cycles: total,
    successful_cycles: good,
    failed_cycles: sum((one) => one.failed_cycles),
    success_rate: total === 0 ? null : Math.round((10_000 * good) / total) / 100,
    average_cycle_duration_seconds: weights === 0 ? null : weighed / weights,
    last_cycle_duration_seconds: newest?.duration_seconds ?? null,
  }
}

/** Newest first, of several lists that are so. */
export function mergeCycles(lists: readonly (readonly Cycle[])[]): readonly Cycle[] {
  return lists.flat().toSorted((a, b) => (a.started_at < b.started_at ? 1 : -1))
}
