import type { Clock } from '../../core/clock.ts'
import type { PollingCollector, StreamingCollector } from '../../core/collector.ts'
import type { BookRefresher, BookWitness } from '../../core/coverage.ts'
import type { DeadLetterStore, MarketStore, OrderBookStore, PriceStore, ResolutionStore } from '../../core/ports.ts'
import type { Random } from '../../core/random.ts'
import type { TapeAppender } from '../../core/tape.ts'
import { type BackfillPorts, createBackfillCollector } from './backfill-collector.ts'
import { createBadInput } from './bad-input.ts'
import { createClobClient } from './clob.ts'
import { createDataClient } from './data.ts'
import { createDriftCounter } from './drift.ts'
import { createGammaClient, type HttpJson } from './gamma.ts'
import type { PolymarketUrls } from './limits.ts'
import { createMarketReader } from './market-reader.ts'
import { createMarketsCollector } from './markets-collector.ts'
import { createOrderBooksCollector } from './orderbooks-collector.ts'
import { createPricesCollector } from './prices-collector.ts'
import { createResolutionsCollector } from './resolutions-collector.ts'
import { createTokenMoves } from './token-moves.ts'
import { createTokenRegistry, type TokenRegistry } from './token-registry.ts'
import { createTradeListener } from './trade-listener.ts'

export interface PolymarketSettings extends PolymarketUrls {
  readonly marketsIntervalMs: number
  readonly priceIntervalMs: number
  readonly orderbookIntervalMs: number
  readonly resolutionIntervalMs: number
  readonly maxMarkets: number
  readonly maxTokensPerConnection: number
  readonly pingIntervalMs: number
  readonly stallTimeoutMs: number
  readonly orderbookDepth: number
  /** Whether health depends on a collector. */
  readonly critical: Readonly<
    Record<'markets' | 'prices' | 'orderbooks' | 'resolutions' | 'trades' | 'backfill', boolean>
  >
  readonly backfillIntervalMs: number
}

export type PolymarketStore = MarketStore & PriceStore & OrderBookStore & ResolutionStore & DeadLetterStore

export interface PolymarketOptions {
  readonly settings: PolymarketSettings
  /** With the limits of `rateRules`. */
  readonly http: HttpJson
  readonly store: PolymarketStore
  /** Where the stream goes. */
  readonly tape: TapeAppender
  /** Is shown every book that is fetched. */
  readonly witness: BookWitness
  readonly clock: Clock
  readonly random: Random
  /** Makes connection ids unique over boots. */
  readonly bootId: string
  /** null: trades that the stream missed are not fetched. */
  readonly backfill: BackfillPorts | null
}

export interface PolymarketSource {
  readonly registry: TokenRegistry
  readonly polling: readonly PollingCollector[]
  /** A new one for every start: a crashed listener is rebuilt from scratch. */
  buildTradeListener(): StreamingCollector
  /** For tokens whose book is in doubt. */
  readonly refresher: BookRefresher
  /** To be called when a gap was closed: it is filled at once. */
  gapClosed(): void
  /** Keys that this build does not know, by name. */
  drift(): Readonly<Record<string, number>>
}

/** Wires everything that records Polymarket. Does nothing by itself. */
export function createPolymarketSource(options: PolymarketOptions): PolymarketSource {
  const { settings, http, store, clock } = options
  const { critical, maxMarkets } = settings
  const registry = createTokenRegistry({ clock, maxMarkets })
  const gamma = createGammaClient(http, settings.gammaUrl)
  const clob = createClobClient(http, settings.clobUrl)
  const drift = createDriftCounter()
  const badInput = createBadInput(store)
  const shared = {
    gamma,
    clob,
    store,
    registry,
    badInput,
    drift,
    maxMarkets,
    reader: createMarketReader(badInput, drift),
  }
  const moves = createTokenMoves()
  const backfill =
    options.backfill &&
    createBackfillCollector({
      ...options.backfill,
      data: createDataClient(http, settings.dataUrl),
      venueSeconds: (signal) => clob.time(signal),
      badInput: createBadInput(store),
      intervalMs: settings.backfillIntervalMs,
      critical: critical.backfill,
      connection: `${options.bootId}.data`,
    })
  let listeners = 0
  return {
    registry,
    refresher: moves,
    gapClosed: () => backfill?.wake(),
    drift: drift.counts,
    polling: [
      createMarketsCollector({ ...shared, intervalMs: settings.marketsIntervalMs, critical: critical.markets }),
      createPricesCollector({ ...shared, intervalMs: settings.priceIntervalMs, critical: critical.prices }),
      createOrderBooksCollector({
        ...shared,
        intervalMs: settings.orderbookIntervalMs,
        critical: critical.orderbooks,
        depth: settings.orderbookDepth,
        witness: options.witness,
      }),
      createResolutionsCollector({
        ...shared,
        intervalMs: settings.resolutionIntervalMs,
        critical: critical.resolutions,
      }),
      ...(backfill ? [backfill] : []),
    ],
    buildTradeListener() {
      listeners += 1
      return createTradeListener({
        ...settings,
        registry,
        moves,
        store,
        tape: options.tape,
        random: options.random,
        bootId: listeners === 1 ? options.bootId : `${options.bootId}.${listeners}`,
        critical: critical.trades,
      })
    },
  }
}
