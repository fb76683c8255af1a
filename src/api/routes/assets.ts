import type { FastifyInstance } from 'fastify'
import type { Problem as DraftProblem } from '../../core/portfolio.ts'
import { selectAssets } from '../../ledger/assets.ts'
import { selectBackfills } from '../../ledger/backfill-queue.ts'
import { readAsset } from '../../portfolio/drafts.ts'
import { Problem } from '../problem.ts'
import { addRoute } from '../route.ts'
import * as schemas from '../schemas/portfolios.ts'
import type { Sources } from '../sources.ts'
import { refusal } from './portfolios.ts'

const GROUP = { group: 'assets' }

/** Assets: what is priced, and the state of its history. */
export function addAssetRoutes(app: FastifyInstance, { ledger, desk }: Sources): void {
  addRoute(app, {
    ...GROUP,
    method: 'GET',
    path: '/api/assets',
    summary: 'Assets by symbol, with their newest price and why the newest attempt failed.',
    query: schemas.assetsQuery,
    answer: schemas.assets,
    async handle({ query: { search = null, tracked, limit, offset } }) {
      const asked = { text: search, trackedOnly: tracked === 'true', limit, offset }
      const found = await ledger.view((session) => selectAssets(session, asked))
      const assets = found.map(({ assetId: _, priceAt, lastError, ...asset }) => {
        return { ...asset, price_at: priceAt, last_error: lastError }
      })
      return { assets, limit, offset }
    },
  })
  addRoute(app, {
    ...GROUP,
    method: 'POST',
    path: '/api/assets',
    summary: 'Track an asset: it is priced from the next cycle on.',
    body: schemas.newAsset,
    answer: schemas.trackedAsset,
    async handle({ body }) {
      const problems: DraftProblem[] = []
      const asset = readAsset(
        (key) => body[key]?.trim() || null,
        (message) => problems.push({ line: null, message }),
      )
      if (problems.length > 0) throw refusal(problems)
      const { symbol, type, isNew } = await desk.ensureAsset(asset)
      return { symbol, type, is_new: isNew }
    },
  })
  addRoute(app, {
    ...GROUP,
    method: 'DELETE',
    path: '/api/assets/:symbol',
    summary: 'Do not price an asset any more. What was recorded stays.',
    params: schemas.assetParams,
    answer: schemas.untracked,
    async handle({ params: { symbol } }) {
      const outcome = await desk.untrackAsset(symbol)
      if (outcome === 'unknown') throw new Problem(404, 'there is no such asset')
      if (outcome === 'held') throw new Problem(409, `${symbol} is held by a portfolio`)
      return { symbol, tracked: false as const }
    },
  })
  addRoute(app, {
    ...GROUP,
    method: 'GET',
    path: '/api/backfills',
    summary: 'The histories that were asked for, and how far they are.',
    query: schemas.backfillsQuery,
    answer: schemas.backfills,
    async handle({ query: { limit } }) {
      const found = await ledger.view((session) => selectBackfills(session, limit))
      const backfills = found.map(({ symbol, state, attempts, fromDay, rowsStored, error }) => {
        return { symbol, state, attempts, from_day: fromDay, rows_stored: rowsStored, error }
      })
      return { backfills }
    },
  })
}
