import { z } from 'zod'
import { GAP_CAUSES } from '../../ledger/coverage-report.ts'
import { before, limit, moment, nextBefore, time } from './common.ts'

const cause = z.enum(GAP_CAUSES)

export const gap = z.object({
  gap_id: z.int(),
  recorder_id: z.string(),
  stream: z.string(),
  started_at: time,
  ended_at: time.nullable().describe('null while it is open.'),
  cause,
  token_count: z.int(),
  quiet_token_count: z.int().describe('Of these tokens: proven to have missed nothing.'),
  evidence: z.record(z.string(), z.unknown()),
  recovered_trades: z.int(),
  backfill_complete: z.boolean().nullable().describe('null until it was tried.'),
  backfill_error: z.string().nullable(),
})

export const gapsQuery = z.strictObject({
  limit: limit(100),
  before: before('gap'),
  cause: cause.optional(),
  state: z.enum(['open', 'closed', 'all'], 'must be open, closed or all').default('all'),
  token_id: z
    .string()
    .regex(/^\d{1,78}$/, 'must be a token id: decimal digits, 78 at most')
    .optional(),
})
export const gaps = z.object({ gaps: z.array(gap).describe('Newest first.'), next_before: nextBefore })

export const coverageQuery = z.strictObject({
  from: moment.describe('24 h before `to` unless given.'),
  to: moment.describe('Now unless given.'),
})

export const coverageInterval = z.object({
  from: time,
  to: time,
  state: z.enum(['recorded', 'gap', 'not_recorded']),
  cause: cause.nullable(),
  gap_id: z.int().nullable(),
  proven_quiet: z.boolean().describe('A gap in which nothing was missed, as the fresh book proves.'),
})

export const coverage = z.object({
  token_id: z.string(),
  from: time,
  to: time,
  intervals: z.array(coverageInterval).describe('In order and without holes.'),
  recorded_seconds: z.number(),
  missing_seconds: z.number(),
  covered_percent: z.number().nullable().describe('Of the time in which it was followed; null when it never was.'),
})
