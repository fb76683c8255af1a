import { assert, TransientError } from '../../core/errors.ts'
import type { ConditionId, TokenId } from '../../core/ids.ts'
import { HttpStatusError } from '../../runtime/http.ts'
import { type ClobMarket, parseClobMarket } from './clob-market-parser.ts'
import type { HttpJson } from './gamma.ts'
import { numberOrNull } from './json-values.ts'
import { joinPath } from './limits.ts'

export interface ClobClient {
  /** Rows for at most 500 tokens, in no promised order; tokens without a book are simply absent. */
  books(tokens: readonly TokenId[], signal: AbortSignal): Promise<readonly unknown[]>
  /** null when the CLOB does not know the market or says nothing readable of it. */
  market(conditionId: ConditionId, signal: AbortSignal): Promise<ClobMarket | null>
  /** The venue's clock, Unix seconds. */
  time(signal: AbortSignal): Promise<number>
}

/** The venue's limit for one `POST /books`. */
export const BOOKS_PER_REQUEST_MAX = 500
const BOOKS_BYTES_MAX = 64 * 1024 * 1024

export function createClobClient(http: HttpJson, baseUrl: string): ClobClient {
  return {
    async books(tokens, signal) {
      assert(tokens.length <= BOOKS_PER_REQUEST_MAX, `${tokens.length} books in one request`)
      const body = tokens.map((token) => ({ token_id: token }))
      const options = { signal, bodyBytesMax: BOOKS_BYTES_MAX }
      const rows = await absentAsNull(http.postJson(joinPath(baseUrl, '/books'), body, options))
      if (rows === null) return []
      if (!Array.isArray(rows)) throw new TransientError('POST /books answered without a list of books')
      return rows
    },
    async market(conditionId, signal) {
      return parseClobMarket(await absentAsNull(http.getJson(joinPath(baseUrl, `/markets/${conditionId}`), { signal })))
    },
    async time(signal) {
      const seconds = numberOrNull(await http.getJson(joinPath(baseUrl, '/time'), { signal }))
      if (seconds === null) throw new TransientError('GET /time answered without a time')
      return seconds
    },
  }
}

/** 404 is how the CLOB says that there is no such book or market, which is ordinary for closed ones. */
async function absentAsNull(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof HttpStatusError && error.status === 404) return null
    throw error
  }
}
