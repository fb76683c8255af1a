import { z } from 'zod'
import { before, limit, marketParams, nextBefore, search, time, whole } from './common.ts'

const LIMIT_MAX = 200
const name = z.string('must be text').min(1).max(200, 'must have 200 characters at most').optional()

export const linkedMarket = z.object({
  condition_id: z.string(),
  question: z.string().nullable().describe('null when the ledger does not know the market any more.'),
  score: z.number().describe('More is nearer.'),
  reason: z.string().describe('What the signal and the question of the market share.'),
})

export const signal = z.object({
  id: z.int(),
  source: z.string().meta({ example: 'feed:techcrunch' }),
  external_id: z.string().nullable(),
  url: z.string().nullable().describe('Without what only tracks readers. From outside: show it as text, or with care.'),
  title: z.string(),
  summary: z.string().describe('Plain text.'),
  published_at: time.nullable(),
  seen_at: time,
  keywords: z.array(z.string()),
  companies: z.array(z.string()),
  markets: z.array(linkedMarket).describe('The nearest first.'),
})
export const signalsQuery = z.strictObject({
  search,
  source: name.describe('Only this source.'),
  keyword: name.describe('Only signals in which this configured keyword occurs.'),
  company: name.describe('Only signals that name this configured company.'),
  condition_id: marketParams.shape.condition_id.optional().describe('Only signals that are linked to this market.'),
  limit: limit(50, LIMIT_MAX),
  before: before('id'),
})
export const signals = z.object({ signals: z.array(signal).describe('Newest first.'), next_before: nextBefore })

export const signalParams = z.strictObject({ signal_id: whole(1, Number.MAX_SAFE_INTEGER) })
export const signalDetail = signal.extend({
  raw: z.record(z.string(), z.unknown()).describe('The item as its source had it.'),
})

export const scrapedSource = z.object({
  source: z.string(),
  state: z.enum(['waiting', 'ok', 'unchanged', 'failed']),
  started_at: time.nullable(),
  duration_ms: z.number().nullable(),
  requests: z.int(),
  bytes: z.int().describe('Of bodies, unpacked.'),
  items: z.int(),
  stored: z.int().describe('Items that were new.'),
  repeated: z.int(),
  damaged: z.int().describe('Items too broken to be read.'),
  dropped: z.int().describe('Items beyond a limit.'),
  error: z.string().nullable(),
})
export const scrapeRun = z.object({
  id: z.int(),
  trigger: z.enum(['schedule', 'command']),
  state: z.enum(['running', 'succeeded', 'failed', 'interrupted']),
  started_at: time,
  finished_at: time.nullable(),
  error: z.string().nullable(),
  sources: z.array(scrapedSource),
})
export const scrapeRunsQuery = z.strictObject({ limit: limit(10, 50), before: before('id') })
export const scrapeRuns = z.object({ runs: z.array(scrapeRun).describe('Newest first.'), next_before: nextBefore })
