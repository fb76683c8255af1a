/** The longest wait that the other side may ask of us, ms. */
export const RETRY_AFTER_MS_MAX = 600_000

/** Reads a `Retry-After` header (seconds or an HTTP date), ms from now and capped; undefined when it says nothing. */
export function parseRetryAfter(header: string | undefined, nowWallMs: number): number | undefined {
  const text = header?.trim() ?? ''
  // Date.parse reads a year into almost anything; an HTTP date begins with the name of a day.
  const isDate = /^[a-z]{3,9},? /i.test(text)
  const waitMs = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : isDate ? Date.parse(text) - nowWallMs : Number.NaN
  if (Number.isNaN(waitMs)) return undefined
  return Math.min(Math.max(0, waitMs), RETRY_AFTER_MS_MAX)
}
