import { PermanentError } from '../core/errors.ts'
import type { AlertsStatus } from '../monitor/alerts/alerts.ts'
import type { LogStoreStatus } from '../monitor/log-store.ts'
import { createAbort } from '../runtime/abort.ts'
import { Access } from './access.ts'
import { createAssetCount } from './asset-count.ts'
import { isLoopback } from './host.ts'
import { cannotListen } from './listen.ts'
import { createMetrics } from './metrics.ts'
import { addPage } from './page.ts'
import { limitReads } from './reading.ts'
import { addAssetRoutes } from './routes/assets.ts'
import { addCoverageRoutes } from './routes/coverage.ts'
import { addEventRoute } from './routes/events.ts'
import { addMarketRoutes } from './routes/markets.ts'
import { addMonitorRoutes } from './routes/monitor.ts'
import { addPortfolioRoutes } from './routes/portfolios.ts'
import { addSessionRoutes } from './routes/session.ts'
import { addSignalRoutes } from './routes/signals.ts'
import { addTokenRoutes } from './routes/tokens.ts'
import { createServer } from './server.ts'
import type { Sources } from './sources.ts'
import { watchForChanges } from './watch.ts'

export interface ApiOptions extends Sources {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** null: none is needed, which only loopback may do. */
  readonly token: string | null
  readonly allowedHosts: readonly string[]
  readonly version: string
  readonly logs: Sources['logs'] & { status(): LogStoreStatus }
  /** null while no alerts are watched for. */
  readonly alerts: () => AlertsStatus | null
  /** The page's build; null or a folder that is not there: a plain page. */
  readonly pageDirectory: string | null
  /** Requests of one address in a minute; 6,000 unless given. */
  readonly requestsPerMinute?: number
}

export interface Api {
  readonly port: number
  /** Ends open streams and connections. */
  close(): Promise<void>
}

const REQUESTS_PER_MINUTE = 6_000

/**
 * Serves the HTTP API and the page. Throws PermanentError when the address may be reached from elsewhere and no token
 * is set (exit code 78), and when nobody can listen there (73).
 */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { host, port, token, allowedHosts, version, clock, log, requestsPerMinute = REQUESTS_PER_MINUTE } = options
  if (token === null && !isLoopback(host)) {
    throw new PermanentError(
      `api.address ${host}:${port} can be reached from other machines: set TAPEKEEPER_API_TOKEN or …_TOKEN_FILE`,
    )
  }
  const sources: Sources = { ...options, ledger: limitReads(options.ledger, () => options.board().ledger) }
  const access = new Access({ token, allowedHosts, clock })
  const app = await createServer({ access, log, version, requestsPerMinute })
  const metrics = createMetrics(options)
  app.get('/metrics', { schema: { tags: ['health'], summary: 'For Prometheus.' } }, async (_request, reply) =>
    reply
      .type(metrics.contentType)
      .serializer(String)
      .send(await metrics.metrics()),
  )
  addSessionRoutes(app, access)
  addMonitorRoutes(app, sources, createAssetCount(sources.ledger, clock))
  addMarketRoutes(app, sources)
  addTokenRoutes(app, sources)
  addCoverageRoutes(app, sources)
  addPortfolioRoutes(app, sources)
  addAssetRoutes(app, sources)
  addSignalRoutes(app, sources)
  const endStreams = addEventRoute(app, sources)
  app.get('/api/openapi.json', { schema: { hide: true } }, () => app.swagger())
  await addPage(app, options.pageDirectory)
  try {
    await app.listen({ host, port })
  } catch (error) {
    await app.close()
    throw cannotListen({ what: 'the API', setting: 'TAPEKEEPER_API_ADDRESS', host, port }, error)
  }
  const life = createAbort()
  const watching = watchForChanges(sources, life.signal)
  const address = app.server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    async close() {
      life.abort()
      endStreams()
      await watching
      await app.close()
    },
  }
}
