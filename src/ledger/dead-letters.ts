import type { DeadLetter } from '../core/ports.ts'
import { cleanText } from './clean.ts'
import type { Session } from './database.ts'

const RAW_BYTES_MAX = 65_536
const REASON_LENGTH_MAX = 1_000
const CUT_NOTE = ' … (cut by tapekeeper)'
const ROWS_PER_HOUR_MAX = 1_000
const HOUR_MS = 3_600_000
/** Per statement: 200 letters of 64 KiB are 13 MB. */
const CHUNK = 200

/**
 * Stores bad input, at most 1,000 rows an hour; what goes beyond is counted in `dead_letter_hours`. Call it last in a
 * transaction: the hour's counter is a lock that others may wait for.
 */
export async function insertDeadLetters(
  session: Session,
  letters: readonly DeadLetter[],
  nowMs: number,
): Promise<void> {
  if (letters.length === 0) return
  const kept = letters.slice(0, await reserve(session, letters.length, nowMs))
  for (let start = 0; start < kept.length; start += CHUNK) {
    const chunk = kept.slice(start, start + CHUNK)
    await session.query(
      `INSERT INTO dead_letters (at, source, reason, raw)
       SELECT to_timestamp(at / 1000.0), source, reason, raw
       FROM unnest($1::float8[], $2::text[], $3::text[], $4::text[]) AS l (at, source, reason, raw)`,
      [
        chunk.map((letter) => (Number.isFinite(letter.atMs) ? letter.atMs : nowMs)),
        chunk.map((letter) => cleanText(letter.source)),
        chunk.map((letter) => cleanText(letter.reason).slice(0, REASON_LENGTH_MAX)),
        chunk.map((letter) => cut(cleanText(letter.raw))),
      ],
    )
  }
}

/** Counts these letters and returns how many of them the hour still has room for. */
async function reserve(session: Session, count: number, nowMs: number): Promise<number> {
  const hour = new Date(Math.floor(nowMs / HOUR_MS) * HOUR_MS).toISOString()
  const { rows } = await session.query<{ before: string }>(
    `INSERT INTO dead_letter_hours AS h (hour, offered, kept) VALUES ($1, $2, least($2::bigint, $3::bigint))
     ON CONFLICT (hour) DO UPDATE SET
       offered = h.offered + EXCLUDED.offered,
       kept = least(h.offered + EXCLUDED.offered, $3::bigint)
     RETURNING offered - $2::bigint AS before`,
    [hour, count, ROWS_PER_HOUR_MAX],
  )
  return Math.max(0, Math.min(count, ROWS_PER_HOUR_MAX - Number(rows[0]?.before ?? 0)))
}

function cut(text: string): string {
  if (text.length * 3 <= RAW_BYTES_MAX || Buffer.byteLength(text) <= RAW_BYTES_MAX) return text
  const bytes = Buffer.from(text).subarray(0, RAW_BYTES_MAX - Buffer.byteLength(CUT_NOTE))
  // A character cut in half becomes the replacement character, which may be a byte or two longer: dropped.
  return bytes.toString('utf8').replace(/\uFFFD$/, '') + CUT_NOTE
}
