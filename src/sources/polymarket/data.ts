import { assert, TransientError } from '../../core/errors.ts'
import type { ConditionId } from '../../core/ids.ts'
import { HttpStatusError, type JsonRequestOptions } from '../../runtime/http.ts'
import { type DataTrade, parseDataTrade } from './data-trade-parser.ts'
import type { HttpJson } from './gamma.ts'
import { isJsonObject, isTrue, textOrNull } from './json-values.ts'
import { joinPath } from './limits.ts'

/** One page of trades, newest first. */
export interface TradePage {
  readonly api: 'v1' | 'v2'
  readonly trades: readonly DataTrade[]
  /** The rows that these trades were read from, one for each. */
  readonly raw: readonly unknown[]
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
/** Rows that two pages of v1 have in common while no trade arrives; each trade that does adds one. */
const V1_OVERLAP = 100

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
      // An empty page that promises more is no end.
      const last = page === pagesMax || rows.length === 0
      yield { api: 'v2', ...readRows(rows), truncated: next !== null && last }
      if (next === null || last) return
      if (cursors.has(next)) throw new TransientError(`${url.host} does not heed the cursor of /v2/trades`)
      cursors.add(next)
      cursor = next
    }
  }

  async function* tradesV1(query: TradeQuery, signal: AbortSignal): AsyncGenerator<TradePage, void> {
    const url = joinPath(baseUrl, '/trades')
    const pagesMax = query.pagesMax ?? PAGES_MAX
    const seen = new SeenRows()
    let [offset, overlap, largest] = [0, 0, 0]
    for (let page = 1; page <= pagesMax; page += 1) {
      const parameters = { market: conditionsOf(query), takerOnly: !query.includeMakers, limit: ROWS_PER_PAGE, offset }
      const rows = await getOldRows(http, url, { signal, query: parameters })
      if (rows === 'beyond') {
        yield { api: 'v1', ...readRows([]), truncated: true }
        return
      }
      const fresh = seen.takeNew(rows, overlap)
      if (fresh === null) throw new TransientError(`the pages of ${url.host}${url.pathname} do not fit together`)
      // Pages may be smaller than asked for: only one that brings nothing, or less than another, is the end.
      const ended = fresh.length === 0 || (page > 1 && rows.length < largest)
      const last = page === pagesMax || offset >= V1_OFFSET_MAX
      yield { api: 'v1', ...readRows(fresh), truncated: last && !ended }
      if (ended || last) return
      largest = Math.max(largest, rows.length)
      const end = offset + rows.length
      offset = Math.min(V1_OFFSET_MAX, end - Math.min(V1_OVERLAP, rows.length >> 1))
      overlap = end - offset
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

/** `beyond`: the venue refuses to go back that far. */
async function getOldRows(http: HttpJson, url: URL, options: JsonRequestOptions): Promise<unknown[] | 'beyond'> {
  try {
    const rows = await http.getJson(url, options)
    if (Array.isArray(rows)) return rows
  } catch (error) {
    const offset = Number(options.query?.['offset'] ?? 0)
    if (offset > 0 && error instanceof HttpStatusError && error.status === 400) return 'beyond'
    throw error
  }
  throw new TransientError(`GET ${url.host}${url.pathname} answered without a list`)
}

/**
 * Puts pages of v1 together: a trade that arrives between two of them moves every row further down, so that the next
 * page begins with rows of the one before. Nothing but their order tells them from identical trades.
 */
class SeenRows {
  #last: readonly string[] = []

  /** The rows that continue what came before, of which `asked` come again; null when they do not fit. */
  takeNew(rows: readonly unknown[], asked: number): readonly unknown[] | null {
    const texts = rows.map((row) => JSON.stringify(row))
    const known = this.#last
    const overlap = overlapOf(known, texts, asked)
    if (overlap === null) return null
    this.#last = [...known, ...texts.slice(overlap)].slice(-ROWS_PER_PAGE)
    return rows.slice(overlap)
  }
}

/** How many of the first rows are the last known ones: as few as the overlap that was asked for allows. */
function overlapOf(known: readonly string[], rows: readonly string[], asked: number): number | null {
  if (known.length === 0 || rows.length === 0 || asked === 0) return 0
  for (let count = asked; count <= known.length; count += 1) {
    const start = known.length - count
    const shared = Math.min(count, rows.length)
    if (rows.slice(0, shared).every((text, at) => text === known[start + at])) return shared
  }
  return null
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

function readRows(rows: readonly unknown[]): Pick<TradePage, 'trades' | 'raw' | 'unreadable'> {
  const trades: DataTrade[] = []
  const readable: unknown[] = []
  const unreadable: { reason: string; raw: unknown }[] = []
  for (const raw of rows) {
    const parsed = parseDataTrade(raw)
    if (parsed.ok) {
      trades.push(parsed.trade)
      readable.push(raw)
    } else {
      unreadable.push({ reason: parsed.reason, raw })
    }
  }
  return { trades, raw: readable, unreadable }
}
