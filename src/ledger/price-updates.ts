import type { Session } from './database.ts'

/** One attempt to get the price of an asset, failed or not. */
export interface StoredPriceUpdate {
  readonly id: number
  readonly symbol: string
  readonly name: string
  readonly atMs: number
  /** Decimal text. */
  readonly price: string | null
  readonly success: boolean
  readonly error: string | null
  readonly durationMs: number
}

/** The newest attempts, newest first; with `after` only those with a larger id. */
export async function selectPriceUpdates(
  session: Session,
  limit: number,
  after: number | null = null,
): Promise<readonly StoredPriceUpdate[]> {
  const { rows } = await session.query<Record<'id' | 'at_ms', string> & Omit<StoredPriceUpdate, 'id' | 'atMs'>>(
    `SELECT u.id, a.symbol, a.name, (extract(epoch FROM u.at) * 1000)::bigint AS at_ms, u.price::text AS price,
            u.success, u.error, u.duration_ms AS "durationMs"
     FROM price_update_log u JOIN assets a USING (asset_id)
     WHERE $2::bigint IS NULL OR u.id > $2
     ORDER BY u.at DESC, u.id DESC LIMIT $1`,
    [limit, after],
  )
  return rows.map(({ at_ms, ...row }) => ({ ...row, id: Number(row.id), atMs: Number(at_ms) }))
}

export async function countTrackedAssets(session: Session): Promise<number> {
  const { rows } = await session.query<{ total: string }>('SELECT count(*) AS total FROM tracked_assets')
  return Number(rows[0]?.total ?? 0)
}
