import { lookup } from 'node:dns'
import { Agent, request } from 'undici'
import type { Clock } from '../core/clock.ts'
import { describeError, TransientError } from '../core/errors.ts'
import { withDeadline } from './abort.ts'
import { HostTurns } from './host-turns.ts'
import { type Call, labelOf, REDIRECT_STATUS, redirectTarget } from './http-answer.ts'
import { readBytes } from './http-body.ts'
import { isPrivateAddress } from './private-addresses.ts'
import { type IsPrivate, publicLookup, type Resolve, refusePrivateLiteral, systemResolve } from './public-lookup.ts'
import { parseRetryAfter } from './retry-after.ts'

export interface DocumentClientOptions {
  readonly clock: Clock
  readonly userAgent: string
  /** From one request to the next, by host, ms. */
  readonly delayMs: number
  /** Whether addresses that are not on the public internet may be asked. */
  readonly allowPrivate: boolean
  /** The system's resolver unless given. */
  readonly resolve?: Resolve
  /** `isPrivateAddress` unless given. */
  readonly isPrivate?: IsPrivate
}

/** What somebody's requests cost so far, failed ones included. */
export interface Meter {
  requests: number
  /** Of bodies, after decompression. */
  bytes: number
}

export interface DocumentRequest {
  readonly signal: AbortSignal
  readonly accept: string
  readonly bodyBytesMax: number
  readonly meter: Meter
  /** What is known of it already: where it was found, and what that place said to ask with. */
  readonly known?: {
    readonly foundAt: string
    readonly etag: string | null
    readonly lastModified: string | null
  } | null
  /** Asked before each request, redirects included: throws where it must not be made, else returns the delay, ms. */
  readonly mayAsk?: (url: URL) => Promise<number>
}

export interface Document {
  /** After redirects. */
  readonly url: string
  /** Nothing has changed since it was known; there is no body then. */
  readonly unchanged: boolean
  readonly body: Buffer
  readonly contentType: string
  readonly etag: string | null
  readonly lastModified: string | null
}

/** The host answered, and not with a document. */
export class DocumentStatusError extends TransientError {
  readonly status: number

  constructor(message: string, status: number, retryAfterMs: number | undefined) {
    super(message, { retryAfterMs, rateLimited: status === 429 })
    this.status = status
  }
}

/** Documents of any host, asked for with manners and within limits. Every failure is a TransientError in words. */
export interface DocumentClient {
  get(url: string, asked: DocumentRequest): Promise<Document>
  /** Ends every connection, busy ones included. */
  close(): Promise<void>
}

