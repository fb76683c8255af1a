import { Agent, request } from 'undici'
import type { Clock } from '../core/clock.ts'
import { describeError, TransientError } from '../core/errors.ts'
import { withDeadline } from './abort.ts'
import { type Answer, type Call, HttpStatusError, isRedirect, labelOf, redirectTarget, toValue } from './http-answer.ts'
import { readBody } from './http-body.ts'
import { createHttpCounters, type HttpHostStats } from './http-counters.ts'
import type { RateLimiter } from './rate-limit.ts'
import { parseRetryAfter } from './retry-after.ts'

export { HttpStatusError } from './http-answer.ts'

export type QueryValue = string | number | boolean | readonly (string | number)[] | undefined

export interface JsonRequestOptions {
  readonly signal: AbortSignal
  /** Arrays repeat the name; undefined leaves it out. */
  readonly query?: Readonly<Record<string, QueryValue>>
  readonly headers?: Readonly<Record<string, string>>
  readonly bodyBytesMax?: number
  /** For sending and receiving together, each time it is tried, ms; waiting for a turn does not count. */
  readonly deadlineMs?: number
}

export interface HttpClientOptions {
  readonly clock: Clock
  readonly limiter: RateLimiter
  readonly userAgent?: string
  readonly connectTimeoutMs?: number
  readonly headersTimeoutMs?: number
  readonly bodyTimeoutMs?: number
  readonly deadlineMs?: number
  readonly bodyBytesMax?: number
  readonly connectionsPerHost?: number
  readonly quickRetryDelayMs?: number
}

/** JSON over HTTP with one policy for every source. Failures are TransientError, or HttpStatusError for other 4xx. */
export interface HttpClient {
  getJson(url: string | URL, options: JsonRequestOptions): Promise<unknown>
  postJson(url: string | URL, body: unknown, options: JsonRequestOptions): Promise<unknown>
  /** Counters by host since start. */
  stats(): Readonly<Record<string, HttpHostStats>>
  /** Ends every connection, busy ones included. */
  close(): Promise<void>
}

/** Generous on purpose: the venue's gateway holds requests back before it refuses them. */
const DEFAULTS = {
  userAgent: 'tapekeeper',
  connectTimeoutMs: 10_000,
  headersTimeoutMs: 60_000,
  bodyTimeoutMs: 30_000,
  deadlineMs: 120_000,
  bodyBytesMax: 32 * 1024 * 1024,
  connectionsPerHost: 16,
  quickRetryDelayMs: 250,
}

const REDIRECTS_MAX = 3
/** A host that says "too many requests" without saying for how long is left alone this long. */
const PAUSE_MS_DEFAULT = 1_000
/** A pause up to this long is waited out; beyond it requests fail at once and say when to come back. */
const PAUSE_WAIT_MS_MAX = 10_000

