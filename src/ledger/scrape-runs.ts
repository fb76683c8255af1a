import type { FinishedRun, RunTrigger, SourceOutcome, StoredSignals } from '../core/signals.ts'
import { textArray } from './array-literal.ts'
import { cleanOrNull, cleanText } from './clean.ts'
import type { Session } from './database.ts'

const ERROR_LENGTH_MAX = 500

/** Begins a run with every source waiting; what the same recorder began in the same way and never ended is closed. */
export async function insertRun(
  session: Session,
  run: {
    readonly recorderId: string
    readonly trigger: RunTrigger
    readonly startedMs: number
    readonly sources: readonly string[]
  },
): Promise<number> {
  const { recorderId, trigger, startedMs, sources } = run
  await session.query(
    `UPDATE scrape_runs SET state = 'interrupted', finished_at = to_timestamp($3 / 1000.0)
     WHERE recorder_id = $1 AND trigger = $2 AND state = 'running'`,
    [recorderId, trigger, startedMs],
  )
  const { rows } = await session.query<{ run_id: string }>(
    `INSERT INTO scrape_runs (recorder_id, trigger, state, started_at)
     VALUES ($1, $2, 'running', to_timestamp($3 / 1000.0)) RETURNING run_id`,
    [recorderId, trigger, startedMs],
  )
  const runId = Number(rows[0]?.run_id)
  await session.query(
    `INSERT INTO scrape_progress (run_id, source, state) SELECT $1, s, 'waiting' FROM unnest($2::text[]) AS s`,
    [runId, textArray(sources.map(cleanText))],
  )
  return runId
}

/** Notes what became of one source of a run. */
export async function updateProgress(
  session: Session,
  runId: number,
  outcome: SourceOutcome,
  { stored, repeated }: StoredSignals,
): Promise<void> {
  const { source, state, startedMs, durationMs, requests, bytes, items, damaged, dropped, error } = outcome
  await session.query(
    `UPDATE scrape_progress SET state = $3, started_at = to_timestamp($4 / 1000.0), duration_ms = $5, requests = $6,
       bytes = $7, items = $8, stored = $9, repeated = $10, damaged = $11, dropped = $12, error = $13
     WHERE run_id = $1 AND source = $2`,
    [
      ...[runId, cleanText(source), state, startedMs, durationMs, requests, bytes, items],
      ...[stored, repeated, damaged, dropped, cleanOrNull(error)?.slice(0, ERROR_LENGTH_MAX) ?? null],
    ],
  )
}

export async function endRun(session: Session, runId: number, finished: FinishedRun): Promise<void> {
  await session.query(
    `UPDATE scrape_runs SET state = $2, finished_at = to_timestamp($3 / 1000.0), error = $4
     WHERE run_id = $1 AND state = 'running'`,
    [runId, finished.state, finished.finishedMs, cleanOrNull(finished.error)?.slice(0, ERROR_LENGTH_MAX) ?? null],
  )
}

export type RunState = 'running' | 'succeeded' | 'failed' | 'interrupted'
export type ProgressState = 'waiting' | SourceOutcome['state']

/** One source of a run. Times are Unix ms. */
export interface SourceProgress extends StoredSignals {
  readonly source: string
  readonly state: ProgressState
  readonly startedMs: number | null
  readonly durationMs: number | null
  readonly requests: number
  readonly bytes: number
  readonly items: number
  readonly damaged: number
  readonly dropped: number
  readonly error: string | null
}

export interface ScrapeRun {
  readonly runId: number
  readonly trigger: RunTrigger
  readonly state: RunState
  readonly startedMs: number
  readonly finishedMs: number | null
  readonly error: string | null
  /** By name. */
  readonly sources: readonly SourceProgress[]
}

const ms = (column: string) => `(extract(epoch FROM ${column}) * 1000)::float8`

/** Runs with their sources, the newest first; only those before a run where one is given. */
export async function selectRuns(session: Session, limit: number, before: number | null): Promise<ScrapeRun[]> {
  const { rows } = await session.query<ScrapeRun & Record<string, unknown>>(
    `SELECT r.run_id::float8 AS "runId", r.trigger, r.state, ${ms('r.started_at')} AS "startedMs",
            ${ms('r.finished_at')} AS "finishedMs", r.error, coalesce(p.sources, '[]') AS sources
     FROM (SELECT * FROM scrape_runs WHERE $2::bigint IS NULL OR run_id < $2 ORDER BY run_id DESC LIMIT $1) r
     LEFT JOIN LATERAL (
       SELECT jsonb_agg(jsonb_build_object('source', s.source, 'state', s.state, 'startedMs', ${ms('s.started_at')},
                'durationMs', s.duration_ms, 'requests', s.requests, 'bytes', s.bytes, 'items', s.items,
                'stored', s.stored, 'repeated', s.repeated, 'damaged', s.damaged, 'dropped', s.dropped,
                'error', s.error) ORDER BY s.source) AS sources
       FROM scrape_progress s WHERE s.run_id = r.run_id) p ON true
     ORDER BY r.run_id DESC`,
    [limit, before],
  )
  return rows
}
