import type { Session } from './database.ts'
import { wordsQuery } from './words.ts'

/** One signal as a list shows it. Times are Unix ms. */
export interface StoredSignal {
  readonly id: number
  readonly source: string
  readonly externalId: string | null
  readonly url: string | null
  readonly title: string
  readonly summary: string
  readonly publishedMs: number | null
  readonly seenMs: number
  readonly keywords: readonly string[]
  readonly companies: readonly string[]
  /** The nearest first. */
  readonly markets: readonly LinkedMarket[]
}

export interface LinkedMarket {
  readonly conditionId: string
  readonly question: string | null
  readonly score: number
  readonly reason: string
}

export interface SignalQuery {
  readonly limit: number
  /** Only signals with a smaller id. */
  readonly before: number | null
  readonly source: string | null
  /** Words that must all occur. */
  readonly search: string | null
  readonly keyword: string | null
  readonly company: string | null
  /** Only those linked to this market. */
  readonly conditionId: string | null
}

/** Written like the index of the migration, so that it is used. */
const WORDS = String.raw`to_tsvector('simple',
  regexp_replace(s.title || ' ' || s.summary, '[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+', ' ', 'g'))`
const ms = (column: string) => `(extract(epoch FROM ${column}) * 1000)::float8`
const COLUMNS = `s.signal_id::float8 AS id, s.source, s.external_id AS "externalId", s.url, s.title, s.summary,
  ${ms('s.published_at')} AS "publishedMs", ${ms('s.seen_at')} AS "seenMs", s.keywords, s.companies,
  coalesce((SELECT jsonb_agg(jsonb_build_object('conditionId', l.condition_id, 'question', m.question,
              'score', l.score, 'reason', l.reason) ORDER BY l.score DESC, l.condition_id)
            FROM signal_markets l LEFT JOIN markets m USING (condition_id)
            WHERE l.signal_id = s.signal_id), '[]') AS markets`

/** Signals, the newest stored first. */
export async function selectSignals(session: Session, query: SignalQuery): Promise<readonly StoredSignal[]> {
  const values: unknown[] = [query.limit]
  const conditions: string[] = []
  const words = query.search === null ? null : wordsQuery(query.search)
  if (query.before !== null) conditions.push(`s.signal_id < $${values.push(query.before)}`)
  if (query.source !== null) conditions.push(`s.source = $${values.push(query.source)}`)
  if (words !== null) conditions.push(`${WORDS} @@ to_tsquery('simple', $${values.push(words)})`)
  if (query.keyword !== null) conditions.push(`$${values.push(query.keyword)}::text = ANY (s.keywords)`)
  if (query.company !== null) conditions.push(`$${values.push(query.company)}::text = ANY (s.companies)`)
  if (query.conditionId !== null) {
    const at = values.push(query.conditionId)
    conditions.push(`s.signal_id IN (SELECT signal_id FROM signal_markets WHERE condition_id = $${at})`)
  }
  const { rows } = await session.query<StoredSignal & Record<string, unknown>>(
    `SELECT ${COLUMNS} FROM signals s ${conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`}
     ORDER BY s.signal_id DESC LIMIT $1`,
    values,
  )
  return rows
}

/** One signal with the item as it came; null when there is none. */
export async function selectSignal(
  session: Session,
  id: number,
): Promise<(StoredSignal & { readonly raw: Readonly<Record<string, unknown>> }) | null> {
  const { rows } = await session.query<StoredSignal & { raw: Record<string, unknown> } & Record<string, unknown>>(
    `SELECT ${COLUMNS}, s.raw FROM signals s WHERE s.signal_id = $1`,
    [id],
  )
  return rows[0] ?? null
}
