import { createHash } from 'node:crypto'
import type { Market, MarketToken } from '../core/market.ts'
import type { TrackedToken } from '../core/ports.ts'
import { nullableArray, numberArray, textArray } from './array-literal.ts'
import { cleanJson, cleanOrNull, cleanText, decimalOrNull, timeOrNull } from './clean.ts'
import type { Session } from './database.ts'

/** Per statement; a market with its raw part is about 4 KB. */
const CHUNK = 2_000
/** `raw` holds counters that move all the time; rewriting it more often would be most of what the database writes. */
const RAW_AGE_MS_MAX = 3_600_000
const RAW_LENGTH_MAX = 262_144
/** A market stays tracked for this long after the newest listing left it out: listings are not atomic. */
const UNLISTED_GRACE = "interval '10 minutes'"

type Column = readonly [name: string, type: string, value: (market: Market) => string | boolean | null]

const COLUMNS: readonly Column[] = [
  ['condition_id', 'text', (market) => market.conditionId],
  ['venue_market_id', 'text', (market) => cleanOrNull(market.venueMarketId)],
  ['question', 'text', (market) => cleanText(market.question)],
  ['slug', 'text', (market) => cleanText(market.slug)],
  ['description', 'text', (market) => cleanOrNull(market.description)],
  ['category', 'text', (market) => cleanOrNull(market.category)],
  ['event_id', 'text', (market) => cleanOrNull(market.eventId)],
  ['event_title', 'text', (market) => cleanOrNull(market.eventTitle)],
  ['active', 'boolean', (market) => market.active],
  ['closed', 'boolean', (market) => market.closed],
  ['archived', 'boolean', (market) => market.archived],
  ['accepting_orders', 'boolean', (market) => market.acceptingOrders],
  ['neg_risk', 'boolean', (market) => market.negRisk],
  ['tick_size', 'text', (market) => cleanOrNull(market.tickSize)],
  ['min_order_size', 'text', (market) => cleanOrNull(market.minOrderSize)],
  ['version', 'text', (market) => cleanOrNull(market.version)],
  ['start_at', 'timestamptz', (market) => timeOrNull(market.startAt)],
  ['end_at', 'timestamptz', (market) => timeOrNull(market.endAt)],
  ['closed_at', 'timestamptz', (market) => timeOrNull(market.closedAt)],
  ['volume', 'numeric', (market) => decimalOrNull(market.volume)],
  ['volume_24h', 'numeric', (market) => decimalOrNull(market.volume24h)],
  ['liquidity', 'numeric', (market) => decimalOrNull(market.liquidity)],
  ['resolution_status', 'text', (market) => cleanOrNull(market.resolutionStatus)],
]
const NAMES = COLUMNS.map(([name]) => name)

const UPSERT = `
  INSERT INTO markets AS m (${NAMES.join(', ')}, row_hash, raw, raw_hash, raw_at, first_seen_at, updated_at)
  SELECT ${NAMES.join(', ')}, row_hash, raw::jsonb, raw_hash,
         CASE WHEN raw IS NOT NULL THEN observed.at END, observed.at, observed.at
  FROM unnest(${COLUMNS.map(([, type], index) => `$${index + 1}::${type}[]`).join(', ')},
              $${COLUMNS.length + 1}::text[], $${COLUMNS.length + 2}::text[], $${COLUMNS.length + 3}::text[])
         AS n (${NAMES.join(', ')}, row_hash, raw, raw_hash),
       to_timestamp($${COLUMNS.length + 4} / 1000.0) AS observed (at)
  ON CONFLICT (condition_id) DO UPDATE SET
    ${[...NAMES.slice(1), 'row_hash', 'updated_at'].map((name) => `${name} = EXCLUDED.${name}`).join(', ')},
    ${['raw', 'raw_hash', 'raw_at'].map((name) => `${name} = coalesce(EXCLUDED.${name}, m.${name})`).join(', ')}`

interface Known {
  readonly rowHash: string
  readonly rawHash: string | null
  readonly rawAtMs: number
}

interface Written {
  readonly values: readonly (string | null)[]
  readonly hash: string
  /** Null when what is stored stays. */
  readonly raw: string | null
  readonly rawHash: string | null
}

/** Inserts or updates the markets that differ from what is stored; returns how many did. Takes them `inOrder`. */
export async function upsertMarkets(session: Session, markets: readonly Market[], observedMs: number): Promise<number> {
  let written = 0
  for (let start = 0; start < markets.length; start += CHUNK) {
    const chunk = markets.slice(start, start + CHUNK)
    const known = await loadKnown(session, chunk)
    const changed = chunk.flatMap((market) => changeOf(market, known.get(market.conditionId), observedMs) ?? [])
    if (changed.length > 0) await writeRows(session, changed, observedMs)
    await upsertMarketTokens(session, chunk)
    written += changed.length
  }
  return written
}

/**
 * One transaction at a time writes metadata, until it ends: listings, resolutions and the stream's announcements touch
 * the same rows of several tables in their own orders, and would otherwise lock each other out.
 */
export async function lockMetadata(session: Session): Promise<void> {
  await session.query("SELECT pg_advisory_xact_lock(hashtext('tapekeeper metadata'))")
}

/** Sorted and each once (the last one wins), so that two transactions cannot lock each other's rows. */
export function inOrder(markets: readonly Market[]): Market[] {
  const byId = new Map(markets.map((market) => [market.conditionId, market]))
  return [...byId.values()].sort((a, b) => (a.conditionId < b.conditionId ? -1 : 1))
}

