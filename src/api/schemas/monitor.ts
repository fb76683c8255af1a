import { z } from 'zod'
import { before, limit, nextBefore, offset, search, time } from './common.ts'

export const LOG_LEVEL_NAMES = ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'] as const

const context = z.record(z.string(), z.unknown())
const seconds = z.number()
const running = z.enum(['running', 'stopped', 'error'])
const state = z.enum(['starting', 'running', 'backing_off', 'cooling', 'failed', 'stopped'])

export const fetcherStatus = z.object({
  status: running.describe('`error`: its last cycle failed, or it cannot work; `stopped`: ending, or not enabled.'),
  detail: z.string().nullable().describe('Why it is not running, in words.'),
  uptime_seconds: seconds,
  last_update: time.nullable().describe('The newest useful answer.'),
  next_update_in_seconds: seconds.nullable(),
  tracked_assets_count: z.int(),
  update_interval_minutes: z.number(),
})

export const logEntry = z.object({
  id: z.int().nullable().describe('null in events: it is not stored yet.'),
  timestamp: time,
  level: z.enum(LOG_LEVEL_NAMES),
  message: z.string(),
  context,
})

export const logsQuery = z.strictObject({
  limit: limit(100),
  offset,
  before: before('entry'),
  level: z
    .preprocess(
      (value) => (typeof value === 'string' ? value.toUpperCase() : value),
      z.enum(LOG_LEVEL_NAMES, `must be one of ${LOG_LEVEL_NAMES.join(', ')}`),
    )
    .optional(),
  search,
})

export const logs = z.object({
  logs: z.array(logEntry).describe('Newest first.'),
  total: z.int().describe('All entries that match; with `search` they are counted up to 1,000.'),
  limit: z.int(),
  offset: z.int(),
  next_before: nextBefore,
})

const cycleNumbers = {
  uptime_seconds: seconds.describe('On the monotonic clock.'),
  total_cycles: z.int(),
  successful_cycles: z.int(),
  failed_cycles: z.int(),
  success_rate: z.number().nullable().describe('Percent, two decimals; null before the first cycle.'),
  average_cycle_duration_seconds: seconds.nullable().describe('Over the last 100 cycles.'),
  last_cycle_duration_seconds: seconds.nullable(),
  p50_cycle_duration_seconds: seconds.nullable(),
  p95_cycle_duration_seconds: seconds.nullable(),
}

export const collectorStatistics = z.object(cycleNumbers)
export const fetcherStatistics = z.object({ ...cycleNumbers, assets_tracked: z.int() })

export const updatesQuery = z.strictObject({ limit: limit(50) })

export const priceUpdate = z.object({
  symbol: z.string(),
  name: z.string(),
  timestamp: time,
  price: z.string().nullable().describe('Decimal text.'),
  success: z.boolean(),
  error: z.string().nullable(),
  duration_ms: z.number(),
})

export const recentUpdates = z.object({ updates: z.array(priceUpdate).describe('Newest first.') })

export const stream = z.object({
  tokens_wanted: z.int(),
  tokens_subscribed: z.int(),
  connections_wanted: z.int(),
  connections_active: z.int(),
  connections_stalled: z.int(),
  reconnections: z.int(),
  frames_received: z.int(),
  bytes_received: z.int(),
  frames_refused: z.int(),
  last_data: time.nullable(),
  trouble: z.string().nullable(),
})

export const collector = z.object({
  name: z.string(),
  kind: z.enum(['polling', 'streaming']),
  critical: z.boolean().describe('Health depends on it.'),
  status: running,
  state,
  interval_seconds: seconds,
  last_update: time.nullable().describe('The newest useful answer.'),
  next_update_in_seconds: seconds.nullable(),
  items: z.int().describe('Collected since start.'),
  last_cycle_success: z.boolean().nullable(),
  consecutive_failures: z.int(),
  skipped_cycles: z.int(),
  restarts: z.int(),
  last_error: z.string().nullable(),
  last_error_time: time.nullable(),
  statistics: collectorStatistics,
  stream: stream.nullable(),
})

export const collectors = z.object({ collectors: z.array(collector) })

export const collectorParams = z.strictObject({
  name: z.string().regex(/^[\w.-]{1,100}$/, 'must be the name of a collector'),
})

export const cyclesQuery = z.strictObject({ limit: limit(100), before: before('cycle') })

export const cycle = z.object({
  id: z.int().nullable().describe('null in events: it is not stored yet.'),
  collector: z.string(),
  started_at: time,
  duration_seconds: seconds,
  success: z.boolean(),
  items: z.int(),
  error: z.string().nullable(),
  details: z.record(z.string(), z.union([z.number(), z.string()])),
})

export const cycles = z.object({ cycles: z.array(cycle).describe('Newest first.'), next_before: nextBefore })

/** What `getHealth` says, with the verdict. Kept loose here: its exact shape is a type of its own. */
export const health = z.looseObject({
  status: z.enum(['starting', 'healthy', 'degraded', 'stopped']),
  reasons: z.array(z.string()).describe('Worst first.'),
  uptime_seconds: seconds,
  tasks_alive: z.int(),
  tasks_dead: z.int(),
  total_restarts: z.int(),
  collectors: z.record(z.string(), z.looseObject({ state })),
  trade_listener: z.looseObject({ trades_received: z.int(), trades_inserted: z.int(), queue_depth: z.int() }),
})

export const session = z.object({
  token_required: z.boolean(),
  signed_in: z.boolean().describe('By cookie or by bearer; always true when no token is required.'),
})

export const signIn = z.strictObject({ token: z.string('must be text').min(1, 'must not be empty').max(4_096) })
