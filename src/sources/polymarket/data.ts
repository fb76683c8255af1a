import { assert, TransientError } from '../../core/errors.ts'
import type { ConditionId } from '../../core/ids.ts'
import { HttpStatusError } from '../../runtime/http.ts'
import { type DataTrade, parseDataTrade } from './data-trade-parser.ts'
import type { HttpJson } from './gamma.ts'
import { isJsonObject, isTrue, textOrNull } from './json-values.ts'
import { joinPath } from './limits.ts'

/** One page of trades, newest first. */
export interface TradePage {
  readonly api: 'v1' | 'v2'
  readonly trades: readonly DataTrade[]
  /** Rows that could not be read, with the reason. */
  readonly unreadable: readonly { readonly reason: string; readonly raw: unknown }[]
  /** True when older trades exist that this API does not give. */
  readonly truncated: boolean
}

export interface TradeQuery {
  /** At most 20. */
  readonly conditionIds: readonly ConditionId[]
  /** Also the makers' side of each match; the stream tells only the taker's. */
  readonly includeMakers?: boolean
  /** Ends after this many pages although there may be more. */
  readonly pagesMax?: number
}

export interface DataClient {
  /** Trades by cursor; throws HttpStatusError 404 or 410 where v2 does not exist. */
  tradesV2(query: TradeQuery, signal: AbortSignal): AsyncGenerator<TradePage, void>
  /** The retired form: only about 4,000 newest trades can be reached, and pages overlap while trades arrive. */
  tradesV1(query: TradeQuery, signal: AbortSignal): AsyncGenerator<TradePage, void>
  /** v2, or v1 where the server does not know v2. */
  trades(query: TradeQuery, signal: AbortSignal): AsyncGenerator<TradePage, void>
}

export const CONDITIONS_PER_REQUEST_MAX = 20
const ROWS_PER_PAGE = 1_000
const PAGES_MAX = 1_000
/** v1 refuses to go further back. */
const V1_OFFSET_MAX = 3_000

export function createDataClient(http: HttpJson, baseUrl: string): DataClient {
  async function* tradesV2(query: TradeQuery, signal: AbortSignal): AsyncGenerator<TradePage, void> {
    const url = joinPath(baseUrl, '/v2/trades')
    const cursors = new Set<string>()
    const pagesMax = query.pagesMax ?? PAGES_MAX
    let cursor: string | undefined
    for (let page = 1; page <= pagesMax; page += 1) {
      const parameters = {
        condition: conditionsOf(query),
        taker_only: !query.includeMakers,
        limit: ROWS_PER_PAGE,
        cursor,
      }
      const { rows, next } = readEnvelope(await http.getJson(url, { signal, query: parameters }))
      const more = next !== null && rows.length > 0
      yield { api: 'v2', ...readRows(rows), truncated: more && page === pagesMax }
      if (!more) return
      if (cursors.has(next)) throw new TransientError(`${url.host} does not heed the cursor of /v2/trades`)
      cursors.add(next)
      cursor = next
    }
  }

  async function* tradesV1(query: TradeQuery, signal: AbortSignal): AsyncGenerator<TradePage, void> {
    const url = joinPath(baseUrl, '/trades')
    const pagesMax = query.pagesMax ?? PAGES_MAX
    let offset = 0
    for (let page = 1; page <= pagesMax; page += 1) {
      const parameters = { market: conditionsOf(query), takerOnly: !query.includeMakers, limit: ROWS_PER_PAGE, offset }
      const rows = await http.getJson(url, { signal, query: parameters })
      if (!Array.isArray(rows)) throw new TransientError(`GET ${url.host}${url.pathname} answered without a list`)
      offset += rows.length
      const more = rows.length >= ROWS_PER_PAGE
      const last = page === pagesMax || offset > V1_OFFSET_MAX
      yield { api: 'v1', ...readRows(rows), truncated: more && last }
      if (!more || last) return
    }
  }

  async function* trades(query: TradeQuery, signal: AbortSignal): AsyncGenerator<TradePage, void> {
    let started = false
    try {
      for await (const page of tradesV2(query, signal)) {
        started = true
        yield page
      }
    } catch (error) {
      const absent = error instanceof HttpStatusError && (error.status === 404 || error.status === 410)
      if (started || !absent) throw error
      yield* tradesV1(query, signal)
    }
  }

  return { tradesV2, tradesV1, trades }
}

function conditionsOf(query: TradeQuery): string {
  const count = query.conditionIds.length
  assert(count > 0 && count <= CONDITIONS_PER_REQUEST_MAX, `${count} conditions in one request for trades`)
  return query.conditionIds.join(',')
}

function readEnvelope(answer: unknown): { rows: readonly unknown[]; next: string | null } {
  const rows = isJsonObject(answer) ? answer['data'] : null
  if (!isJsonObject(answer) || !Array.isArray(rows)) throw new TransientError('GET /v2/trades answered without data')
  const pagination = answer['pagination']
  if (!isJsonObject(pagination)) return { rows, next: null }
  const ended = 'has_more' in pagination && !isTrue(pagination['has_more'])
  return { rows, next: ended ? null : textOrNull(pagination['next_cursor']) }
}

function readRows(rows: readonly unknown[]): Pick<TradePage, 'trades' | 'unreadable'> {
  const trades: DataTrade[] = []
  const unreadable: { reason: string; raw: unknown }[] = []
  for (const raw of rows) {
    const parsed = parseDataTrade(raw)
    if (parsed.ok) trades.push(parsed.trade)
    else unreadable.push({ reason: parsed.reason, raw })
  }
  return { trades, unreadable }
}
