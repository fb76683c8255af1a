import { z } from 'zod'
import { cursor, decimal, limit, moment, nextCursor, search, time, whole } from './common.ts'

const price = z.number().describe('0 to 1.')

export const tokenCoverage = z.object({
  recording: z.boolean().describe('It is followed now.'),
  since: time.nullable().describe('Since when, when it is followed.'),
  verified_at: time.nullable().describe('The last proof that its silence was right.'),
  gap_open: z.boolean(),
  missing_seconds_24h: z.number().describe('Of the last 24 h, how long something may be missing.'),
})

export const marketToken = z.object({
  token_id: z.string(),
  outcome: z.string().nullable(),
  price: price.nullable().describe('The newest stored one.'),
  price_time: time.nullable(),
  spread: z.number().nullable(),
  midpoint: z.number().nullable(),
  book_time: time.nullable().describe('When the newest stored book was observed.'),
  coverage: tokenCoverage,
})

export const market = z.object({
  condition_id: z.string(),
  question: z.string(),
  slug: z.string(),
  category: z.string().nullable(),
  event_title: z.string().nullable(),
  active: z.boolean(),
  closed: z.boolean(),
  accepting_orders: z.boolean(),
  end_at: time.nullable(),
  volume: decimal.nullable(),
  volume_24h: decimal.nullable(),
  liquidity: decimal.nullable(),
  updated_at: time,
  winning_outcome: z.string().nullable().describe('null also for a split or while it is open.'),
  tokens: z.array(marketToken),
})

export const marketsQuery = z.strictObject({
  search,
  state: z.enum(['open', 'closed', 'all'], 'must be open, closed or all').default('open'),
  limit: limit(50, 200),
  cursor,
})

export const markets = z.object({
  markets: z.array(market).describe('By 24 h volume, the busiest first.'),
  next_cursor: nextCursor,
})

export const resolution = z.object({
  result: z.enum(['winner', 'split']),
  outcome: z.string().nullable(),
  winner_token_id: z.string().nullable(),
  payout_price: decimal,
  resolved_at: time,
  detection_method: z.string(),
})

export const marketDetail = market.extend({
  description: z.string().nullable(),
  event_id: z.string().nullable(),
  start_at: time.nullable(),
  closed_at: time.nullable(),
  archived: z.boolean(),
  neg_risk: z.boolean().nullable(),
  tick_size: z.string().nullable(),
  min_order_size: z.string().nullable(),
  resolution: resolution.nullable(),
})

export const rangeQuery = z.strictObject({
  from: moment.describe('Not older than this.'),
  to: moment.describe('Older than this.'),
  limit: limit(100),
  cursor,
})

export const trade = z.object({
  timestamp: time.describe('Venue time.'),
  side: z.enum(['BUY', 'SELL']).describe('Of the taker.'),
  price,
  size: z.number().describe('Shares.'),
  transaction_hash: z.string(),
  origin: z.enum(['stream', 'backfill']),
})
export const trades = z.object({ trades: z.array(trade).describe('Newest first.'), next_cursor: nextCursor })

export const pricePoint = z.object({ timestamp: time, price, volume_24h: z.number().nullable() })
export const prices = z.object({ prices: z.array(pricePoint).describe('Newest first.'), next_cursor: nextCursor })

export const booksQuery = z.strictObject({
  from: moment.describe('Not older than this.'),
  to: moment.describe('Older than this.'),
  limit: limit(1, 100),
  depth: whole(1, 1_000).default(20).describe('Levels a side.'),
  cursor,
})
const level = z.object({ price, size: z.number() })
export const book = z.object({
  timestamp: time.describe('When it was observed.'),
  venue_time: time.describe('Its last change at the venue.'),
  bids: z.array(level).describe('Best first.'),
  asks: z.array(level).describe('Best first.'),
  spread: z.number().nullable(),
  midpoint: z.number().nullable(),
})
export const bookQuery = z.strictObject({ depth: whole(1, 1_000).default(20).describe('Levels a side.') })
export const newestBook = z.object({
  live: z
    .boolean()
    .describe('Whether it is as the stream has led to it by now; else it is the newest that was stored.'),
  book: book.nullable().describe('Null before the first.'),
})
export const books = z.object({ books: z.array(book).describe('Newest first.'), next_cursor: nextCursor })

export const candle = z.object({
  hour: time.describe('Its beginning.'),
  open: price,
  high: price,
  low: price,
  close: price,
  trades: z.int(),
  shares: decimal,
  notional: decimal.describe('USDC.'),
  source: z.enum(['trade', 'snapshot']).describe('`snapshot`: from prices, nothing was traded.'),
})
export const candles = z.object({ candles: z.array(candle).describe('Newest first.'), next_cursor: nextCursor })
