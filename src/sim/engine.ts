import type { Random } from '../core/random.ts'
import { bestOf, type Outcome } from './book.ts'
import {
  batchState,
  bestBidAskFrame,
  type Fill,
  marketResolvedFrame,
  newMarketFrame,
  priceChangeFrame,
  tickSizeFrame,
  tradedBookFrame,
  tradeFrame,
} from './frames.ts'
import { between, purposeRandom } from './identity.ts'
import type { Journal } from './journal.ts'
import { type SimMarket, tickText, type Winner } from './market.ts'
import { match } from './match.ts'
import type { VenueOptions } from './options.ts'
import { applyAll, moveTo, quote } from './quotes.ts'
import type { World } from './world.ts'

export type FrameKind =
  | 'dump'
  | 'book'
  | 'price_change'
  | 'last_trade_price'
  | 'best_bid_ask'
  | 'tick_size_change'
  | 'new_market'
  | 'market_resolved'
  | 'played'
  | 'refusal'

/** Where the engine's frames go. The engine works alike whether or not anybody listens. */
export interface Feed {
  /** Whether some connection would get this market's frames. */
  wanted(market: SimMarket): boolean
  /** To every connection with either token, once. */
  toMarket(market: SimMarket, kind: FrameKind, frame: string): void
  /** To every connection with this token. */
  toToken(market: SimMarket, outcome: Outcome, kind: FrameKind, frame: string, fill?: Fill): void
  /** To every connection with this token that asked for the custom features. */
  toTokenCustom(market: SimMarket, outcome: Outcome, kind: FrameKind, frame: string): void
  /** To every connection that asked for the custom features. */
  broadcast(kind: FrameKind, frame: string): void
}

export interface EngineCounts {
  /** Frames produced, as a client with every token and no custom features would count them. */
  frames: number
  steps: number
  fills: number
  /** Frames that the rate asked for and this process did not manage. */
  missed: number
}

interface DelayedTrade {
  readonly dueMs: number
  readonly fills: readonly Fill[]
}

const CATCH_UP_MS_MAX = 500
const TICK_BUDGET_MS = 40
const STEPS_PER_CHECK = 32

/** What happens at the venue. Draws chance from the seed alone, so that the same seed gives the same history. */
export class Engine {
  readonly counts: EngineCounts = { frames: 0, steps: 0, fills: 0, missed: 0 }
  rate: number
  paused: boolean
  readonly #options: VenueOptions
  readonly #world: World
  readonly #feed: Feed
  readonly #journal: Journal | null
  readonly #random: Random
  /** Apart from the engine's own, because lifecycle events come by the clock and not by steps. */
  readonly #lifecycleRandom: Random
  readonly #delayed: DelayedTrade[] = []
  #owed = 0
  #lastMs: number
  #nextMarketMs: number
  #nextResolveMs: number

  /** `monotonicMs` is now; `journal` is told everything that happens. */
  constructor(options: VenueOptions, world: World, feed: Feed, monotonicMs: number, journal: Journal | null = null) {
    this.#options = options
    this.#world = world
    this.#feed = feed
    this.#journal = journal
    this.#random = purposeRandom(options.seed, 'engine')
    this.#lifecycleRandom = purposeRandom(options.seed, 'lifecycle')
    this.#lastMs = monotonicMs
    this.#nextMarketMs = monotonicMs + options.newMarketEveryMs
    this.#nextResolveMs = monotonicMs + options.resolveEveryMs
    this.rate = options.rate
    this.paused = options.paused
  }

