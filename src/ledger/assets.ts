import type { Asset, AssetType } from '../core/assets.ts'
import { cleanText } from './clean.ts'
import type { Session } from './database.ts'

interface AssetRow {
  readonly asset_id: number
  readonly symbol: string
  readonly name: string
  readonly type: AssetType
  readonly exchange: string | null
  readonly currency: string | null
}

export const ASSET_COLUMNS = 'a.asset_id, a.symbol, a.name, a.type, a.exchange, a.currency'

export function toAsset(row: AssetRow): Asset {
  const { asset_id: assetId, symbol, name, type, exchange, currency } = row
  return { assetId, symbol, name, type, exchange, currency }
}

/** Every tracked and active asset, the one that has waited longest first. */
export async function selectTrackedAssets(session: Session): Promise<Asset[]> {
  const { rows } = await session.query<AssetRow & Record<string, unknown>>(
    `SELECT ${ASSET_COLUMNS} FROM tracked_assets t JOIN assets a USING (asset_id)
     WHERE a.active ORDER BY t.asked_at NULLS FIRST, a.asset_id`,
  )
  return rows.map(toAsset)
}

/** Tracks the exchange rates that a portfolio needs: one pair for each foreign currency it holds. */
export async function trackCurrencyPairs(session: Session): Promise<void> {
  await session.query(
    `WITH needed AS (
       SELECT DISTINCT a.currency AS base, p.currency AS quote, a.currency || p.currency || '=X' AS symbol
       FROM portfolio_positions h JOIN assets a USING (asset_id) JOIN portfolios p USING (portfolio_id)
       WHERE h.quantity > 0 AND a.currency <> p.currency
         AND a.currency ~ '^[A-Z]{3}$' AND p.currency ~ '^[A-Z]{3}$'),
     made AS (
       INSERT INTO assets (symbol, name, type, currency)
       SELECT n.symbol, n.base || '/' || n.quote, 'currency', n.quote
       FROM needed n WHERE NOT EXISTS (SELECT FROM assets a WHERE a.symbol = n.symbol)
       ORDER BY 1 ON CONFLICT DO NOTHING RETURNING asset_id)
     INSERT INTO tracked_assets (asset_id)
     SELECT asset_id FROM made
     UNION
     SELECT a.asset_id FROM needed JOIN assets a USING (symbol)
     WHERE NOT EXISTS (SELECT FROM tracked_assets t WHERE t.asset_id = a.asset_id)
     ON CONFLICT DO NOTHING`,
  )
}

/** An asset as somebody names it; what is null is filled in by its first price. */
export interface NewAsset {
  readonly symbol: string
  readonly type: AssetType
  readonly name: string | null
  readonly currency: string | null
}

export interface EnsuredAsset extends Asset {
  readonly isNew: boolean
}

/** Finds the asset of that symbol or makes it, and tracks it. What is known of it already is not changed. */
export async function ensureAsset(session: Session, asset: NewAsset): Promise<EnsuredAsset> {
  const symbol = cleanText(asset.symbol)
  const made = await session.query<AssetRow & Record<string, unknown>>(
    `INSERT INTO assets AS a (symbol, name, type, currency)
     SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT FROM assets WHERE symbol = $1)
     ON CONFLICT DO NOTHING RETURNING ${ASSET_COLUMNS}`,
    [symbol, cleanText(asset.name ?? symbol), asset.type, asset.currency],
  )
  const found =
    made.rows[0] ??
    (
      await session.query<AssetRow & Record<string, unknown>>(
        `SELECT ${ASSET_COLUMNS} FROM assets a WHERE a.symbol = $1`,
        [symbol],
      )
    ).rows[0]
  if (found === undefined) throw new Error(`the asset ${symbol} is neither new nor there`)
  await session.query('INSERT INTO tracked_assets (asset_id) VALUES ($1) ON CONFLICT DO NOTHING', [found.asset_id])
  return { ...toAsset(found), isNew: made.rows.length > 0 }
}

/** An asset with its newest price. Money is decimal text, times are ISO 8601. */
export interface ListedAsset extends Asset {
  readonly tracked: boolean
  readonly active: boolean
  readonly price: string | null
  readonly priceAt: string | null
  readonly lastError: string | null
}

export interface AssetQuery {
  /** A part of symbol or name; null for all. */
  readonly text: string | null
  readonly trackedOnly: boolean
  readonly limit: number
  readonly offset: number
}

/** Assets by symbol, with their newest price and, where the newest attempt failed, why. */
export async function selectAssets(session: Session, query: AssetQuery): Promise<ListedAsset[]> {
  const { rows } = await session.query<
    AssetRow & { tracked: boolean; active: boolean; price: string | null; price_at: Date | null; error: string | null }
  >(
    // Newest prices and attempts are looked up for the page alone.
    `WITH page AS (
       SELECT a.*, t.asset_id IS NOT NULL AS tracked FROM assets a LEFT JOIN tracked_assets t USING (asset_id)
       WHERE ($1::text IS NULL OR position(lower($1) IN lower(a.symbol)) > 0
                               OR position(lower($1) IN lower(a.name)) > 0)
         AND (NOT $2 OR t.asset_id IS NOT NULL)
       ORDER BY a.symbol LIMIT $3 OFFSET $4)
     SELECT ${ASSET_COLUMNS}, a.active, a.tracked, p.close AS price, p.ts AS price_at, l.error
     FROM page a
     LEFT JOIN LATERAL (SELECT close, ts FROM asset_prices WHERE asset_id = a.asset_id
                        ORDER BY ts DESC, kind DESC LIMIT 1) p ON true
     LEFT JOIN LATERAL (SELECT error FROM price_update_log WHERE asset_id = a.asset_id
                        ORDER BY at DESC LIMIT 1) l ON true
     ORDER BY a.symbol`,
    [query.text === null ? null : cleanText(query.text), query.trackedOnly, query.limit, query.offset],
  )
  return rows.map((row) => ({
    ...toAsset(row),
    tracked: row.tracked,
    active: row.active,
    price: row.price,
    priceAt: row.price_at?.toISOString() ?? null,
    lastError: row.error,
  }))
}

export type Untracked = 'untracked' | 'unknown' | 'held'

/** Stops pricing an asset, unless a portfolio holds it. */
export async function untrackAsset(session: Session, symbol: string): Promise<Untracked> {
  const { rows } = await session.query<{ asset_id: number; held: boolean }>(
    `SELECT a.asset_id,
            EXISTS (SELECT FROM portfolio_positions h WHERE h.asset_id = a.asset_id AND h.quantity > 0) AS held
     FROM assets a WHERE a.symbol = $1`,
    [cleanText(symbol)],
  )
  const asset = rows[0]
  if (asset === undefined) return 'unknown'
  if (asset.held) return 'held'
  await session.query('DELETE FROM tracked_assets WHERE asset_id = $1', [asset.asset_id])
  return 'untracked'
}
