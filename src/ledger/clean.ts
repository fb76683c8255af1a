/** What the server would refuse or misread is made harmless here: one odd field must not cost a whole listing. */

const UNSTORABLE = /[\0\p{Surrogate}]/gu
const DECIMAL = /^-?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,2})?$/
const ISO_TIME = /^\d{4}-\d{2}-\d{2}/

/** Text that PostgreSQL can hold: no NUL, no half surrogates. */
export function cleanText(text: string): string {
  return text.replaceAll(UNSTORABLE, '\uFFFD')
}

export function cleanOrNull(text: string | null): string | null {
  return text === null ? null : cleanText(text)
}

/** Decimal text, or null when it is not a number. */
export function decimalOrNull(text: string | null): string | null {
  return text !== null && DECIMAL.test(text) ? text : null
}

/** A time as ISO 8601 in UTC, or null when it is not one. */
export function timeOrNull(text: string | null): string | null {
  if (text === null || !ISO_TIME.test(text)) return null
  const timeMs = Date.parse(text)
  return Number.isNaN(timeMs) ? null : new Date(timeMs).toISOString()
}

/** JSON text that fits a jsonb column; nulls out what cannot be JSON. */
export function cleanJson(value: unknown): string {
  const text = JSON.stringify(value) ?? 'null'
  // Escaped NULs and half surrogates are JSON, but not jsonb. Rare, so the slow way is taken only when one shows up.
  return /\\u(?:0000|d[89a-f])/i.test(text) ? (JSON.stringify(cleanDeep(value)) ?? 'null') : text
}

function cleanDeep(value: unknown): unknown {
  if (typeof value === 'string') return cleanText(value)
  if (Array.isArray(value)) return value.map(cleanDeep)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [cleanText(key), cleanDeep(part)]))
}
