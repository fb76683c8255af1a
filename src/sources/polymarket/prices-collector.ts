import type { CollectorContext, CycleResult, PollingCollector } from '../../core/collector.ts'
import { compareDecimals } from '../../core/decimal.ts'
import type { Market, PriceSnapshot } from '../../core/market.ts'
import type { PriceStore } from '../../core/ports.ts'
import type { BadInput } from './bad-input.ts'
import { storeChunks } from './chunks.ts'
import type { GammaClient } from './gamma.ts'
import { sweepOpenMarkets } from './listing.ts'
import type { MarketReader } from './market-reader.ts'

export interface PricesCollectorOptions {
  readonly gamma: GammaClient
  readonly store: PriceStore
  readonly reader: MarketReader
  readonly badInput: BadInput
  readonly intervalMs: number
  readonly critical: boolean
  readonly maxMarkets: number
}

const NAME = 'polymarket.prices'
/** Price rows are small: one transaction holds a whole cycle at the default `max_markets`. */
const PRICES_PER_TRANSACTION = 50_000

/** Token, price and 24 h volume of every tracked market, in one pass over the listing. */
export function createPricesCollector(options: PricesCollectorOptions): PollingCollector {
  const { gamma, reader, intervalMs, critical, maxMarkets } = options
  const collectOnce = async (context: CollectorContext): Promise<CycleResult> => {
    const sweep = await sweepOpenMarkets({ gamma, reader, source: NAME, maxMarkets, pick: pricesOf }, context)
    const observedMs = context.clock.wallMs()
    const prices = sweep.items.flat()
    const stored = await storeChunks(context, {
      what: 'prices',
      items: prices,
      chunkSize: PRICES_PER_TRANSACTION,
      store: (chunk) => options.store.savePrices(chunk, observedMs),
    })
    await options.badInput.flush(context)
    const details: Record<string, number | string> = {
      observed: prices.length,
      markets: sweep.items.length,
      pages: sweep.pages,
      unreadable: sweep.unreadable,
    }
    const partial = sweep.trouble ?? stored.trouble
    if (partial !== null) details['partial'] = partial
    return { items: stored.rows, details }
  }
  return { name: NAME, intervalMs, critical, collectOnce }
}

/** The tokens whose price is known and is one. */
export function pricesOf(market: Market): readonly PriceSnapshot[] {
  const { conditionId, volume24h } = market
  return market.tokens.flatMap(({ tokenId, price }) => {
    if (price === null || compareDecimals(price, '0') < 0 || compareDecimals(price, '1') > 0) return []
    return [{ tokenId, conditionId, price, volume24h }]
  })
}
