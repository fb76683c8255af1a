import type { Clock } from '../../core/clock.ts'
import type { MarketEvent } from '../../core/events.ts'
import { type ConditionId, isConditionId, type TokenId } from '../../core/ids.ts'
import type { Market, TokenDirectory, TokenFacts } from '../../core/market.ts'
import type { TrackedToken } from '../../core/ports.ts'

/** A market's tokens belong together: they are recorded on one connection. */
export interface TrackedMarket {
  readonly conditionId: ConditionId
  readonly tokens: readonly TokenId[]
}

/** What is to be known of a market to record it. */
export type ListedMarket = Pick<Market, 'conditionId' | 'tickSize' | 'minOrderSize' | 'negRisk' | 'version'> & {
  readonly tokens: readonly { readonly tokenId: TokenId }[]
}

export interface RegistryOptions {
  readonly clock: Clock
  readonly maxMarkets: number
  /** How long a resolved market is still recorded, ms. */
  readonly graceMs?: number
}

/** The tokens that are recorded now, with what is known of them. */
export interface TokenRegistry extends TokenDirectory {
  /** Fills an empty registry from what the ledger knows; does nothing once markets have been heard of. */
  seed(tokens: readonly TrackedToken[]): void
  /** The whole list of open markets: unlisted ones are dropped when they are missing for the second time. */
  replaceTracked(markets: readonly ListedMarket[]): void
  /** A part of the list: adds and updates, drops nothing. */
  addTracked(markets: readonly ListedMarket[]): void
  /** These are known to be closed: recorded for the grace period, then dropped. */
  retire(conditionIds: Iterable<ConditionId>): void
  /** What the stream says: a new market is added at once, a resolved one is retired. */
  observe(event: MarketEvent): void
  /** Drops what has been retired for longer than the grace period; to be called now and then. */
  dropExpired(): void
  markets(): Iterable<TrackedMarket>
  tracks(conditionId: ConditionId): boolean
  tokens(): readonly TokenId[]
  /** A market's tokens; none when it is not tracked. */
  tokensOf(market: string): readonly TokenId[]
  readonly marketCount: number
  readonly tokenCount: number
  /** Markets that were not taken because the registry was full. */
  readonly refused: number
  /** Calls back, at once and synchronously, whenever tokens came or went. Returns the way to stop that. */
  onChange(listener: () => void): () => void
  /** Resolves when at least one token is known, or the signal aborts. */
  untilFirst(signal: AbortSignal): Promise<void>
}

interface Entry {
  readonly conditionId: ConditionId
  facts: readonly TokenFacts[]
  /** Complete lists in a row that did not hold this market. */
  misses: number
  /** Monotonic ms after which the market is dropped; null while it is open. */
  dropAtMs: number | null
}

/** One miss can be a market that changed its rank between two pages of the listing. */
const MISSES_MAX = 2
const GRACE_MS = 60_000
/** A listing can be five minutes stale: what was retired is not believed to be open before this has passed. */
const RETIRED_MEMORY_MS = 600_000
const RETIRED_MAX = 20_000
/** Room beyond `maxMarkets` for markets that the stream announces between two listings. */
const HEADROOM_SHARE = 0.1
const HEADROOM_MIN = 100

export function createTokenRegistry(options: RegistryOptions): TokenRegistry {
  return new Registry(options)
}

class Registry implements TokenRegistry {
  readonly #clock: Clock
  readonly #graceMs: number
  readonly #capacity: number
  readonly #entries = new Map<ConditionId, Entry>()
  readonly #facts = new Map<TokenId, TokenFacts>()
  readonly #retired = new Map<ConditionId, number>()
  readonly #listeners = new Set<() => void>()
  #refused = 0
  #changed = false

  constructor(options: RegistryOptions) {
    this.#clock = options.clock
    this.#graceMs = options.graceMs ?? GRACE_MS
    this.#capacity = options.maxMarkets + Math.max(HEADROOM_MIN, Math.ceil(options.maxMarkets * HEADROOM_SHARE))
  }

  get marketCount(): number {
    return this.#entries.size
  }

  get tokenCount(): number {
    return this.#facts.size
  }

  get refused(): number {
    return this.#refused
  }

  facts(token: TokenId): TokenFacts | undefined {
    return this.#facts.get(token)
  }

  tracks(conditionId: ConditionId): boolean {
    return this.#entries.has(conditionId)
  }

