import { type ConditionId, isConditionId, isTokenId, type TokenId } from '../../core/ids.ts'
import { isJsonObject, isTrue } from './json-values.ts'

/** What the CLOB says of a market's end. */
export interface ClobMarket {
  readonly conditionId: ConditionId
  readonly closed: boolean
  readonly isSplit: boolean
  readonly tokens: readonly ClobToken[]
}

export interface ClobToken {
  readonly tokenId: TokenId
  readonly outcome: string
  readonly winner: boolean
}

/** Reads one row of `GET /markets` or the answer of `GET /markets/{condition_id}`; null when it is unreadable. */
export function parseClobMarket(value: unknown): ClobMarket | null {
  if (!isJsonObject(value)) return null
  const conditionId = value['condition_id']
  const rows = value['tokens']
  if (!isConditionId(conditionId) || !Array.isArray(rows)) return null
  const tokens: ClobToken[] = []
  for (const row of rows) {
    // Rows without a token id exist: markets that never reached the order book.
    if (!isJsonObject(row) || !isTokenId(row['token_id'])) continue
    const outcome = typeof row['outcome'] === 'string' ? row['outcome'] : ''
    tokens.push({ tokenId: row['token_id'], outcome, winner: isTrue(row['winner']) })
  }
  return { conditionId, closed: isTrue(value['closed']), isSplit: isTrue(value['is_50_50_outcome']), tokens }
}
