import type { FastifyInstance } from 'fastify'
import type { LiveBook } from '../../core/books.ts'
import type { TokenId } from '../../core/ids.ts'
import { selectTokenCoverage } from '../../ledger/coverage-reads.ts'
import type { Session } from '../../ledger/database.ts'
import {
  type RangeQuery,
  type StoredBook,
  selectBooks,
  selectCandles,
  selectPrices,
  selectTokenKey,
  selectTrades,
} from '../../ledger/token-reads.ts'
import type { Book } from '../contract.ts'
import { coverageStrip } from '../coverage-strip.ts'
import { Problem } from '../problem.ts'
import { iso, page, readCursor, writeCursor } from '../reading.ts'
import { addRoute } from '../route.ts'
import { tokenParams } from '../schemas/common.ts'
import { coverage, coverageQuery } from '../schemas/coverage.ts'
import * as schemas from '../schemas/markets.ts'
import type { Sources } from '../sources.ts'

const DAY_MS = 86_400_000
const COVERAGE_MS_MAX = 31 * DAY_MS
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$/
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** What was recorded of one token. */
export function addTokenRoutes(app: FastifyInstance, sources: Sources): void {
  const { ledger, clock } = sources
  addTickRoutes(app, ledger)
  addBookRoutes(app, sources)
  addRoute(app, {
    method: 'GET',
    path: '/api/tokens/:token_id/coverage',
    group: 'coverage',
    summary: 'When one token was recorded and when something may be missing, as a strip.',
    params: tokenParams,
    query: coverageQuery,
    answer: coverage,
    async handle({ params: { token_id }, query }) {
      const toMs = query.to ?? clock.wallMs()
      const fromMs = query.from ?? toMs - DAY_MS
      if (fromMs >= toMs) throw new Problem(400, 'from must be before to', 'from')
      if (toMs - fromMs > COVERAGE_MS_MAX) throw new Problem(400, 'from and to are 31 days apart at most', 'from')
      return await ledger.view(async (session) => {
        const rows = await selectTokenCoverage(session, await keyOf(session, token_id), fromMs, toMs)
        return { token_id, ...coverageStrip(rows, fromMs, toMs) }
      })
    },
  })
}

/** Trades, prices and candles: one row a moment. */
function addTickRoutes(app: FastifyInstance, ledger: Sources['ledger']): void {
  const group = 'tokens'
  const params = tokenParams
  const query = schemas.rangeQuery
  addRoute(app, {
    method: 'GET',
    path: '/api/tokens/:token_id/trades',
    group,
    summary: 'The trades of one token, newest first.',
    params,
    query,
    answer: schemas.trades,
    async handle(asked) {
      const after = tradePlace(asked.query.cursor)
      const found = await ledger.view(async (session) =>
        selectTrades(session, { ...(await rangeOf(session, asked)), after }),
      )
      const { rows, last } = page(found, asked.query.limit)
      return {
        trades: rows.map(({ at, side, price, size, transactionHash, origin }) => ({
          timestamp: shorten(at),
          side,
          price,
          size,
          transaction_hash: transactionHash,
          origin,
        })),
        next_cursor: last === null ? null : writeCursor([last.at, last.contentHash, last.ordinal]),
      }
    },
  })
  addRoute(app, {
    method: 'GET',
    path: '/api/tokens/:token_id/prices',
    group,
    summary: 'The stored prices of one token, newest first: whenever it changed, and once an hour.',
    params,
    query,
    answer: schemas.prices,
    async handle(asked) {
      const found = await ledger.view(async (session) => selectPrices(session, await cutRange(session, asked)))
      const { rows, last } = page(found, asked.query.limit)
      const prices = rows.map(({ at, price, volume24h }) => ({ timestamp: shorten(at), price, volume_24h: volume24h }))
      return { prices, next_cursor: timeCursor(last) }
    },
  })
  addRoute(app, {
    method: 'GET',
    path: '/api/tokens/:token_id/candles',
    group,
    summary: 'Hourly candles of one token, newest first, kept for ever.',
    params,
    query,
    answer: schemas.candles,
    async handle(asked) {
      const found = await ledger.view(async (session) => selectCandles(session, await cutRange(session, asked)))
      const { rows, last } = page(found, asked.query.limit)
      return {
        candles: rows.map(({ at, ...candle }) => ({ hour: shorten(at), ...candle })),
        next_cursor: timeCursor(last),
      }
    },
  })
}

