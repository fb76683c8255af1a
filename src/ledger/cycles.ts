import type { FinishedCycle } from '../core/ports.ts'
import { cleanJson, cleanOrNull, cleanText } from './clean.ts'
import type { Session } from './database.ts'

const ERROR_LENGTH_MAX = 2_000

export async function insertCycle(session: Session, cycle: FinishedCycle): Promise<void> {
  await session.query(
    `INSERT INTO collector_cycles (collector, started_at, duration_ms, ok, items, error, details)
     VALUES ($1, to_timestamp($2 / 1000.0), $3, $4, $5, $6, $7)`,
    [
      cleanText(cycle.collector),
      cycle.startedMs,
      cycle.durationMs,
      cycle.ok,
      cycle.items,
      cleanOrNull(cycle.error)?.slice(0, ERROR_LENGTH_MAX) ?? null,
      cleanJson(cycle.details),
    ],
  )
}

export interface StoredCycle extends FinishedCycle {
  readonly id: number
}

/** The newest cycles of one collector with a smaller id, newest first. */
export async function selectCycles(
  session: Session,
  { collector, limit, before }: { collector: string; limit: number; before: number | null },
): Promise<readonly StoredCycle[]> {
  const { rows } = await session.query<Record<'id' | 'started_ms' | 'items', string> & Omit<StoredCycle, 'id'>>(
    `SELECT id, collector, (extract(epoch FROM started_at) * 1000)::bigint AS started_ms,
            duration_ms AS "durationMs", ok, items, error, details
     FROM collector_cycles
     WHERE collector = $1 AND ($3::bigint IS NULL OR id < $3)
     ORDER BY started_at DESC, id DESC LIMIT $2`,
    [collector, limit, before],
  )
  return rows.map(({ started_ms, ...row }) => ({
    ...row,
    id: Number(row.id),
    startedMs: Number(started_ms),
    items: Number(row.items),
  }))
}
