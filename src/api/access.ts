import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../core/clock.ts'
import { isAllowedHost, isSameOrigin } from './host.ts'
import { Problem, sendProblem } from './problem.ts'

/** Marks a route that answers without a token. */
export const OPEN: FastifyContextConfig & { open?: boolean } = { open: true }

export interface AccessOptions {
  /** null: everybody who reaches the listener may look. */
  readonly token: string | null
  readonly allowedHosts: readonly string[]
  readonly clock: Clock
}

const COOKIE = 'tapekeeper_session'
const SESSION_MS = 7 * 86_400_000
const SESSIONS_MAX = 100
const URL_LENGTH_MAX = 2_048
/** Wrong tokens of one address in a minute, and of all addresses. */
const FAILURES_MAX = 10
const FAILURES_OF_ALL_MAX = 100
const FAILURES_WINDOW_MS = 60_000
const ADDRESSES_MAX = 1_000

/** Who may ask what: hosts, origins, tokens and the sessions of people who signed in. */
export class Access {
  readonly #options: AccessOptions
  /** By the hash of what the cookie holds: when it ends, on the monotonic clock. */
  readonly #sessions = new Map<string, number>()
  readonly #failures: FailureCounter

  constructor(options: AccessOptions) {
    this.#options = options
    this.#failures = new FailureCounter(options.clock)
  }

  get tokenRequired(): boolean {
    return this.#options.token !== null
  }

  /** Looks at every request before anything else does, unknown paths included. */
  guard(app: FastifyInstance): void {
    app.addHook('onRequest', async (request, reply) => {
      const problem = this.#objection(request)
      if (problem === null) return
      if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="tapekeeper"')
      return sendProblem(reply, problem)
    })
  }