function addBookRoutes(app: FastifyInstance, { ledger, books, clock }: Sources): void {
  addRoute(app, {
    method: 'GET',
    path: '/api/tokens/:token_id/book',
    group: 'tokens',
    summary: 'The order book of one token as it is now, or the newest stored one while its stream is in doubt.',
    params: tokenParams,
    query: schemas.bookQuery,
    answer: schemas.newestBook,
    async handle(asked) {
      const { depth } = asked.query
      const live = books.liveBook(asked.params.token_id as TokenId, depth)
      if (live !== null) return { live: true, book: liveView(live, clock.wallMs()) }
      const [row] = await ledger.view(async (session) => {
        const tokenKey = await keyOf(session, asked.params.token_id)
        return await selectBooks(session, { tokenKey, from: null, to: null, limit: 1, depth })
      })
      return { live: false, book: row === undefined ? null : bookView(row) }
    },
  })
  addRoute(app, {
    method: 'GET',
    path: '/api/tokens/:token_id/books',
    group: 'tokens',
    summary: 'The stored order books of one token, newest first.',
    params: tokenParams,
    query: schemas.booksQuery,
    answer: schemas.books,
    async handle(asked) {
      const { depth, limit } = asked.query
      const found = await ledger.view(async (session) =>
        selectBooks(session, { ...(await cutRange(session, asked)), depth }),
      )
      const { rows, last } = page(found, limit)
      return { books: rows.map(bookView), next_cursor: timeCursor(last) }
    },
  })
}

interface Asked {
  readonly params: { readonly token_id: string }
  readonly query: {
    readonly from?: number | undefined
    readonly to?: number | undefined
    readonly limit: number
    readonly cursor?: string | undefined
  }
}

async function rangeOf(session: Session, { params, query }: Asked): Promise<RangeQuery> {
  const tokenKey = await keyOf(session, params.token_id)
  const time = (ms: number | undefined) => (ms === undefined ? null : iso(ms))
  return { tokenKey, from: time(query.from), to: time(query.to), limit: query.limit + 1 }
}

/** A page of what has one row a moment begins where the one before ended. */
async function cutRange(session: Session, asked: Asked): Promise<RangeQuery> {
  const parts = readCursor(asked.query.cursor, ['text'])
  if (parts !== null && !TIME.test(String(parts[0]))) throw badCursor()
  const range = await rangeOf(session, asked)
  return parts === null ? range : { ...range, to: String(parts[0]) }
}

function tradePlace(cursor: string | undefined): { at: string; contentHash: string; ordinal: number } | null {
  const parts = readCursor(cursor, ['text', 'text', 'number'])
  if (parts === null) return null
  const [at, contentHash, ordinal] = parts as [string, string, number]
  if (!TIME.test(at) || !UUID.test(contentHash) || !Number.isInteger(ordinal)) throw badCursor()
  return { at, contentHash, ordinal }
}

function badCursor(): Problem {
  return new Problem(400, 'cursor must be the next_cursor of a page', 'cursor')
}

function timeCursor(last: { readonly at: string } | null): string | null {
  return last === null ? null : writeCursor([last.at])
}

async function keyOf(session: Session, tokenId: string): Promise<number> {
  const key = await selectTokenKey(session, tokenId)
  if (key === null) throw new Problem(404, 'this token is not in the ledger', 'token_id')
  return key
}

/** Six decimals are for cursors. */
function shorten(at: string): string {
  return `${at.slice(0, 23)}Z`
}

function liveView({ venueMs, bids, asks, ...middle }: LiveBook, nowMs: number): Book {
  return { timestamp: iso(nowMs), venue_time: iso(venueMs), bids: [...bids], asks: [...asks], ...middle }
}

function bookView(row: StoredBook): Book {
  const levels = (prices: readonly number[], sizes: readonly number[]) =>
    prices.map((price, at) => ({ price, size: sizes[at] ?? 0 }))
  return {
    timestamp: shorten(row.at),
    venue_time: shorten(row.venueAt),
    bids: levels(row.bidPrices, row.bidSizes),
    asks: levels(row.askPrices, row.askSizes),
    spread: row.spread,
    midpoint: row.midpoint,
  }
}
