import type { Collectors, FetcherStatus, Health } from '../../../src/api/contract.ts'
import { useResource } from '../data/hooks.ts'
import type { Snapshot } from '../data/resource.ts'
import { StatisticsCard } from '../parts/statistics-card.tsx'
import { StatusCard } from '../parts/status-card.tsx'
import { CollectorsCard } from './collectors-card.tsx'
import { ProofCard } from './proof-card.tsx'
import { useCycles } from './use-cycles.ts'
import { mergeCycles, statisticsOfAll, statusOfAll } from './whole.ts'

interface OverviewProps {
  readonly health: Snapshot<Health>
  readonly collectors: Snapshot<Collectors>
}

/** One look: is all well, and if not, what is wrong? */
export function Overview({ health, collectors }: OverviewProps) {
  const fetcher = useResource<FetcherStatus>('api/fetcher/status', ['status', 'price'])
  const all = collectors.data?.collectors ?? []
  const polling = all.filter(({ kind }) => kind === 'polling').map(({ name }) => name)
  const cycles = useCycles(polling)
  const merged = mergeCycles([...cycles.values()])
  return (
    <div className="grid">
      <StatusCard of={health} read={(data) => statusOfAll(data, all, fetcher.data?.tracked_assets_count ?? null)} />
      <StatisticsCard
        of={collectors}
        read={(data) => statisticsOfAll(data.collectors, merged[0])}
        cycles={merged}
        noCycles="No cycle has ended yet. The first ones end within seconds of the start."
      />
      <ProofCard of={health} />
      <CollectorsCard of={collectors} queueDepth={health.data?.trade_listener.queue_depth ?? null} cycles={cycles} />
    </div>
  )
}