/** Notes that these markets are listed by the venue now. */
export async function markListed(session: Session, markets: readonly Market[], observedMs: number): Promise<void> {
  if (markets.length === 0) return
  await session.query(
    `INSERT INTO market_checks (condition_id, seen_at)
     SELECT id, to_timestamp($2 / 1000.0) FROM unnest($1::text[]) AS m (id)
     ON CONFLICT (condition_id) DO UPDATE SET seen_at = EXCLUDED.seen_at`,
    [textArray(markets.map((market) => market.conditionId)), observedMs],
  )
  await session.query(
    `INSERT INTO market_listing AS l (newest_at) VALUES (to_timestamp($1 / 1000.0))
     ON CONFLICT (only_row) DO UPDATE SET newest_at = greatest(l.newest_at, EXCLUDED.newest_at)`,
    [observedMs],
  )
}

export async function selectTrackedTokens(session: Session, limitMarkets: number): Promise<readonly TrackedToken[]> {
  const { rows } = await session.query<TrackedToken>(
    `WITH tracked AS (
       SELECT m.* FROM markets m JOIN market_checks c USING (condition_id)
       WHERE m.active AND NOT m.closed AND NOT m.archived AND m.accepting_orders AND NOT c.ended
         AND c.seen_at >= (SELECT newest_at FROM market_listing) - ${UNLISTED_GRACE}
       ORDER BY m.volume_24h DESC NULLS LAST, m.condition_id
       LIMIT $1)
     SELECT t.token_id AS "tokenId", m.condition_id AS "conditionId", m.tick_size AS "tickSize",
            m.min_order_size AS "minOrderSize", m.neg_risk AS "negRisk", m.version, m.volume_24h AS "volume24h"
     FROM tracked m JOIN tokens t USING (condition_id)
     ORDER BY m.volume_24h DESC NULLS LAST, m.condition_id, t.outcome_index`,
    [limitMarkets],
  )
  return rows
}

async function loadKnown(session: Session, markets: readonly Market[]): Promise<Map<string, Known>> {
  const { rows } = await session.query<{
    condition_id: string
    row_hash: string
    raw_hash: string
    raw_at: Date | null
  }>('SELECT condition_id, row_hash, raw_hash, raw_at FROM markets WHERE condition_id = ANY($1::text[])', [
    textArray(markets.map((market) => market.conditionId)),
  ])
  return new Map(
    rows.map((row) => [
      row.condition_id,
      { rowHash: row.row_hash, rawHash: row.raw_hash, rawAtMs: row.raw_at?.getTime() ?? 0 },
    ]),
  )
}

/** What has to be written of a market; null when the stored row still holds. */
function changeOf(market: Market, known: Known | undefined, observedMs: number): Written | null {
  const values = COLUMNS.map(([, , value]) => asText(value(market)))
  const hash = hashOf(JSON.stringify(values))
  const rawIsDue = known === undefined || Math.abs(observedMs - known.rawAtMs) >= RAW_AGE_MS_MAX
  const raw = rawIsDue ? rawOf(market) : null
  const rawHash = raw === null ? null : hashOf(raw)
  const rawChanged = rawHash !== null && rawHash !== known?.rawHash
  if (!rawChanged && known?.rowHash === hash) return null
  return { values, hash, raw: rawChanged ? raw : null, rawHash: rawChanged ? rawHash : null }
}

async function writeRows(session: Session, rows: readonly Written[], observedMs: number): Promise<void> {
  const arrays = COLUMNS.map((_, index) => nullableArray(rows.map((row) => row.values[index] ?? null)))
  await session.query(UPSERT, [
    ...arrays,
    textArray(rows.map((row) => row.hash)),
    nullableArray(rows.map((row) => row.raw)),
    nullableArray(rows.map((row) => row.rawHash)),
    observedMs,
  ])
}

/** Inserts missing tokens and corrects what is known of others. The venue's listing is the authority on both. */
async function upsertMarketTokens(session: Session, markets: readonly Market[]): Promise<void> {
  const byId = new Map<string, MarketToken & { conditionId: string }>()
  for (const market of markets) {
    for (const token of market.tokens) byId.set(token.tokenId, { ...token, conditionId: market.conditionId })
  }
  const tokens = [...byId.values()].sort((a, b) => (a.tokenId < b.tokenId ? -1 : 1))
  if (tokens.length === 0) return
  const values = [
    textArray(tokens.map((token) => token.tokenId)),
    textArray(tokens.map((token) => token.conditionId)),
    textArray(tokens.map((token) => cleanText(token.outcome))),
    numberArray(tokens.map((token) => token.outcomeIndex)),
  ]
  const listed = `unnest($1::text[], $2::text[], $3::text[], $4::smallint[])
                    AS n (token_id, condition_id, outcome, outcome_index)`
  await session.query(
    `UPDATE tokens t SET condition_id = n.condition_id, outcome = n.outcome, outcome_index = n.outcome_index
     FROM ${listed}
     WHERE t.token_id = n.token_id
       AND (t.condition_id, t.outcome, t.outcome_index) IS DISTINCT FROM (n.condition_id, n.outcome, n.outcome_index)`,
    values,
  )
  // Only those that are missing are tried: every try uses up a key, and there are 2^31.
  await session.query(
    `INSERT INTO tokens (token_id, condition_id, outcome, outcome_index)
     SELECT n.* FROM ${listed} LEFT JOIN tokens t USING (token_id) WHERE t.token_id IS NULL
     ORDER BY n.token_id
     ON CONFLICT DO NOTHING`,
    values,
  )
}

function rawOf(market: Market): string {
  const raw = cleanJson(market.raw)
  return raw.length <= RAW_LENGTH_MAX ? raw : JSON.stringify({ cut_by_tapekeeper: true, length: raw.length })
}

function hashOf(text: string): string {
  return createHash('sha1').update(text).digest('hex')
}

function asText(value: string | boolean | null): string | null {
  return value === null ? null : String(value)
}
