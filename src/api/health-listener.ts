import { type FastifyInstance, type FastifyReply, fastify } from 'fastify'
import type { Clock } from '../core/clock.ts'
import { computeHealth } from '../core/health.ts'
import type { StatusBoard } from '../core/status.ts'
import { redactText } from '../runtime/redact.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { healthBody } from './health-body.ts'
import { cannotListen } from './listen.ts'

export interface HealthListenerOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly board: () => StatusBoard
  readonly clock?: Clock
}

export interface HealthListener {
  readonly port: number
  close(): Promise<void>
}

const REQUEST_TIMEOUT_MS = 10_000
const HEADER_BYTES_MAX = 8_192
const BODY_BYTES_MAX = 1_024
const CONNECTIONS_MAX = 200
const REQUESTS_PER_CONNECTION_MAX = 1_000

/**
 * Serves `/`, `/health`, `/health/live` and `/health/ready` to container platforms and watchdogs: no Host check,
 * nothing secret, everything else 404. A port that cannot be had is a PermanentError with exit code 73.
 */
export async function startHealthListener(options: HealthListenerOptions): Promise<HealthListener> {
  const { host, port, board, clock = systemClock() } = options
  const app = createApp()
  app.get('/', (_request, reply) => reply.type('text/plain; charset=utf-8').send('Tapekeeper\n'))
  app.get('/health', (_request, reply) => {
    const body = healthBody(board(), clock.wallMs())
    const isWell = body.status === 'healthy' || body.status === 'starting'
    return send(reply, isWell ? 200 : 503, body)
  })
  app.get('/health/live', (_request, reply) => send(reply, 200, { status: 'live' }))
  app.get('/health/ready', (_request, reply) => {
    const { status, reasons } = computeHealth(board())
    const isReady = status === 'healthy'
    return send(reply, isReady ? 200 : 503, { status: isReady ? 'ready' : 'not ready', health: status, reasons })
  })
  try {
    await app.listen({ host, port })
  } catch (error) {
    await app.close()
    throw cannotListen({ what: 'health', setting: 'HEALTH_PORT', host, port }, error)
  }
  const address = app.server.address()
  return { port: typeof address === 'object' && address !== null ? address.port : port, close: () => app.close() }
}

function createApp(): FastifyInstance {
  const app = fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: 5_000,
    maxRequestsPerSocket: REQUESTS_PER_CONNECTION_MAX,
    forceCloseConnections: true,
    http: { maxHeaderSize: HEADER_BYTES_MAX, requireHostHeader: false },
    frameworkErrors: (_error, _request, reply) => {
      notFound(reply)
    },
  })
  app.server.maxConnections = CONNECTIONS_MAX
  app.server.headersTimeout = REQUEST_TIMEOUT_MS
  // Before any body is read: whatever else somebody sends here, the answer is the same.
  app.addHook('onRequest', async (request, reply) => {
    if (request.is404) return notFound(reply)
  })
  app.setNotFoundHandler((_request, reply) => notFound(reply))
  app.setErrorHandler((_error, _request, reply) => {
    // A report that cannot be made is not a healthy one; what went wrong may be secret.
    return send(reply, 503, { status: 'degraded', reasons: ['the health report could not be computed'] })
  })
  return app
}

function notFound(reply: FastifyReply): FastifyReply {
  return reply.code(404).type('text/plain; charset=utf-8').send('not found\n')
}

function send(reply: FastifyReply, status: number, body: unknown): FastifyReply {
  // Errors are other people's words.
  const text = JSON.stringify(body, (_key, value: unknown) => (typeof value === 'string' ? redactText(value) : value))
  return reply.code(status).header('cache-control', 'no-store').type('application/json; charset=utf-8').send(text)
}