/** Errors of the connection itself: the request may be sent once more. */
const CONNECTION_ERRORS: ReadonlySet<string> = new Set(['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'UND_ERR_SOCKET'])

/** Builds a client with its own connections, counters and pauses. */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const transport = new Transport({ ...DEFAULTS, ...options })
  return {
    getJson: async (url, { query, ...rest }) =>
      transport.run({ method: 'GET', url: withQuery(url, query), body: null }, rest),
    postJson: async (url, body, { query, ...rest }) =>
      transport.run({ method: 'POST', url: withQuery(url, query), body: JSON.stringify(body) }, rest),
    stats: () => transport.counters.snapshot(),
    close: () => transport.agent.destroy(),
  }
}

type Config = typeof DEFAULTS & HttpClientOptions
type CallOptions = Omit<JsonRequestOptions, 'query'>

/** The connections, pauses and counters of one client. */
class Transport {
  readonly counters = createHttpCounters()
  readonly agent: Agent
  readonly #config: Config
  /** On the monotonic clock, by host. */
  readonly #pausedUntilMs = new Map<string, number>()

  constructor(config: Config) {
    this.#config = config
    this.agent = new Agent({
      connect: { timeout: config.connectTimeoutMs },
      headersTimeout: config.headersTimeoutMs,
      bodyTimeout: config.bodyTimeoutMs,
      connections: config.connectionsPerHost,
      keepAliveTimeout: 15_000,
    })
  }

  async run(call: Call, options: CallOptions): Promise<unknown> {
    try {
      return await this.#follow(call, options)
    } catch (error) {
      this.counters.error(call.url.host)
      if (error instanceof HttpStatusError || error instanceof TransientError) throw error
      if (options.signal.aborted) throw new TransientError(`${labelOf(call)} was stopped`, { cause: error })
      throw new TransientError(`${labelOf(call)} failed: ${describeError(error)}`, { cause: error })
    }
  }

  async #follow(first: Call, options: CallOptions): Promise<unknown> {
    let call = first
    for (let redirects = 0; ; redirects += 1) {
      const answer = await this.#exchangeWithRetry(call, options)
      this.#noteRefusal(call, answer)
      if (!isRedirect(answer)) return toValue(call, answer)
      if (redirects === REDIRECTS_MAX) throw new TransientError(`${labelOf(first)} was redirected too often`)
      call = { ...call, url: redirectTarget(call, answer.location) }
    }
  }

  async #exchangeWithRetry(call: Call, options: CallOptions): Promise<Answer> {
    const { clock, quickRetryDelayMs, deadlineMs } = this.#config
    const { signal } = options
    const deadline = { clock, timeoutMs: options.deadlineMs ?? deadlineMs, signal, what: labelOf(call) }
    const attempt = async () => {
      await this.#untilAllowed(call.url, signal)
      return withDeadline(deadline, (inner) => this.#exchange(call, options, inner))
    }
    try {
      return await attempt()
    } catch (error) {
      if (signal.aborted || !isConnectionError(error)) throw error
      this.counters.retry(call.url.host)
    }
    await clock.sleep(quickRetryDelayMs, signal)
    return attempt()
  }

  async #untilAllowed(url: URL, signal: AbortSignal): Promise<void> {
    const { clock, limiter } = this.#config
    const pauseMs = Math.max(0, (this.#pausedUntilMs.get(url.host) ?? 0) - clock.monotonicMs())
    if (pauseMs > PAUSE_WAIT_MS_MAX) {
      const text = `${url.host} asked us to wait ${Math.ceil(pauseMs / 1000)} s more`
      throw new TransientError(text, { retryAfterMs: pauseMs, rateLimited: true })
    }
    if (pauseMs > 0) await clock.sleep(pauseMs, signal)
    this.counters.throttled(url.host, pauseMs + (await limiter.take(url, signal)))
    signal.throwIfAborted()
  }

  async #exchange(call: Call, options: CallOptions, signal: AbortSignal): Promise<Answer> {
    const { clock, userAgent, bodyBytesMax } = this.#config
    const { host } = call.url
    this.counters.request(host)
    const response = await request(call.url, {
      dispatcher: this.agent,
      method: call.method,
      headers: { ...headersOf(call, userAgent), ...options.headers },
      body: call.body,
      signal,
    })
    const text = (name: string) => headerText(response.headers[name])
    const { body, bytes } = await readBody({
      stream: response.body,
      contentType: text('content-type'),
      contentEncoding: text('content-encoding').toLowerCase(),
      bytesMax: options.bodyBytesMax ?? bodyBytesMax,
      label: labelOf(call),
    })
    this.counters.answer(host, response.statusCode, bytes)
    const retryAfterMs = parseRetryAfter(text('retry-after'), clock.wallMs())
    return { status: response.statusCode, retryAfterMs, location: text('location') || undefined, body }
  }

  /** A host that refuses one request for a while would refuse the others too. */
  #noteRefusal(call: Call, { status, retryAfterMs }: Answer): void {
    const pauseMs = status === 429 ? (retryAfterMs ?? PAUSE_MS_DEFAULT) : status === 503 ? retryAfterMs : undefined
    if (pauseMs === undefined) return
    const { host } = call.url
    const untilMs = this.#config.clock.monotonicMs() + pauseMs
    this.#pausedUntilMs.set(host, Math.max(untilMs, this.#pausedUntilMs.get(host) ?? 0))
  }
}

function headersOf(call: Call, userAgent: string): Record<string, string> {
  const headers: Record<string, string> = {
    'user-agent': userAgent,
    accept: 'application/json',
    'accept-encoding': 'gzip, br',
  }
  if (call.body !== null) headers['content-type'] = 'application/json'
  return headers
}

function withQuery(url: string | URL, query: Readonly<Record<string, QueryValue>> = {}): URL {
  const target = new URL(String(url))
  for (const [name, value] of Object.entries(query)) {
    const values = Array.isArray(value) ? value : value === undefined ? [] : [value]
    for (const item of values) target.searchParams.append(name, String(item))
  }
  return target
}

function headerText(header: string | string[] | undefined): string {
  return (Array.isArray(header) ? header[0] : header) ?? ''
}

function isConnectionError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && CONNECTION_ERRORS.has(String(error.code))
}
