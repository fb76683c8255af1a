import type { Database } from './database.ts'
import { DAY_MS, type Partitions } from './partitions.ts'

/** What one round of upkeep did. */
export interface MaintenanceReport {
  readonly partitionsDropped: number
  readonly deadLettersPurged: number
  readonly cyclesPurged: number
  readonly priceUpdatesPurged: number
  readonly signalsPurged: number
  readonly scrapeRunsPurged: number
}

const BATCH_ROWS = 10_000
const BATCHES_MAX = 20
const DEAD_LETTERS_AGE_MS = 30 * DAY_MS
/** Each may be 64 KiB. */
const DEAD_LETTERS_MAX = 20_000
const CYCLES_AGE_MS = 30 * DAY_MS
const PRICE_UPDATES_AGE_MS = 90 * DAY_MS
const SCRAPE_RUNS_AGE_MS = 30 * DAY_MS

/** Makes partitions ahead, drops old ones, purges what is kept for a while only; in small steps, so nobody waits. */
export async function runMaintenance(
  database: Database,
  partitions: Partitions,
  nowMs: number,
): Promise<MaintenanceReport> {
  await partitions.ensureAhead(nowMs)
  const partitionsDropped = await partitions.dropOld(nowMs)
  const oldLetters = 'SELECT id FROM dead_letters WHERE at < to_timestamp($1 / 1000.0) ORDER BY at'
  const surplusLetters = 'SELECT id FROM dead_letters ORDER BY id DESC OFFSET $1'
  const oldCycles = 'SELECT id FROM collector_cycles WHERE started_at < to_timestamp($1 / 1000.0) ORDER BY started_at'
  const deadLettersPurged =
    (await purge(database, 'dead_letters', oldLetters, nowMs - DEAD_LETTERS_AGE_MS)) +
    (await purge(database, 'dead_letters', surplusLetters, DEAD_LETTERS_MAX))
  await database.transaction((session) =>
    session.query('DELETE FROM dead_letter_hours WHERE hour < to_timestamp($1 / 1000.0)', [
      nowMs - DEAD_LETTERS_AGE_MS,
    ]),
  )
  const cyclesPurged = await purge(database, 'collector_cycles', oldCycles, nowMs - CYCLES_AGE_MS)
  const oldUpdates = 'SELECT id FROM price_update_log WHERE at < to_timestamp($1 / 1000.0) ORDER BY at'
  const priceUpdatesPurged = await purge(database, 'price_update_log', oldUpdates, nowMs - PRICE_UPDATES_AGE_MS)
  const signals = await purgeSignals(database, partitions.oldestMs(nowMs), nowMs)
  return { partitionsDropped, deadLettersPurged, cyclesPurged, priceUpdatesPurged, ...signals }
}

/** Signals go when raw rows do; their keys stay, so that what is still listed somewhere is not taken for new. */
async function purgeSignals(database: Database, oldestMs: number, nowMs: number) {
  const old = 'SELECT signal_id FROM signals WHERE seen_at < to_timestamp($1 / 1000.0) ORDER BY seen_at'
  const oldRuns = 'SELECT run_id FROM scrape_runs WHERE started_at < to_timestamp($1 / 1000.0) ORDER BY started_at'
  const signalsPurged = await purge(database, 'signals', old, oldestMs, 'signal_id')
  const scrapeRunsPurged = await purge(database, 'scrape_runs', oldRuns, nowMs - SCRAPE_RUNS_AGE_MS, 'run_id')
  return { signalsPurged, scrapeRunsPurged }
}

/** Deletes the rows whose ids the query finds, a batch per transaction; what is left waits for the next round. */
async function purge(database: Database, table: string, query: string, value: number, column = 'id'): Promise<number> {
  let total = 0
  for (let batch = 0; batch < BATCHES_MAX; batch += 1) {
    const text = `DELETE FROM ${table} WHERE ${column} IN (${query} LIMIT ${BATCH_ROWS})`
    const result = await database.transaction((session) => session.query(text, [value]))
    total += result.rowCount ?? 0
    if ((result.rowCount ?? 0) < BATCH_ROWS) break
  }
  return total
}
