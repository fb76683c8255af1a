import { isoTime } from '../core/health.ts'
import type { StoredGap } from '../ledger/coverage-reads.ts'
import type { StoredPriceUpdate } from '../ledger/price-updates.ts'
import { STORED_LEVEL } from '../monitor/log-store.ts'
import type { LogEntry as LoggedEntry } from '../runtime/logging.ts'
import type { Gap, LogEntry, PriceUpdate } from './contract.ts'
import { iso } from './reading.ts'

export function priceUpdateView(row: StoredPriceUpdate): PriceUpdate {
  const { symbol, name, atMs, price, success, error, durationMs } = row
  return { symbol, name, timestamp: iso(atMs), price, success, error, duration_ms: durationMs }
}

/** An entry that was just logged and is not stored yet. */
export function loggedView({ atMs, level, message, context }: LoggedEntry): LogEntry {
  return { id: null, timestamp: iso(atMs), level: STORED_LEVEL[level], message, context: { ...context } }
}

export function gapView(gap: StoredGap): Gap {
  return {
    gap_id: gap.gapId,
    recorder_id: gap.recorderId,
    stream: gap.stream,
    started_at: iso(gap.startedMs),
    ended_at: isoTime(gap.endedMs),
    cause: gap.cause as Gap['cause'],
    token_count: gap.tokenCount,
    quiet_token_count: gap.quietTokenCount,
    evidence: { ...gap.evidence },
    recovered_trades: gap.recoveredTrades,
    backfill_complete: gap.backfillComplete,
    backfill_error: gap.backfillError,
  }
}
