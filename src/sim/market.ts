import { type Random, seededRandom } from '../core/random.ts'
import { emptyBook, type MarketBook, type Outcome, setLevel, sideText } from './book.ts'
import { type BookText, bookHash, bookJson } from './book-hash.ts'
import { lastTradeText, PRICE_ONE, priceText } from './decimal.ts'
import { between, decimalTokenId, hexDigits, pick, purposeRandom } from './identity.ts'

export type Winner = Outcome | 'split'

/** One simulated market: its facts, its book and what became of it. Times are Unix ms. */
export interface SimMarket {
  readonly id: string
  readonly conditionId: string
  readonly questionId: string
  question: string
  readonly slug: string
  readonly eventId: string
  readonly category: string
  readonly outcomes: readonly [string, string]
  readonly tokens: readonly [string, string]
  readonly version: 'v1' | 'v2'
  readonly negRisk: boolean
  readonly minOrderSize: string
  /** In whose terms the venue writes this market's last trade price; clients are not told. */
  readonly referenceOutcome: Outcome
  /** Markets without traffic have no volume members at all. */
  readonly traffic: boolean
  readonly createdMs: number
  readonly endMs: number
  readonly book: MarketBook
  /** Price units: 100 is a tick of 0.01, 10 of 0.001. */
  tickUnits: number
  /** Last price of the first outcome, in units; null before the first trade. */
  lastTradeUnits: number | null
  lastTradeSide: 'BUY' | 'SELL' | ''
  changedMs: number
  /** USDC in 1/1,000,000: units of price times hundredths of size. */
  volumeMicros: number
  closed: boolean
  closedMs: number | null
  resolved: boolean
  winner: Winner | null
}

export interface MarketPlan {
  readonly seed: number
  readonly index: number
  readonly nowMs: number
  readonly v2Share: number
  readonly negRiskShare: number
  readonly levels: number
}

const SUBJECTS = [
  'the river festival',
  'Harbour United',
  'the lunar lander',
  'candidate Mira Holt',
  'the copper price',
] as const
const DEEDS = ['be held', 'win', 'arrive on time', 'lead the count', 'close higher'] as const
const CATEGORIES = ['Sports', 'Politics', 'Crypto', 'Science', 'Culture'] as const
const NAMES: readonly [readonly [string, string], ...(readonly [string, string])[]] = [
  ['Yes', 'No'],
  ['Yes', 'No'],
  ['Up', 'Down'],
  ['Over', 'Under'],
]

/** The same seed and index give the same market, whatever else the venue did. */
export function createMarket(plan: MarketPlan): SimMarket {
  const random = purposeRandom(plan.seed, 'market', plan.index)
  const version = random() < plan.v2Share ? 'v2' : 'v1'
  const conditionId = version === 'v2' ? `0x01${hexDigits(random, 32)}${'0'.repeat(30)}` : `0x${hexDigits(random, 64)}`
  const question = `Will ${pick(random, SUBJECTS)} ${pick(random, DEEDS)} on day ${plan.index + 1}?`
  const market: SimMarket = {
    id: String(500_000 + plan.index),
    conditionId,
    questionId: `0x${hexDigits(random, 64)}`,
    question,
    slug: question
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replace(/-$/, ''),
    eventId: String(90_000 + plan.index),
    category: pick(random, CATEGORIES),
    outcomes: pick(random, NAMES),
    tokens: [decimalTokenId(random), decimalTokenId(random)],
    version,
    negRisk: random() < plan.negRiskShare,
    minOrderSize: '5',
    referenceOutcome: random() < 0.5 ? 0 : 1,
    traffic: random() < 0.95,
    createdMs: plan.nowMs,
    endMs: plan.nowMs + between(random, 1, 90) * 86_400_000,
    book: emptyBook(),
    tickUnits: random() < 0.8 ? 100 : 10,
    lastTradeUnits: null,
    lastTradeSide: '',
    changedMs: plan.nowMs - between(random, 0, 60_000),
    volumeMicros: 0,
    closed: false,
    closedMs: null,
    resolved: false,
    winner: null,
  }
  fillBook(market, random, plan.levels)
  if (market.traffic) market.volumeMicros = between(random, 1_000, 900_000_000_000)
  return market
}

/** Levels around a first price: most markets in the middle, some close to where the tick size changes. */
function fillBook(market: SimMarket, random: Random, levels: number): void {
  const tick = market.tickUnits
  const ticks = PRICE_ONE / tick
  const nearEdge = random() < 0.06
  const middle = nearEdge
    ? Math.round(ticks * (random() < 0.5 ? 0.06 : 0.94))
    : between(random, ticks * 0.15, ticks * 0.85)
  const each = Math.max(2, Math.ceil(levels * 0.7))
  const sizes = seededRandom(Math.floor(random() * 0xffff_ffff))
  for (let step = 1; step <= each; step += 1) {
    const bid = (Math.floor(middle) - step) * tick
    const ask = (Math.floor(middle) + step) * tick
    if (bid > 0) setLevel(market.book, 'bid', bid, orderSize(sizes))
    if (ask < PRICE_ONE) setLevel(market.book, 'ask', ask, orderSize(sizes))
  }
}

/** A size in hundredths: whole shares and odd ones, as people and programs leave them. */
export function orderSize(random: Random): number {
  return random() < 0.5 ? between(random, 5, 3_000) * 100 : between(random, 500, 250_000)
}

export function tickText(market: SimMarket): string {
  return priceText(market.tickUnits)
}

/** The market's one last trade price as a book has it: three decimals in the reference outcome's terms, or ''. */
export function lastTradeInBook(market: SimMarket): string {
  if (market.lastTradeUnits === null) return ''
  return lastTradeText(market.referenceOutcome === 0 ? market.lastTradeUnits : PRICE_ONE - market.lastTradeUnits)
}

/** One token's whole book as text, with the time of its last change. */
export function bookText(market: SimMarket, outcome: Outcome): BookText {
  return {
    market: market.conditionId,
    assetId: market.tokens[outcome],
    timestamp: String(market.changedMs),
    bids: sideText(market.book, outcome, 'bid'),
    asks: sideText(market.book, outcome, 'ask'),
    minOrderSize: market.minOrderSize,
    tickSize: tickText(market),
    negRisk: market.negRisk,
    lastTradePrice: lastTradeInBook(market),
    version: market.version,
  }
}

/** One token's book as REST serves it, and its hash. */
export function restBook(market: SimMarket, outcome: Outcome): { readonly json: string; readonly hash: string } {
  const text = bookText(market, outcome)
  const hash = bookHash(text)
  return { json: bookJson(text, hash), hash }
}
