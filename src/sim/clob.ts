import type { Clock } from '../core/clock.ts'
import type { Account } from './account.ts'
import type { HttpReply } from './faults.ts'
import { textList } from './listing.ts'

/** One token's book as REST serves it. */
export interface RestBook {
  readonly json: string
  readonly hash: string
  readonly venueMs: number
}

/** What the CLOB knows, whoever it comes from. */
export interface ClobParts {
  readonly account: Account
  readonly clock: Clock
  /** The venue's own time, which may be wrong. Unix ms. */
  venueMs(): number
  /** null for unknown tokens and closed markets: they have no book. */
  book(token: string): RestBook | null
  /** The market's Gamma object, from which the CLOB's row is made. */
  market(conditionId: string): Record<string, unknown> | undefined
  /** Every market's Gamma object, in a lasting order. */
  markets(): readonly Record<string, unknown>[]
  conditionOf(token: string): string | undefined
  lastTrade(token: string): { readonly price: string; readonly side: string } | null
}

export type ClobHandler = (method: string, path: string, query: URLSearchParams, body: string) => HttpReply

interface ParsedBook {
  readonly bids: readonly { readonly price: string }[]
  readonly asks: readonly { readonly price: string }[]
  readonly tick_size: string
  readonly neg_risk: boolean
}

const BATCH_MAX = 500
const PAGE_SIZE = 100
const END_CURSOR = 'LTE='
const NO_BOOK = failure(404, 'No orderbook exists for the requested token id')
const INVALID_PAYLOAD = failure(400, 'Invalid payload')

/** Answers everything under the CLOB's base URL. */
export function createClob(parts: ClobParts): ClobHandler {
  const single = singleRoutes(parts)
  return (method, path, query, body) => {
    if (method === 'POST') return answerBatch(parts, path, body)
    if (path === '/time') return ok(String(Math.floor(parts.venueMs() / 1_000)))
    if (path === '/ok') return ok('"OK"')
    const route = single[path]
    if (route !== undefined) {
      const token = query.get('token_id') ?? ''
      if (!/^\d{1,78}$/.test(token)) return failure(400, 'Invalid token id')
      return route(token, query)
    }
    if (path === '/prices') return pricesByQuery(parts, query)
    const listing = /^\/(sampling-|simplified-|sampling-simplified-)?markets$/.test(path)
    if (listing) return marketPage(parts, query, path.includes('simplified'))
    return marketRoutes(parts, path)
  }
}

type TokenRoute = (token: string, query: URLSearchParams) => HttpReply

function singleRoutes(parts: ClobParts): Readonly<Record<string, TokenRoute>> {
  const withBook = (token: string, answer: (book: ParsedBook) => HttpReply): HttpReply => {
    const book = parsedBook(parts, token)
    return book === null ? NO_BOOK : answer(book)
  }
  return {
    '/book': (token) => {
      const text = servedBook(parts, token)
      return text === null ? NO_BOOK : ok(text)
    },
    '/price': (token, query) => {
      const side = query.get('side')
      if (side !== 'BUY' && side !== 'SELL') return failure(400, 'Invalid side')
      return withBook(token, (book) => json({ price: bestPrice(book, side) ?? '0' }))
    },
    '/midpoint': (token) => withBook(token, (book) => json({ mid: middle(book) })),
    '/spread': (token) => withBook(token, (book) => json({ spread: spread(book) })),
    '/last-trade-price': (token) => withBook(token, () => json(parts.lastTrade(token) ?? { price: '0.5', side: '' })),
    '/tick-size': (token) => withBook(token, (book) => json({ minimum_tick_size: Number(book.tick_size) })),
    '/neg-risk': (token) => withBook(token, (book) => json({ neg_risk: book.neg_risk })),
    '/fee-rate': (token) => withBook(token, () => json({ base_fee: 1_000 })),
  }
}

