import type { DayBar, History, Quote } from '../../core/assets.ts'
import { decimalText, trimDecimal } from '../../core/decimal.ts'

/** Yahoo's chart answers: lenient about what is there beyond need, strict about what a price must say. */

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string }

type JsonObject = Readonly<Record<string, unknown>>

/** Units in which some exchanges quote: a hundredth of the currency. */
const MINOR_UNITS: Readonly<Record<string, string>> = { GBp: 'GBP', GBX: 'GBP', ZAc: 'ZAR', ZAC: 'ZAR', ILA: 'ILS' }
const CURRENCY = /^[A-Z0-9]{2,10}$/
const DAY_MS = 86_400_000
const OLDEST_SECONDS = -2_208_988_800
const BARS_MAX = 40_000

/** The newest price in an answer to `range=1d`. */
export function parseQuote(answer: unknown, symbol: string, seenMs: number): Parsed<Quote> {
  const chart = readChart(answer, symbol)
  if (!chart.ok) return chart
  const { meta, money, currency, columns } = chart.value
  const last = columns.close.findLastIndex((value) => money(value) !== null)
  const price = money(meta['regularMarketPrice']) ?? money(columns.close[last])
  if (price === null) return refused(`the answer for ${symbol} has no price`)
  const at = meta['regularMarketTime']
  const atMs = isSeconds(at) ? Math.round(at * 1000) : seenMs
  return {
    ok: true,
    value: {
      // A price is never newer than its answer, whatever the clocks say.
      atMs: Math.min(atMs, seenMs),
      price,
      open: money(columns.open[last]),
      high: money(meta['regularMarketDayHigh']) ?? money(columns.high[last]),
      low: money(meta['regularMarketDayLow']) ?? money(columns.low[last]),
      volume: amount(meta['regularMarketVolume']) ?? amount(columns.volume[last]),
      currency,
      name: text(meta['longName']) ?? text(meta['shortName']),
      exchange: text(meta['fullExchangeName']) ?? text(meta['exchangeName']),
    },
  }
}

/** The days in an answer to `interval=1d`, in order; days without a close are left out. */
export function parseHistory(answer: unknown, symbol: string): Parsed<History> {
  const chart = readChart(answer, symbol)
  if (!chart.ok) return chart
  const { meta, money, currency, columns, timestamps } = chart.value
  if (timestamps.length > BARS_MAX) return refused(`the answer for ${symbol} has ${timestamps.length} days`)
  const offset = meta['gmtoffset']
  const offsetSeconds = typeof offset === 'number' && Math.abs(offset) <= 86_400 ? offset : 0
  const bars = new Map<string, DayBar>()
  timestamps.forEach((at, index) => {
    const close = money(columns.close[index])
    if (!isSeconds(at) || close === null) return
    const day = new Date((at + offsetSeconds) * 1000).toISOString().slice(0, 10)
    // The running day may come twice: as a bar and as the newest price. The later one knows more.
    bars.set(day, {
      day,
      open: money(columns.open[index]),
      high: money(columns.high[index]),
      low: money(columns.low[index]),
      close,
      volume: amount(columns.volume[index]),
    })
  })
  const ordered = [...bars.values()].sort((a, b) => (a.day < b.day ? -1 : 1))
  return { ok: true, value: { bars: ordered, currency } }
}

function daySeconds(day: string): number {
  return Date.parse(`${day}T00:00:00Z`) / 1000
}

/** A day of slack on both sides, because days of exchanges are not those of UTC. */
export function rangeSeconds(fromDay: string, toDay: string): { period1: number; period2: number } {
  const slack = DAY_MS / 1000
  return { period1: Math.max(0, daySeconds(fromDay) - slack), period2: daySeconds(toDay) + 2 * slack }
}

interface Chart {
  readonly meta: JsonObject
  readonly currency: string
  readonly timestamps: readonly unknown[]
  readonly columns: Readonly<Record<'open' | 'high' | 'low' | 'close' | 'volume', readonly unknown[]>>
  /** A price above 0 in whole units of the currency; null for anything else. */
  money(value: unknown): string | null
}

function readChart(answer: unknown, symbol: string): Parsed<Chart> {
  const chart = object(object(answer)?.['chart'])
  if (chart === null) return refused(`the answer for ${symbol} is not a chart`)
  const error = object(chart['error'])
  if (error !== null) {
    return refused(`${symbol}: ${text(error['description']) ?? text(error['code']) ?? 'an error without words'}`)
  }
  const result = object(array(chart['result'])[0])
  const meta = object(result?.['meta'])
  if (result === null || meta === null) return refused(`the answer for ${symbol} has no result`)
  const named = text(meta['symbol'])
  if (named !== null && named.toUpperCase() !== symbol.toUpperCase())
    return refused(`asked for ${symbol}, got ${named}`)
  const written = text(meta['currency'])
  if (written === null) return refused(`the answer for ${symbol} names no currency`)
  const currency = MINOR_UNITS[written] ?? written
  if (!CURRENCY.test(currency)) return refused(`the answer for ${symbol} is in ${written.slice(0, 20)}`)
  const isMinor = written in MINOR_UNITS
  const quote = object(array(object(result['indicators'])?.['quote'])[0]) ?? {}
  const column = (name: string) => array(quote[name])
  return {
    ok: true,
    value: {
      meta,
      currency,
      timestamps: array(result['timestamp']),
      columns: {
        open: column('open'),
        high: column('high'),
        low: column('low'),
        close: column('close'),
        volume: column('volume'),
      },
      money: (value) => price(value, isMinor),
    },
  }
}

function price(value: unknown, isMinor: boolean): string | null {
  const digits = typeof value === 'number' || typeof value === 'string' ? decimalText(value) : null
  if (digits === null || digits.length > 60 || !(Number(digits) > 0)) return null
  return isMinor ? hundredth(digits) : trimDecimal(digits)
}

/** Exact: the point moves, no digit is lost. */
function hundredth(digits: string): string {
  const [whole = '0', fraction = ''] = digits.split('.')
  const padded = whole.padStart(3, '0')
  return trimDecimal(`${padded.slice(0, -2)}.${padded.slice(-2)}${fraction}`)
}

function amount(value: unknown): string | null {
  const digits = typeof value === 'number' ? decimalText(value) : null
  return digits !== null && digits.length <= 60 && Number(digits) >= 0 ? digits : null
}

function isSeconds(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > OLDEST_SECONDS && value < 1e11
}

function object(value: unknown): JsonObject | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null
}

function array(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : null
}

function refused(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason }
}
