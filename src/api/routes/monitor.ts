import type { FastifyInstance } from 'fastify'
import { isoTime } from '../../core/health.ts'
import type { StatusBoard } from '../../core/status.ts'
import { selectCycles } from '../../ledger/cycles.ts'
import type { StoredLog } from '../../ledger/logs.ts'
import { selectPriceUpdates } from '../../ledger/price-updates.ts'
import { redactText } from '../../runtime/redact.ts'
import type { AssetCount } from '../asset-count.ts'
import { collectorView, cycleView, statisticsView, statusWord, toSeconds, untilNext } from '../collector-view.ts'
import type { FetcherStatus, LogEntry } from '../contract.ts'
import { priceUpdateView } from '../event-views.ts'
import { healthBody } from '../health-body.ts'
import { Problem } from '../problem.ts'
import { iso, page } from '../reading.ts'
import { addRoute } from '../route.ts'
import * as schemas from '../schemas/monitor.ts'
import { FETCHER, type Sources } from '../sources.ts'

/** Health, the fetcher and every collector. All but logs, cycles and updates comes from memory. */
export function addMonitorRoutes(app: FastifyInstance, sources: Sources, assets: AssetCount): void {
  addRoute(app, {
    method: 'GET',
    path: '/api/health',
    group: 'health',
    summary: 'The state of the whole recorder, as the health listener tells it. Always 200.',
    answer: schemas.health,
    handle: () => clean(healthBody(sources.board(), sources.clock.wallMs())) as never,
  })
  addFetcherRoutes(app, sources, assets)
  addCollectorRoutes(app, sources)
}

function addFetcherRoutes(app: FastifyInstance, sources: Sources, assets: AssetCount): void {
  const { board, statistics, logs, ledger, clock } = sources
  const group = 'fetcher'
  addRoute(app, {
    method: 'GET',
    path: '/api/fetcher/status',
    group,
    summary: 'What the collector of asset prices does.',
    answer: schemas.fetcherStatus,
    handle: async () => fetcherStatus(board(), clock.wallMs(), await assets.current()),
  })
  addRoute(app, {
    method: 'GET',
    path: '/api/fetcher/logs',
    group,
    summary: 'The log, newest first. Offset pages shift while entries arrive; `before` does not.',
    query: schemas.logsQuery,
    answer: schemas.logs,
    async handle({ query: { limit, offset, before = null, level, search = null } }) {
      const levels = level === undefined ? [] : [level]
      const asked = { limit: limit + 1, offset, before, levels, search }
      const found = await logs.getRecentLogs(asked)
      const { rows, last } = page(found.logs, limit)
      return { logs: rows.map(logView), total: found.total, limit, offset, next_before: last?.id ?? null }
    },
  })
  addRoute(app, {
    method: 'GET',
    path: '/api/fetcher/statistics',
    group,
    summary: 'Numbers over the cycles of asset prices since start, as of now.',
    answer: schemas.fetcherStatistics,
    async handle() {
      const assets_tracked = await assets.current()
      return { ...statisticsView(statistics.getStatistics(FETCHER)), assets_tracked }
    },
  })
  addRoute(app, {
    method: 'GET',
    path: '/api/fetcher/recent-updates',
    group,
    summary: 'The newest attempts to get the price of an asset, failed or not.',
    query: schemas.updatesQuery,
    answer: schemas.recentUpdates,
    async handle({ query: { limit } }) {
      const rows = await ledger.view((session) => selectPriceUpdates(session, limit))
      return { updates: rows.map(priceUpdateView) }
    },
  })
}

function addCollectorRoutes(app: FastifyInstance, sources: Sources): void {
  const { board, statistics, ledger, clock } = sources
  const group = 'collectors'
  const params = schemas.collectorParams
  const view = (now: StatusBoard, name: string) => {
    const found = now.collectors.find((collector) => collector.name === name)
    if (found === undefined) throw new Problem(404, `there is no collector ${name}`, 'name')
    return collectorView(found, { board: now, nowMs: clock.wallMs(), numbers: statistics.getStatistics(name) })
  }
  addRoute(app, {
    method: 'GET',
    path: '/api/collectors',
    group,
    summary: 'Every collector.',
    answer: schemas.collectors,
    handle() {
      const now = board()
      return { collectors: now.collectors.map(({ name }) => view(now, name)) }
    },
  })
  addRoute(app, {
    method: 'GET',
    path: '/api/collectors/:name',
    group,
    summary: 'One collector.',
    params,
    answer: schemas.collector,
    handle: ({ params: { name } }) => view(board(), name),
  })
  addRoute(app, {
    method: 'GET',
    path: '/api/collectors/:name/statistics',
    group,
    summary: 'Numbers over the cycles of one collector since start, as of now.',
    params,
    answer: schemas.collectorStatistics,
    handle: ({ params: { name } }) => view(board(), name).statistics,
  })
  addRoute(app, {
    method: 'GET',
    path: '/api/collectors/:name/cycles',
    group,
    summary: 'The finished cycles of one polling collector, also of earlier starts, newest first.',
    params,
    query: schemas.cyclesQuery,
    answer: schemas.cycles,
    async handle({ params: { name }, query: { limit, before = null } }) {
      view(board(), name)
      const found = await ledger.view((session) => selectCycles(session, { collector: name, limit: limit + 1, before }))
      const { rows, last } = page(found, limit)
      return { cycles: rows.map(cycleView), next_before: last?.id ?? null }
    },
  })
}

function fetcherStatus(board: StatusBoard, nowMs: number, tracked_assets_count: number): FetcherStatus {
  const collector = board.collectors.find(({ name }) => name === FETCHER)
  const uptime_seconds = toSeconds(board.uptimeMs)
  if (collector === undefined) {
    const detail = board.draining ? 'the recorder is ending' : 'assets are not enabled'
    const rest = { last_update: null, next_update_in_seconds: null, update_interval_minutes: 0 }
    return { status: 'stopped', detail, uptime_seconds, tracked_assets_count, ...rest }
  }
  const status = statusWord(collector, board)
  const detail = collector.lastError === null ? null : redactText(collector.lastError)
  return {
    status,
    detail: status === 'error' ? detail : board.draining ? 'the recorder is ending' : null,
    uptime_seconds,
    last_update: isoTime(collector.lastUsefulMs),
    next_update_in_seconds: untilNext(collector, nowMs),
    tracked_assets_count,
    update_interval_minutes: collector.intervalMs / 60_000,
  }
}

function logView({ id, atMs, level, message, context }: StoredLog): LogEntry {
  return { id, timestamp: iso(atMs), level, message, context: { ...context } }
}

/** Every text in it without what must stay secret. */
function clean(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_key, part: unknown) =>
    typeof part === 'string' ? redactText(part) : part,
  )
}
