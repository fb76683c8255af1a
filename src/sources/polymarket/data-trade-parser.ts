import { decimalText } from '../../core/decimal.ts'
import type { Side } from '../../core/events.ts'
import { type ConditionId, isConditionId, isTokenId, type TokenId } from '../../core/ids.ts'
import { isJsonObject, textOrNull } from './json-values.ts'

/** One trade as the Data API tells it, v1 and v2 alike. It has no id of its own. */
export interface DataTrade {
  readonly tokenId: TokenId
  readonly conditionId: ConditionId
  readonly side: Side
  /** Decimal text, 0 to 1. */
  readonly price: string
  /** Shares, decimal text. */
  readonly size: string
  /** Unix seconds: the Data API knows no finer time. */
  readonly timestampSeconds: number
  /** '' when the venue gave none; one transaction can hold many trades. */
  readonly transactionHash: string
  readonly wallet: string | null
  readonly outcome: string | null
}

export type ParsedDataTrade =
  | { readonly ok: true; readonly trade: DataTrade }
  | { readonly ok: false; readonly reason: string }

/** Reads a row of v2 (`token_id`, `condition_id`, …) or v1 (`asset`, `conditionId`, …). Pure, never throws. */
export function parseDataTrade(value: unknown): ParsedDataTrade {
  if (!isJsonObject(value)) return { ok: false, reason: 'not an object' }
  const tokenId = value['token_id'] ?? value['asset']
  if (!isTokenId(tokenId)) return { ok: false, reason: 'no token id' }
  const conditionId = value['condition_id'] ?? value['conditionId']
  if (!isConditionId(conditionId)) return { ok: false, reason: 'no condition id' }
  const side = value['side']
  if (side !== 'BUY' && side !== 'SELL') return { ok: false, reason: 'no side' }
  const price = decimalText(value['price'])
  const size = decimalText(value['size'])
  if (price === null || size === null) return { ok: false, reason: 'no price or size' }
  const timestamp = value['timestamp']
  // Turning anything else into a number may run arbitrarily deep.
  const timestampSeconds = typeof timestamp === 'string' ? Number(timestamp) : timestamp
  if (typeof timestampSeconds !== 'number' || !Number.isSafeInteger(timestampSeconds) || timestampSeconds <= 0)
    return { ok: false, reason: 'no timestamp' }
  const trade: DataTrade = {
    tokenId,
    conditionId,
    side,
    price,
    size,
    timestampSeconds,
    transactionHash: textOrNull(value['transaction_hash'] ?? value['transactionHash']) ?? '',
    wallet: textOrNull(value['proxy_wallet'] ?? value['proxyWallet']),
    outcome: textOrNull(value['outcome']),
  }
  return { ok: true, trade }
}