  /** By bearer or by cookie; true when no token is set. */
  isSignedIn(request: FastifyRequest): boolean {
    if (this.#options.token === null) return true
    const bearer = bearerOf(request)
    if (bearer !== null) return this.#matches(bearer)
    return this.#hasSession(request)
  }

  /** Starts a session when the token is right. Throws Problem when it is not, or too many were wrong. */
  signIn(token: string, request: FastifyRequest, reply: FastifyReply): void {
    if (this.#options.token === null) throw new Problem(409, 'no token is set, so there is nothing to sign in to')
    this.#refuseTooMany(request)
    if (!this.#matches(token)) {
      this.#failures.add(request.ip)
      throw new Problem(401, 'this is not the token', 'token')
    }
    const secret = randomBytes(32).toString('base64url')
    if (this.#sessions.size >= SESSIONS_MAX) this.#sessions.delete(this.#sessions.keys().next().value ?? '')
    this.#sessions.set(hashOf(secret), this.#options.clock.monotonicMs() + SESSION_MS)
    reply.header('set-cookie', cookieOf(secret, SESSION_MS / 1000))
  }

  signOut(request: FastifyRequest, reply: FastifyReply): void {
    const secret = cookieValue(request)
    if (secret !== null) this.#sessions.delete(hashOf(secret))
    reply.header('set-cookie', cookieOf('', 0))
  }

  /** What is wrong with a request; null when it may go on. */
  #objection(request: FastifyRequest): Problem | null {
    const { headers, method } = request
    if (hasTwoHosts(request) || !isAllowedHost(headers.host, this.#options.allowedHosts)) {
      return new Problem(403, 'this name is not one of mine: see api.allowed_hosts', 'Host')
    }
    if ((request.raw.url?.length ?? 0) > URL_LENGTH_MAX) {
      return new Problem(414, `an address has ${URL_LENGTH_MAX} characters at most`)
    }
    if (!isSameOrigin({ origin: headers.origin, host: headers.host, site: siteOf(request) })) {
      return new Problem(403, 'another page may not ask this', 'Origin')
    }
    // Another page's form cannot say that it sends JSON, and another page's DELETE is asked for beforehand.
    const bodyless = method === 'GET' || method === 'HEAD' || (method === 'DELETE' && !hasBody(request))
    if (!bodyless && !isJson(headers['content-type'])) {
      return new Problem(415, 'the body must be application/json', 'Content-Type')
    }
    const isOpen = (request.routeOptions.config as { open?: boolean } | undefined)?.open === true
    return isOpen ? null : this.#objectionToStranger(request)
  }

  #objectionToStranger(request: FastifyRequest): Problem | null {
    if (this.#options.token === null) return null
    const bearer = bearerOf(request)
    if (bearer === null) {
      return this.#hasSession(request) ? null : new Problem(401, 'a token is needed: Authorization: Bearer …')
    }
    if (this.#failures.isTooMany(request.ip)) return new Problem(429, 'too many wrong tokens: wait a minute')
    if (this.#matches(bearer)) return null
    this.#failures.add(request.ip)
    return new Problem(401, 'this is not the token')
  }

  #refuseTooMany(request: FastifyRequest): void {
    if (this.#failures.isTooMany(request.ip)) throw new Problem(429, 'too many wrong tokens: wait a minute')
  }

  /** In constant time: hashes have one length, whatever was sent. */
  #matches(given: string): boolean {
    return timingSafeEqual(digest(given), digest(this.#options.token ?? ''))
  }

  #hasSession(request: FastifyRequest): boolean {
    const secret = cookieValue(request)
    if (secret === null) return false
    const key = hashOf(secret)
    const endMs = this.#sessions.get(key)
    if (endMs === undefined) return false
    if (endMs > this.#options.clock.monotonicMs()) return true
    this.#sessions.delete(key)
    return false
  }
}

/** Counts wrong tokens by address, a minute at a time. */
class FailureCounter {
  readonly #clock: Clock
  readonly #counts = new Map<string, number>()
  #all = 0
  #sinceMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(address: string): void {
    this.#turn()
    this.#all += 1
    if (this.#counts.size < ADDRESSES_MAX) this.#counts.set(address, (this.#counts.get(address) ?? 0) + 1)
  }

  isTooMany(address: string): boolean {
    this.#turn()
    return this.#all >= FAILURES_OF_ALL_MAX || (this.#counts.get(address) ?? 0) >= FAILURES_MAX
  }

  #turn(): void {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#sinceMs < FAILURES_WINDOW_MS) return
    this.#sinceMs = nowMs
    this.#all = 0
    this.#counts.clear()
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function hashOf(secret: string): string {
  return digest(secret).toString('base64url')
}

function bearerOf(request: FastifyRequest): string | null {
  const match = /^Bearer +(\S{1,4096})$/i.exec(request.headers.authorization ?? '')
  return match?.[1] ?? null
}

function cookieValue(request: FastifyRequest): string | null {
  const match = new RegExp(`(?:^|;\\s*)${COOKIE}=([\\w-]{1,100})(?:;|$)`).exec(request.headers.cookie ?? '')
  return match?.[1] ?? null
}

function cookieOf(value: string, seconds: number): string {
  return `${COOKIE}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict`
}

/** Of two, the one that is looked at here need not be the one that somebody before us looked at. */
function hasTwoHosts({ raw }: FastifyRequest): boolean {
  return raw.rawHeaders.filter((text, at) => at % 2 === 0 && text.toLowerCase() === 'host').length > 1
}

function hasBody(request: FastifyRequest): boolean {
  const { headers } = request
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function isJson(type: string | undefined): boolean {
  return /^application\/json\s*(?:;|$)/i.test(type ?? '')
}

function siteOf(request: FastifyRequest): unknown {
  // A link from elsewhere may open the page itself: that only shows what its own scripts then ask for.
  const isNavigation = request.headers['sec-fetch-mode'] === 'navigate' && request.method === 'GET'
  return isNavigation ? undefined : request.headers['sec-fetch-site']
}
