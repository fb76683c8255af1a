import type { CollectorContext, CycleResult, PollingCollector } from '../../core/collector.ts'
import { describeError } from '../../core/errors.ts'
import type { Market } from '../../core/market.ts'
import type { MarketStore } from '../../core/ports.ts'
import type { BadInput } from './bad-input.ts'
import { createChunkWriter } from './chunks.ts'
import type { DriftCounter } from './drift.ts'
import type { GammaClient } from './gamma.ts'
import { isTradable, mostTraded, sweepOpenMarkets } from './listing.ts'
import type { MarketReader } from './market-reader.ts'
import type { ListedMarket, TokenRegistry } from './token-registry.ts'

export interface MarketsCollectorOptions {
  readonly gamma: GammaClient
  readonly store: Pick<MarketStore, 'saveMarkets'>
  readonly registry: TokenRegistry
  readonly reader: MarketReader
  readonly badInput: BadInput
  readonly drift: DriftCounter
  readonly intervalMs: number
  readonly critical: boolean
  readonly maxMarkets: number
}

const NAME = 'polymarket.markets'
const MARKETS_PER_TRANSACTION = 500
/** Markets that left the listing and are looked up in one cycle; the others wait for the next one. */
const LOOKUPS_MAX = 1_000

interface Missing {
  readonly missing: number
  /** Those that are as open as ever: they moved past the cursor, or others are traded more. */
  readonly still: readonly Market[]
  readonly left: readonly Market[]
  readonly trouble: string | null
}

const NOTHING_MISSING: Missing = { missing: 0, still: [], left: [], trouble: null }

/** Keeps the metadata of the open markets, tells the registry which tokens to record and what has closed. */
export function createMarketsCollector(options: MarketsCollectorOptions): PollingCollector {
  const { gamma, registry, reader, intervalMs, critical, maxMarkets } = options

  /** What was tracked and is no longer listed: closed, or only less traded than the others. */
  const lookUpMissing = async (listed: readonly ListedMarket[], context: CollectorContext): Promise<Missing> => {
    const known = new Set(listed.map((market) => market.conditionId))
    const missing = [...registry.markets()].map((market) => market.conditionId).filter((id) => !known.has(id))
    if (missing.length === 0) return NOTHING_MISSING
    try {
      const answer = await gamma.lookupMarkets(missing.slice(0, LOOKUPS_MAX), context.signal)
      const { markets } = reader.read(NAME, answer.markets, context)
      const still = markets.filter(isTradable)
      const left = markets.filter((market) => !isTradable(market))
      return { missing: missing.length, still, left, trouble: answer.failures[0] ?? null }
    } catch (error) {
      context.log.warn({ err: error }, `markets that left the listing could not be looked up: ${describeError(error)}`)
      return { ...NOTHING_MISSING, missing: missing.length, trouble: describeError(error) }
    }
  }

  const collectOnce = async (context: CollectorContext): Promise<CycleResult> => {
    const writer = createChunkWriter<Market>(context, {
      what: 'markets',
      chunkSize: MARKETS_PER_TRANSACTION,
      store: (markets) => options.store.saveMarkets(markets, context.clock.wallMs()),
    })
    const sweep = await sweepOpenMarkets(
      { gamma, reader, source: NAME, maxMarkets, pick: listingOf, onPage: writer.add },
      context,
    )
    // The registry comes first: recording must not wait for the ledger.
    const { missing, still, left, trouble } = sweep.complete
      ? await lookUpMissing(sweep.items, context)
      : NOTHING_MISSING
    const tracked = mostTraded([...sweep.items, ...still], maxMarkets)
    registry.retire(left.map((market) => market.conditionId))
    if (sweep.complete) registry.replaceTracked(tracked)
    else registry.addTracked(tracked)
    await writer.add([...still, ...left])
    const stored = await writer.finish()
    await options.badInput.flush(context)
    const details: Record<string, number | string> = {
      observed: sweep.observed,
      tracked: tracked.length,
      pages: sweep.pages,
      ordered: sweep.ordered ? 'yes' : 'no',
      missing,
      closed: left.length,
      unreadable: sweep.unreadable,
      drift: options.drift.total,
      tokens: registry.tokenCount,
      refused: registry.refused,
    }
    const partial = sweep.trouble ?? trouble ?? stored.trouble
    if (partial !== null) details['partial'] = partial
    return { items: stored.rows, details }
  }

  return { name: NAME, intervalMs, critical, collectOnce }
}

/** What is kept of a market until the sweep is over: its raw form, some kilobytes, goes to the ledger before that. */
function listingOf(market: Market): ListedMarket & Pick<Market, 'volume24h'> {
  const { conditionId, tickSize, minOrderSize, negRisk, version, volume24h } = market
  const tokens = market.tokens.map(({ tokenId }) => ({ tokenId }))
  return { conditionId, tickSize, minOrderSize, negRisk, version, volume24h, tokens }
}
