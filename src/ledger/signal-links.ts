import type { LinkableQuery, LinkableSignal, MarketQuestion, SignalLink } from '../core/signals.ts'
import { numberArray, textArray } from './array-literal.ts'
import { cleanText } from './clean.ts'
import type { Session } from './database.ts'

/** Open markets, the busiest first. */
export async function selectMarketQuestions(session: Session, limit: number): Promise<MarketQuestion[]> {
  const { rows } = await session.query<MarketQuestion & Record<string, unknown>>(
    `SELECT condition_id AS "conditionId", question FROM markets
     WHERE active AND NOT closed ORDER BY volume_24h DESC NULLS LAST, condition_id LIMIT $1`,
    [limit],
  )
  return rows
}

/** What a story is about is said at its beginning. */
const SUMMARY_LENGTH = 600

/** Signals that have room for links, the newest first. */
export async function selectLinkable(session: Session, asked: LinkableQuery): Promise<LinkableSignal[]> {
  const { sinceMs, linksMax, limit, before } = asked
  const { rows } = await session.query<LinkableSignal & Record<string, unknown>>(
    `SELECT s.signal_id::float8 AS "signalId", s.title, left(s.summary, $4) AS summary, s.keywords,
            s.companies,
            ARRAY(SELECT m.condition_id FROM signal_markets m WHERE m.signal_id = s.signal_id) AS links
     FROM signals s
     WHERE s.seen_at >= to_timestamp($1 / 1000.0)
       AND (SELECT count(*) FROM signal_markets m WHERE m.signal_id = s.signal_id) < $2
       AND ($5::bigint IS NULL OR s.signal_id < $5)
     ORDER BY s.signal_id DESC LIMIT $3`,
    [sinceMs, linksMax, limit, SUMMARY_LENGTH, before],
  )
  return rows
}

/** Returns how many links were new. A signal that is gone by now is left out. */
export async function insertLinks(session: Session, links: readonly SignalLink[]): Promise<number> {
  if (links.length === 0) return 0
  const result = await session.query(
    `INSERT INTO signal_markets (signal_id, condition_id, score, reason)
     SELECT l.signal_id, l.condition_id, l.score, l.reason
     FROM unnest($1::bigint[], $2::text[], $3::float8[], $4::text[]) AS l (signal_id, condition_id, score, reason)
     WHERE EXISTS (SELECT FROM signals s WHERE s.signal_id = l.signal_id)
     ORDER BY 1, 2 ON CONFLICT DO NOTHING`,
    [
      numberArray(links.map(({ signalId }) => signalId)),
      textArray(links.map(({ conditionId }) => conditionId)),
      numberArray(links.map(({ score }) => score)),
      textArray(links.map(({ reason }) => cleanText(reason))),
    ],
  )
  return result.rowCount ?? 0
}
