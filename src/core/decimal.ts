/** Exact arithmetic on decimal text. Prices, sizes and volumes never pass through floating point. */

/** No price, size or volume needs more; longer text is not worth the arithmetic. */
const CHARACTERS_MAX = 100

const PLAIN = /^-?\d+(?:\.\d+)?$/
const EXPONENT = /^(-?)(\d+)(?:\.(\d+))?[eE]([+-]?\d{1,3})$/

/** A JSON number or decimal text as plain decimal text (no exponent); null for anything else. */
export function decimalText(value: unknown): string | null {
  const text = typeof value === 'number' ? String(value) : value
  if (typeof text !== 'string' || text.length > CHARACTERS_MAX) return null
  const trimmed = text.trim()
  if (PLAIN.test(trimmed)) return trimmed
  const match = EXPONENT.exec(trimmed)
  if (match === null) return null
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match
  return shiftPoint(sign, whole, fraction, Number(exponent))
}

function shiftPoint(sign: string, whole: string, fraction: string, exponent: number): string {
  const digits = whole + fraction
  const point = whole.length + exponent
  if (point <= 0) return trimDecimal(`${sign}0.${'0'.repeat(-point)}${digits}`)
  const padded = digits.padEnd(point, '0')
  return trimDecimal(`${sign}${padded.slice(0, point)}.${padded.slice(point) || '0'}`)
}

/** The shortest form of plain decimal text: `5.0` becomes `5`, `007.10` becomes `7.1`, `-0` becomes `0`. */
export function trimDecimal(text: string): string {
  const { units, scale } = parse(text)
  return format(units, scale)
}

/** Negative, zero or positive, as `a` is less than, equal to or greater than `b`. */
export function compareDecimals(a: string, b: string): number {
  if (a === b) return 0
  // Reading text as a number never turns the order round, it can only make neighbours equal.
  const difference = Number(a) - Number(b)
  if (difference !== 0) return difference
  const [left, right] = align(a, b)
  if (left === right) return 0
  return left < right ? -1 : 1
}

/** `a − b`. */
export function subtractDecimals(a: string, b: string): string {
  const [left, right, scale] = align(a, b)
  return format(left - right, scale)
}

/** `(a + b) / 2`. */
export function midpointOf(a: string, b: string): string {
  const [left, right, scale] = align(a, b)
  return format((left + right) * 5n, scale + 1)
}

function align(a: string, b: string): [left: bigint, right: bigint, scale: number] {
  const left = parse(a)
  const right = parse(b)
  const scale = Math.max(left.scale, right.scale)
  return [left.units * 10n ** BigInt(scale - left.scale), right.units * 10n ** BigInt(scale - right.scale), scale]
}

function parse(text: string): { units: bigint; scale: number } {
  const point = text.indexOf('.')
  if (point < 0) return { units: BigInt(text), scale: 0 }
  return { units: BigInt(text.slice(0, point) + text.slice(point + 1)), scale: text.length - point - 1 }
}

function format(units: bigint, scale: number): string {
  const negative = units < 0n
  const digits = String(negative ? -units : units).padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const fraction = digits.slice(digits.length - scale).replace(/0+$/, '')
  const sign = negative ? '-' : ''
  return fraction === '' ? `${sign}${whole}` : `${sign}${whole}.${fraction}`
}
