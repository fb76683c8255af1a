import { bestOf } from './book.ts'
import { PRICE_ONE, priceText } from './decimal.ts'
import { descriptionOf } from './frames.ts'
import type { SimMarket } from './market.ts'

/** Gamma's view of a simulated market: the real types, and keys left out rather than null. */

const MICROS_PER_USDC = 1_000_000

/** Prices of both outcomes as text: the middle of the book, or what the resolution pays. */
export function outcomePrices(market: SimMarket): readonly [string, string] {
  if (market.winner === 'split') return ['0.5', '0.5']
  if (market.resolved) return market.winner === 0 ? ['1', '0'] : ['0', '1']
  const { bid, ask } = bestOf(market.book)
  const known = bid !== null && ask !== null ? (bid + ask) / 2 : (market.lastTradeUnits ?? PRICE_ONE / 2)
  const units = Math.round(known)
  return [priceText(units), priceText(PRICE_ONE - units)]
}

/** Volume in USDC as Gamma's number; undefined when nothing was ever traded, for then the keys are missing. */
export function volumeOf(market: SimMarket): number | undefined {
  return market.volumeMicros === 0 ? undefined : market.volumeMicros / MICROS_PER_USDC
}

function liquidityOf(market: SimMarket): number {
  if (market.closed) return 0
  let hundredths = 0
  for (const level of market.book.bids) hundredths += level.hundredths
  for (const level of market.book.asks) hundredths += level.hundredths
  return hundredths / 100
}

/** One value to sort or filter by; undefined for keys that cannot be ordered by, which Gamma ignores in silence. */
export function gammaValue(market: SimMarket, key: string): string | number | boolean | undefined {
  switch (key) {
    case 'id':
      return Number(market.id)
    case 'slug':
    case 'question':
    case 'conditionId':
      return market[key]
    case 'volume24hr':
    case 'volumeNum':
    case 'volumeClob':
    case 'volume':
      return volumeOf(market)
    case 'liquidityNum':
    case 'liquidity':
      return liquidityOf(market)
    case 'startDate':
    case 'createdAt':
      return isoTime(market.createdMs)
    case 'endDate':
      return isoTime(market.endMs)
    case 'closedTime':
      return market.closedMs === null ? undefined : closedTimeText(market.closedMs)
    case 'closed':
      return market.closed
    case 'active':
      return true
    case 'archived':
      return false
    case 'umaResolutionStatus':
      return resolutionStatus(market)
    default:
      return undefined
  }
}

/** The whole market object. */
export function gammaMarket(market: SimMarket, nowMs: number): Record<string, unknown> {
  const { bid, ask } = bestOf(market.book)
  const description = descriptionOf(market)
  return {
    id: market.id,
    question: market.question,
    conditionId: market.conditionId,
    slug: market.slug,
    resolutionSource: '',
    endDate: isoTime(market.endMs),
    startDate: isoTime(market.createdMs),
    image: '',
    icon: '',
    description,
    outcomes: spacedJson(market.outcomes),
    outcomePrices: spacedJson(outcomePrices(market)),
    active: true,
    closed: market.closed,
    marketMakerAddress: '',
    createdAt: isoTime(market.createdMs),
    updatedAt: isoTime(nowMs),
    new: false,
    featured: false,
    archived: false,
    restricted: true,
    groupItemThreshold: '0',
    questionID: market.questionId,
    enableOrderBook: true,
    orderPriceMinTickSize: market.tickUnits / PRICE_ONE,
    orderMinSize: Number(market.minOrderSize),
    endDateIso: isoTime(market.endMs).slice(0, 10),
    startDateIso: isoTime(market.createdMs).slice(0, 10),
    hasReviewedDates: true,
    ...volumeMembers(market),
    ...tokenMembers(market),
    makerBaseFee: 1000,
    takerBaseFee: 1000,
    acceptingOrders: !market.closed,
    negRisk: market.negRisk,
    ...(market.negRisk ? { negRiskMarketID: market.questionId, negRiskRequestID: market.questionId } : {}),
    events: [gammaEvent(market)],
    ready: false,
    funded: false,
    acceptingOrdersTimestamp: isoTime(market.createdMs),
    cyom: false,
    approved: true,
    rewardsMinSize: 50,
    rewardsMaxSpread: 4.5,
    ...(bid !== null && ask !== null ? { spread: (ask - bid) / PRICE_ONE } : {}),
    ...(market.lastTradeUnits === null ? {} : { lastTradePrice: market.lastTradeUnits / PRICE_ONE }),
    ...(bid === null || market.closed ? {} : { bestBid: bid / PRICE_ONE }),
    bestAsk: ask === null || market.closed ? 1 : ask / PRICE_ONE,
    automaticallyActive: true,
    clearBookOnStart: false,
    negRiskOther: false,
    umaResolutionStatuses: market.resolved ? spacedJson(['proposed', 'resolved']) : '[]',
    pendingDeployment: false,
    deploying: false,
    rfqEnabled: false,
    ...closingMembers(market),
    feesEnabled: true,
    feeType: 'general_fees',
    feeSchedule: { rate: 0.04, exponent: 1, takerOnly: true, rebateRate: 0.25 },
    makerRebatesFeeShareBps: 10_000,
    requiresTranslation: false,
  }
}

