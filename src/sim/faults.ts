import { type DataLimits, dataLimits, NO_LIMITS } from './data-limits.ts'

/** What the venue does wrong on purpose. Each kind is asked at one place and counts what it cost. */

import type { Random } from '../core/random.ts'
import { FrameFaults } from './frame-faults.ts'

export const HTTP_FAULT_MODES = [
  'html',
  '425',
  '429',
  '500',
  '502',
  '503',
  /** A good status with nothing behind it. */
  'empty',
  /** A well-formed answer that lists nothing and has no next page. */
  'empty_page',
  /** Everything on one page, whatever limit was asked for. */
  'whole_page',
  'hang',
  'reset',
] as const
export type HttpFaultMode = (typeof HTTP_FAULT_MODES)[number]

export interface HttpFault {
  /** Paths that start with this are hit, for example `/gamma/markets`. */
  readonly path: string
  readonly mode: HttpFaultMode
  /** Seconds in the Retry-After header. */
  readonly retryAfter?: number
  /** How many requests are hit; 0 or nothing: all until cleared. */
  readonly count?: number
}

export interface FreezeTarget {
  /** Connection numbers, every one there is and will be, or those there are now (with a token: that have it). */
  readonly connections?: readonly number[] | 'all' | 'current'
  /**
   * Every frame about this token's market goes silent. With `connections` on those alone, where subscribing again does
   * not help; otherwise on every connection, while a new subscription still gets its book.
   */
  readonly token?: string
}

/** The faults in force and what they have cost. */
export interface FaultCounts {
  /** Requests answered wrongly, by mode. */
  readonly http: Readonly<Partial<Record<HttpFaultMode, number>>>
  readonly dropped: number
  readonly repeated: number
  readonly swapped: number
  /** How far the venue's clock is ahead, seconds. */
  readonly clockSkewSeconds: number
}

export interface HttpReply {
  readonly status: number
  readonly body: string | Buffer
  /** The body comes a few bytes at a time, with so much time between them, ms. */
  readonly dripMs?: number
  readonly headers?: Readonly<Record<string, string>>
}

const RULES_MAX = 100

/** The faults in force. */
export class Faults {
  readonly frames: FrameFaults
  clockSkewSeconds = 0
  readonly #httpHits: Partial<Record<HttpFaultMode, number>> = {}
  #rules: { fault: HttpFault; left: number }[] = []
  #frozenConnections: ReadonlySet<number> | 'all' = new Set()
  readonly #frozenTokens = new Set<string>()
  /** Of the Data API. */
  data: DataLimits = NO_LIMITS
  /** `<connection>/<token>`. */
  readonly #frozenPairs = new Set<string>()

  constructor(random: Random) {
    this.frames = new FrameFaults(random)
  }

  get counts(): FaultCounts {
    return { http: this.#httpHits, ...this.frames.counts, clockSkewSeconds: this.clockSkewSeconds }
  }

  /** Requests answered wrongly so far. */
  get httpHits(): number {
    return Object.values(this.#httpHits).reduce((sum, hits) => sum + hits, 0)
  }

  addHttp(fault: HttpFault): void {
    if (this.#rules.length >= RULES_MAX) this.#rules.shift()
    this.#rules.push({ fault, left: fault.count || Number.POSITIVE_INFINITY })
  }

  clearHttp(): void {
    this.#rules = []
  }

  /** The fault that hits this request, used up by one; null when it is served well. */
  takeHttp(path: string): HttpFault | null {
    const rule = this.#rules.find((one) => path.startsWith(one.fault.path))
    if (rule === undefined) return null
    rule.left -= 1
    if (rule.left <= 0) this.#rules = this.#rules.filter((one) => one !== rule)
    const { mode } = rule.fault
    this.#httpHits[mode] = (this.#httpHits[mode] ?? 0) + 1
    return rule.fault
  }

  /** False when these are no limits. */
  limitData(changes: unknown): boolean {
    const next = dataLimits(this.data, changes)
    if (next !== null) this.data = next
    return next !== null
  }

  /** `connections` as numbers, or all that there are and will be; undefined with a token: on every connection. */
  freeze(token: string | undefined, connections: readonly number[] | 'all' | undefined): void {
    if (token !== undefined && (connections === undefined || connections === 'all')) this.#frozenTokens.add(token)
    else if (token !== undefined) for (const one of connections ?? []) this.#frozenPairs.add(`${one}/${token}`)
    else if (connections === 'all') this.#frozenConnections = 'all'
    else if (connections !== undefined && this.#frozenConnections !== 'all') {
      this.#frozenConnections = new Set([...this.#frozenConnections, ...connections])
    }
  }

  unfreeze(): void {
    this.#frozenConnections = new Set()
    this.#frozenTokens.clear()
    this.#frozenPairs.clear()
  }

  /** A frozen connection lives and answers PING, and says nothing else. */
  freezesConnection(connection: number): boolean {
    return this.#frozenConnections === 'all' || this.#frozenConnections.has(connection)
  }

  /** Whether this connection is told nothing of these tokens; `dump`: not even their books when it subscribes. */
  freezesTokens(connection: number, tokens: readonly string[], what: 'frame' | 'dump' = 'frame'): boolean {
    if (this.#frozenPairs.size > 0 && tokens.some((token) => this.#frozenPairs.has(`${connection}/${token}`)))
      return true
    if (what === 'dump' || this.#frozenTokens.size === 0) return false
    return tokens.some((token) => this.#frozenTokens.has(token))
  }
}

const CDN_PAGE = '<html><head><title>error code: 520</title></head><body><h1>Error 520</h1></body></html>\n'

const ERRORS = {
  '425': 'matching engine is restarting',
  '429': 'Too Many Requests',
  '500': 'error getting the orderbook',
  '502': 'bad gateway',
  '503': 'trading disabled',
}

/** What a fault answers; null where there is no answer or the right one in a wrong form. */
export function faultReply(fault: HttpFault, path: string): HttpReply | null {
  const json = { 'content-type': 'application/json' }
  const retry: Record<string, string> =
    fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) }
  switch (fault.mode) {
    case 'html':
      return { status: 520, body: CDN_PAGE, headers: { 'content-type': 'text/html; charset=UTF-8', ...retry } }
    case '425':
    case '429':
    case '500':
    case '502':
    case '503': {
      const body = JSON.stringify({ error: ERRORS[fault.mode] })
      return { status: Number(fault.mode), body, headers: { ...json, ...retry } }
    }
    case 'empty':
      return { status: 200, body: '', headers: json }
    case 'empty_page':
      return { status: 200, body: emptyPage(path), headers: json }
    case 'whole_page':
    case 'hang':
    case 'reset':
      return null
  }
}

function emptyPage(path: string): string {
  const listing = /^\/gamma\/(markets|events)\/keyset$/.exec(path)?.[1]
  if (listing !== undefined) return `{"${listing}":[]}`
  if (/^\/clob\/[a-z-]*markets$/.test(path)) return '{"limit":100,"count":0,"next_cursor":"LTE=","data":[]}'
  if (path.startsWith('/data/v2/')) {
    return '{"data":[],"pagination":{"limit":100,"offset":0,"has_more":false,"next_cursor":null}}'
  }
  return '[]'
}
