import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import { type FastifyInstance, fastify } from 'fastify'
import type { Logger } from '../core/log.ts'
import type { Access } from './access.ts'
import { errorHandler, PROBLEM_TYPE, Problem, problemBody, sendProblem } from './problem.ts'
import { checkWithZod, describeWithJsonSchema, toJsonSchema, writeJson } from './route.ts'
import { problem } from './schemas/common.ts'

export interface ServerOptions {
  readonly access: Access
  readonly log: Logger
  readonly version: string
  /** Requests of one address in a minute. */
  readonly requestsPerMinute: number
}

const REQUEST_TIMEOUT_MS = 10_000
const HEADER_BYTES_MAX = 16_384
const BODY_BYTES_MAX = 16_384
const CONNECTIONS_MAX = 200
const ADDRESSES_MAX = 1_000

/** Nothing from elsewhere, nothing inline, and nobody may frame it. */
const CONTENT_SECURITY_POLICY = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'", 'data:'],
    fontSrc: ["'self'"],
    connectSrc: ["'self'"],
    manifestSrc: ["'self'"],
    baseUri: ["'none'"],
    formAction: ["'self'"],
    frameAncestors: ["'none'"],
  },
}

/** An HTTP server with every limit set and every answer guarded; it has no routes yet. */
export async function createServer({
  access,
  log,
  version,
  requestsPerMinute,
}: ServerOptions): Promise<FastifyInstance> {
  const app = fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: 0, // event streams are open for hours; slow requests have limits of their own
    keepAliveTimeout: 5_000,
    forceCloseConnections: true,
    exposeHeadRoutes: true,
    routerOptions: { maxParamLength: 300 },
    http: { maxHeaderSize: HEADER_BYTES_MAX },
    frameworkErrors: (_error, _request, reply) => {
      sendProblem(reply, new Problem(400, 'the path is not one'))
    },
    clientErrorHandler: (error, socket) => {
      const isLarge = error.code === 'HPE_HEADER_OVERFLOW'
      const status = isLarge ? 431 : 400
      const detail = isLarge ? 'the address and headers are too large' : 'this is not HTTP'
      if (!socket.writable) socket.destroy()
      else socket.end(rawProblem(new Problem(status, detail)), () => socket.destroy())
    },
  })
  app.server.maxConnections = CONNECTIONS_MAX
  app.server.headersTimeout = REQUEST_TIMEOUT_MS
  app.setErrorHandler(errorHandler(log))
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, new Problem(404, 'there is nothing here')))
  app.setValidatorCompiler(checkWithZod as never)
  app.setSerializerCompiler(writeJson)
  await app.register(helmet, {
    contentSecurityPolicy: CONTENT_SECURITY_POLICY,
    strictTransportSecurity: false, // it speaks plain HTTP, also to names under which something else speaks TLS
    crossOriginResourcePolicy: { policy: 'same-origin' },
    referrerPolicy: { policy: 'no-referrer' },
  })
  access.guard(app)
  await app.register(rateLimit, {
    max: requestsPerMinute,
    timeWindow: 60_000,
    cache: ADDRESSES_MAX,
    errorResponseBuilder: () => new Problem(429, 'too many requests: wait a minute'),
  })
  app.addHook('onSend', async (_request, reply) => {
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
  })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Tapekeeper',
        version,
        description: 'Everything that changes is announced as a server-sent event at /api/events.',
      },
      components: {
        schemas: { Problem: toJsonSchema(problem, 'output') },
        securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      },
      security: [{ bearer: [] }, {}],
    },
    transform: describeWithJsonSchema as never,
  })
  return app
}

function rawProblem(what: Problem): string {
  const body = JSON.stringify(problemBody(what))
  const { title } = problemBody(what)
  return [
    `HTTP/1.1 ${what.status} ${title}`,
    `Content-Type: ${PROBLEM_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}
