import type { TokenFacts } from '../../core/market.ts'

/** What the book check knows of one market: the hidden last trade price and what frames said of its form. */
export interface MarketState {
  /** Last trade price as the hash has it; '' before the first trade, null while unknown. */
  value: string | null
  /** The one search of all values has been made. */
  searched: boolean
  /** Values that recent trades and dumps suggest, newest first. */
  recent: readonly string[]
  tick: string | null
  previousTick: string | null
  minOrderSize: string | null
  negRisk: boolean | null
  version: string | null
  /** A form of old captures that verified; null for the present forms, which the version tells apart. */
  oldForm: 6 | 9 | null
  /** `proven`: a hash of this market verified. `unverifiable`: its own dump did not, so that failures say nothing. */
  trust: 'unknown' | 'proven' | 'unverifiable'
  /** Used since the state was last considered for removal. */
  touched: boolean
}

/** Everything the hash needs except the hidden value; tick sizes in the order in which to try them. */
export interface KnownFacts {
  readonly minOrderSize: string
  readonly negRisk: boolean
  readonly version: string | null
  readonly ticks: readonly string[]
}

const RECENT_MAX = 8

export function createMarketState(): MarketState {
  return {
    value: null,
    searched: false,
    recent: [],
    tick: null,
    previousTick: null,
    minOrderSize: null,
    negRisk: null,
    version: null,
    oldForm: null,
    trust: 'unknown',
    touched: true,
  }
}

/** What frames said goes before what the directory says; null when something is unknown. */
export function factsOf(state: MarketState, facts: TokenFacts | undefined): KnownFacts | null {
  const minOrderSize = state.minOrderSize ?? facts?.minOrderSize ?? null
  const negRisk = state.negRisk ?? facts?.negRisk ?? null
  const ticks = distinct([state.tick, facts?.tickSize ?? null, state.previousTick])
  if (minOrderSize === null || negRisk === null || ticks.length === 0) return null
  return { minOrderSize, negRisk, version: state.version ?? facts?.version ?? null, ticks }
}

/** What nearly every market has, in the order of likelihood: a hash that fits proves the guess. */
const USUAL_MIN_ORDER_SIZE = '5'

/**
 * Facts to try while a new market's metadata is not here yet; empty when even the tick size is unknown. A SHA-1 that
 * fits cannot be chance, so that a guess is either proven or never believed.
 */
export function guessFacts(state: MarketState, facts: TokenFacts | undefined): readonly KnownFacts[] {
  const negRisk = state.negRisk ?? facts?.negRisk ?? null
  const minOrderSize = state.minOrderSize ?? facts?.minOrderSize ?? USUAL_MIN_ORDER_SIZE
  const guesses = (negRisk === null ? [false, true] : [negRisk]).map((guess) => {
    return factsOf({ ...state, minOrderSize, negRisk: guess }, facts)
  })
  return guesses.filter((guess) => guess !== null)
}

/** Frames that were on their way may still speak of the size before. */
export function noteTick(state: MarketState, tick: string): void {
  if (tick === state.tick) return
  state.previousTick = state.tick
  state.tick = tick
}

/** The hash values that a trade at `price` may lead to: p or 1 − p, rounded either way to three decimals. */
export function tradeValues(price: string): readonly string[] {
  const thousandths = Number(price) * 1000
  const down = Math.floor(thousandths + 1e-6)
  const up = Math.ceil(thousandths - 1e-6)
  return distinct([down, up, 1000 - down, 1000 - up].map((value) => (value / 1000).toFixed(3)))
}

export function rememberValues(state: MarketState, values: readonly string[]): void {
  state.recent = distinct([...values, ...state.recent]).slice(0, RECENT_MAX)
}

/** The likeliest first. */
export function valuesToTry(state: MarketState): readonly string[] {
  return distinct([state.value, ...state.recent, ''])
}

function distinct(items: readonly (string | null)[]): readonly string[] {
  const result: string[] = []
  for (const item of items) if (item !== null && !result.includes(item)) result.push(item)
  return result
}
