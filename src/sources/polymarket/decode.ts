import { describeError } from '../../core/errors.ts'
import type { Decoded, DecodeFrame, Level, LevelChange, MarketEvent } from '../../core/events.ts'
import { type ConditionId, isConditionId, isTokenId, type TokenId } from '../../core/ids.ts'
import {
  bestOf,
  decimalOf,
  hashOf,
  isDecimal,
  isPrice,
  isShort,
  isWord,
  nameOf,
  priceOf,
  sideOf,
  textOf,
  timeOf,
} from './decode-fields.ts'

/**
 * The market channel's frames as events (wire reference: README.md of this folder). Hand-written because every
 * frame passes here: one JSON.parse, no schema library, no copies of what is already text.
 * A bad part is a reject with its reason, its siblings live; unknown keys and types are counted, never fatal.
 */

/** Far above what the venue sends: a frame beyond these is not a market's data. */
const PARTS_MAX = 10_000
const CHANGES_MAX = 20_000
const LEVELS_MAX = 20_000
const TOKENS_MAX = 1_000
const RAW_CHARACTERS_MAX = 1_048_576
const DRIFT_MAX = 50

type Part = Readonly<Record<string, unknown>>

interface Output {
  readonly events: MarketEvent[]
  readonly rejects: string[]
  readonly drift: string[]
}

const NOTHING: Decoded = Object.freeze({ events: [], rejects: [], drift: [] })

export const decodeFrame: DecodeFrame = (payload) => {
  if (payload.length <= 4 && isQuiet(payload.toString('latin1'))) return NOTHING
  const out: Output = { events: [], rejects: [], drift: [] }
  let frame: unknown
  try {
    frame = JSON.parse(payload.toString('utf8'))
  } catch {
    out.rejects.push('not JSON')
    return out
  }
  if (!Array.isArray(frame)) decodeSafely(frame, out)
  else if (frame.length > PARTS_MAX) out.rejects.push(`${frame.length} parts in one frame`)
  else for (const part of frame) decodeSafely(part, out)
  return out
}

/** Heartbeats, and the empty answer to a subscription without books. */
function isQuiet(text: string): boolean {
  return text === 'PONG' || text === 'PING' || text === '[]'
}

/** A bug or a hostile input in one part must not cost the others. */
function decodeSafely(part: unknown, out: Output): void {
  try {
    decodePart(part, out)
  } catch (error) {
    out.rejects.push(`decoder failed: ${describeError(error).slice(0, 200)}`)
  }
}

function decodePart(part: unknown, out: Output): void {
  if (typeof part !== 'object' || part === null || Array.isArray(part)) {
    out.rejects.push('part is not an object')
    return
  }
  const fields = part as Part
  const type = fields['event_type']
  const parser = typeof type === 'string' ? PARSERS.get(type) : undefined
  if (parser !== undefined) {
    const reason = parser(fields, out)
    if (reason !== null) out.rejects.push(`${type}: ${reason}`)
  } else if (typeof type !== 'string' || type === '') {
    out.rejects.push('event_type missing')
  } else {
    out.events.push({ kind: 'unknown', eventType: nameOf(type) })
    drift(out, nameOf(type))
  }
}

const BOOK_KEYS = keys(
  'event_type market asset_id timestamp hash bids asks buys sells tick_size last_trade_price min_order_size neg_risk ' +
    'version',
)
const LEVEL_KEYS = keys('price size')

function book(part: Part, out: Output): string | null {
  const token = part['asset_id']
  const market = part['market']
  const venueMs = timeOf(part['timestamp'])
  const bids = levelsOf(part['bids'] ?? part['buys'])
  const asks = levelsOf(part['asks'] ?? part['sells'])
  const hash = hashOf(part['hash'])
  if (!isTokenId(token)) return 'bad asset_id'
  if (!isWord(market)) return 'bad market'
  if (venueMs === 0) return 'bad timestamp'
  if (bids === null || asks === null) return 'bad levels'
  if (hash === undefined) return 'bad hash'
  out.events.push({
    kind: 'book',
    token,
    market,
    venueMs,
    hash,
    bids,
    asks,
    tickSize: decimalOf(part['tick_size']),
    lastTradePrice: part['last_trade_price'] === '' ? '' : decimalOf(part['last_trade_price']),
    minOrderSize: decimalOf(part['min_order_size']),
    negRisk: typeof part['neg_risk'] === 'boolean' ? part['neg_risk'] : null,
    version: typeof part['version'] === 'string' && part['version'] !== '' ? nameOf(part['version']) : null,
    // Books after a match lack both members (API of 2026-09); a dump has them.
    afterTrade: !('tick_size' in part) && !('last_trade_price' in part) && !('buys' in part) && !('sells' in part),
  })
  noteDrift(part, BOOK_KEYS, 'book', out)
  const level = bids[0] ?? asks[0]
  if (level !== undefined) noteDrift(level as unknown as Part, LEVEL_KEYS, 'book.level', out)
  return null
}

