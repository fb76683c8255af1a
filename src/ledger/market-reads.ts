import type { Session } from './database.ts'
import { wordsQuery } from './words.ts'

/** One market as a list shows it. Times are Unix ms, amounts decimal text. */
export interface MarketSummary {
  readonly conditionId: string
  readonly question: string
  readonly slug: string
  readonly category: string | null
  readonly eventTitle: string | null
  readonly active: boolean
  readonly closed: boolean
  readonly acceptingOrders: boolean
  readonly endMs: number | null
  readonly volume: string | null
  readonly volume24h: string | null
  readonly liquidity: string | null
  readonly updatedMs: number
  readonly winningOutcome: string | null
  /** Its place in the order of a list. */
  readonly place: string
}

export interface MarketFacts extends MarketSummary {
  readonly description: string | null
  readonly eventId: string | null
  readonly startMs: number | null
  readonly closedMs: number | null
  readonly archived: boolean
  readonly negRisk: boolean | null
  readonly tickSize: string | null
  readonly minOrderSize: string | null
  readonly resolution: {
    readonly result: 'winner' | 'split'
    readonly outcome: string | null
    readonly winnerTokenId: string | null
    readonly payoutPrice: string
    readonly resolvedMs: number
    readonly detectionMethod: string
  } | null
}

export interface MarketQuery {
  readonly search: string | null
  readonly state: 'open' | 'closed' | 'all'
  readonly limit: number
  /** Only markets after this place: 24 h volume and condition id. */
  readonly after: { readonly place: string; readonly conditionId: string } | null
}

/** Written like the indexes of migration 4, so that they are used. */
const PLACE = 'coalesce(m.volume_24h, -1)'
const WORDS = String.raw`to_tsvector('simple',
  regexp_replace(m.question || ' ' || m.slug, '[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+', ' ', 'g'))`

const ms = (column: string) => `(extract(epoch FROM ${column}) * 1000)::float8`

const SUMMARY = `m.condition_id AS "conditionId", m.question, m.slug, m.category, m.event_title AS "eventTitle",
  m.active, m.closed, m.accepting_orders AS "acceptingOrders", ${ms('m.end_at')} AS "endMs", m.volume::text AS volume,
  m.volume_24h::text AS "volume24h", m.liquidity::text AS liquidity, ${ms('m.updated_at')} AS "updatedMs",
  r.outcome AS "winningOutcome", ${PLACE}::text AS place`

/** Markets by 24 h volume, the busiest first. */
export async function selectMarkets(session: Session, query: MarketQuery): Promise<readonly MarketSummary[]> {
  const { search, state, limit, after } = query
  const words = search === null ? null : wordsQuery(search)
  const values: unknown[] = [limit]
  const conditions = [{ open: 'm.active AND NOT m.closed', closed: 'm.closed', all: 'true' }[state]]
  if (words !== null) conditions.push(`${WORDS} @@ to_tsquery('simple', $${values.push(words)})`)
  if (after !== null) {
    const [place, id] = [values.push(after.place), values.push(after.conditionId)]
    conditions.push(`(${PLACE}, m.condition_id) < ($${place}::numeric, $${id}::text)`)
  }
  const { rows } = await session.query<MarketSummary & Record<string, unknown>>(
    `SELECT ${SUMMARY} FROM markets m LEFT JOIN resolutions r USING (condition_id)
     WHERE ${conditions.join(' AND ')} ORDER BY ${PLACE} DESC, m.condition_id DESC LIMIT $1`,
    values,
  )
  return rows
}

/** Everything about one market; null when the ledger does not know it. */
export async function selectMarket(session: Session, conditionId: string): Promise<MarketFacts | null> {
  const { rows } = await session.query<MarketFacts & Record<string, unknown>>(
    `SELECT ${SUMMARY}, m.description, m.event_id AS "eventId", ${ms('m.start_at')} AS "startMs",
            ${ms('m.closed_at')} AS "closedMs", m.archived, m.neg_risk AS "negRisk", m.tick_size AS "tickSize",
            m.min_order_size AS "minOrderSize",
            CASE WHEN r.condition_id IS NOT NULL THEN jsonb_build_object(
              'result', r.result, 'outcome', r.outcome, 'winnerTokenId', r.winner_token_id,
              'payoutPrice', r.payout_price::text, 'resolvedMs', ${ms('r.resolved_at')},
              'detectionMethod', r.detection_method) END AS resolution
     FROM markets m LEFT JOIN resolutions r USING (condition_id) WHERE m.condition_id = $1`,
    [conditionId],
  )
  return rows[0] ?? null
}

/** One token of a market with its newest stored values. */
export interface MarketTokenRow {
  readonly conditionId: string
  readonly tokenId: string
  readonly tokenKey: number
  readonly outcome: string | null
  readonly price: number | null
  readonly priceMs: number | null
  readonly spread: number | null
  readonly midpoint: number | null
  readonly bookMs: number | null
  /** Since when it is followed; null when it is not. */
  readonly sinceMs: number | null
  readonly verifiedMs: number | null
}

/** The tokens of these markets, in the order of their outcomes. */
export async function selectMarketTokens(
  session: Session,
  conditionIds: readonly string[],
): Promise<readonly MarketTokenRow[]> {
  const { rows } = await session.query<MarketTokenRow & Record<string, unknown>>(
    `SELECT t.condition_id AS "conditionId", t.token_id AS "tokenId", t.token_key AS "tokenKey", t.outcome,
            p.price, ${ms('p.stored_at')} AS "priceMs", b.spread, b.midpoint, ${ms('b.stored_at')} AS "bookMs",
            ${ms('s.since')} AS "sinceMs", ${ms('s.verified_at')} AS "verifiedMs"
     FROM tokens t
     LEFT JOIN last_prices p USING (token_key)
     LEFT JOIN last_books b USING (token_key)
     LEFT JOIN LATERAL (
       SELECT min(started_at) AS since, max(verified_at) AS verified_at FROM coverage_spans
       WHERE token_key = t.token_key AND ended_at IS NULL) AS s ON true
     WHERE t.condition_id = ANY ($1::text[])
     ORDER BY t.condition_id, t.outcome_index, t.token_key`,
    [conditionIds],
  )
  return rows
}