  /** Does what is due since the last call. `now` is read again to keep one call short. */
  advance(nowWallMs: number, now: () => number): void {
    const monotonicMs = now()
    const elapsedMs = Math.max(0, monotonicMs - this.#lastMs)
    this.#lastMs = monotonicMs
    this.#flushDelayed(nowWallMs)
    if (this.paused) return
    this.#lifecycle(monotonicMs, nowWallMs)
    this.#owed += (elapsedMs * this.rate) / 1_000
    const most = (CATCH_UP_MS_MAX * this.rate) / 1_000 + 1
    if (this.#owed > most) {
      this.counts.missed += Math.floor(this.#owed - most)
      this.#owed = most
    }
    for (let count = 1; this.#owed >= 1 && this.#world.open.length > 0; count += 1) {
      this.step(nowWallMs)
      if (count % STEPS_PER_CHECK === 0 && now() - monotonicMs > TICK_BUDGET_MS) break
    }
  }

  /** One engine step on one market: a match, or a batch of orders. */
  step(nowMs: number): void {
    const { open } = this.#world
    // Squared chance: some markets are busy, most are quiet.
    const market = open[Math.floor(open.length * this.#random() ** 2)]
    if (market === undefined) return
    this.counts.steps += 1
    if (this.#random() < this.#options.tradeShare && this.#trade(market, nowMs)) return
    this.#quote(market, quote(market, this.#random, this.#options), nowMs)
  }

  /** Brings the market's best prices to around `units` in one batch. */
  move(market: SimMarket, units: number, nowMs: number): void {
    this.#quote(market, moveTo(market, units, this.#random), nowMs)
  }

  createMarket(nowMs: number): SimMarket {
    const market = this.#world.create(nowMs)
    this.#feed.broadcast('new_market', newMarketFrame(market, nowMs))
    return market
  }

  /** A split has no winning asset, so the channel does not tell it. */
  resolveMarket(market: SimMarket, winner: Winner, nowMs: number): void {
    this.#world.resolve(market, winner, nowMs)
    if (winner !== 'split') this.#feed.broadcast('market_resolved', marketResolvedFrame(market, winner, nowMs))
  }

  /** Trades whose books are out and whose own frame is not. */
  get pendingTrades(): number {
    return this.#delayed.length
  }

  /** Sends every delayed trade now. */
  flushAll(): void {
    this.#flushDelayed(Number.POSITIVE_INFINITY)
  }

  #lifecycle(monotonicMs: number, nowMs: number): void {
    const { newMarketEveryMs, resolveEveryMs } = this.#options
    if (newMarketEveryMs > 0 && monotonicMs >= this.#nextMarketMs) {
      this.#nextMarketMs = monotonicMs + newMarketEveryMs
      this.createMarket(nowMs)
    }
    if (resolveEveryMs > 0 && monotonicMs >= this.#nextResolveMs) {
      this.#nextResolveMs = monotonicMs + resolveEveryMs
      const market = this.#world.open[Math.floor(this.#world.open.length * this.#lifecycleRandom())]
      if (market) this.resolveMarket(market, this.#lifecycleRandom() < 0.5 ? 0 : 1, nowMs)
    }
  }

  #quote(market: SimMarket, changes: ReturnType<typeof quote>, nowMs: number): void {
    if (changes.length === 0) {
      this.#owed -= 1 // a step that found nothing to do must not be tried for ever
      return
    }
    const before = bestOf(market.book)
    applyAll(market, changes)
    market.changedMs = nowMs
    for (const change of changes) this.#journal?.change(market, change)
    // Drawn before asking who listens: the history must not depend on it.
    const repeated = changes.map(() => this.#random() < this.#options.repeatShare)
    const wanted = this.#feed.wanted(market)
    if (wanted) {
      const state = batchState(market)
      this.#tellBest(market, before)
      changes.forEach((change, index) => {
        const frame = priceChangeFrame(market, change, state)
        this.#feed.toMarket(market, 'price_change', frame)
        if (repeated[index]) this.#feed.toMarket(market, 'price_change', frame)
      })
    }
    this.#count(changes.length + repeated.filter(Boolean).length)
    this.#refineTick(market, wanted)
  }

  #tellBest(market: SimMarket, before: ReturnType<typeof bestOf>): void {
    const after = bestOf(market.book)
    if (after.bid === before.bid && after.ask === before.ask) return
    for (const outcome of [0, 1] as const) {
      this.#feed.toTokenCustom(market, outcome, 'best_bid_ask', bestBidAskFrame(market, outcome))
    }
  }

  /** Beyond 0.96 and below 0.04 the venue trades in thousandths; it does not go back. */
  #refineTick(market: SimMarket, wanted: boolean): void {
    if (market.tickUnits !== 100) return
    const { bid, ask } = bestOf(market.book)
    if (!((bid !== null && bid > 9_600) || (ask !== null && ask < 400))) return
    const oldTick = tickText(market)
    market.tickUnits = 10
    this.#count(2)
    if (!wanted) return
    for (const outcome of [0, 1] as const) {
      this.#feed.toToken(market, outcome, 'tick_size_change', tickSizeFrame(market, outcome, oldTick))
    }
  }

  #trade(market: SimMarket, nowMs: number): boolean {
    const before = bestOf(market.book)
    const matched = match(market, this.#random, this.#options.identicalFillShare)
    if (matched === null) return false
    market.changedMs = nowMs
    const [leastMs, mostMs] = this.#options.tradeDelayMs
    // The loop looks a few ms late, so the longest delay is drawn a little shorter.
    const venueMs = nowMs + between(this.#random, leastMs, Math.max(leastMs, mostMs - 5))
    const fills = matched.fills.map((part): Fill => {
      this.counts.fills += 1
      return { ...part, market, sequence: this.counts.fills, venueMs, transactionHash: matched.transactionHash }
    })
    for (const fill of fills) {
      market.volumeMicros += fill.units * fill.hundredths
      this.#world.addFill(fill)
    }
    this.#journal?.match(market)
    const repeated = this.#random() < this.#options.repeatShare
    if (this.#feed.wanted(market)) {
      this.#tellBest(market, before)
      for (const outcome of [0, 1] as const) {
        const frame = tradedBookFrame(market, outcome)
        this.#feed.toToken(market, outcome, 'book', frame)
        if (repeated) this.#feed.toToken(market, outcome, 'book', frame)
      }
    }
    this.#count(repeated ? 4 : 2)
    this.#delay({ dueMs: venueMs, fills })
    this.#refineTick(market, this.#feed.wanted(market))
    return true
  }

  #delay(trade: DelayedTrade): void {
    let index = this.#delayed.length
    while (index > 0 && (this.#delayed[index - 1]?.dueMs ?? 0) > trade.dueMs) index -= 1
    this.#delayed.splice(index, 0, trade)
  }

  #flushDelayed(nowMs: number): void {
    let done = 0
    for (const { dueMs, fills } of this.#delayed) {
      if (dueMs > nowMs) break
      done += 1
      for (const fill of fills) {
        this.#journal?.fill(fill)
        this.#feed.toToken(fill.market, fill.outcome, 'last_trade_price', tradeFrame(fill), fill)
      }
      this.#count(fills.length)
    }
    this.#delayed.splice(0, done)
  }

  #count(frames: number): void {
    this.counts.frames += frames
    this.#owed -= frames
  }
}
