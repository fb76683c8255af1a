import { emptyStreamStatus } from '../../src/core/collector.ts'
import type { CollectorStatus, StatusBoard } from '../../src/core/status.ts'

/** 2026-10-01 12:00 UTC. */
export const NOW_MS = Date.UTC(2026, 9, 1, 12, 0, 0)

/** A polling collector that does well, but for `changes`. */
export function collector(changes: Partial<CollectorStatus>): CollectorStatus {
  return {
    name: 'polymarket.prices',
    kind: 'polling',
    critical: true,
    state: 'running',
    intervalMs: 60_000,
    cycles: 3,
    failedCycles: 1,
    consecutiveFailures: 0,
    skippedCycles: 0,
    items: 70,
    lastCycleOk: true,
    lastStartedMs: NOW_MS - 2_000,
    lastFinishedMs: NOW_MS - 1_000,
    lastDurationMs: 1_000,
    lastUsefulMs: NOW_MS - 1_000,
    usefulAgeMs: 1_000,
    lastError: null,
    lastErrorMs: null,
    restarts: 0,
    nextAttemptMs: null,
    stream: null,
    ...changes,
  }
}

/** A board on which all is well. */
export function healthyBoard(): StatusBoard {
  const stream = { ...emptyStreamStatus(), connectionsActive: 2, connectionsWanted: 2 }
  return {
    recorderId: 'r',
    version: '0.1.0',
    startedMs: NOW_MS - 600_000,
    uptimeMs: 600_000,
    draining: false,
    collectors: [collector({}), collector({ name: 'polymarket.trades', kind: 'streaming', stream, items: 30 })],
    tape: {
      state: 'ok',
      trouble: null,
      framesAccepted: 0,
      bytesAccepted: 0,
      framesRefused: 0,
      pendingBytes: 0,
      lastSyncMs: null,
      lastSyncDurationMs: null,
      segments: 0,
      bytesOnDisk: 0,
      damagedLines: 0,
    },
    ledger: { state: 'ok', trouble: null, kind: 'server', serverVersion: '16.2', sinceMs: NOW_MS },
    recorder: {
      tradesReceived: 9,
      tradesInserted: 8,
      batchesInserted: 2,
      duplicates: 0,
      queueDepth: 1,
      behindBytes: 0,
      caughtUp: true,
      lastTradeMs: null,
      lastInsertMs: null,
      booksKept: 0,
      checks: { match: 31, mismatch: 0, unverifiable: 2, skipped: 0 },
      rejects: 0,
      deadLetters: 0,
      unknownEvents: 0,
      drift: {},
      damagedLines: 0,
      gapsOpened: 0,
      tokensInDoubt: 0,
      comparisons: { equal: 0, older: 0, ahead: 0, skipped: 0 },
      trouble: null,
    },
    restarts: 4,
  }
}