function levelsOf(value: unknown): readonly Level[] | null {
  if (!Array.isArray(value) || value.length > LEVELS_MAX) return null
  for (let index = 0; index < value.length; index += 1) {
    const level: unknown = value[index]
    if (typeof level !== 'object' || level === null) return null
    const { price, size } = level as Part
    if (typeof price === 'string' && typeof size === 'string') {
      if (!isPrice(price) || !isDecimal(size)) return null
      continue
    }
    const priceText = priceOf(price)
    const sizeText = decimalOf(size)
    if (priceText === null || sizeText === null) return null
    value[index] = { price: priceText, size: sizeText }
  }
  return value as Level[]
}

const PRICE_CHANGE_KEYS = keys(
  'event_type market timestamp price_changes changes asset_id hash price size side best_bid best_ask',
)
const CHANGE_KEYS = keys('asset_id price size side hash best_bid best_ask')
/** How many of them the present form has: with these there and no more keys, there is nothing new to look for. */
const PRICE_CHANGE_FIELDS = 4
const CHANGE_FIELDS = 7

function priceChange(part: Part, out: Output): string | null {
  const market = part['market']
  const venueMs = timeOf(part['timestamp'])
  if (!isShort(market)) return 'bad market'
  if (venueMs === 0) return 'bad timestamp'
  // Three generations: items of their own (2026), one token's items (2025), a single item (2024).
  const items = part['price_changes'] ?? part['changes'] ?? [part]
  if (!Array.isArray(items)) return 'bad price_changes'
  if (items.length > CHANGES_MAX) return `${items.length} items`
  const changes: LevelChange[] = []
  for (const item of items) {
    const change = changeOf(item, part, out)
    if (typeof change === 'string') out.rejects.push(`price_change: ${change}`)
    else changes.push(change)
  }
  if (changes.length > 0) out.events.push({ kind: 'price_change', market, venueMs, changes })
  const isPresent = part['price_changes'] !== undefined && part['event_type'] !== undefined
  if (!isPresent || countKeys(part) !== PRICE_CHANGE_FIELDS) noteDrift(part, PRICE_CHANGE_KEYS, 'price_change', out)
  return null
}

function changeOf(value: unknown, frame: Part, out: Output): LevelChange | string {
  if (typeof value !== 'object' || value === null) return 'item is not an object'
  const item = value as Part
  const { asset_id: id, price: priceValue, size: sizeValue, side: sideValue, hash: hashValue } = item
  const { best_bid: bid, best_ask: ask } = item
  const token = id ?? frame['asset_id']
  const price = priceOf(priceValue)
  const size = decimalOf(sizeValue)
  const side = sideOf(sideValue)
  const hash = hashOf(hashValue ?? frame['hash'])
  if (!isTokenId(token)) return 'bad asset_id'
  if (price === null) return 'bad price'
  if (size === null) return 'bad size'
  if (side === null) return 'bad side'
  if (hash === undefined) return 'bad hash'
  const isWhole = id !== undefined && hashValue !== undefined && bid !== undefined && ask !== undefined
  if (item !== frame && !(isWhole && countKeys(item) === CHANGE_FIELDS)) {
    noteDrift(item, CHANGE_KEYS, 'price_change.item', out)
  }
  return { token, side, price, size, hash, bestBid: bestOf(bid), bestAsk: bestOf(ask) }
}

const TRADE_KEYS = keys('event_type market asset_id price size side fee_rate_bps timestamp transaction_hash')

function trade(part: Part, out: Output): string | null {
  const token = part['asset_id']
  const market = part['market']
  const venueMs = timeOf(part['timestamp'])
  const price = priceOf(part['price'])
  const size = decimalOf(part['size'])
  const side = sideOf(part['side'])
  const fee = part['fee_rate_bps']
  const feeRateBps = fee === undefined || fee === null || fee === '' ? '' : decimalOf(fee)
  const transaction = part['transaction_hash']
  const transactionHash = transaction === undefined || transaction === null ? '' : transaction
  if (!isTokenId(token)) return 'bad asset_id'
  if (!isWord(market)) return 'bad market'
  if (venueMs === 0) return 'bad timestamp'
  if (price === null) return 'bad price'
  if (size === null) return 'bad size'
  if (side === null) return 'bad side'
  if (feeRateBps === null) return 'bad fee_rate_bps'
  if (transactionHash !== '' && !isWord(transactionHash)) {
    return 'bad transaction_hash'
  }
  out.events.push({ kind: 'trade', token, market, venueMs, price, size, side, feeRateBps, transactionHash })
  noteDrift(part, TRADE_KEYS, 'last_trade_price', out)
  return null
}

const BEST_KEYS = keys('event_type market asset_id best_bid best_ask spread timestamp')

function bestBidAsk(part: Part, out: Output): string | null {
  const token = part['asset_id']
  const market = part['market']
  const venueMs = timeOf(part['timestamp'])
  const bestBid = bestOf(part['best_bid'])
  const bestAsk = bestOf(part['best_ask'])
  if (!isTokenId(token)) return 'bad asset_id'
  if (!isWord(market)) return 'bad market'
  if (venueMs === 0) return 'bad timestamp'
  if (bestBid === null || bestAsk === null) return 'bad price'
  out.events.push({ kind: 'best_bid_ask', token, market, venueMs, bestBid, bestAsk })
  noteDrift(part, BEST_KEYS, 'best_bid_ask', out)
  return null
}

