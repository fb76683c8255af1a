/** What the venue does wrong on purpose. Each kind is asked at one place and counts what it cost. */

export type HttpFaultMode = 'html' | '429' | '500' | '425' | 'empty' | 'hang' | 'reset'

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
  /** Connection numbers, or every one there is and will be. */
  readonly connections?: readonly number[] | 'all'
  /** Every frame about this token's market goes silent, on every connection. */
  readonly token?: string
}

export interface HttpReply {
  readonly status: number
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

export const HTTP_FAULT_MODES: readonly HttpFaultMode[] = ['html', '429', '500', '425', 'empty', 'hang', 'reset']

const RULES_MAX = 100

/** The faults in force. */
export class Faults {
  /** Requests answered wrongly so far. */
  httpHits = 0
  #rules: { fault: HttpFault; left: number }[] = []
  #frozenConnections: ReadonlySet<number> | 'all' = new Set()
  readonly #frozenTokens = new Set<string>()

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
    this.httpHits += 1
    return rule.fault
  }

  freeze(target: FreezeTarget): void {
    if (target.connections === 'all') this.#frozenConnections = 'all'
    else if (target.connections && this.#frozenConnections !== 'all') {
      this.#frozenConnections = new Set([...this.#frozenConnections, ...target.connections])
    }
    if (target.token !== undefined) this.#frozenTokens.add(target.token)
  }

  unfreeze(): void {
    this.#frozenConnections = new Set()
    this.#frozenTokens.clear()
  }

  /** A frozen connection lives and answers PING, and says nothing else. */
  freezesConnection(connection: number): boolean {
    return this.#frozenConnections === 'all' || this.#frozenConnections.has(connection)
  }

  freezesTokens(tokens: readonly string[]): boolean {
    return this.#frozenTokens.size > 0 && tokens.some((token) => this.#frozenTokens.has(token))
  }
}

const CDN_PAGE = '<html><head><title>error code: 520</title></head><body><h1>Error 520</h1></body></html>\n'

/** What a fault answers; `hang` and `reset` answer nothing. */
export function faultReply(fault: HttpFault): HttpReply | null {
  const json = { 'content-type': 'application/json' }
  const retry: Record<string, string> =
    fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) }
  switch (fault.mode) {
    case 'html':
      return { status: 520, body: CDN_PAGE, headers: { 'content-type': 'text/html; charset=UTF-8', ...retry } }
    case '429':
      return { status: 429, body: '{"error":"Too Many Requests"}', headers: { ...json, ...retry } }
    case '425':
      return { status: 425, body: '{"error":"matching engine is restarting"}', headers: { ...json, ...retry } }
    case '500':
      return { status: 500, body: '{"error":"error getting the orderbook"}', headers: { ...json, ...retry } }
    case 'empty':
      return { status: 200, body: '', headers: json }
    case 'hang':
    case 'reset':
      return null
  }
}
