/** What the tests of this folder share: a tape and stores in memory, small servers, made-up markets. No tests here. */
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../../core/clock.ts'
import { type CollectorContext, emptyStreamStatus, type StreamContext } from '../../core/collector.ts'
import type { ConditionId, TokenId } from '../../core/ids.ts'
import type { LogContext, Logger } from '../../core/log.ts'
import type { Market, OrderBookSnapshot, PriceSnapshot, Resolution } from '../../core/market.ts'
import type { DeadLetter, TrackedToken } from '../../core/ports.ts'
import { seededRandom } from '../../core/random.ts'
import type { MarkKind, TapeAppender } from '../../core/tape.ts'
import { createHttpClient, type HttpClient } from '../../runtime/http.ts'
import { createRateLimiter } from '../../runtime/rate-limit.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { parseGammaMarket } from './market-parser.ts'

export const SAMPLES = fileURLToPath(new URL('../../../../shared/polymarket/samples/', import.meta.url))
/** For the `skip` option of tests that read recordings. */
export const NO_SAMPLES = existsSync(SAMPLES) ? false : 'the recordings are not here'

export function sample(path: string): string {
  return readFileSync(SAMPLES + path, 'utf8')
}

export interface LogLine {
  readonly level: string
  readonly message: string
  readonly context: LogContext
}

export function memoryLog(): Logger & { readonly lines: LogLine[] } {
  const lines: LogLine[] = []
  const at = (level: string) => (context: LogContext, message: string) => {
    lines.push({ level, message, context })
  }
  const log = {
    lines,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
    child: () => log,
  }
  return log
}

export function collectorContext(clock: Clock = systemClock()) {
  const controller = new AbortController()
  const log = memoryLog()
  const context: CollectorContext = { signal: controller.signal, clock, log }
  return { context, log, abort: () => controller.abort() }
}

export function streamContext(clock: Clock = systemClock()) {
  const { context, log, abort } = collectorContext(clock)
  const stream: StreamContext = { ...context, status: emptyStreamStatus() }
  return { context: stream, status: stream.status, log, abort }
}

