import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { computeHealth } from '../../core/health.ts'
import type { MonitorEvent } from '../../monitor/event-hub.ts'
import { createAbort } from '../../runtime/abort.ts'
import { redactText } from '../../runtime/redact.ts'
import { cycleView } from '../collector-view.ts'
import type { ServerEvents, StatusChange } from '../contract.ts'
import { loggedView } from '../event-views.ts'
import { Problem } from '../problem.ts'
import { NOTHING } from '../route.ts'
import type { Sources } from '../sources.ts'

const CLIENTS_MAX = 32
/** What waits for one slow client; beyond it events are dropped, and the client is told how many. */
const PENDING_BYTES_MAX = 256 * 1024
const HEARTBEAT_MS = 15_000

/** GET /api/events: what changes, as server-sent events. Returns how to end all of them. */
export function addEventRoute(app: FastifyInstance, sources: Sources): () => void {
  const clients = new Set<Client>()
  app.get(
    '/api/events',
    {
      schema: {
        tags: ['events'],
        summary: 'Server-sent events: status, cycle, log, gap, price, dropped.',
        querystring: NOTHING,
      },
    },
    (request, reply) => {
      if (clients.size >= CLIENTS_MAX) throw new Problem(503, 'too many clients listen already')
      const headers = { ...reply.getHeaders(), 'content-type': 'text/event-stream', 'cache-control': 'no-store' }
      reply.hijack()
      reply.raw.writeHead(200, headers as Record<string, string>)
      if (request.method === 'HEAD') {
        reply.raw.end()
        return
      }
      const client = new Client(reply.raw, sources)
      clients.add(client)
      request.raw.socket.setTimeout(0)
      reply.raw.on('close', () => {
        clients.delete(client)
        client.end()
      })
    },
  )
  return () => {
    for (const client of clients) client.end()
  }
}

/** One open stream. */
class Client {
  readonly #response: ServerResponse
  readonly #life = createAbort()
  readonly #leave: () => void
  #dropped = 0

  constructor(response: ServerResponse, sources: Sources) {
    this.#response = response
    response.on('drain', () => this.#tellDropped())
    response.on('error', () => this.end()) // it went away while we wrote
    this.#leave = sources.events.subscribe((event) => this.#pass(event))
    this.#send('status', statusChange(sources))
    void this.#beat(sources)
  }

  end(): void {
    if (this.#life.signal.aborted) return
    this.#life.abort()
    this.#leave()
    this.#response.end()
  }

  async #beat({ clock }: Sources): Promise<void> {
    const { signal } = this.#life
    for (;;) {
      await clock.sleep(HEARTBEAT_MS, signal)
      if (signal.aborted) return
      if (this.#response.writableLength < PENDING_BYTES_MAX) this.#response.write(': still here\n\n')
    }
  }

  #pass(event: MonitorEvent): void {
    if (event.kind === 'cycle') this.#send('cycle', cycleView(event.cycle))
    else if (event.kind === 'log') this.#send('log', loggedView(event.entry))
    else this.#send(event.name, event.data as never)
  }

  #send<Name extends keyof ServerEvents>(name: Name, data: ServerEvents[Name]): void {
    if (this.#response.writableLength >= PENDING_BYTES_MAX) {
      this.#dropped += 1
      return
    }
    this.#response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
  }

  #tellDropped(): void {
    const count = this.#dropped
    if (count === 0) return
    this.#dropped = 0
    this.#send('dropped', { count })
  }
}

export function statusChange({ board }: Sources): StatusChange {
  const now = board()
  const { status, reasons } = computeHealth(now)
  return {
    status,
    reasons: reasons.map(redactText),
    collectors: Object.fromEntries(now.collectors.map(({ name, state }) => [name, state])),
  }
}
