import type { CollectorContext } from '../../core/collector.ts'
import { describeError } from '../../core/errors.ts'
import type { ConditionId } from '../../core/ids.ts'
import type { Market } from '../../core/market.ts'
import type { GammaClient } from './gamma.ts'
import type { MarketReader } from './market-reader.ts'

export interface SweepOptions<T> {
  readonly gamma: GammaClient
  readonly reader: MarketReader
  /** The collector on whose behalf bad rows are kept. */
  readonly source: string
  readonly maxMarkets: number
  /** What to keep of a market while the sweep goes on: whole markets are large. */
  readonly pick: (market: Market) => T
  /** Is given whole markets that will probably be kept, page by page; the sweep goes on when it has resolved. */
  readonly onPage?: (markets: readonly Market[]) => Promise<void>
}

export interface Sweep<T> {
  /** Of the open markets that accept orders, those with the highest 24 h volume, highest first. */
  readonly items: readonly T[]
  /** False when the listing broke off and markets may be missing. */
  readonly complete: boolean
  /** Why it broke off. */
  readonly trouble: string | null
  readonly pages: number
  /** Rows seen, readable or not. */
  readonly observed: number
  readonly unreadable: number
  /** True when the venue sorted by volume as it was asked to. */
  readonly ordered: boolean
}

interface Ranked<T> {
  readonly volume: number
  readonly item: T
}

/**
 * One pass over the open markets, by 24 h volume. It ends early when enough are found and the venue demonstrably
 * sorts; otherwise everything is read and sorted here. Throws only when not even one page could be had.
 */
export async function sweepOpenMarkets<T>(options: SweepOptions<T>, context: CollectorContext): Promise<Sweep<T>> {
  const { gamma, reader, source, maxMarkets, pick, onPage } = options
  const order = createOrderWatch()
  let found = new Map<ConditionId, Ranked<T>>()
  const counts = { pages: 0, observed: 0, unreadable: 0 }
  let trouble: string | null = null
  let leastVolume = Number.NEGATIVE_INFINITY
  try {
    const query = { closed: false, order: 'volume24hr', ascending: false }
    for await (const rows of gamma.listMarkets(query, context.signal)) {
      const { markets, unreadable } = reader.read(source, rows, context)
      counts.pages += 1
      counts.observed += rows.length
      counts.unreadable += unreadable
      order.note(markets.map(volumeOf))
      const tradable = markets.filter(isTradable)
      const room = order.honoured() ? Math.max(0, maxMarkets - found.size) : tradable.length
      for (const market of tradable) found.set(market.conditionId, { volume: volumeOf(market), item: pick(market) })
      await onPage?.(mostTraded(tradable, room).filter((market) => volumeOf(market) >= leastVolume))
      if (found.size >= maxMarkets && order.honoured()) break
      if (found.size >= 2 * maxMarkets) {
        const most = best(found, maxMarkets)
        found = new Map(most)
        leastVolume = most.at(-1)?.[1].volume ?? leastVolume
      }
    }
  } catch (error) {
    if (counts.pages === 0) throw error
    trouble = describeError(error)
    context.log.warn({ err: error, pages: counts.pages }, `the listing of markets broke off: ${trouble}`)
  }
  const items = best(found, maxMarkets).map(([, ranked]) => ranked.item)
  return { ...counts, items, complete: trouble === null, trouble, ordered: order.honoured() }
}

/** Open, and orders are accepted: what is worth recording. */
export function isTradable(market: Market): boolean {
  return !market.closed && market.acceptingOrders && market.tokens.length > 0
}

/** The markets with the highest 24 h volume, highest first. */
export function mostTraded<T extends Pick<Market, 'volume24h'>>(markets: readonly T[], count: number): readonly T[] {
  return [...markets].sort((a, b) => volumeOf(b) - volumeOf(a)).slice(0, count)
}

function volumeOf(market: Pick<Market, 'volume24h'>): number {
  return Number(market.volume24h ?? 0)
}

function best<T>(found: ReadonlyMap<ConditionId, Ranked<T>>, count: number): [ConditionId, Ranked<T>][] {
  return [...found].sort(([, a], [, b]) => b.volume - a.volume).slice(0, count)
}

/** A few neighbours may stand the wrong way round, because volumes move while the venue sorts. */
const RISES_SHARE_MAX = 0.1

function createOrderWatch() {
  let first: number | null = null
  let pairs = 0
  let rises = 0
  return {
    note(volumes: readonly number[]) {
      first ??= volumes[0] ?? null
      for (let index = 1; index < volumes.length; index += 1) {
        pairs += 1
        if ((volumes[index] ?? 0) > (volumes[index - 1] ?? 0)) rises += 1
      }
    },
    /** A list that begins with nothing traded proves no order: absent volumes may have come first. */
    honoured: () => first !== null && first > 0 && rises <= pairs * RISES_SHARE_MAX,
  }
}
