import type { Clock } from '../core/clock.ts'
import { BoundedList } from './account.ts'
import type { HttpReply } from './faults.ts'

/** What one symbol's answers lack or get wrong; transport faults are those of every other path. */
export const YAHOO_FAULT_MODES = [
  ...(['unknown', 'no-price', 'no-currency', 'no-result', 'no-times', 'null-days', 'other-symbol'] as const),
  ...(['other-currency', 'text-numbers', 'array'] as const),
]
export type YahooFaultMode = (typeof YAHOO_FAULT_MODES)[number]

export interface YahooFault {
  readonly symbol: string
  readonly mode: YahooFaultMode
}

/** One price as it was served. */
export interface ServedQuote {
  readonly symbol: string
  readonly price: number
  /** Unix ms. */
  readonly atMs: number
}

/** A simulated chart API: every symbol has a price that is a function of its name, the seed and the time. */
export interface SimYahoo {
  readonly served: BoundedList<ServedQuote>
  handle(path: string, query: URLSearchParams): HttpReply
  addFault(fault: YahooFault): void
  clearFaults(): void
  /** From now on this is the newest price; null lets it go its own way again. */
  setPrice(symbol: string, price: number | null): void
  /** The close of a day, as the history has it. */
  closeOf(symbol: string, dayMs: number): number
}

const CHART = /^\/v8\/finance\/chart\/([^/]{1,120})$/
const SERVED_MAX = 200_000
const DAY_MS = 86_400_000
const BARS_MAX = 20_000
/** Trading begins at 14:30 UTC, as the chart dates its days; pairs trade around the clock. */
const OPEN_MS = 14.5 * 3_600_000

export function createYahoo(seed: number, clock: Clock): SimYahoo {
  const faults = new Map<string, YahooFaultMode>()
  const prices = new Map<string, number>()
  const served = new BoundedList<ServedQuote>(SERVED_MAX)
  const priceAt = (symbol: string, atMs: number) => round(walk(symbol, seed, atMs), symbol)
  const closeOf = (symbol: string, dayMs: number) => priceAt(symbol, dayMs + DAY_MS - 1)

  const handle = (path: string, query: URLSearchParams): HttpReply => {
    const match = CHART.exec(path)
    if (match === null) return json(404, { finance: { result: null, error: { code: 'Not Found' } } })
    const symbol = decodeURIComponent(match[1] ?? '').toUpperCase()
    const mode = faults.get(symbol)
    if (mode === 'unknown' || symbol.startsWith('NOPE')) return unknownSymbol()
    if (mode === 'no-result') return json(200, { chart: { result: [], error: null } })
    if (mode === 'array') return json(200, [])
    const nowMs = clock.wallMs()
    const price = prices.get(symbol) ?? priceAt(symbol, nowMs)
    const days = daysOf(symbol, query, nowMs)
    const meta = metaOf(symbol, price, nowMs)
    const closes = days.map((day) => (sameDay(day, nowMs) ? price : closeOf(symbol, day)))
    spoil(meta, mode)
    if (mode === undefined) served.push({ symbol, price, atMs: Math.floor(nowMs / 1000) * 1000 })
    const shown = (value: number): unknown =>
      mode === 'null-days' ? null : mode === 'text-numbers' ? `${value}` : value
    const offsetMs = kindOf(symbol).type === 'EQUITY' ? OPEN_MS : 0
    const result = {
      meta,
      ...(mode === 'no-times' ? {} : { timestamp: days.map((day) => (day + offsetMs) / 1000) }),
      indicators: {
        quote: [
          {
            open: closes.map((close) => shown(round(close * 0.999, symbol))),
            high: closes.map((close) => shown(round(close * 1.02, symbol))),
            low: closes.map((close) => shown(round(close * 0.98, symbol))),
            close: mode === 'no-price' ? [] : closes.map(shown),
            volume: days.map((day) => shown(volumeAt(symbol, day))),
          },
        ],
      },
    }
    return json(200, { chart: { result: [result], error: null } })
  }

  return {
    served,
    handle,
    closeOf,
    addFault: ({ symbol, mode }) => void faults.set(symbol.toUpperCase(), mode),
    clearFaults: () => faults.clear(),
    setPrice(symbol, price) {
      if (price === null) prices.delete(symbol.toUpperCase())
      else prices.set(symbol.toUpperCase(), price)
    },
  }
}

