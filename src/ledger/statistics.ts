import type { Session } from './database.ts'

/** The statistics of one collector at one moment. Times are Unix ms. */
export interface StatisticsRow {
  readonly atMs: number
  readonly startedMs: number
  readonly recorderId: string
  readonly collector: string
  readonly uptimeSeconds: number
  readonly total: number
  readonly successful: number
  readonly failed: number
  readonly successRate: number | null
  readonly averageDurationMs: number | null
  readonly p50DurationMs: number | null
  readonly p95DurationMs: number | null
  readonly lastDurationMs: number | null
}

export async function insertStatistics(session: Session, rows: readonly StatisticsRow[]): Promise<void> {
  for (const row of rows) {
    await session.query(
      `INSERT INTO fetcher_statistics
         (at, started_at, recorder_id, collector, uptime_seconds, total_cycles, successful_cycles, failed_cycles,
          success_rate, average_duration_ms, p50_duration_ms, p95_duration_ms, last_duration_ms)
       VALUES (to_timestamp($1 / 1000.0), to_timestamp($2 / 1000.0), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
      [
        row.atMs,
        row.startedMs,
        row.recorderId,
        row.collector,
        row.uptimeSeconds,
        row.total,
        row.successful,
        row.failed,
        row.successRate,
        row.averageDurationMs,
        row.p50DurationMs,
        row.p95DurationMs,
        row.lastDurationMs,
      ],
    )
  }
}

/** Deletes at most `limit` rows of before this time; returns how many. */
export async function deleteStatisticsBefore(session: Session, beforeMs: number, limit: number): Promise<number> {
  const { rowCount } = await session.query(
    `DELETE FROM fetcher_statistics WHERE id IN (
       SELECT id FROM fetcher_statistics WHERE at < to_timestamp($1 / 1000.0) ORDER BY at LIMIT $2)`,
    [beforeMs, limit],
  )
  return rowCount ?? 0
}
