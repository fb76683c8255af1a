/** How things are said: durations, ages, numbers. Everything from outside is shown as text, and nothing else. */

const MINUTE = 60
const HOUR = 3_600
const DAY = 86_400

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 })

export function count(value: number): string {
  return whole.format(value)
}

/** 12,345,678 → `12.3M`. */
export function compact(value: number): string {
  return Math.abs(value) < 10_000 ? whole.format(value) : short.format(value)
}

/** `1 gap`, `3 gaps`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

/** 0.34 → `0.3 s`, 312 → `5 m 12 s`, 7500 → `2 h 5 m`. */
export function duration(seconds: number): string {
  const value = Math.max(0, seconds)
  if (value < 1) return `${Math.round(value * 1_000)} ms`
  if (value < 10) return `${Number(value.toFixed(1))} s`
  return wholeDuration(value)
}

/** The same without fractions: what counts up or down once a second. */
export function wholeDuration(seconds: number): string {
  const value = Math.max(0, Math.round(seconds))
  if (value < MINUTE) return `${value} s`
  if (value < HOUR) return `${Math.floor(value / MINUTE)} m ${value % MINUTE} s`
  if (value < DAY) return `${Math.floor(value / HOUR)} h ${Math.floor((value % HOUR) / MINUTE)} m`
  return `${Math.floor(value / DAY)} d ${Math.floor((value % DAY) / HOUR)} h`
}

/** 7500 → `2 hours 5 minutes`. */
export function durationInWords(seconds: number): string {
  const value = Math.max(0, Math.round(seconds))
  const parts: [number, string][] =
    value < MINUTE
      ? [[value, 'second']]
      : value < HOUR
        ? [
            [Math.floor(value / MINUTE), 'minute'],
            [value % MINUTE, 'second'],
          ]
        : value < DAY
          ? [
              [Math.floor(value / HOUR), 'hour'],
              [Math.floor((value % HOUR) / MINUTE), 'minute'],
            ]
          : [
              [Math.floor(value / DAY), 'day'],
              [Math.floor((value % DAY) / HOUR), 'hour'],
            ]
  return parts
    .filter(([amount], at) => at === 0 || amount > 0)
    .map(([amount, unit]) => plural(amount, unit))
    .join(' ')
}

/** `12 s ago`; what is not a time is `never`. */
export function ago(time: string | null, nowMs: number): string {
  const ms = timeMs(time)
  return ms === null ? 'never' : `${wholeDuration((nowMs - ms) / 1_000)} ago`
}

/** Unix ms; null when it is no time. */
export function timeMs(time: string | null): number | null {
  const ms = time === null ? Number.NaN : Date.parse(time)
  return Number.isNaN(ms) ? null : ms
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const DAY_AND_CLOCK = {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
} as const
const dayAndClock = new Intl.DateTimeFormat('en-GB', DAY_AND_CLOCK)
const yearToo = new Intl.DateTimeFormat('en-GB', { ...DAY_AND_CLOCK, year: 'numeric' })

/** `12:03:04`, with its day when that is not today, and with its year when that is another. Local time. */
export function clockTime(ms: number, nowMs: number): string {
  const [then, now] = [new Date(ms), new Date(nowMs)]
  if (then.toDateString() === now.toDateString()) return clock.format(ms)
  return (then.getFullYear() === now.getFullYear() ? dayAndClock : yearToo).format(ms)
}

/** `99.5 %`, `100 %`; never rounds up to a whole hundred. */
export function percent(value: number, digits = 1): string {
  const power = 10 ** digits
  return `${Number((Math.floor(value * power) / power).toFixed(digits))} %`
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB']

export function bytes(value: number): string {
  let rest = value
  let unit = 0
  while (rest >= 1_000 && unit < UNITS.length - 1) {
    rest /= 1_000
    unit += 1
  }
  return `${unit === 0 || rest >= 100 ? Math.round(rest) : Number(rest.toFixed(1))} ${UNITS[unit]}`
}

/** A share of 1 as the venue says it: `62.5¢`. */
export function cents(price: number | null): string {
  return price === null ? '–' : `${Number((price * 100).toFixed(2))}¢`
}

/** Money: decimal text that is only looked at. */
export function dollars(text: string | number | null): string {
  const value = text === null ? Number.NaN : Number(text)
  return Number.isFinite(value) ? `$${compact(value)}` : '–'
}

const formats = new Map<string, Intl.NumberFormat>()
/** Currencies are data: however many there are, so many formats are kept. */
const FORMATS_MAX = 200

function formatOf(currency: string | null, digitsMax: number): Intl.NumberFormat {
  const key = `${currency} ${digitsMax}`
  let format = formats.get(key)
  if (format === undefined) {
    const style = currency === null ? {} : ({ style: 'currency', currency } as const)
    format = new Intl.NumberFormat('en-US', { ...style, minimumFractionDigits: 2, maximumFractionDigits: digitsMax })
    if (formats.size >= FORMATS_MAX) formats.clear()
    formats.set(key, format)
  }
  return format
}

/** `$1,234.50`; decimal text is rounded to be looked at. What is no number is `–`. */
export function money(amount: string | number | null, currency: string): string {
  return amountOf(amount, currency, 2)
}

/** The same with as many digits as small prices need: `$0.0412`. The currency of a price need not be known. */
export function price(amount: string | null, currency: string | null): string {
  const size = Math.abs(Number(amount))
  return amountOf(amount, currency, size >= 1_000 ? 2 : size >= 1 ? 4 : 8)
}

function amountOf(amount: string | number | null, currency: string | null, digitsMax: number): string {
  const value = amount === null ? Number.NaN : Number(amount)
  if (!Number.isFinite(value)) return '–'
  const isCode = currency !== null && /^[A-Z]{3}$/.test(currency)
  const text = formatOf(isCode ? currency : null, digitsMax).format(value)
  return isCode || currency === null ? text : `${text} ${currency}`
}

const exact = new Intl.NumberFormat('en-US', { maximumFractionDigits: 8 })

/** A quantity: `1,234.5`. */
export function amount(text: string): string {
  const value = Number(text)
  return Number.isFinite(value) ? exact.format(value) : text
}

const LONG = 24

/** A token id of 78 digits by its ends. */
export function shortSymbol(symbol: string): string {
  return symbol.length <= LONG ? symbol : `${symbol.slice(0, 6)}…${symbol.slice(-6)}`
}
