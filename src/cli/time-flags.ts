import { parseDuration } from '../config/values.ts'
import { EXIT, PermanentError } from '../core/errors.ts'

const ISO = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?)?$/

/**
 * Reads `2026-05-01`, `2026-05-01T12:00:00Z` (UTC unless it says otherwise), or `36h`, `7d`: that long ago. Unix ms.
 * Throws PermanentError (exit code 64) for anything else.
 */
export function readTimeFlag(name: string, text: string, nowMs: number): number {
  if (ISO.test(text)) {
    const isZoned = text.length === 10 || /Z|[+-]\d{2}:\d{2}$/.test(text.slice(10))
    const atMs = Date.parse((isZoned ? text : `${text}Z`).replace(' ', 'T'))
    if (!Number.isNaN(atMs)) return atMs
  }
  try {
    return nowMs - parseDuration(text)
  } catch {
    const form = 'a time like 2026-05-01T12:00:00Z, or how long ago: 36h, 7d'
    throw new PermanentError(`${name} ${text}: it must be ${form}`, { exitCode: EXIT.usage })
  }
}
