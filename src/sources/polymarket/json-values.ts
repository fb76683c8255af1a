import { decimalText } from '../../core/decimal.ts'

/** Lenient readers for the venue's JSON: each returns null (or a default) instead of throwing. */

export type JsonObject = Readonly<Record<string, unknown>>

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Text that says something; null for empty text and other types. */
export function textOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

/** An identifier that may come as text or as a safe integer. */
export function idOrNull(value: unknown): string | null {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value)
  return textOrNull(value)
}

export function isTrue(value: unknown): boolean {
  return value === true || value === 'true'
}

const NUMBER_ITEM = /(?<=[[,]\s*)-?\d[\d.eE+-]*(?=\s*[\],])/g

/**
 * An array of texts that may come as a real array or as text holding JSON; null when it is neither.
 * Numbers inside text keep their digits: a token id must not pass through floating point.
 */
export function textArray(value: unknown): readonly string[] | null {
  const parsed = typeof value === 'string' ? parseArrayText(value) : value
  if (!Array.isArray(parsed)) return null
  const texts: string[] = []
  for (const item of parsed) {
    const text = typeof item === 'number' ? numberText(item) : item
    if (typeof text !== 'string') return null
    texts.push(text)
  }
  return texts
}

function parseArrayText(text: string): unknown {
  const parsed = parseJson(text)
  if (!Array.isArray(parsed) || parsed.length === 0) return parsed
  if (!parsed.every((item) => typeof item === 'number')) return parsed
  return parseJson(text.replaceAll(NUMBER_ITEM, '"$&"'))
}

function numberText(value: number): string | null {
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? null : decimalText(value)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const TIME = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(\.\d{1,9})?\s*(Z|[+-]\d{2}(?::?\d{2})?)?)?$/

/** The venue's time forms (`2026-07-24T00:00:00.123456Z`, `2026-07-24 00:00:16+00`, `2026-07-24`) as ISO 8601, UTC. */
export function isoTime(value: unknown): string | null {
  if (typeof value !== 'string') return null
  const match = TIME.exec(value.trim())
  if (match === null) return null
  const [, date = '', clock = '00:00:00', fraction = '', zone = 'Z'] = match
  const time = clock.length === 5 ? `${clock}:00` : clock
  const offset = zone === 'Z' ? 'Z' : `${zone.slice(0, 3)}:${zone.slice(3).replace(':', '') || '00'}`
  const instantMs = Date.parse(`${date}T${time}${offset}`)
  if (Number.isNaN(instantMs)) return null
  const whole = new Date(instantMs).toISOString().slice(0, 19)
  return `${whole}${fraction}Z`
}

/** A number that may have come as text. `Number` alone throws for an object with a member `valueOf` or `toString`. */
export function numberOrNull(value: unknown): number | null {
  if (typeof value !== 'number' && typeof value !== 'string') return null
  const number = Number(value)
  return Number.isFinite(number) ? number : null
}

/** Cuts text that goes into messages and dead letters. */
export function clip(text: string, charactersMax: number): string {
  return text.length <= charactersMax ? text : `${text.slice(0, charactersMax)}…`
}

/** What stood where an id should be, in at most 100 characters. `String` alone throws for `{"toString":0}`. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? clip(value, 100) : rawText(value, 100)
}

/** JSON text of something that came from JSON, cut to a length. */
export function rawText(value: unknown, charactersMax: number): string {
  return clip(JSON.stringify(value) ?? String(value), charactersMax)
}
