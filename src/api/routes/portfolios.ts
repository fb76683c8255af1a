import type { FastifyInstance } from 'fastify'
import type { Problem as DraftProblem, Portfolio } from '../../core/portfolio.ts'
import {
  type PortfolioDetail,
  selectPortfolioView,
  selectPortfolioViews,
  selectSnapshots,
  selectTransactionViews,
} from '../../ledger/portfolio-views.ts'
import { selectPortfolio } from '../../ledger/portfolios.ts'
import { currencyProblem, DRAFT_FIELDS, portfolioNameProblem, readDraft } from '../../portfolio/drafts.ts'
import { readImport } from '../../portfolio/import.ts'
import { portfolioJson, positionsJson, snapshotJson, transactionJson } from '../portfolio-view.ts'
import { Problem } from '../problem.ts'
import { addRoute } from '../route.ts'
import * as schemas from '../schemas/portfolios.ts'
import type { Sources } from '../sources.ts'

const GROUP = { group: 'portfolios' }
const IMPORT_BYTES_MAX = 16 * 1024 * 1024

/** Portfolios: what they hold and are worth, and changes of them. */
export function addPortfolioRoutes(app: FastifyInstance, sources: Sources): void {
  addReads(app, sources)
  addChanges(app, sources)
}

function addReads(app: FastifyInstance, { ledger }: Sources): void {
  const params = schemas.portfolioParams
  addRoute(app, {
    ...GROUP,
    method: 'GET',
    path: '/api/portfolios',
    summary: 'Portfolios by name, with their value.',
    query: schemas.portfoliosQuery,
    answer: schemas.portfolios,
    async handle({ query: { limit, offset } }) {
      const found = await ledger.view((session) => selectPortfolioViews(session, limit, offset))
      return { portfolios: found.map(portfolioJson), limit, offset }
    },
  })
  addRoute(app, {
    ...GROUP,
    method: 'GET',
    path: '/api/portfolios/:portfolio',
    summary: 'One portfolio: what it holds, what it is worth, and how that changed.',
    params,
    answer: schemas.portfolioDetail,
    async handle({ params: { portfolio } }) {
      const view = await viewOf(ledger, portfolio)
      return { ...portfolioJson(view), positions: positionsJson(view) }
    },
  })
  addRoute(app, {
    ...GROUP,
    method: 'GET',
    path: '/api/portfolios/:portfolio/snapshots',
    summary: 'Its value over time, a day a row.',
    params,
    query: schemas.snapshotsQuery,
    answer: schemas.snapshots,
    async handle({ params: { portfolio }, query: { days } }) {
      const { portfolioId } = await find(ledger, portfolio)
      const found = await ledger.view((session) => selectSnapshots(session, portfolioId, days))
      return { snapshots: found.map(snapshotJson) }
    },
  })
  addRoute(app, {
    ...GROUP,
    method: 'GET',
    path: '/api/portfolios/:portfolio/transactions',
    summary: 'What was bought and sold, newest first.',
    params,
    query: schemas.transactionsQuery,
    answer: schemas.transactions,
    async handle({ params: { portfolio }, query: { limit, offset } }) {
      const { portfolioId } = await find(ledger, portfolio)
      const found = await ledger.view((session) => selectTransactionViews(session, portfolioId, limit, offset))
      return { transactions: found.map(transactionJson), limit, offset }
    },
  })
}

function addChanges(app: FastifyInstance, { ledger, desk, clock }: Sources): void {
  addRoute(app, {
    ...GROUP,
    method: 'POST',
    path: '/api/portfolios',
    summary: 'Make a portfolio.',
    body: schemas.newPortfolio,
    answer: schemas.portfolio,
    async handle({ body }) {
      const currency = body.currency.toUpperCase()
      refuse(portfolioNameProblem(body.name), 'name')
      refuse(currencyProblem(currency), 'currency')
      const made = await desk.createPortfolio(body.name, currency)
      if (made === null) throw new Problem(409, `there is a portfolio ${body.name} already`, 'name')
      return portfolioJson(await viewOf(ledger, String(made.portfolioId)))
    },
  })
  addRoute(app, {
    ...GROUP,
    method: 'POST',
    path: '/api/portfolios/:portfolio/transactions',
    summary: 'Add one purchase or sale.',
    params: schemas.portfolioParams,
    body: schemas.newTransaction,
    answer: schemas.added,
    async handle({ params: { portfolio }, body }) {
      const read = readDraft(body, null, clock.wallMs())
      if (!read.ok) throw refusal(read.problems)
      const { portfolioId } = await find(ledger, portfolio)
      const result = await desk.append(portfolioId, [read.draft], false)
      if (!result.ok) throw refusal(result.problems)
      const { performance } = portfolioJson(await viewOf(ledger, String(portfolioId)))
      return { added: result.added, new_assets: [...result.newAssets], performance }
    },
  })
  addRoute(app, {
    ...GROUP,
    method: 'POST',
    path: '/api/portfolios/:portfolio/import',
    summary: 'Add the transactions of a CSV file, all of them or none; a dry run unless told otherwise.',
    params: schemas.portfolioParams,
    body: schemas.newImport,
    bodyBytesMax: IMPORT_BYTES_MAX,
    answer: schemas.imported,
    async handle({ params: { portfolio }, body: { csv, dry_run } }) {
      const { portfolioId } = await find(ledger, portfolio)
      const read = readImport(csv, clock.wallMs())
      const result = read.ok ? await desk.append(portfolioId, read.drafts, dry_run) : read
      if (!result.ok) return { ok: false, dry_run, added: 0, new_assets: [], problems: [...result.problems] }
      return { ok: true, dry_run, added: result.added, new_assets: [...result.newAssets], problems: [] }
    },
  })
}

async function find(ledger: Sources['ledger'], nameOrId: string): Promise<Portfolio> {
  const portfolio = await ledger.view((session) => selectPortfolio(session, nameOrId))
  if (portfolio === null) throw new Problem(404, 'there is no such portfolio')
  return portfolio
}

async function viewOf(ledger: Sources['ledger'], nameOrId: string): Promise<PortfolioDetail> {
  const view = await ledger.view((session) => selectPortfolioView(session, nameOrId))
  if (view === null) throw new Problem(404, 'there is no such portfolio')
  return view
}

function refuse(problem: string | null, parameter: string): void {
  if (problem !== null) throw new Problem(400, problem, parameter)
}

/** What is wrong with a draft; it begins with the name of the field, where it is about one. */
export function refusal(problems: readonly DraftProblem[]): Problem {
  const words = problems.map(({ message }) => message).join('; ')
  const parameter = DRAFT_FIELDS.find((field) => words.startsWith(`${field} `))
  return new Problem(400, words, parameter)
}