function volumeMembers(market: SimMarket): Record<string, unknown> {
  const volume = volumeOf(market)
  const liquidity = liquidityOf(market)
  const liquid = { liquidity: String(liquidity), liquidityNum: liquidity, liquidityClob: liquidity, liquidityAmm: 0 }
  if (volume === undefined) return market.closed ? {} : liquid
  return {
    volume: String(volume),
    volumeNum: volume,
    volumeClob: volume,
    volume24hr: volume,
    volume1wk: volume,
    volume1mo: volume,
    volume1yr: volume,
    volume24hrClob: volume,
    ...(market.closed ? {} : liquid),
  }
}

/** V1 ids are JSON inside a string; V2 ids a real array under another name. */
function tokenMembers(market: SimMarket): Record<string, unknown> {
  if (market.version === 'v1') return { clobTokenIds: spacedJson(market.tokens) }
  return { version: 'v2', positionIds: market.tokens }
}

function closingMembers(market: SimMarket): Record<string, unknown> {
  if (market.closedMs === null) return {}
  const status = resolutionStatus(market)
  return {
    closedTime: closedTimeText(market.closedMs),
    umaEndDate: isoTime(market.closedMs),
    automaticallyResolved: true,
    ...(market.version === 'v2' ? { resolutionStatus: status } : { umaResolutionStatus: status }),
  }
}

function resolutionStatus(market: SimMarket): string | undefined {
  if (!market.closed) return undefined
  return market.resolved ? 'resolved' : 'proposed'
}

/** An event holds numbers where a market holds text. Here each market has one of its own. */
export function gammaEvent(market: SimMarket): Record<string, unknown> {
  const volume = volumeOf(market) ?? 0
  return {
    id: market.eventId,
    ticker: market.slug,
    slug: market.slug,
    title: market.question,
    description: descriptionOf(market),
    startDate: isoTime(market.createdMs),
    creationDate: isoTime(market.createdMs),
    endDate: isoTime(market.endMs),
    active: true,
    closed: market.closed,
    archived: false,
    new: false,
    featured: false,
    restricted: true,
    liquidity: liquidityOf(market),
    volume,
    openInterest: 0,
    volume24hr: volume,
    category: market.category,
    enableOrderBook: true,
    negRisk: market.negRisk,
    commentCount: 0,
  }
}

/** JSON with a blank after each comma, as Gamma writes it inside strings. */
export function spacedJson(texts: readonly string[]): string {
  return `[${texts.map((text) => JSON.stringify(text)).join(', ')}]`
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}

/** `2026-07-24 00:00:16+00`: not ISO 8601. */
function closedTimeText(ms: number): string {
  return `${isoTime(ms).slice(0, 19).replace('T', ' ')}+00`
}