const TICK_KEYS = keys('event_type market asset_id old_tick_size new_tick_size side timestamp')

function tickSizeChange(part: Part, out: Output): string | null {
  const token = part['asset_id']
  const market = part['market']
  const venueMs = timeOf(part['timestamp'])
  const oldTickSize = part['old_tick_size'] === '' ? '' : priceOf(part['old_tick_size'])
  const newTickSize = priceOf(part['new_tick_size'])
  if (!isTokenId(token)) return 'bad asset_id'
  if (!isWord(market)) return 'bad market'
  if (venueMs === 0) return 'bad timestamp'
  if (oldTickSize === null || newTickSize === null) return 'bad tick size'
  out.events.push({ kind: 'tick_size_change', token, market, venueMs, oldTickSize, newTickSize })
  noteDrift(part, TICK_KEYS, 'tick_size_change', out)
  return null
}

const NEW_MARKET_KEYS = keys(
  'event_type id question market slug description assets_ids outcomes event_message timestamp tags condition_id ' +
    'active clob_token_ids position_ids sports_market_type line game_start_time order_price_min_tick_size ' +
    'group_item_title taker_base_fee fees_enabled fee_schedule version',
)

function newMarket(part: Part, out: Output): string | null {
  const market = conditionOf(part)
  const venueMs = timeOf(part['timestamp'])
  if (market === null) return 'bad market'
  if (venueMs === 0) return 'bad timestamp'
  const tokens = tokensOf(part['assets_ids'] ?? part['clob_token_ids'] ?? part['position_ids'], 'new_market', out)
  const raw = rawOf(part)
  if (tokens === null || raw === null) return 'too large or not a token list'
  out.events.push({
    kind: 'new_market',
    market,
    venueMs,
    question: textOf(part['question']),
    slug: textOf(part['slug']),
    tokens,
    outcomes: Array.isArray(part['outcomes']) ? part['outcomes'].slice(0, TOKENS_MAX).map(textOf) : [],
    tickSize: priceOf(part['order_price_min_tick_size']),
    raw,
  })
  noteDrift(part, NEW_MARKET_KEYS, 'new_market', out)
  return null
}

const RESOLVED_KEYS = keys(
  'event_type id market condition_id question slug description assets_ids clob_token_ids position_ids outcomes ' +
    'winning_asset_id winning_outcome event_message timestamp tags version',
)

function marketResolved(part: Part, out: Output): string | null {
  const market = conditionOf(part)
  const venueMs = timeOf(part['timestamp'])
  if (market === null) return 'bad market'
  if (venueMs === 0) return 'bad timestamp'
  const ids = part['assets_ids'] ?? part['clob_token_ids'] ?? part['position_ids']
  const tokens = tokensOf(ids, 'market_resolved', out)
  const raw = rawOf(part)
  if (tokens === null || raw === null) return 'too large or not a token list'
  const winningToken = isTokenId(part['winning_asset_id']) ? part['winning_asset_id'] : null
  const winningOutcome = textOf(part['winning_outcome']) || null
  out.events.push({ kind: 'market_resolved', market, venueMs, tokens, winningToken, winningOutcome, raw })
  noteDrift(part, RESOLVED_KEYS, 'market_resolved', out)
  return null
}

function conditionOf(part: Part): ConditionId | null {
  if (isConditionId(part['market'])) return part['market']
  return isConditionId(part['condition_id']) ? part['condition_id'] : null
}

/** The readable ids; each unreadable one is a reject of its own. */
function tokensOf(value: unknown, type: string, out: Output): readonly TokenId[] | null {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value) || value.length > TOKENS_MAX) return null
  const tokens = value.filter(isTokenId)
  if (tokens.length < value.length) out.rejects.push(`${type}: ${value.length - tokens.length} bad token ids`)
  return tokens
}

function rawOf(part: Part): string | null {
  const raw = JSON.stringify(part)
  return raw.length > RAW_CHARACTERS_MAX ? null : raw
}

/** Adds the part's event, or says why not. */
type Parser = (part: Part, out: Output) => string | null

const PARSERS: ReadonlyMap<string, Parser> = new Map([
  ['price_change', priceChange],
  ['book', book],
  ['last_trade_price', trade],
  ['best_bid_ask', bestBidAsk],
  ['tick_size_change', tickSizeChange],
  ['new_market', newMarket],
  ['market_resolved', marketResolved],
])

function keys(words: string): ReadonlySet<string> {
  return new Set(words.split(' '))
}

function countKeys(part: Part): number {
  let count = 0
  for (const _ in part) count += 1
  return count
}

function noteDrift(part: Part, known: ReadonlySet<string>, type: string, out: Output): void {
  for (const key in part) if (!known.has(key)) drift(out, `${type}.${nameOf(key)}`)
}

function drift(out: Output, what: string): void {
  if (out.drift.length < DRIFT_MAX) out.drift.push(what)
}
