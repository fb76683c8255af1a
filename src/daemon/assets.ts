import type { Config } from '../config/config.ts'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/log.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { PortfolioValueCalculator } from '../portfolio/recalculation.ts'
import type { HttpClient } from '../runtime/http.ts'
import type { Supervisor } from '../runtime/supervisor.ts'
import { createAssetsSource } from '../sources/assets/index.ts'

export interface AssetParts {
  readonly options: { readonly config: Config; readonly clock: Clock; readonly log: Logger }
  readonly ledger: Ledger
  readonly http: HttpClient
  readonly recorderId: string
}

/** Asset prices, their history, and what portfolios are worth; nothing where assets are not enabled. */
export function addAssets(supervisor: Supervisor, { options, ledger, http, recorderId }: AssetParts): void {
  const { config, clock, log } = options
  if (!config.assets.enabled) return
  const portfolios = new PortfolioValueCalculator({ store: ledger, clock, log: log.child({ part: 'portfolios' }) })
  const shared = { settings: config.assets, http, store: ledger, portfolios, clock, claimant: recorderId }
  const { prices, backfill } = createAssetsSource({ ...shared, log: log.child({ part: 'assets' }) })
  supervisor.addPolling(prices)
  supervisor.addStreaming(backfill)
}
