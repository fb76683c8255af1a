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
