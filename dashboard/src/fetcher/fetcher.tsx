import type { Cycles, FetcherStatistics, FetcherStatus } from '../../../src/api/contract.ts'
import { useResource } from '../data/hooks.ts'
import { statusOfFetcher } from '../overview/whole.ts'
import { StatisticsCard } from '../parts/statistics-card.tsx'
import { StatusCard } from '../parts/status-card.tsx'
import { LogsCard } from './logs-card.tsx'
import { RecentUpdatesCard } from './recent-updates-card.tsx'

/** The collector whose cycles these are. */
const FETCHER = 'assets.prices'

/** The fetcher of asset prices, and the log of everything. */
export function Fetcher() {
  const status = useResource<FetcherStatus>('api/fetcher/status', ['status', 'price'])
  const statistics = useResource<FetcherStatistics>('api/fetcher/statistics', ['price', 'cycle'])
  // before it has cycles there may be no such collector to ask for
  const hasCycles = (statistics.data?.total_cycles ?? 0) > 0
  const cycles = useResource<Cycles>(hasCycles ? `api/collectors/${FETCHER}/cycles?limit=100` : null, ['cycle'])
  const noCycles =
    status.data?.status === 'stopped'
      ? 'Asset prices are not fetched, so there are no cycles to count.'
      : 'No cycle has ended yet.'
  return (
    <div className="grid">
      <StatusCard of={status} read={statusOfFetcher} title="Status of asset prices" />
      <StatisticsCard
        of={statistics}
        read={(data) => data}
        cycles={cycles.data?.cycles ?? []}
        noCycles={noCycles}
        title="Statistics of asset prices"
      />
      <RecentUpdatesCard />
      <LogsCard />
    </div>
  )
}