function answerBatch(parts: ClobParts, path: string, body: string): HttpReply {
  const asked = parseBatch(body)
  if (asked === null) return INVALID_PAYLOAD
  if (asked.length > BATCH_MAX) return failure(400, 'Payload exceeds the limit')
  switch (path) {
    case '/books': {
      const texts = asked.map(({ token }) => servedBook(parts, token)).filter((text) => text !== null)
      return ok(`[${texts.join(',')}]`)
    }
    case '/prices':
      return json(prices(parts, asked))
    case '/midpoints':
      return json(perToken(parts, asked, middle))
    case '/spreads':
      return json(perToken(parts, asked, spread))
    case '/last-trades-prices':
      return json(
        asked.flatMap(({ token }) => {
          const last = parts.lastTrade(token)
          return last === null ? [] : [{ token_id: token, ...last }]
        }),
      )
    default:
      return failure(404, 'not found')
  }
}

interface Asked {
  readonly token: string
  readonly side: string
}

function parseBatch(body: string): readonly Asked[] | null {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return null
  }
  if (!Array.isArray(value)) return null
  const asked: Asked[] = []
  for (const item of value as { token_id?: unknown; side?: unknown }[]) {
    if (typeof item !== 'object' || item === null || typeof item.token_id !== 'string') return null
    asked.push({ token: item.token_id, side: typeof item.side === 'string' ? item.side : 'BUY' })
  }
  return asked
}

/** A book's text, noted in the account as served. */
function servedBook(parts: ClobParts, token: string): string | null {
  const book = parts.book(token)
  if (book === null) return null
  parts.account.books.push({ atUs: parts.clock.wallUs(), token, hash: book.hash, venueMs: book.venueMs })
  return book.json
}

function parsedBook(parts: ClobParts, token: string): ParsedBook | null {
  const book = parts.book(token)
  return book === null ? null : (JSON.parse(book.json) as ParsedBook)
}

/** What a taker of that side would be quoted: BUY reads the bids. */
function bestPrice(book: ParsedBook, side: string): string | undefined {
  return (side === 'BUY' ? book.bids : book.asks).at(-1)?.price
}

function ends(book: ParsedBook): { bid: number; ask: number } {
  return { bid: Number(bestPrice(book, 'BUY') ?? 0), ask: Number(bestPrice(book, 'SELL') ?? 1) }
}

function middle(book: ParsedBook): string {
  const { bid, ask } = ends(book)
  return trimmed((bid + ask) / 2)
}

function spread(book: ParsedBook): string {
  const { bid, ask } = ends(book)
  return trimmed(ask - bid)
}

function trimmed(value: number): string {
  return String(Math.round(value * 10_000) / 10_000)
}

function perToken(parts: ClobParts, asked: readonly Asked[], of: (book: ParsedBook) => string): Record<string, string> {
  const answer: Record<string, string> = {}
  for (const { token } of asked) {
    const book = parsedBook(parts, token)
    if (book !== null) answer[token] = of(book)
  }
  return answer
}

function prices(parts: ClobParts, asked: readonly Asked[]): Record<string, Record<string, string>> {
  const answer: Record<string, Record<string, string>> = {}
  for (const { token, side } of asked) {
    const book = parsedBook(parts, token)
    const price = book === null ? undefined : bestPrice(book, side)
    if (price !== undefined) answer[token] = { ...answer[token], [side]: price }
  }
  return answer
}

function pricesByQuery(parts: ClobParts, query: URLSearchParams): HttpReply {
  const tokens = (query.get('token_ids') ?? '').split(',')
  const sides = (query.get('sides') ?? '').split(',')
  if (tokens.length !== sides.length) return INVALID_PAYLOAD
  return json(
    prices(
      parts,
      tokens.map((token, index) => ({ token, side: sides[index] ?? 'BUY' })),
    ),
  )
}

function marketPage(parts: ClobParts, query: URLSearchParams, simplified: boolean): HttpReply {
  const cursor = Buffer.from(query.get('next_cursor') ?? 'MA==', 'base64').toString()
  if (!/^-?\d+$/.test(cursor)) return failure(400, 'next item should be greater than or equal to 0')
  const all = Number(cursor) < 0 ? [] : parts.markets()
  const page = all.slice(Number(cursor), Number(cursor) + PAGE_SIZE).map(clobRow)
  const next = Number(cursor) + PAGE_SIZE
  const data = page.filter((row) => row !== null).map((row) => (simplified ? simplify(row) : row))
  const nextCursor = next >= all.length ? END_CURSOR : Buffer.from(String(next)).toString('base64')
  return json({ limit: PAGE_SIZE, count: data.length, next_cursor: nextCursor, data })
}

