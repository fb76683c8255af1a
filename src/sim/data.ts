import type { PlayedTrade } from './account.ts'
import type { DataLimits } from './data-limits.ts'
import type { HttpReply } from './faults.ts'
import { wholeNumber } from './listing.ts'

/** A trade as the Data API tells it. */
export interface DataTrade extends PlayedTrade {
  /** Counts all trades of the venue; larger is newer. */
  readonly sequence: number
  readonly outcome: string
  readonly outcomeIndex: number
  readonly title: string
  readonly slug: string
  readonly wallet: string
}

export interface DataParts {
  /** Trades of these markets, or of all, oldest first. */
  trades(conditionIds: readonly string[] | null): readonly DataTrade[]
  limits(): DataLimits
  /** How a market ended: what each outcome pays; null while it is open, undefined when it is unknown. */
  payouts(conditionId: string): { readonly status: string; readonly atMs: number } | null | undefined
}

export type DataHandler = (path: string, query: URLSearchParams) => HttpReply

const CONDITIONS_MAX = 20
const ROWS_DEFAULT = 100

/** Answers everything under the Data API's base URL: v2, and what v1 was seen to do. */
export function createData(parts: DataParts): DataHandler {
  return (path, query) => {
    if (path.startsWith('/v2/') && !parts.limits().v2) return failure(404, 'not found', 'NOT_FOUND')
    switch (path) {
      case '/v2/trades':
        return tradesV2(parts, query)
      case '/trades':
        return tradesV1(parts, query)
      case '/v2/resolutions':
        return resolutions(parts, query)
      case '/v2/status':
        return json(200, { data: { status: 'ok' } })
      default:
        return failure(404, 'not found', 'NOT_FOUND')
    }
  }
}

function tradesV2(parts: DataParts, query: URLSearchParams): HttpReply {
  const conditions = listOf(query.get('condition'))
  if (conditions !== null && conditions.length > CONDITIONS_MAX) {
    return failure(400, `at most ${CONDITIONS_MAX} conditions`, 'INVALID_PARAMETER', 'condition')
  }
  const before = readCursor(query.get('cursor'))
  if (before === null) return failure(400, 'invalid cursor', 'INVALID_PARAMETER', 'cursor')
  const limit = Math.min(parts.limits().pageRows, wholeNumber(query.get('limit')) ?? ROWS_DEFAULT)
  const side = query.get('side')
  const wanted = parts.trades(conditions).filter((trade) => {
    return trade.sequence < before && (side === null || trade.side === side)
  })
  const page = wanted.slice(Math.max(0, wanted.length - limit)).reverse()
  const hasMore = wanted.length > page.length
  const last = page.at(-1)
  const cursor = hasMore && last ? Buffer.from(`t:${last.sequence}`).toString('base64url') : null
  const pagination = { limit, offset: 0, has_more: hasMore, next_cursor: cursor }
  return json(200, { data: page.map(rowV2), pagination })
}

function tradesV1(parts: DataParts, query: URLSearchParams): HttpReply {
  const offset = wholeNumber(query.get('offset')) ?? 0
  const { v1Offset } = parts.limits()
  if (offset > v1Offset) {
    return json(400, { error: `max historical activity offset of ${v1Offset} exceeded` })
  }
  const limit = Math.min(parts.limits().pageRows, wholeNumber(query.get('limit')) ?? ROWS_DEFAULT)
  const side = query.get('side')
  const wanted = parts.trades(listOf(query.get('market'))).filter((trade) => side === null || trade.side === side)
  const end = Math.max(0, wanted.length - offset)
  return json(
    200,
    wanted
      .slice(Math.max(0, end - limit), end)
      .reverse()
      .map(rowV1),
  )
}

function resolutions(parts: DataParts, query: URLSearchParams): HttpReply {
  const conditions = (listOf(query.get('condition')) ?? []).slice(0, CONDITIONS_MAX)
  const data = conditions.flatMap((conditionId) => {
    const payout = parts.payouts(conditionId)
    if (payout === undefined) return []
    const at = payout === null ? '' : String(Math.floor(payout.atMs / 1_000))
    return [{ condition_id: conditionId, status: payout?.status ?? 'initialized', last_update_timestamp: at }]
  })
  return json(200, { data, pagination: { limit: data.length, offset: 0, has_more: false, next_cursor: null } })
}

function rowV2(trade: DataTrade): Record<string, unknown> {
  return {
    proxy_wallet: trade.wallet,
    side: trade.side,
    token_id: trade.token,
    condition_id: trade.market,
    size: Number(trade.size),
    price: Number(trade.price),
    timestamp: Math.floor(trade.venueMs / 1_000),
    title: trade.title,
    slug: trade.slug,
    icon: '',
    event_slug: trade.slug,
    outcome: trade.outcome,
    outcome_index: trade.outcomeIndex,
    name: '',
    pseudonym: '',
    bio: '',
    profile_image: '',
    profile_image_optimized: '',
    transaction_hash: trade.transactionHash,
  }
}

function rowV1(trade: DataTrade): Record<string, unknown> {
  return {
    proxyWallet: trade.wallet,
    side: trade.side,
    asset: trade.token,
    conditionId: trade.market,
    size: Number(trade.size),
    price: Number(trade.price),
    timestamp: Math.floor(trade.venueMs / 1_000),
    title: trade.title,
    slug: trade.slug,
    icon: '',
    eventSlug: trade.slug,
    outcome: trade.outcome,
    outcomeIndex: trade.outcomeIndex,
    name: '',
    pseudonym: '',
    bio: '',
    profileImage: '',
    profileImageOptimized: '',
    transactionHash: trade.transactionHash,
  }
}

function listOf(text: string | null): readonly string[] | null {
  return text === null || text === '' ? null : text.split(',')
}

/** The sequence before which to go on; infinity without a cursor, null when it is not one of ours. */
function readCursor(cursor: string | null): number | null {
  if (cursor === null || cursor === '') return Number.POSITIVE_INFINITY
  const [, sequence] = /^t:(\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  return sequence === undefined ? null : Number(sequence)
}

function failure(status: number, error: string, code: string, parameter?: string): HttpReply {
  return json(status, { error, code, retryable: false, trace_id: '0', ...(parameter ? { parameter } : {}) })
}

function json(status: number, value: unknown): HttpReply {
  return { status, body: JSON.stringify(value) }
}