const REDIRECTS_MAX = 5
/** From sending to the last byte: a host that drips is given up. */
const DEADLINE_MS = 30_000
const CONNECT_TIMEOUT_MS = 10_000
const QUICK_RETRY_DELAY_MS = 250
const HEADER_LENGTH_MAX = 1_000
/** A host that says "too many requests" without saying for how long. */
const PAUSE_MS_DEFAULT = 60_000
const CONNECTION_ERRORS: ReadonlySet<string> = new Set(['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'UND_ERR_SOCKET'])

/** Builds a client with its own connections and pauses. */
export function createDocumentClient(options: DocumentClientOptions): DocumentClient {
  const { clock, delayMs, allowPrivate, resolve = systemResolve, isPrivate = isPrivateAddress } = options
  const agent = new Agent({
    connect: { timeout: CONNECT_TIMEOUT_MS, lookup: allowPrivate ? lookup : publicLookup(resolve, isPrivate) },
    headersTimeout: DEADLINE_MS,
    bodyTimeout: DEADLINE_MS,
    connections: 2,
    keepAliveTimeout: 5_000,
  })
  const asking = new Asking(options, agent, new HostTurns({ clock, delayMs }))
  return { get: (url, asked) => asking.get(url, asked), close: () => agent.destroy() }
}

class Asking {
  readonly #options: DocumentClientOptions
  readonly #agent: Agent
  readonly #turns: HostTurns

  constructor(options: DocumentClientOptions, agent: Agent, turns: HostTurns) {
    this.#options = options
    this.#agent = agent
    this.#turns = turns
  }

  async get(text: string, asked: DocumentRequest): Promise<Document> {
    if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
      throw new TransientError(`${text.slice(0, 200)} is not a web address`)
    }
    const first: Call = { method: 'GET', url: new URL(text), body: null }
    try {
      return await this.#follow(first, asked)
    } catch (error) {
      if (error instanceof TransientError) throw error
      if (asked.signal.aborted) throw new TransientError(`${labelOf(first)} was stopped`, { cause: error })
      throw new TransientError(`${labelOf(first)} failed: ${describeError(error)}`, { cause: error })
    }
  }

  async #follow(first: Call, asked: DocumentRequest): Promise<Document> {
    let call = first
    for (let redirects = 0; ; redirects += 1) {
      const answer = await this.#askTwice(call, asked)
      if (!('location' in answer)) return answer
      if (redirects === REDIRECTS_MAX) {
        throw new TransientError(`${labelOf(first)} was redirected more than ${REDIRECTS_MAX} times`)
      }
      call = { ...call, url: redirectTarget(call, answer.location) }
    }
  }

  async #askTwice(call: Call, asked: DocumentRequest): Promise<Document | { location: string | undefined }> {
    const { clock, allowPrivate, isPrivate = isPrivateAddress } = this.#options
    const { signal, mayAsk } = asked
    // Before anything else: what may be asked is asked of the same host.
    if (!allowPrivate) refusePrivateLiteral(call.url, isPrivate)
    const delayMs = (await mayAsk?.(call.url)) ?? 0
    const deadline = { clock, timeoutMs: DEADLINE_MS, signal, what: labelOf(call) }
    const attempt = async () => {
      await this.#turns.take(call.url.host, signal, delayMs)
      return withDeadline(deadline, (inner) => this.#exchange(call, asked, inner))
    }
    try {
      return await attempt()
    } catch (error) {
      if (signal.aborted || !isConnectionError(error)) throw error
    }
    await clock.sleep(QUICK_RETRY_DELAY_MS, signal)
    return attempt()
  }

  async #exchange(
    call: Call,
    asked: DocumentRequest,
    signal: AbortSignal,
  ): Promise<Document | { location: string | undefined }> {
    const { known, meter, accept, bodyBytesMax } = asked
    const validators = known?.foundAt === call.url.href ? known : null
    meter.requests += 1
    const response = await request(call.url, {
      dispatcher: this.#agent,
      headers: {
        'user-agent': this.#options.userAgent,
        accept,
        'accept-encoding': 'gzip, br',
        ...(validators?.etag ? { 'if-none-match': validators.etag } : {}),
        ...(validators?.lastModified ? { 'if-modified-since': validators.lastModified } : {}),
      },
      signal,
    })
    const { statusCode: status, headers } = response
    const text = (name: string) => [headers[name] ?? ''].flat()[0] ?? ''
    const stream = response.body
    // What redirects and refusals have to say is in their headers.
    if (status === 304 || REDIRECT_STATUS.has(status) || status < 200 || status >= 300) await stream.dump()
    if (REDIRECT_STATUS.has(status)) return { location: text('location') || undefined }
    const found = {
      url: call.url.href,
      contentType: text('content-type'),
      etag: headerOrNull(text('etag')),
      lastModified: headerOrNull(text('last-modified')),
    }
    if (status === 304 && validators !== null) return { ...found, unchanged: true, body: Buffer.alloc(0) }
    if (status < 200 || status >= 300) throw this.#refusal(call, status, text('retry-after'))
    const contentEncoding = text('content-encoding').toLowerCase()
    const body = await readBytes({ stream, contentEncoding, bytesMax: bodyBytesMax, label: labelOf(call) })
    meter.bytes += body.length
    return { ...found, unchanged: false, body }
  }

  #refusal(call: Call, status: number, retryAfter: string): DocumentStatusError {
    const retryAfterMs = parseRetryAfter(retryAfter, this.#options.clock.wallMs())
    const pauseMs = status === 429 ? (retryAfterMs ?? PAUSE_MS_DEFAULT) : status === 503 ? retryAfterMs : undefined
    if (pauseMs !== undefined) this.#turns.pause(call.url.host, pauseMs)
    return new DocumentStatusError(`${labelOf(call)} answered ${status}`, status, pauseMs)
  }
}

/** A header that would have to be sent back is worth keeping only when it is one. */
function headerOrNull(text: string): string | null {
  return text !== '' && text.length <= HEADER_LENGTH_MAX && /^[\x20-\x7e]+$/.test(text) ? text : null
}

function isConnectionError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && CONNECTION_ERRORS.has(String(error.code))
}
