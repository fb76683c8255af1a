import { decimalText, trimDecimal } from '../../core/decimal.ts'
import { isConditionId, isTokenId, type TokenId } from '../../core/ids.ts'
import type { Market, MarketToken } from '../../core/market.ts'
import {
  idOrNull,
  isJsonObject,
  isoTime,
  isTrue,
  type JsonObject,
  shown,
  textArray,
  textOrNull,
} from './json-values.ts'
import { KNOWN_MARKET_KEYS } from './known-keys.ts'

/** A readable market with the keys that this build does not know, or the reason why it cannot be read. */
export type ParsedMarket =
  | { readonly ok: true; readonly market: Market; readonly unknownKeys: readonly string[] }
  | { readonly ok: false; readonly reason: string }

/** No market has more outcomes; a longer list is damage. */
const OUTCOMES_MAX = 256

/**
 * Reads one Gamma market object. Only its condition id, its token ids and their agreement with the outcomes are
 * needed; everything else may be absent. Pure, never throws.
 */
export function parseGammaMarket(value: unknown): ParsedMarket {
  if (!isJsonObject(value)) return unreadable('not an object')
  const conditionId = value['conditionId']
  if (!isConditionId(conditionId)) return unreadable(`no condition id: ${shown(conditionId)}`)
  const fields = trackedFields(value)
  fields.taken.add('conditionId')
  const version = fields.read('version', textOrNull)
  const tokens = readTokens(fields, version)
  if (typeof tokens === 'string') return unreadable(tokens)
  const market: Market = {
    conditionId,
    tokens,
    version,
    ...readWords(fields),
    ...readFlags(fields),
    ...readFigures(fields),
    resolutionStatus: readResolutionStatus(fields, version),
    raw: fields.rest(),
  }
  return { ok: true, market, unknownKeys: Object.keys(value).filter((key) => !KNOWN_MARKET_KEYS.has(key)) }
}

function unreadable(reason: string): ParsedMarket {
  return { ok: false, reason }
}

interface TrackedFields {
  readonly taken: Set<string>
  /** Reads one key; what could not be read stays in the rest. */
  read<T>(key: string, reader: (value: unknown) => T | null): T | null
  /** What has no column of its own. */
  rest(): Record<string, unknown>
  readonly object: JsonObject
}

function trackedFields(object: JsonObject): TrackedFields {
  const taken = new Set<string>()
  return {
    object,
    taken,
    read(key, reader) {
      const result = reader(object[key])
      if (result !== null) taken.add(key)
      return result
    },
    rest() {
      const rest: Record<string, unknown> = {}
      for (const [key, value] of Object.entries(object)) {
        if (!taken.has(key) && value !== null && key !== '__proto__') rest[key] = value
      }
      return rest
    },
  }
}

function readWords(fields: TrackedFields) {
  const events = fields.object['events']
  const event: unknown = Array.isArray(events) ? events[0] : null
  return {
    venueMarketId: fields.read('id', idOrNull),
    question: fields.read('question', textOrNull) ?? '',
    slug: fields.read('slug', textOrNull) ?? '',
    description: fields.read('description', textOrNull),
    category: fields.read('category', textOrNull),
    eventId: isJsonObject(event) ? idOrNull(event['id']) : null,
    eventTitle: isJsonObject(event) ? textOrNull(event['title']) : null,
    startAt: fields.read('startDate', isoTime),
    endAt: fields.read('endDate', isoTime) ?? fields.read('endDateIso', isoTime),
    closedAt: fields.read('closedTime', isoTime),
  }
}

function readFlags(fields: TrackedFields) {
  const flag = (key: string) => fields.read(key, (value) => (isTrue(value) || value === false ? isTrue(value) : null))
  return {
    active: flag('active') ?? false,
    closed: flag('closed') ?? false,
    archived: flag('archived') ?? false,
    acceptingOrders: flag('acceptingOrders') ?? false,
    negRisk: flag('negRisk') ?? false,
  }
}

function readFigures(fields: TrackedFields) {
  const exact = (key: string) => fields.read(key, (value) => mapText(decimalText(value), trimDecimal))
  return {
    tickSize: exact('orderPriceMinTickSize'),
    minOrderSize: exact('orderMinSize'),
    volume: fields.read('volume', decimalText) ?? fields.read('volumeNum', decimalText),
    volume24h: fields.read('volume24hr', decimalText),
    liquidity: fields.read('liquidity', decimalText) ?? fields.read('liquidityNum', decimalText),
  }
}

function mapText(text: string | null, change: (text: string) => string): string | null {
  return text === null ? null : change(text)
}

/** Version v2 markets speak of `resolutionStatus`, older ones of `umaResolutionStatus`. */
function readResolutionStatus(fields: TrackedFields, version: string | null): string | null {
  const keys =
    version === 'v2' ? ['resolutionStatus', 'umaResolutionStatus'] : ['umaResolutionStatus', 'resolutionStatus']
  for (const key of keys) {
    const status = fields.read(key, textOrNull)
    if (status !== null) return status
  }
  return null
}

/** The tokens in the venue's order, or the reason why they cannot be told. */
function readTokens(fields: TrackedFields, version: string | null): readonly MarketToken[] | string {
  const ids = readTokenIds(fields, version)
  if (typeof ids === 'string') return ids
  const outcomes = fields.read('outcomes', textArray)
  if (ids.length > 0 && outcomes !== null && outcomes.length !== ids.length) {
    return `${outcomes.length} outcomes and ${ids.length} token ids`
  }
  const prices = readPrices(fields, ids.length)
  return ids.map((tokenId, outcomeIndex) => ({
    tokenId,
    outcome: outcomes?.[outcomeIndex] ?? '',
    outcomeIndex,
    price: prices?.[outcomeIndex] ?? null,
  }))
}

/** A market without a token (older than the order book) has none; an unreadable token id is a reason. */
function readTokenIds(fields: TrackedFields, version: string | null): readonly TokenId[] | string {
  for (const key of tokenKeys(version)) {
    const value = fields.object[key]
    if (value === null || value === undefined || value === '') continue
    const texts = fields.read(key, textArray)
    if (texts === null) return `${key} is not a list of texts`
    if (texts.length === 0) continue
    if (texts.length > OUTCOMES_MAX) return `${texts.length} token ids`
    if (!texts.every(isTokenId)) return `${key} holds something that is not a token id`
    if (new Set(texts).size !== texts.length) return `${key} holds a token id twice`
    return texts
  }
  return []
}

function tokenKeys(version: string | null): readonly string[] {
  if (version === 'v2') return ['positionIds']
  return version === null ? ['clobTokenIds', 'positionIds'] : ['clobTokenIds']
}

/** One price per token, or null when they do not belong together. */
function readPrices(fields: TrackedFields, count: number): readonly (string | null)[] | null {
  return fields.read('outcomePrices', (value) => {
    const texts = textArray(value)
    return texts === null || texts.length !== count ? null : texts.map(decimalText)
  })
}
