import type { Side } from '../../core/events.ts'

/** Readers of one field of the market channel: lenient about the JSON type, strict about the content. */

const TEXT_CHARACTERS_MAX = 10_000
const NAME_CHARACTERS_MAX = 60
const DECIMAL_CHARACTERS_MAX = 40

/** 2015 to 2100, Unix ms: what is outside is not a time of this venue (seconds, µs, garbage). */
const TIME_MS_MIN = 1_420_070_400_000
const TIME_MS_MAX = 4_102_444_800_000
const TIME_DIGITS = 13

/** Text of people; PostgreSQL takes no NUL. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, TEXT_CHARACTERS_MAX).replaceAll('\0', '') : ''
}

/** Lower case too, as old captures have it. */
export function sideOf(value: unknown): Side | null {
  if (value === 'BUY' || value === 'buy') return 'BUY'
  return value === 'SELL' || value === 'sell' ? 'SELL' : null
}

/** Unix ms, or 0 for what is no time. */
export function timeOf(value: unknown): number {
  const venueMs = typeof value === 'string' ? wholeNumber(value) : value
  if (typeof venueMs !== 'number' || !Number.isInteger(venueMs)) return 0
  return venueMs >= TIME_MS_MIN && venueMs <= TIME_MS_MAX ? venueMs : 0
}

/** Digits as a number, by hand because every frame has one; 0 for anything else. */
function wholeNumber(text: string): number {
  if (text.length !== TIME_DIGITS) return 0
  let value = 0
  for (let index = 0; index < TIME_DIGITS; index += 1) {
    const digit = text.charCodeAt(index) - 48
    if (digit < 0 || digit > 9) return 0
    value = value * 10 + digit
  }
  return value
}

/** null when the frame gives none, undefined when it is not a hash. */
export function hashOf(value: unknown): string | null | undefined {
  if (value === undefined || value === null || value === '') return null
  return isShort(value) ? value : undefined
}

/** A best price may be absent (null) or empty (''): the side has no orders. */
export function bestOf(value: unknown): string | null {
  return value === '' ? '' : decimalOf(value)
}

/** Decimal text from 0 to 1. */
export function priceOf(value: unknown): string | null {
  const text = decimalOf(value)
  return text !== null && isPrice(text) ? text : null
}

/** Decimal text as it stands; a JSON number by its text when that is plain. */
export function decimalOf(value: unknown): string | null {
  const text = typeof value === 'number' ? String(value) : value
  return typeof text === 'string' && isDecimal(text) ? text : null
}

/** 0 to 1. */
export function isPrice(text: string): boolean {
  if (!isDecimal(text)) return false
  if (text.charCodeAt(0) === 48 && text.charCodeAt(1) === 46) return true
  return Number(text) <= 1
}

/** `^\d*\.?\d+$`, by hand: it runs for every level of every book. */
export function isDecimal(text: string): boolean {
  const length = text.length
  if (length === 0 || length > DECIMAL_CHARACTERS_MAX) return false
  let points = 0
  for (let index = 0; index < length; index += 1) {
    const code = text.charCodeAt(index)
    if (code === 46) points += 1
    else if (code < 48 || code > 57) return false
  }
  return points === 0 || (points === 1 && text.charCodeAt(length - 1) !== 46)
}

const WORD_CHARACTERS_MAX = 130
const PLAIN_WORD = /^[\x21-\x7e]+$/

/** Text that is only ever compared, so that its characters do not matter. */
export function isShort(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= WORD_CHARACTERS_MAX
}

/** A market, hash or transaction as the venue names it: one printable word. */
export function isWord(value: unknown): value is string {
  return isShort(value) && PLAIN_WORD.test(value)
}

/** A name of the venue's that goes into counters: short and printable. */
export function nameOf(text: string): string {
  return text.slice(0, NAME_CHARACTERS_MAX).replaceAll(/[^\x21-\x7e]/g, '?')
}
