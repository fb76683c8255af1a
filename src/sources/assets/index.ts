import type { AssetPriceStore, BackfillStore, OutcomePriceReader, TransactionSignal } from '../../core/assets.ts'
import type { Clock } from '../../core/clock.ts'
import type { PollingCollector, StreamingCollector } from '../../core/collector.ts'
import type { Logger } from '../../core/log.ts'
import type { PortfolioRecalculation } from '../../core/portfolio.ts'
import { createBackfillCollector } from './backfill-collector.ts'
import { createOutcomeSource } from './outcome-source.ts'
import { createPricesCollector } from './prices-collector.ts'
import { createYahooClient, type HttpJson } from './yahoo-client.ts'
import { createYahooSource } from './yahoo-source.ts'

export interface AssetsSettings {
  readonly priceIntervalMs: number
  readonly requestDelayMs: number
  readonly yahooUrl: string
  /** Whether health depends on a collector. */
  readonly critical: Readonly<Record<'prices' | 'backfill', boolean>>
}

export type AssetsStore = AssetPriceStore & OutcomePriceReader & BackfillStore & TransactionSignal

export interface AssetsOptions {
  readonly settings: AssetsSettings
  readonly http: HttpJson
  readonly store: AssetsStore
  readonly portfolios: PortfolioRecalculation
  readonly clock: Clock
  readonly log: Logger
  /** This recorder, in the queue of histories. */
  readonly claimant: string
}

export interface AssetsSource {
  readonly prices: PollingCollector
  readonly backfill: {
    readonly name: string
    readonly critical: boolean
    readonly stallTimeoutMs: number
    /** A new one for every start. */
    readonly build: () => StreamingCollector
  }
}

/** The queue is looked at once a minute at the latest. */
const BACKFILL_STALL_MS = 300_000

/** Wires everything that records asset prices. Does nothing by itself. */
export function createAssetsSource(options: AssetsOptions): AssetsSource {
  const { settings, http, store, portfolios, clock, log, claimant } = options
  const { critical, requestDelayMs } = settings
  const sources = [
    createYahooSource({ client: createYahooClient(http, settings.yahooUrl), clock, requestDelayMs }),
    createOutcomeSource({ reader: store, clock, log }),
  ]
  const build = () => createBackfillCollector({ sources, store, claimant, critical: critical.backfill, requestDelayMs })
  return {
    prices: createPricesCollector({
      sources,
      store,
      portfolios,
      intervalMs: settings.priceIntervalMs,
      critical: critical.prices,
    }),
    backfill: { name: 'assets.backfill', critical: critical.backfill, stallTimeoutMs: BACKFILL_STALL_MS, build },
  }
}
