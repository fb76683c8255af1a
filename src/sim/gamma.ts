import { readFileSync } from 'node:fs'
import type { Clock } from '../core/clock.ts'
import { EXIT, PermanentError } from '../core/errors.ts'
import type { Account } from './account.ts'
import type { HttpReply } from './faults.ts'
import { gammaMarket, gammaValue } from './gamma-market.ts'
import { keysetPage, type Listed, listRaw, offsetPage, type Page, select, textList } from './listing.ts'
import type { SimMarket } from './market.ts'
import type { World } from './world.ts'

export interface GammaParts {
  readonly world: World
  readonly account: Account
  readonly clock: Clock
  /** The venue's own time, which may be wrong. Unix ms. */
  venueMs(): number
  /** Markets served besides the simulated ones. */
  readonly extra: readonly Listed[]
}

/** `wholePage`: everything at once, whatever limit was asked for. */
export type GammaHandler = (path: string, query: URLSearchParams, wholePage?: boolean) => HttpReply

const URL_CHARS_MAX = 8_192
const OFFSET_MAX = 10_000
const DEPRECATED = {
  deprecation: 'true',
  sunset: 'Fri, 01 May 2026 00:00:00 GMT',
  warning: '299 - "Deprecated, use /markets/keyset"',
  'cache-control': 'public, max-age=300',
}

/** Answers everything under Gamma's base URL. */
export function createGamma(parts: GammaParts): GammaHandler {
  const simulated: Listed[] = []
  const listing = (): Listed[] => {
    for (let index = simulated.length; index < parts.world.markets.length; index += 1) {
      const market = parts.world.markets[index]
      if (market) simulated.push(listMarket(market, parts.venueMs))
    }
    return parts.extra.length === 0 ? simulated : [...simulated, ...parts.extra]
  }
  const served = (items: readonly Listed[]): string[] => {
    return items.map((listed) => {
      notePrices(listed, parts.account, parts.clock.wallUs())
      return listed.json()
    })
  }

  return (path, query, wholePage = false) => {
    if (query.toString().length > URL_CHARS_MAX) return { status: 414, body: '<html>414 URI Too Long</html>' }
    if (path === '/markets/keyset' || path === '/events/keyset') {
      if (query.has('offset')) return invalid('offset is not allowed on keyset endpoints')
      const page = keysetPage(select(listing(), query), query, wholePage ? Number.POSITIVE_INFINITY : undefined)
      if (page === null) return invalid('invalid cursor')
      return path === '/markets/keyset'
        ? envelope('markets', served(page.items), page)
        : envelope('events', events(page.items), page)
    }
    if (path === '/markets' || path === '/events') {
      if (Number(query.get('offset') ?? 0) > OFFSET_MAX) return invalid('offset too large')
      const items = offsetPage(select(listing(), query), query)
      const texts = path === '/markets' ? served(items) : events(items)
      return { status: 200, body: `[${texts.join(',')}]`, headers: DEPRECATED }
    }
    return one(path, listing(), served)
  }
}

function one(path: string, all: readonly Listed[], served: (items: readonly Listed[]) => string[]): HttpReply {
  const bySlug = /^\/markets\/slug\/([^/]+)$/.exec(path)?.[1]
  const byId = /^\/markets\/(\d+)$/.exec(path)?.[1]
  const found = all.find((listed) => listed.slug === bySlug || listed.id === byId)
  const [text] = found && (bySlug ?? byId) !== undefined ? served([found]) : []
  return text === undefined
    ? { status: 404, body: '{"type":"not found error","error":"id not found"}' }
    : { status: 200, body: text }
}

function envelope(name: string, texts: readonly string[], page: Page): HttpReply {
  const cursor = page.nextCursor === null ? '' : `,"next_cursor":${JSON.stringify(page.nextCursor)}`
  return { status: 200, body: `{"${name}":[${texts.join(',')}]${cursor}}` }
}

function events(items: readonly Listed[]): string[] {
  return items.map((listed) => {
    const { events: own, ...market } = listed.object()
    const [event] = Array.isArray(own) ? own : []
    return JSON.stringify({ ...event, markets: [market] })
  })
}

function invalid(error: string): HttpReply {
  return { status: 422, body: JSON.stringify({ type: 'validation error', error }) }
}

function listMarket(market: SimMarket, venueMs: () => number): Listed {
  const object = () => gammaMarket(market, venueMs())
  return {
    id: market.id,
    conditionId: market.conditionId,
    questionId: market.questionId,
    slug: market.slug,
    tokens: market.tokens,
    value: (key) => gammaValue(market, key),
    object,
    json: () => JSON.stringify(object()),
  }
}

/** Keeps for the account what a client could have read: price and volume of each token. */
function notePrices(listed: Listed, account: Account, atUs: number): void {
  const market = listed.object()
  const volume = market['volume24hr']
  const prices = textList(market['outcomePrices'])
  listed.tokens.forEach((token, index) => {
    const price = prices[index]
    if (price === undefined) return
    account.prices.push({ atUs, token, price, volume24h: typeof volume === 'number' ? String(volume) : null })
  })
}

/** Markets from a file, as raw text: JSON lines, one JSON object, or an array of them. */
export function loadGammaFile(path: string): Listed[] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new PermanentError(`cannot read ${path}`, { cause, exitCode: EXIT.usage })
  }
  return rawObjects(text, path).map(({ raw, object }) => listRaw(raw, object))
}

type JsonObject = Record<string, unknown>

function rawObjects(text: string, path: string): { raw: string; object: JsonObject }[] {
  const whole = tryJson(text)
  if (Array.isArray(whole)) return whole.map((object: JsonObject) => ({ raw: JSON.stringify(object), object }))
  if (whole !== undefined) return [{ raw: text.trim(), object: whole as JsonObject }]
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return lines.map((raw, index) => {
    const object = tryJson(raw)
    if (typeof object === 'object' && object !== null) return { raw, object: object as JsonObject }
    throw new PermanentError(`${path}: line ${index + 1} is not a JSON object`, { exitCode: EXIT.usage })
  })
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
