import type { FastifyInstance } from 'fastify'
import { type MarketTokenRow, selectMarket, selectMarkets, selectMarketTokens } from '../../ledger/market-reads.ts'
import { createDoubts } from '../doubts.ts'
import { marketDetailView, marketView } from '../market-views.ts'
import { Problem } from '../problem.ts'
import { page, readCursor, writeCursor } from '../reading.ts'
import { addRoute } from '../route.ts'
import { marketParams } from '../schemas/common.ts'
import * as schemas from '../schemas/markets.ts'
import type { Sources } from '../sources.ts'

const DECIMAL = /^-?\d{1,40}(?:\.\d{1,40})?$/

/** Markets with their newest values. */
export function addMarketRoutes(app: FastifyInstance, { ledger, clock }: Sources): void {
  const doubts = createDoubts(ledger, clock)
  const group = 'markets'
  addRoute(app, {
    method: 'GET',
    path: '/api/markets',
    group,
    summary: 'Markets by 24 h volume with last price, spread, volume and coverage; searched by words.',
    query: schemas.marketsQuery,
    answer: schemas.markets,
    async handle({ query: { search = null, state, limit, cursor } }) {
      const after = placeOf(cursor)
      const doubted = await doubts.of()
      return await ledger.view(async (session) => {
        const { rows, last } = page(await selectMarkets(session, { search, state, limit: limit + 1, after }), limit)
        const tokens = byMarket(
          await selectMarketTokens(
            session,
            rows.map(({ conditionId }) => conditionId),
          ),
        )
        return {
          markets: rows.map((row) => marketView(row, tokens.get(row.conditionId) ?? [], doubted)),
          next_cursor: last === null ? null : writeCursor([last.place, last.conditionId]),
        }
      })
    },
  })
  addRoute(app, {
    method: 'GET',
    path: '/api/markets/:condition_id',
    group,
    summary: 'One market with its tokens and how it ended.',
    params: marketParams,
    answer: schemas.marketDetail,
    async handle({ params: { condition_id } }) {
      const doubted = await doubts.of()
      return await ledger.view(async (session) => {
        const row = await selectMarket(session, condition_id)
        if (row === null) throw new Problem(404, 'this market is not in the ledger', 'condition_id')
        return marketDetailView(row, await selectMarketTokens(session, [condition_id]), doubted)
      })
    },
  })
}

function placeOf(cursor: string | undefined): { place: string; conditionId: string } | null {
  const parts = readCursor(cursor, ['text', 'text'])
  if (parts === null) return null
  const [place, conditionId] = parts.map(String) as [string, string]
  if (!DECIMAL.test(place)) throw new Problem(400, 'cursor must be the next_cursor of a page', 'cursor')
  return { place, conditionId }
}

function byMarket(tokens: readonly MarketTokenRow[]): ReadonlyMap<string, MarketTokenRow[]> {
  const groups = new Map<string, MarketTokenRow[]>()
  for (const token of tokens) groups.set(token.conditionId, [...(groups.get(token.conditionId) ?? []), token])
  return groups
}
