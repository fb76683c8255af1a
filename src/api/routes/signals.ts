import type { FastifyInstance } from 'fastify'
import { selectRuns } from '../../ledger/scrape-runs.ts'
import { selectSignal, selectSignals } from '../../ledger/signal-reads.ts'
import { Problem } from '../problem.ts'
import { page } from '../reading.ts'
import { addRoute } from '../route.ts'
import * as schemas from '../schemas/signals.ts'
import { scrapeRunView, signalView } from '../signal-views.ts'
import type { Sources } from '../sources.ts'

const GROUP = { group: 'signals', method: 'GET' } as const

/** Signals with the markets they are about, and the runs that found them. */
export function addSignalRoutes(app: FastifyInstance, { ledger }: Sources): void {
  addRoute(app, {
    ...GROUP,
    path: '/api/signals',
    summary: 'Items of feeds, Hacker News and pages, with the markets that they are about.',
    query: schemas.signalsQuery,
    answer: schemas.signals,
    async handle({ query }) {
      const { search = null, source = null, keyword = null, company = null, limit, before = null } = query
      const asked = { search, source, keyword, company, conditionId: query.condition_id ?? null, before }
      const found = await ledger.view((session) => selectSignals(session, { ...asked, limit: limit + 1 }))
      const { rows, last } = page(found, limit)
      return { signals: rows.map(signalView), next_before: last?.id ?? null }
    },
  })
  addRoute(app, {
    ...GROUP,
    path: '/api/signals/:signal_id',
    summary: 'One signal with the item as its source had it.',
    params: schemas.signalParams,
    answer: schemas.signalDetail,
    async handle({ params: { signal_id } }) {
      const found = await ledger.view((session) => selectSignal(session, signal_id))
      if (found === null) throw new Problem(404, 'there is no such signal', 'signal_id')
      return { ...signalView(found), raw: found.raw }
    },
  })
  addRoute(app, {
    ...GROUP,
    path: '/api/scrape-runs',
    summary: 'Runs of the scrapers with the progress of each source.',
    query: schemas.scrapeRunsQuery,
    answer: schemas.scrapeRuns,
    async handle({ query: { limit, before = null } }) {
      const { rows, last } = page(await ledger.view((session) => selectRuns(session, limit + 1, before)), limit)
      return { runs: rows.map(scrapeRunView), next_before: last?.runId ?? null }
    },
  })
}