/** Resolves when `ask` says true, looking whenever `poke` is called and every 5 ms; rejects after 10 s. */
export async function until(what: string, ask: () => boolean, withinMs = 10_000): Promise<void> {
  const endMs = performance.now() + withinMs
  while (!ask()) {
    if (performance.now() > endMs) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export interface TapeLine {
  readonly connection: string
  readonly mark: MarkKind | null
  readonly text: string
  readonly detail: Readonly<Record<string, unknown>>
}

/** A tape in memory that can be told to refuse. */
export class MemoryTape implements TapeAppender {
  readonly lines: TapeLine[] = []
  #accepting = true
  #waiting: (() => void)[] = []

  get accepting(): boolean {
    return this.#accepting
  }

  set accepting(value: boolean) {
    this.#accepting = value
    if (!value) return
    for (const wake of this.#waiting) wake()
    this.#waiting = []
  }

  append(connection: string, _atUs: number, payload: Buffer): boolean {
    if (!this.#accepting) return false
    this.lines.push({ connection, mark: null, text: payload.toString('utf8'), detail: {} })
    return true
  }

  mark(connection: string, _atUs: number, mark: MarkKind, detail: Readonly<Record<string, unknown>>): boolean {
    if (!this.#accepting) return false
    this.lines.push({ connection, mark, text: '', detail })
    return true
  }

  flushed(): Promise<void> {
    return Promise.resolve()
  }

  untilAccepting(signal: AbortSignal): Promise<void> {
    if (this.#accepting || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      signal.addEventListener('abort', () => resolve())
    })
  }

  marks(kind: MarkKind): readonly TapeLine[] {
    return this.lines.filter((line) => line.mark === kind)
  }

  frames(): readonly TapeLine[] {
    return this.lines.filter((line) => line.mark === null)
  }
}

/** Every store that a collector wants, in memory. `failures` makes the next calls fail. */
export class MemoryStore {
  failures = 0
  calls = 0
  readonly markets = new Map<ConditionId, Market>()
  readonly prices: PriceSnapshot[] = []
  readonly books = new Map<TokenId, OrderBookSnapshot>()
  readonly resolutions = new Map<ConditionId, Resolution>()
  readonly deadLetters: DeadLetter[] = []
  readonly checked: ConditionId[] = []
  unresolved: ConditionId[] = []
  tracked: TrackedToken[] = []

  async saveMarkets(markets: readonly Market[]): Promise<number> {
    this.#work()
    for (const market of markets) this.markets.set(market.conditionId, market)
    return markets.length
  }

  async loadTrackedTokens(): Promise<readonly TrackedToken[]> {
    this.#work()
    return this.tracked
  }

  async savePrices(prices: readonly PriceSnapshot[]): Promise<number> {
    this.#work()
    this.prices.push(...prices)
    return prices.length
  }

  async saveOrderBooks(books: readonly OrderBookSnapshot[]): Promise<number> {
    this.#work()
    for (const book of books) this.books.set(book.tokenId, book)
    return books.length
  }

  async loadUnresolved(): Promise<readonly ConditionId[]> {
    this.#work()
    return this.unresolved
  }

  async markChecked(conditionIds: readonly ConditionId[]): Promise<void> {
    this.#work()
    this.checked.push(...conditionIds)
  }

  async saveResolutions(resolutions: readonly Resolution[], markets: readonly Market[]): Promise<number> {
    this.#work()
    const fresh = resolutions.filter((resolution) => !this.resolutions.has(resolution.conditionId))
    for (const resolution of fresh) this.resolutions.set(resolution.conditionId, resolution)
    for (const market of markets) this.markets.set(market.conditionId, market)
    return fresh.length
  }

  async saveDeadLetters(letters: readonly DeadLetter[]): Promise<void> {
    this.deadLetters.push(...letters)
  }

  #work(): void {
    this.calls += 1
    if (this.failures === 0) return
    this.failures -= 1
    throw new Error('the database is away')
  }
}

export interface Reply {
  readonly status?: number
  readonly type?: string
  readonly body: unknown
}

export interface Request {
  readonly path: string
  readonly query: URLSearchParams
  readonly url: string
  readonly body: unknown
}

/** A server on loopback that answers JSON and remembers what it was asked. */
export async function jsonServer(answer: (request: Request) => Reply) {
  const requests: Request[] = []
  const server = createServer(async (incoming, outgoing) => {
    const url = new URL(incoming.url ?? '/', 'http://localhost')
    const text = await bodyOf(incoming)
    const body: unknown = text === '' ? null : JSON.parse(text)
    const request = { path: url.pathname, query: url.searchParams, url: incoming.url ?? '', body }
    requests.push(request)
    const reply = answer(request)
    const sent = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body)
    outgoing.writeHead(reply.status ?? 200, { 'content-type': reply.type ?? 'application/json' })
    outgoing.end(sent)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const close = () => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  }
  return { url: `http://127.0.0.1:${address.port}`, requests, close }
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

/** The real client without limits. */
export function testHttp(clock: Clock = systemClock()): HttpClient {
  const limiter = createRateLimiter({ clock, rules: [] })
  return createHttpClient({ clock, limiter, quickRetryDelayMs: 1, deadlineMs: 10_000 })
}

export function conditionId(number: number): ConditionId {
  return `0x${number.toString(16).padStart(64, '0')}` as ConditionId
}

/** Long enough to be damaged by floating point. */
export function tokenId(market: number, outcome: number): TokenId {
  return `7269079890358839226900173100766242592035390849888071${String(market).padStart(8, '0')}${outcome}` as TokenId
}

/** A market as Gamma writes one; `undefined` takes a key away. */
export function gammaMarket(number: number, changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const object: Record<string, unknown> = {
    id: String(number),
    question: `Will it happen, number ${number}?`,
    conditionId: conditionId(number),
    slug: `will-it-happen-${number}`,
    outcomes: '["Yes", "No"]',
    outcomePrices: '["0.25", "0.75"]',
    clobTokenIds: JSON.stringify([tokenId(number, 0), tokenId(number, 1)]),
    active: true,
    closed: false,
    archived: false,
    acceptingOrders: true,
    negRisk: false,
    orderPriceMinTickSize: 0.01,
    orderMinSize: 5,
    volume: '1234.5',
    volume24hr: 1000 - number,
    endDate: '2027-01-01T00:00:00Z',
    ...changes,
  }
  for (const [key, value] of Object.entries(object)) if (value === undefined) delete object[key]
  return object
}

export function market(number: number, changes: Readonly<Record<string, unknown>> = {}): Market {
  const parsed = parseGammaMarket(gammaMarket(number, changes))
  if (!parsed.ok) throw new Error(parsed.reason)
  return parsed.market
}

export const testRandom = () => seededRandom(7)
