import type { FastifyInstance } from 'fastify'
import { selectGaps } from '../../ledger/coverage-reads.ts'
import { selectTokenKey } from '../../ledger/token-reads.ts'
import { gapView } from '../event-views.ts'
import { page } from '../reading.ts'
import { addRoute } from '../route.ts'
import * as schemas from '../schemas/coverage.ts'
import type { Sources } from '../sources.ts'

/** Where something may be missing. */
export function addCoverageRoutes(app: FastifyInstance, { ledger }: Sources): void {
  addRoute(app, {
    method: 'GET',
    path: '/api/gaps',
    group: 'coverage',
    summary: 'Every interval in which something may be missing, newest first.',
    query: schemas.gapsQuery,
    answer: schemas.gaps,
    async handle({ query: { limit, before = null, cause = null, state, token_id } }) {
      const found = await ledger.view(async (session) => {
        const tokenKey = token_id === undefined ? null : await selectTokenKey(session, token_id)
        if (token_id !== undefined && tokenKey === null) return []
        return selectGaps(session, { limit: limit + 1, before, cause, state, tokenKey })
      })
      const { rows, last } = page(found, limit)
      return { gaps: rows.map(gapView), next_before: last?.gapId ?? null }
    },
  })
}