function metaOf(symbol: string, price: number, nowMs: number): Record<string, unknown> {
  const { currency, exchange, type } = kindOf(symbol)
  return {
    currency,
    symbol,
    exchangeName: exchange,
    fullExchangeName: exchange,
    instrumentType: type,
    regularMarketTime: Math.floor(nowMs / 1000),
    gmtoffset: 0,
    exchangeTimezoneName: 'UTC',
    regularMarketPrice: price,
    regularMarketDayHigh: round(price * 1.01, symbol),
    regularMarketDayLow: round(price * 0.99, symbol),
    regularMarketVolume: type === 'CURRENCY' ? 0 : volumeAt(symbol, nowMs),
    longName: `Simulated ${symbol}`,
    shortName: symbol,
    dataGranularity: '1d',
    validRanges: ['1d', '5d', '1mo', '1y', 'max'],
  }
}

function spoil(meta: Record<string, unknown>, mode: YahooFaultMode | undefined): void {
  if (mode === 'no-price') meta['regularMarketPrice'] = null
  if (mode === 'no-currency') delete meta['currency']
  if (mode === 'no-times') delete meta['regularMarketTime']
  if (mode === 'other-symbol') meta['symbol'] = 'OTHER'
  if (mode === 'other-currency') meta['currency'] = 'QQQ'
  if (mode === 'text-numbers') meta['regularMarketPrice'] = String(meta['regularMarketPrice'])
}

/** The days between the periods asked for, or the last one; exchanges are closed at weekends. */
function daysOf(symbol: string, query: URLSearchParams, nowMs: number): readonly number[] {
  const start = (atMs: number) => Math.floor(atMs / DAY_MS) * DAY_MS
  const first = query.has('period1') ? start(Number(query.get('period1')) * 1000) : start(nowMs)
  const end = query.has('period2') ? Number(query.get('period2')) * 1000 : nowMs
  const last = Math.min(start(nowMs), start(end - 1))
  const days: number[] = []
  for (let day = first; day <= last && days.length < BARS_MAX; day += DAY_MS) {
    const weekday = new Date(day).getUTCDay()
    if (kindOf(symbol).type === 'CRYPTOCURRENCY' || (weekday !== 0 && weekday !== 6)) days.push(day)
  }
  return days
}

function kindOf(symbol: string): { type: string; currency: string; exchange: string } {
  const pair = /^([A-Z]{3})?([A-Z]{3})=X$/.exec(symbol)
  if (pair !== null) return { type: 'CURRENCY', currency: pair[2] ?? 'USD', exchange: 'CCY' }
  const crypto = /^[A-Z0-9]+-([A-Z]{3})$/.exec(symbol)
  if (crypto !== null) return { type: 'CRYPTOCURRENCY', currency: crypto[1] ?? 'USD', exchange: 'CCC' }
  if (symbol.endsWith('=F')) return { type: 'FUTURE', currency: 'USD', exchange: 'NYM' }
  if (symbol.endsWith('.L')) return { type: 'EQUITY', currency: 'GBp', exchange: 'LSE' }
  if (symbol.endsWith('.DE')) return { type: 'EQUITY', currency: 'EUR', exchange: 'GER' }
  return { type: 'EQUITY', currency: 'USD', exchange: 'NMS' }
}

/** Smooth enough to look like a market, and the same for the same seed. */
function walk(symbol: string, seed: number, atMs: number): number {
  const key = hash(`${seed} ${symbol}`)
  const base = kindOf(symbol).type === 'CURRENCY' ? 0.5 + (key % 1000) / 1000 : 10 + (key % 49_000) / 100
  const days = atMs / DAY_MS
  const phase = (key % 628) / 100
  return (
    base * (1 + 0.15 * Math.sin(days / 40 + phase) + 0.03 * Math.sin(days * 2 + phase) + 0.01 * Math.sin(days * 900))
  )
}

function volumeAt(symbol: string, atMs: number): number {
  return 1_000 + (hash(`${symbol} ${Math.floor(atMs / DAY_MS)}`) % 1_000_000)
}

function round(price: number, symbol: string): number {
  return Number(price.toFixed(kindOf(symbol).type === 'CURRENCY' ? 5 : 2))
}

function sameDay(day: number, atMs: number): boolean {
  return Math.floor(day / DAY_MS) === Math.floor(atMs / DAY_MS)
}

function hash(text: string): number {
  let value = 2_166_136_261
  for (const character of text) value = Math.imul(value ^ (character.codePointAt(0) ?? 0), 16_777_619) >>> 0
  return value
}

function unknownSymbol(): HttpReply {
  const error = { code: 'Not Found', description: 'No data found, symbol may be delisted' }
  return json(404, { chart: { result: null, error } })
}

function json(status: number, value: unknown): HttpReply {
  return { status, body: JSON.stringify(value) }
}
