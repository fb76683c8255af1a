import { z } from 'zod'

/** Parts that many answers and questions share. Everything here is also what `/api/openapi.json` is made from. */

export const LIMIT_MAX = 1_000
const OFFSET_MAX = 1_000_000_000
const ID_MAX = Number.MAX_SAFE_INTEGER
const TEXT_LENGTH_MAX = 200

/** ISO 8601, UTC. */
export const time = z.string().meta({ format: 'date-time', example: '2026-05-01T12:00:00.000Z' })
/** Exact decimal text: money and venue amounts never become floating point. */
export const decimal = z.string().meta({ example: '1234.5' })

/** A whole number in a query, where everything is text. */
export function whole(min: number, max: number) {
  const words = `must be a whole number, ${min} to ${max}`
  const read = (value: unknown) => (typeof value === 'string' && /^-?\d{1,16}$/.test(value) ? Number(value) : value)
  return z.preprocess(read, z.int(words).min(min, words).max(max, words))
}

export function limit(fallback: number, max = LIMIT_MAX) {
  return whole(1, max).default(fallback).describe('How many at most.')
}

export const offset = whole(0, OFFSET_MAX).default(0).describe('How many of the newest to leave out.')

export function before(what: string) {
  return whole(1, ID_MAX).optional().describe(`Only what is older than this ${what}.`)
}

export const nextBefore = z.int().nullable().describe('`before` of the next page; null on the last one.')

export const cursor = z
  .string('must be the next_cursor of a page')
  .regex(/^[\w-]{1,300}$/, 'must be the next_cursor of a page')
  .optional()
  .describe('Where the next page begins: `next_cursor` of the one before.')

export const nextCursor = z.string().nullable().describe('`cursor` of the next page; null on the last one.')

export const search = z
  .string('must be text')
  .trim()
  .max(TEXT_LENGTH_MAX, `must have ${TEXT_LENGTH_MAX} characters at most`)
  .optional()
  .describe('Words that must all occur, from their beginning: `pric fail` finds `prices failed`.')

const MOMENT = 'must be a time like 2026-05-01T12:00:00Z'

/** A moment in a query; Unix ms. */
export const moment = z
  .string(MOMENT)
  .regex(/^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:\d{2}))?$/, MOMENT)
  .transform((text, context) => {
    const ms = Date.parse(text)
    if (!Number.isNaN(ms)) return ms
    context.addIssue(MOMENT)
    return z.NEVER
  })
  .optional()

export const tokenParams = z.strictObject({
  token_id: z.string().regex(/^\d{1,78}$/, 'must be a token id: decimal digits, 78 at most'),
})

export const marketParams = z.strictObject({
  condition_id: z.string().regex(/^0x[0-9a-fA-F]{62,64}$/, 'must be a condition id: 0x and 62 to 64 hex digits'),
})

/** RFC 9457. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  parameter: z.string().optional().describe('The parameter that is wrong.'),
})
