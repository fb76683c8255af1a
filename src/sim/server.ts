import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'
import { EXIT, PermanentError } from '../core/errors.ts'
import type { Channel } from './channel.ts'
import { type Faults, faultReply, type HttpReply } from './faults.ts'

/** One request with its body read. */
export interface HttpRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** Everything on one page, whatever limit was asked for. */
  readonly wholePage: boolean
}

/** A reply, or lines that are written one by one. */
export type RouteReply = HttpReply | { readonly lines: Iterable<unknown> }

export interface ServerParts {
  readonly host: string
  readonly port: number
  readonly faults: Faults
  readonly channel: Channel
  /** The venue's interfaces and the simulator's own under `/sim`. */
  route(request: HttpRequest): RouteReply | Promise<RouteReply>
}

export interface ListeningServer {
  readonly port: number
  close(): Promise<void>
}

const BODY_BYTES_MAX = 4 * 1024 * 1024
const PAYLOAD_BYTES_MAX = 4 * 1024 * 1024
const LINES_PER_WRITE = 500
const KEEP_ALIVE_MS = 75_000
const DRIP_BYTES = 8
const CHANNEL_PATH = '/ws/market'

/** One port for everything. Faults never reach `/sim`, so a test always keeps its handle. */
export async function listen(parts: ServerParts): Promise<ListeningServer> {
  const server = createServer((request, response) => {
    answer(parts, request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy()
      else write(response, { status: 500, body: JSON.stringify({ error: String(error) }) })
    })
  })
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: PAYLOAD_BYTES_MAX })
  server.on('upgrade', (request, socket, head) => {
    if (pathOf(request) !== CHANNEL_PATH) {
      socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
      return
    }
    sockets.handleUpgrade(request, socket, head, (ws) => parts.channel.accept(ws, socket))
  })
  // Longer than clients keep theirs, so that none sends a request into a connection that is being closed.
  server.keepAliveTimeout = KEEP_ALIVE_MS
  const port = await bind(server, parts)
  return { port, close: () => closeAll(server, sockets) }
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0] ?? '/'
}

function bind(server: Server, { host, port }: ServerParts): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new PermanentError(`cannot listen on ${host}:${port}`, { cause, exitCode: EXIT.unavailable }))
    })
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port))
  })
}

async function closeAll(server: Server, sockets: WebSocketServer): Promise<void> {
  for (const ws of sockets.clients) ws.terminate()
  sockets.close()
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeAllConnections()
  await closed
}

async function answer(parts: ServerParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = pathOf(request)
  const query = new URLSearchParams((request.url ?? '').slice(path.length))
  const fault = path.startsWith('/sim/') ? null : parts.faults.takeHttp(path)
  if (fault?.mode === 'reset') {
    request.socket.destroy()
    return
  }
  if (fault?.mode === 'hang') return
  const spoilt = fault === null ? null : faultReply(fault, path)
  if (spoilt !== null) {
    request.resume()
    write(response, spoilt)
    return
  }
  const body = await readBody(request)
  if (body === null) {
    write(response, { status: 413, body: '{"error":"Payload exceeds the limit"}' })
    return
  }
  const wholePage = fault?.mode === 'whole_page'
  const { method = 'GET', headers } = request
  const reply = await parts.route({ method, path, query, headers, body, wholePage })
  if ('lines' in reply) await writeLines(response, reply.lines)
  else if (reply.dripMs !== undefined) drip(response, reply, reply.dripMs)
  else write(response, reply)
}

async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes <= BODY_BYTES_MAX) chunks.push(chunk)
  }
  return bytes > BODY_BYTES_MAX ? null : Buffer.concat(chunks).toString()
}

function write(response: ServerResponse, reply: HttpReply): void {
  response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers })
  response.end(reply.body)
}

/** A few bytes now and then, for as long as somebody listens. */
function drip(response: ServerResponse, { status, headers, body }: HttpReply, dripMs: number): void {
  response.writeHead(status, { ...headers })
  const bytes = Buffer.from(body)
  let at = 0
  const timer = setInterval(() => {
    response.write(bytes.subarray(at, at + DRIP_BYTES))
    at += DRIP_BYTES
    if (at >= bytes.length) response.end()
  }, dripMs)
  response.once('close', () => clearInterval(timer))
}

async function writeLines(response: ServerResponse, lines: Iterable<unknown>): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  let pending: string[] = []
  for (const line of lines) {
    pending.push(`${JSON.stringify(line)}\n`)
    if (pending.length < LINES_PER_WRITE) continue
    await writeSome(response, pending.join(''))
    pending = []
  }
  response.end(pending.join(''))
}

function writeSome(response: ServerResponse, text: string): Promise<void> {
  return new Promise((resolve) => {
    if (response.destroyed || response.write(text)) {
      resolve()
      return
    }
    const go = () => {
      response.off('drain', go)
      response.off('close', go)
      resolve()
    }
    response.on('drain', go)
    response.on('close', go)
  })
}
