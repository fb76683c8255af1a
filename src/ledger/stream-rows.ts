import type { LifecycleRow, StreamRowIdentity, TickSizeRow, TradeRow } from '../core/rows.ts'
import { nullableArray, numberArray, textArray } from './array-literal.ts'
import { TRADE_CANDLES } from './candles.ts'
import type { Session } from './database.ts'

/** The database key of a token that is known to exist. */
export type KeyOf = (tokenId: string) => number

/** Inserts one group of rows and returns how many were new. A single statement: all of them or none. */
export type InsertRows<Row> = (session: Session, rows: readonly Row[], keyOf: KeyOf) => Promise<number>

const INSERT_TRADES = `
  WITH inserted AS (
    INSERT INTO trades
      (token_key, ts, content_hash, ordinal, received_at, price, size, fee_rate_bps, side, transaction_hash, origin)
    SELECT token_key, to_timestamp(ms / 1000.0), hash, ordinal, to_timestamp(us / 1000000.0),
           price, size, fee, side, tx, origin
    FROM unnest($1::integer[], $2::float8[], $3::uuid[], $4::integer[], $5::float8[],
                $6::float8[], $7::float8[], $8::float8[], $9::"char"[], $10::text[], $11::"char"[])
      AS t (token_key, ms, hash, ordinal, us, price, size, fee, side, tx, origin)
    ON CONFLICT DO NOTHING
    RETURNING token_key, ts, price, size, side),
  ${TRADE_CANDLES}
  SELECT count(*)::integer AS inserted FROM inserted`

export const insertTrades: InsertRows<TradeRow> = async (session, rows, keyOf) => {
  const { rows: result } = await session.query<{ inserted: number }>(INSERT_TRADES, [
    numberArray(rows.map((row) => keyOf(row.tokenId))),
    ...identityOf(rows),
    textArray(rows.map((row) => row.price)),
    textArray(rows.map((row) => row.size)),
    nullableArray(rows.map((row) => (row.feeRateBps === '' ? null : row.feeRateBps))),
    textArray(rows.map((row) => (row.side === 'BUY' ? 'B' : 'S'))),
    textArray(rows.map((row) => row.transactionHash)),
    textArray(rows.map((row) => (row.origin === 'stream' ? 's' : 'b'))),
  ])
  return result[0]?.inserted ?? 0
}

export const insertTickSizes: InsertRows<TickSizeRow> = async (session, rows, keyOf) => {
  const result = await session.query(
    `INSERT INTO tick_size_changes (token_key, ts, content_hash, ordinal, received_at, old_tick_size, new_tick_size)
     SELECT token_key, to_timestamp(ms / 1000.0), hash, ordinal, to_timestamp(us / 1000000.0), old_size, new_size
     FROM unnest($1::integer[], $2::float8[], $3::uuid[], $4::integer[], $5::float8[], $6::text[], $7::text[])
       AS t (token_key, ms, hash, ordinal, us, old_size, new_size)
     ON CONFLICT DO NOTHING`,
    [
      numberArray(rows.map((row) => keyOf(row.tokenId))),
      ...identityOf(rows),
      textArray(rows.map((row) => row.oldTickSize)),
      textArray(rows.map((row) => row.newTickSize)),
    ],
  )
  return result.rowCount ?? 0
}

/**
 * Besides the event itself: a new market gets a skeleton that the next listing fills, and one that has ended is asked
 * for its resolution first. `accepting_orders` stays false until a listing says otherwise.
 */
export const insertLifecycle: InsertRows<LifecycleRow> = async (session, rows, keyOf) => {
  const { rows: result } = await session.query<{ inserted: number }>(
    `WITH inserted AS (
       INSERT INTO market_events (condition_id, ts, content_hash, ordinal, received_at, kind, winning_token_id, raw)
       SELECT id, to_timestamp(ms / 1000.0), hash, ordinal, to_timestamp(us / 1000000.0), kind, winner, raw::jsonb
       FROM unnest($1::text[], $2::float8[], $3::uuid[], $4::integer[], $5::float8[],
                   $6::text[], $7::text[], $8::text[])
         AS t (id, ms, hash, ordinal, us, kind, winner, raw)
       ON CONFLICT DO NOTHING RETURNING condition_id, kind),
     ended AS (
       INSERT INTO market_checks (condition_id, ended)
       SELECT DISTINCT condition_id, true FROM inserted WHERE kind = 'market_resolved' ORDER BY condition_id
       ON CONFLICT (condition_id) DO UPDATE SET ended = true, checked_at = NULL)
     SELECT count(*)::integer AS inserted FROM inserted`,
    [
      textArray(rows.map((row) => row.market)),
      ...identityOf(rows),
      textArray(rows.map((row) => row.kind)),
      nullableArray(rows.map((row) => row.winningTokenId)),
      textArray(rows.map((row) => row.raw)),
    ],
  )
  await insertSkeletons(session, rows)
  await describeTokens(session, rows, keyOf)
  return result[0]?.inserted ?? 0
}

async function insertSkeletons(session: Session, rows: readonly LifecycleRow[]): Promise<void> {
  await session.query(
    `INSERT INTO markets
       (condition_id, question, slug, tick_size, active, closed, archived, accepting_orders, first_seen_at, updated_at)
     SELECT DISTINCT ON (id) id, question, slug, tick_size, true, kind = 'market_resolved', false, false, at, at
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[])
            AS t (id, question, slug, tick_size, kind, us),
          LATERAL (SELECT to_timestamp(us / 1000000.0) AS at) AS a
     ORDER BY id, us
     ON CONFLICT DO NOTHING`,
    [
      textArray(rows.map((row) => row.market)),
      textArray(rows.map((row) => row.question ?? '')),
      textArray(rows.map((row) => row.slug ?? '')),
      nullableArray(rows.map((row) => row.tickSize)),
      textArray(rows.map((row) => row.kind)),
      numberArray(rows.map((row) => row.atUs)),
    ],
  )
}

/** Fills in market and outcome of tokens that nothing is known of yet. */
async function describeTokens(session: Session, rows: readonly LifecycleRow[], keyOf: KeyOf): Promise<void> {
  const tokens = rows
    .flatMap((row) =>
      row.tokens.map((tokenId, index) => ({ key: keyOf(tokenId), index, row, outcome: row.outcomes[index] })),
    )
    .filter(({ outcome }) => outcome !== undefined)
  if (tokens.length === 0) return
  await session.query(
    `UPDATE tokens t SET condition_id = coalesce(t.condition_id, n.id), outcome = n.outcome, outcome_index = n.index
     FROM unnest($1::integer[], $2::text[], $3::text[], $4::smallint[]) AS n (token_key, id, outcome, index)
     WHERE t.token_key = n.token_key AND t.outcome IS NULL`,
    [
      numberArray(tokens.map(({ key }) => key)),
      textArray(tokens.map(({ row }) => row.market)),
      textArray(tokens.map(({ outcome }) => outcome ?? '')),
      numberArray(tokens.map(({ index }) => index)),
    ],
  )
}

function identityOf(rows: readonly StreamRowIdentity[]): string[] {
  return [
    numberArray(rows.map((row) => row.venueMs)),
    textArray(rows.map((row) => row.contentHash)),
    numberArray(rows.map((row) => row.ordinal)),
    numberArray(rows.map((row) => row.atUs)),
  ]
}