  tokens(): readonly TokenId[] {
    return [...this.#facts.keys()]
  }

  tokensOf(market: string): readonly TokenId[] {
    return isConditionId(market) ? (this.#entries.get(market)?.facts.map(({ tokenId }) => tokenId) ?? []) : []
  }

  *markets(): Iterable<TrackedMarket> {
    for (const entry of this.#entries.values()) {
      yield { conditionId: entry.conditionId, tokens: entry.facts.map((fact) => fact.tokenId) }
    }
  }

  seed(tokens: readonly TrackedToken[]): void {
    if (this.#entries.size > 0) return
    const markets = new Map<ConditionId, TokenFacts[]>()
    for (const { tokenId, conditionId, tickSize, minOrderSize, negRisk, version } of tokens) {
      const facts = markets.get(conditionId) ?? []
      facts.push({ tokenId, conditionId, tickSize, minOrderSize, negRisk, version })
      markets.set(conditionId, facts)
    }
    for (const [conditionId, facts] of markets) this.#put(conditionId, facts)
    this.#tell()
  }

  replaceTracked(markets: readonly ListedMarket[]): void {
    const listed = new Set(markets.map((market) => market.conditionId))
    for (const entry of this.#entries.values()) {
      entry.misses = listed.has(entry.conditionId) ? 0 : entry.misses + 1
      if (entry.misses >= MISSES_MAX && entry.dropAtMs === null) this.#remove(entry)
    }
    this.#makeRoom(listed)
    this.addTracked(markets)
  }

  addTracked(markets: readonly ListedMarket[]): void {
    this.#forgetRetired()
    for (const market of markets) {
      if (!this.#retired.has(market.conditionId)) this.#put(market.conditionId, factsOf(market))
    }
    this.dropExpired()
  }

  retire(conditionIds: Iterable<ConditionId>): void {
    const nowMs = this.#clock.monotonicMs()
    for (const conditionId of conditionIds) {
      this.#retired.set(conditionId, nowMs)
      const entry = this.#entries.get(conditionId)
      if (entry !== undefined) entry.dropAtMs ??= nowMs + this.#graceMs
    }
    this.#forgetRetired()
  }

  observe(event: MarketEvent): void {
    if (event.kind === 'market_resolved') {
      this.retire([event.market])
    } else if (event.kind === 'new_market') {
      const { market, tokens, tickSize } = event
      if (this.#entries.has(market) || this.#retired.has(market)) return
      const unknown = { minOrderSize: null, negRisk: null, version: null }
      this.#put(
        market,
        tokens.map((tokenId) => ({ tokenId, conditionId: market, tickSize, ...unknown })),
      )
      this.#tell()
    }
  }

  dropExpired(): void {
    const nowMs = this.#clock.monotonicMs()
    for (const entry of this.#entries.values()) {
      if (entry.dropAtMs !== null && entry.dropAtMs <= nowMs) this.#remove(entry)
    }
    this.#tell()
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  untilFirst(signal: AbortSignal): Promise<void> {
    if (this.#facts.size > 0 || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const end = () => {
        stop()
        signal.removeEventListener('abort', end)
        resolve()
      }
      const stop = this.onChange(() => {
        if (this.#facts.size > 0) end()
      })
      signal.addEventListener('abort', end)
    })
  }

  #put(conditionId: ConditionId, facts: readonly TokenFacts[]): void {
    if (facts.length === 0) return
    const entry = this.#entries.get(conditionId)
    if (entry === undefined && this.#entries.size >= this.#capacity) {
      this.#refused += 1
      return
    }
    // A token belongs to the market that named it first.
    const own = facts.filter(({ tokenId }) => (this.#facts.get(tokenId)?.conditionId ?? conditionId) === conditionId)
    if (own.length === 0) return
    if (entry === undefined) {
      this.#entries.set(conditionId, { conditionId, facts: own, misses: 0, dropAtMs: null })
    } else {
      const kept = new Set(own.map((fact) => fact.tokenId))
      for (const fact of entry.facts) if (!kept.has(fact.tokenId)) this.#forget(fact.tokenId)
      entry.facts = own
    }
    for (const fact of own) {
      if (!this.#facts.has(fact.tokenId)) this.#changed = true
      this.#facts.set(fact.tokenId, fact)
    }
  }

  /** The list of now goes before what was on the list before. */
  #makeRoom(listed: ReadonlySet<ConditionId>): void {
    let newcomers = 0
    for (const conditionId of listed) if (!this.#entries.has(conditionId)) newcomers += 1
    for (const entry of this.#entries.values()) {
      if (this.#entries.size + newcomers <= this.#capacity) return
      if (entry.misses > 0) this.#remove(entry)
    }
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.conditionId)
    for (const fact of entry.facts) this.#forget(fact.tokenId)
  }

  #forget(tokenId: TokenId): void {
    this.#facts.delete(tokenId)
    this.#changed = true
  }

  #forgetRetired(): void {
    const oldestMs = this.#clock.monotonicMs() - RETIRED_MEMORY_MS
    for (const [conditionId, retiredMs] of this.#retired) {
      if (retiredMs > oldestMs && this.#retired.size <= RETIRED_MAX) break
      this.#retired.delete(conditionId)
    }
  }

  #tell(): void {
    if (!this.#changed) return
    this.#changed = false
    for (const listener of this.#listeners) listener()
  }
}

function factsOf(market: ListedMarket): readonly TokenFacts[] {
  const { conditionId, tickSize, minOrderSize, negRisk, version } = market
  return market.tokens.map(({ tokenId }) => ({ tokenId, conditionId, tickSize, minOrderSize, negRisk, version }))
}