function marketRoutes(parts: ClobParts, path: string): HttpReply {
  const [, name, id] = /^\/(markets|clob-markets|markets-by-token)\/(\w+)$/.exec(path) ?? []
  if (name === undefined || id === undefined) return failure(404, 'not found')
  const conditionId = name === 'markets-by-token' ? parts.conditionOf(id) : id
  const market = conditionId === undefined ? undefined : parts.market(conditionId)
  const row = market === undefined ? null : clobRow(market)
  if (row === null) return failure(404, 'market not found')
  if (name === 'markets') return json(row)
  const [first, second] = row.tokens
  if (name === 'markets-by-token') {
    return json({ condition_id: conditionId, primary_token_id: first?.token_id, secondary_token_id: second?.token_id })
  }
  return json({
    t: row.tokens.map(({ token_id, outcome }) => ({ t: token_id, o: outcome })),
    c: row.condition_id,
    mos: row.minimum_order_size,
    mts: row.minimum_tick_size,
    mbf: row.maker_base_fee,
    tbf: row.taker_base_fee,
    ao: row.accepting_orders,
    nr: row.neg_risk,
    cbos: false,
    aot: row.accepting_order_timestamp,
    ibce: true,
    fd: { r: 0.04, e: 1, to: true },
  })
}

type ClobRow = ReturnType<typeof fullRow>

/** The CLOB's row of a market; null for markets that never had an order book. */
function clobRow(market: Record<string, unknown>): ClobRow | null {
  return market['enableOrderBook'] === true ? fullRow(market) : null
}

function fullRow(market: Record<string, unknown>) {
  const ids = textList(market['version'] === 'v2' ? market['positionIds'] : market['clobTokenIds'])
  const outcomes = textList(market['outcomes'])
  const paid = textList(market['outcomePrices'])
  const status = market['version'] === 'v2' ? market['resolutionStatus'] : market['umaResolutionStatus']
  const resolved = market['closed'] === true && status === 'resolved'
  const text = (key: string) => (typeof market[key] === 'string' ? market[key] : '')
  return {
    enable_order_book: market['closed'] !== true,
    active: true,
    closed: market['closed'] === true,
    archived: false,
    accepting_orders: market['acceptingOrders'] === true,
    accepting_order_timestamp: text('acceptingOrdersTimestamp') || null,
    minimum_order_size: market['orderMinSize'] ?? 5,
    minimum_tick_size: market['orderPriceMinTickSize'] ?? 0.01,
    condition_id: text('conditionId'),
    question_id: text('questionID'),
    question: text('question'),
    description: text('description'),
    market_slug: text('slug'),
    end_date_iso: text('endDate'),
    game_start_time: null,
    seconds_delay: 0,
    fpmm: '',
    maker_base_fee: 0,
    taker_base_fee: 0,
    notifications_enabled: true,
    neg_risk: market['negRisk'] === true,
    neg_risk_market_id: text('negRiskMarketID'),
    neg_risk_request_id: text('negRiskRequestID'),
    icon: '',
    image: '',
    rewards: { rates: null, min_size: 50, max_spread: 4.5 },
    is_50_50_outcome: resolved && paid.every((price) => price === '0.5'),
    tokens: ids.map((token_id, index) => ({
      token_id,
      outcome: outcomes[index] ?? '',
      price: Number(paid[index] ?? 0),
      winner: resolved && paid[index] === '1',
    })),
    tags: [],
  }
}

function simplify(row: ClobRow) {
  const { condition_id, rewards, tokens, active, closed, archived, accepting_orders } = row
  return { condition_id, rewards, tokens, active, closed, archived, accepting_orders }
}

function ok(body: string): HttpReply {
  return { status: 200, body }
}

function json(value: unknown): HttpReply {
  return ok(JSON.stringify(value))
}

function failure(status: number, error: string): HttpReply {
  return { status, body: JSON.stringify({ error }) }
}
