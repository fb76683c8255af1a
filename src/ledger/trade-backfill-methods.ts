import type { TradeBackfillStore } from '../core/trade-backfill.ts'
import type { Database, Session } from './database.ts'
import {
  type BackfillScope,
  selectBacklog,
  selectGapsToFill,
  selectHours,
  selectStoredTrades,
  selectTradedMarkets,
  storeHoursAttempt,
  updateGapAttempt,
} from './trade-backfill.ts'

export type { BackfillScope } from './trade-backfill.ts'

type Run = <T>(work: (database: Database) => Promise<T>) => Promise<T>

/** Whole hours are gone through. */
const BACKFILL_TIMEOUT_MS = 120_000

/** What filling the holes of one stream needs, over one database. */
export function tradeBackfillMethods(run: Run, scope: BackfillScope): TradeBackfillStore {
  const write = <T>(work: (session: Session) => Promise<T>) =>
    run((database) => database.transaction(work, { statementTimeoutMs: BACKFILL_TIMEOUT_MS }))
  const read = <T>(work: (session: Session) => Promise<T>) =>
    run((database) => database.transaction(work, { readOnly: true, statementTimeoutMs: BACKFILL_TIMEOUT_MS }))
  return {
    loadGapsToFill: (nowMs, limit) => read((session) => selectGapsToFill(session, scope, nowMs, limit)),
    saveGapAttempt: (gap, attempt) => write((session) => updateGapAttempt(session, gap, attempt)),
    loadTrades: (query) => read((session) => selectStoredTrades(session, query)),
    loadHoursToReconcile: (query) => read((session) => selectHours(session, scope, query)),
    loadTradedMarkets: (fromMs, toMs) => read((session) => selectTradedMarkets(session, scope, fromMs, toMs)),
    saveHoursAttempt: (hoursMs, attempt) =>
      write(async (session) => ({ gaps: await storeHoursAttempt(session, scope, hoursMs, attempt) })),
    loadBacklog: () => read((session) => selectBacklog(session, scope)),
  }
}
