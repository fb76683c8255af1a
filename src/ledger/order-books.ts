import type { Level } from '../core/events.ts'
import type { OrderBookSnapshot } from '../core/market.ts'
import type { DeadLetter } from '../core/ports.ts'
import { nullableArray, numberArray, textArray } from './array-literal.ts'
import { cleanText, decimalOrNull } from './clean.ts'
import type { Session } from './database.ts'

/** A book whose token is known. */
export interface OrderBookRow extends OrderBookSnapshot {
  readonly tokenKey: number
}

/** The range of `timestamptz` that makes sense for a venue's clock, Unix ms. */
const VENUE_MS_MAX = 32_503_680_000_000

/** Splits what can be stored from what cannot: every level is a pair of decimals. */
export function checkOrderBooks(books: readonly OrderBookSnapshot[], observedMs: number) {
  const good = new Map<string, OrderBookSnapshot>()
  const bad: DeadLetter[] = []
  for (const book of books) {
    const problem = problemOf(book)
    if (problem === null) good.set(book.tokenId, book)
    else bad.push({ atMs: observedMs, source: 'orderbooks', reason: problem, raw: JSON.stringify(book) })
  }
  return { good: [...good.values()], bad }
}

/** Stores the books whose hash is not that of their newest row; a book without a hash is always stored. */
export async function insertOrderBooks(
  session: Session,
  rows: readonly OrderBookRow[],
  observedMs: number,
): Promise<number> {
  if (rows.length === 0) return 0
  const result = await session.query<{ stored: number }>(
    `WITH observed AS (
       SELECT b.*, to_timestamp($10 / 1000.0) AS ts
       FROM unnest($1::integer[], $2::float8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                   $8::float8[], $9::float8[])
         AS b (token_key, venue_ms, hash, bid_prices, bid_sizes, ask_prices, ask_sizes, spread, midpoint)),
     changed AS (
       SELECT o.* FROM observed o LEFT JOIN last_books l USING (token_key)
       WHERE l.token_key IS NULL OR o.hash <> l.hash OR o.hash = ''
       ORDER BY o.token_key),
     inserted AS (
       INSERT INTO orderbook_snapshots
         (token_key, ts, venue_at, hash, bid_prices, bid_sizes, ask_prices, ask_sizes, spread, midpoint)
       SELECT token_key, ts, to_timestamp(venue_ms / 1000.0), hash, bid_prices::float8[], bid_sizes::float8[],
              ask_prices::float8[], ask_sizes::float8[], spread, midpoint FROM changed
       ON CONFLICT DO NOTHING RETURNING token_key),
     newest AS (
       INSERT INTO last_books (token_key, stored_at, hash, spread, midpoint)
       SELECT token_key, ts, hash, spread, midpoint FROM changed
       ON CONFLICT (token_key) DO UPDATE SET stored_at = EXCLUDED.stored_at, hash = EXCLUDED.hash,
         spread = EXCLUDED.spread, midpoint = EXCLUDED.midpoint)
     SELECT count(*)::integer AS stored FROM inserted`,
    [
      numberArray(rows.map((row) => row.tokenKey)),
      numberArray(rows.map((row) => row.venueMs)),
      textArray(rows.map((row) => cleanText(row.hash))),
      textArray(rows.map((row) => textArray(row.bids.map((level) => level.price)))),
      textArray(rows.map((row) => textArray(row.bids.map((level) => level.size)))),
      textArray(rows.map((row) => textArray(row.asks.map((level) => level.price)))),
      textArray(rows.map((row) => textArray(row.asks.map((level) => level.size)))),
      nullableArray(rows.map((row) => decimalOrNull(row.spread))),
      nullableArray(rows.map((row) => decimalOrNull(row.midpoint))),
      observedMs,
    ],
  )
  return result.rows[0]?.stored ?? 0
}

function problemOf(book: OrderBookSnapshot): string | null {
  if (!(book.venueMs >= 0 && book.venueMs <= VENUE_MS_MAX)) return 'its venue time is no time'
  return [...book.bids, ...book.asks].every(isLevel) ? null : 'a level is not a pair of decimals'
}

function isLevel(level: Level): boolean {
  return decimalOrNull(level.price) !== null && decimalOrNull(level.size) !== null
}
