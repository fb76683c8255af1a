import type { Outcome } from './book.ts'
import type { Fill } from './frames.ts'
import { createMarket, type SimMarket, type Winner } from './market.ts'
import type { VenueOptions } from './options.ts'

export interface TokenPlace {
  readonly market: SimMarket
  readonly outcome: Outcome
}

/** Everything that exists at the simulated venue. Its interfaces read it, the engine and commands change it. */
export interface World {
  /** Every market, oldest first. */
  readonly markets: readonly SimMarket[]
  /** Those that still trade, in an order of no meaning. */
  readonly open: readonly SimMarket[]
  market(conditionId: string): SimMarket | undefined
  place(token: string): TokenPlace | undefined
  create(nowMs: number): SimMarket
  /** Ends trading; the result is not yet known. */
  close(market: SimMarket, nowMs: number): void
  resolve(market: SimMarket, winner: Winner, nowMs: number): void
  addFill(fill: Fill): void
  /** Newest last; of all markets, or of one. */
  fills(conditionId?: string): readonly Fill[]
}

const FILLS_MAX = 1_000_000
const FILLS_PER_MARKET_MAX = 20_000

export function createWorld(options: VenueOptions, nowMs: number): World {
  const markets: SimMarket[] = []
  const open: SimMarket[] = []
  const byCondition = new Map<string, SimMarket>()
  const byToken = new Map<string, TokenPlace>()
  const allFills: Fill[] = []
  const fillsOf = new Map<string, Fill[]>()

  const world: World = {
    markets,
    open,
    market: (conditionId) => byCondition.get(conditionId),
    place: (token) => byToken.get(token),
    create(createdMs) {
      const { seed, v2Share, negRiskShare, levels } = options
      const market = createMarket({ seed, index: markets.length, nowMs: createdMs, v2Share, negRiskShare, levels })
      markets.push(market)
      open.push(market)
      byCondition.set(market.conditionId, market)
      byToken.set(market.tokens[0], { market, outcome: 0 })
      byToken.set(market.tokens[1], { market, outcome: 1 })
      return market
    },
    close(market, closedMs) {
      if (market.closed) return
      market.closed = true
      market.closedMs = closedMs
      const index = open.indexOf(market)
      const last = open.pop()
      if (last !== undefined && last !== market) open[index] = last
    },
    resolve(market, winner, resolvedMs) {
      world.close(market, resolvedMs)
      market.resolved = true
      market.winner = winner
    },
    addFill(fill) {
      keepNewest(allFills, fill, FILLS_MAX)
      const own = fillsOf.get(fill.market.conditionId) ?? []
      keepNewest(own, fill, FILLS_PER_MARKET_MAX)
      fillsOf.set(fill.market.conditionId, own)
    },
    fills: (conditionId) => (conditionId === undefined ? allFills : (fillsOf.get(conditionId) ?? [])),
  }
  for (let index = 0; index < options.markets; index += 1) world.create(nowMs)
  return world
}

/** Appends; when full, forgets the oldest tenth at once. */
function keepNewest<T>(list: T[], item: T, limit: number): void {
  if (list.length >= limit) list.splice(0, Math.ceil(limit / 10))
  list.push(item)
}
