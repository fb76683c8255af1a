import { z } from 'zod'
import { ASSET_TYPES, BACKFILL_STATES } from '../../core/assets.ts'
import { decimal, limit, offset, time, whole } from './common.ts'

const IMPORT_CHARACTERS_MAX = 4_000_000

export const change = z.object({
  money: decimal,
  percent: decimal.nullable().describe('Of what was there then and paid in since; null when that is nothing.'),
})

export const missing = z.object({
  symbol: z.string(),
  what: z.enum(['price', 'currency', 'exchange_rate', 'purchase_rate']),
})

export const performance = z.object({
  current_value: decimal,
  invested: decimal,
  profit: decimal,
  profit_percent: decimal.nullable(),
  realized: decimal,
  day_change: change.nullable().describe('What the market did; null where a price or rate of then is not known.'),
  week_change: change.nullable(),
  month_change: change.nullable(),
  year_change: change.nullable(),
  positions: z.int(),
  missing_count: z.int(),
  missing: z.array(missing).describe('Not known and left out, never guessed.'),
  oldest_price_at: time.nullable(),
  oldest_price_age_seconds: z.number().nullable().describe('When it was valued.'),
  updated_at: time,
})

export const portfolio = z.object({
  id: z.int(),
  name: z.string(),
  currency: z.string(),
  created_at: time,
  performance: performance.nullable().describe('null before it was valued for the first time.'),
})

export const position = z.object({
  symbol: z.string(),
  name: z.string(),
  type: z.enum(ASSET_TYPES),
  currency: z.string().nullable().describe('Of its price.'),
  quantity: decimal,
  average_cost: decimal.describe('With fees, in the currency of the asset.'),
  invested: decimal.nullable().describe('In the currency of the portfolio, like value and profit.'),
  price: decimal.nullable(),
  price_at: time.nullable(),
  exchange_rate: decimal.nullable(),
  value: decimal.nullable(),
  profit: decimal.nullable(),
})

export const portfolioDetail = portfolio.extend({ positions: z.array(position) })

export const portfoliosQuery = z.strictObject({ limit: limit(100), offset })
export const portfolios = z.object({ portfolios: z.array(portfolio), limit: z.int(), offset: z.int() })
export const portfolioParams = z.strictObject({
  portfolio: z.string().min(1).max(100).describe('Its name, or its id where there is none of that name.'),
})
export const newPortfolio = z.strictObject({ name: z.string('must be text'), currency: z.string().default('USD') })

export const snapshotsQuery = z.strictObject({ days: whole(1, 3_660).default(366).describe('The newest ones.') })
export const snapshot = z.object({
  day: z.string().meta({ format: 'date' }),
  current_value: decimal,
  invested: decimal,
  profit: decimal,
  realized: decimal,
  missing_count: z.int(),
})
export const snapshots = z.object({
  snapshots: z.array(snapshot).describe('Oldest first: the last value of each day.'),
})

export const transaction = z.object({
  id: z.string(),
  symbol: z.string(),
  side: z.enum(['buy', 'sell']),
  quantity: decimal,
  price: decimal,
  fee: decimal,
  currency: z.string().nullable(),
  exchange_rate: decimal.nullable(),
  executed_at: time,
  notes: z.string().nullable(),
})
export const transactionsQuery = z.strictObject({ limit: limit(100), offset })
export const transactions = z.object({
  transactions: z.array(transaction).describe('Newest first.'),
  limit: z.int(),
  offset: z.int(),
})

/** Text, as people type it; what is wrong with it is said by the same code as on the command line. */
const field = z.string('must be text').max(1_000, 'must have 1000 characters at most').optional()
export const newTransaction = z.strictObject({
  symbol: field,
  side: field,
  quantity: field,
  price: field,
  fee: field,
  time: field,
  notes: field,
  exchange_rate: field,
  type: field,
  currency: field,
  name: field,
})
export const added = z.object({
  added: z.int(),
  new_assets: z.array(z.string()),
  performance: performance.nullable(),
})

export const newImport = z.strictObject({
  csv: z.string('must be text').max(IMPORT_CHARACTERS_MAX, `must have ${IMPORT_CHARACTERS_MAX} characters at most`),
  dry_run: z.boolean('must be true or false').default(true),
})
export const importProblem = z.object({ line: z.int().nullable(), message: z.string() })
export const imported = z.object({
  ok: z.boolean().describe('All of it was, or would be, taken; else none of it was.'),
  dry_run: z.boolean(),
  added: z.int(),
  new_assets: z.array(z.string()),
  problems: z.array(importProblem),
})

export const asset = z.object({
  symbol: z.string(),
  name: z.string(),
  type: z.enum(ASSET_TYPES),
  exchange: z.string().nullable(),
  currency: z.string().nullable(),
  tracked: z.boolean(),
  active: z.boolean(),
  price: decimal.nullable(),
  price_at: time.nullable(),
  last_error: z.string().nullable().describe('Why the newest attempt failed; null when it did not.'),
})
export const assetsQuery = z.strictObject({
  search: z.string().max(200, 'must have 200 characters at most').optional().describe('A part of symbol or name.'),
  tracked: z.enum(['true', 'false'], 'must be true or false').default('false').describe('Only tracked ones.'),
  limit: limit(100),
  offset,
})
export const assets = z.object({ assets: z.array(asset), limit: z.int(), offset: z.int() })
export const newAsset = z.strictObject({ symbol: field, type: field, currency: field, name: field })
export const trackedAsset = z.object({ symbol: z.string(), type: z.enum(ASSET_TYPES), is_new: z.boolean() })
export const assetParams = z.strictObject({ symbol: z.string().min(1).max(100) })
export const untracked = z.object({ symbol: z.string(), tracked: z.literal(false) })

export const backfill = z.object({
  symbol: z.string(),
  state: z.enum(BACKFILL_STATES),
  attempts: z.int(),
  from_day: z.string().meta({ format: 'date' }),
  rows_stored: z.int(),
  error: z.string().nullable(),
})
export const backfillsQuery = z.strictObject({ limit: limit(100) })
export const backfills = z.object({ backfills: z.array(backfill) })
