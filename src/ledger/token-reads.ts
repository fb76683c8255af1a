import type { Session } from './database.ts'

/** The small key of a token; null when the ledger does not know it. */
export async function selectTokenKey(session: Session, tokenId: string): Promise<number | null> {
  const { rows } = await session.query<{ token_key: number }>('SELECT token_key FROM tokens WHERE token_id = $1', [
    tokenId,
  ])
  return rows[0]?.token_key ?? null
}

/** Rows of one token, newest first. Times are ISO 8601 with µs. */
export interface RangeQuery {
  readonly tokenKey: number
  /** null: from the beginning. */
  readonly from: string | null
  /** Older than this; null: to the end. */
  readonly to: string | null
  readonly limit: number
}

const ISO = (column: string) => `to_char(${column}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

const range = ({ tokenKey, from, to, limit }: RangeQuery): readonly unknown[] => [
  tokenKey,
  from ?? '-infinity',
  to ?? 'infinity',
  limit,
]

export interface StoredTrade {
  readonly at: string
  readonly side: 'BUY' | 'SELL'
  readonly price: number
  readonly size: number
  readonly transactionHash: string
  readonly origin: 'stream' | 'backfill'
  /** With the time, its place in the order. */
  readonly contentHash: string
  readonly ordinal: number
}

export async function selectTrades(
  session: Session,
  query: RangeQuery & { readonly after: { at: string; contentHash: string; ordinal: number } | null },
): Promise<readonly StoredTrade[]> {
  const { after } = query
  const later = after === null ? '' : 'AND (ts, content_hash, ordinal) < ($5::timestamptz, $6::uuid, $7::integer)'
  const { rows } = await session.query<StoredTrade & Record<string, unknown>>(
    `SELECT ${ISO('ts')} AS at, CASE side WHEN 'B' THEN 'BUY' ELSE 'SELL' END AS side, price, size,
            transaction_hash AS "transactionHash", CASE origin WHEN 's' THEN 'stream' ELSE 'backfill' END AS origin,
            content_hash AS "contentHash", ordinal
     FROM trades WHERE token_key = $1 AND ts >= $2::timestamptz AND ts < $3::timestamptz ${later}
     ORDER BY ts DESC, content_hash DESC, ordinal DESC LIMIT $4`,
    after === null ? range(query) : [...range({ ...query, to: query.to }), after.at, after.contentHash, after.ordinal],
  )
  return rows
}

export interface StoredPrice {
  readonly at: string
  readonly price: number
  readonly volume24h: number | null
}

export async function selectPrices(session: Session, query: RangeQuery): Promise<readonly StoredPrice[]> {
  const { rows } = await session.query<StoredPrice & Record<string, unknown>>(
    `SELECT ${ISO('ts')} AS at, price, volume_24h AS "volume24h" FROM price_snapshots
     WHERE token_key = $1 AND ts >= $2::timestamptz AND ts < $3::timestamptz ORDER BY ts DESC LIMIT $4`,
    range(query),
  )
  return rows
}

export interface StoredBook {
  readonly at: string
  readonly venueAt: string
  readonly bidPrices: readonly number[]
  readonly bidSizes: readonly number[]
  readonly askPrices: readonly number[]
  readonly askSizes: readonly number[]
  readonly spread: number | null
  readonly midpoint: number | null
}

/** Books with at most `depth` levels a side, best first. */
export async function selectBooks(
  session: Session,
  query: RangeQuery & { readonly depth: number },
): Promise<readonly StoredBook[]> {
  const { rows } = await session.query<StoredBook & Record<string, unknown>>(
    `SELECT ${ISO('ts')} AS at, ${ISO('venue_at')} AS "venueAt", spread, midpoint,
            bid_prices[:$5] AS "bidPrices", bid_sizes[:$5] AS "bidSizes",
            ask_prices[:$5] AS "askPrices", ask_sizes[:$5] AS "askSizes"
     FROM orderbook_snapshots WHERE token_key = $1 AND ts >= $2::timestamptz AND ts < $3::timestamptz
     ORDER BY ts DESC LIMIT $4`,
    [...range(query), query.depth],
  )
  return rows
}

export interface StoredCandle {
  readonly at: string
  readonly open: number
  readonly high: number
  readonly low: number
  readonly close: number
  readonly trades: number
  /** Decimal text. */
  readonly shares: string
  readonly notional: string
  readonly source: 'trade' | 'snapshot'
}

/** One candle an hour: from trades where there were any, else from price snapshots. */
export async function selectCandles(session: Session, query: RangeQuery): Promise<readonly StoredCandle[]> {
  const { rows } = await session.query<StoredCandle & Record<string, unknown>>(
    `SELECT DISTINCT ON (hour) ${ISO('hour')} AS at, open, high, low, close, trades, shares::text AS shares,
            notional::text AS notional, source
     FROM price_candles_1h WHERE token_key = $1 AND hour >= $2::timestamptz AND hour < $3::timestamptz
     ORDER BY hour DESC, source DESC LIMIT $4`,
    range(query),
  )
  return rows
}
