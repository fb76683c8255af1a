import { trimDecimal } from '../../core/decimal.ts'
import type { Decoded, Trade } from '../../core/events.ts'
import { parseDataTrade } from './data-trade-parser.ts'
import { isJsonObject, type JsonObject } from './json-values.ts'

/** The stream of trades that were fetched later, named like the collector that fills it. */
export const BACKFILL_STREAM = 'polymarket.backfill'

/** Why a trade was fetched: to fill a gap, or because an hour was compared. */
export type BackfillReason = { readonly gap: number } | { readonly hour: string }

const FORM = 1

/** One line of the backfill tape: the API's row as received, and what the ledger needs beyond it. */
export function encodeBackfill(row: unknown, ordinal: number, reason: BackfillReason): Buffer {
  return Buffer.from(JSON.stringify({ form: FORM, for: reason, ordinal, row }))
}

/** Reads such a line. Pure, never throws: what cannot be read is a reject. */
export function decodeBackfill(payload: Buffer): Decoded {
  const envelope = parseEnvelope(payload)
  if (envelope === null) return rejected('not a line of this tape')
  const { form, ordinal, row } = envelope
  if (form !== FORM) return rejected('a form that this version does not know')
  if (typeof ordinal !== 'number' || !Number.isInteger(ordinal) || ordinal < 0 || ordinal > 0x7fff_ffff) {
    return rejected('no ordinal')
  }
  const parsed = parseDataTrade(row)
  if (!parsed.ok) return rejected(parsed.reason)
  const { tokenId, conditionId, price, size, side, timestampSeconds, transactionHash } = parsed.trade
  const trade: Trade = {
    kind: 'trade',
    token: tokenId,
    market: conditionId,
    venueMs: timestampSeconds * 1000,
    // The two versions of the API may write one number in two ways: it must stay one row.
    price: trimDecimal(price),
    size: trimDecimal(size),
    side,
    feeRateBps: '',
    transactionHash,
    backfill: { ordinal },
  }
  return { events: [trade], rejects: [], drift: [] }
}

function parseEnvelope(payload: Buffer): JsonObject | null {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'))
    return isJsonObject(value) ? value : null
  } catch {
    return null
  }
}

function rejected(reason: string): Decoded {
  return { events: [], rejects: [reason], drift: [] }
}
