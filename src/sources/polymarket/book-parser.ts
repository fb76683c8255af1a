import type { WitnessedBook } from '../../core/coverage.ts'
import { compareDecimals, decimalText, midpointOf, subtractDecimals } from '../../core/decimal.ts'
import type { Level } from '../../core/events.ts'
import { isConditionId, isTokenId } from '../../core/ids.ts'
import type { OrderBookSnapshot } from '../../core/market.ts'
import { isJsonObject, numberOrNull, shown } from './json-values.ts'

export type ParsedBook =
  | { readonly ok: true; readonly book: OrderBookSnapshot; readonly whole: WitnessedBook }
  | { readonly ok: false; readonly reason: string }

/**
 * Reads one row of `POST /books`: whole, and with the best `levelsMax` levels of each side. The venue puts the best
 * level last, its documents say first: the price alone decides. Pure, never throws.
 */
export function parseBookRow(value: unknown, levelsMax: number): ParsedBook {
  if (!isJsonObject(value)) return { ok: false, reason: 'not an object' }
  const tokenId = value['asset_id']
  if (!isTokenId(tokenId)) return { ok: false, reason: `no asset id: ${shown(tokenId)}` }
  const conditionId = value['market']
  if (!isConditionId(conditionId)) return { ok: false, reason: `no market: ${shown(conditionId)}` }
  const hash = value['hash']
  if (typeof hash !== 'string' || hash === '') return { ok: false, reason: 'no hash' }
  const venueMs = numberOrNull(value['timestamp'])
  if (venueMs === null || !Number.isSafeInteger(venueMs) || venueMs <= 0) return { ok: false, reason: 'no timestamp' }
  const bids = readSide(value['bids'], -1)
  const asks = readSide(value['asks'], 1)
  if (bids === null || asks === null) return { ok: false, reason: 'a side cannot be read' }
  const bestBid = bids[0]?.price
  const bestAsk = asks[0]?.price
  const twoSided = bestBid !== undefined && bestAsk !== undefined
  const book: OrderBookSnapshot = {
    tokenId,
    conditionId,
    venueMs,
    hash,
    bids: bids.slice(0, levelsMax),
    asks: asks.slice(0, levelsMax),
    spread: twoSided ? subtractDecimals(bestAsk, bestBid) : null,
    midpoint: twoSided ? midpointOf(bestBid, bestAsk) : null,
  }
  return { ok: true, book, whole: { token: tokenId, venueMs, hash, bids, asks } }
}

/** All levels with a size, best first (`direction` 1: lowest price first); null when a level cannot be read. */
function readSide(value: unknown, direction: 1 | -1): readonly Level[] | null {
  if (value === null || value === undefined) return []
  if (!Array.isArray(value)) return null
  const levels: Level[] = []
  for (const item of value) {
    if (!isJsonObject(item)) return null
    const price = decimalText(item['price'])
    const size = decimalText(item['size'])
    if (price === null || size === null) return null
    if (Number(size) > 0) levels.push({ price, size })
  }
  return levels.sort((a, b) => direction * compareDecimals(a.price, b.price))
}
