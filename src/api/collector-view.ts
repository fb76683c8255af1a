import { isoTime } from '../core/health.ts'
import type { FinishedCycle } from '../core/ports.ts'
import type { CollectorStatus, StatusBoard } from '../core/status.ts'
import type { CollectorStatistics as TrackedStatistics } from '../monitor/statistics-tracker.ts'
import { redactText } from '../runtime/redact.ts'
import type { Collector, CollectorStatistics, Cycle } from './contract.ts'
import { iso } from './reading.ts'

/** Seconds to the millisecond. */
export function toSeconds(ms: number): number {
  return Math.round(ms) / 1000
}

export function secondsOrNull(ms: number | null): number | null {
  return ms === null ? null : toSeconds(ms)
}

export function statisticsView(numbers: TrackedStatistics): CollectorStatistics {
  return {
    uptime_seconds: toSeconds(numbers.uptimeMs),
    total_cycles: numbers.total,
    successful_cycles: numbers.successful,
    failed_cycles: numbers.failed,
    success_rate: numbers.successRate,
    average_cycle_duration_seconds: secondsOrNull(numbers.averageDurationMs),
    last_cycle_duration_seconds: secondsOrNull(numbers.lastDurationMs),
    p50_cycle_duration_seconds: secondsOrNull(numbers.p50DurationMs),
    p95_cycle_duration_seconds: secondsOrNull(numbers.p95DurationMs),
  }
}

/** In one word: does it do its work? */
export function statusWord(collector: CollectorStatus, board: StatusBoard): Collector['status'] {
  if (board.draining || collector.state === 'stopped') return 'stopped'
  const isDead = collector.state === 'failed' || collector.state === 'backing_off' || collector.state === 'cooling'
  return isDead || collector.lastCycleOk === false ? 'error' : 'running'
}

/** How long until its next attempt, seconds, not below 0; null when nobody knows. */
export function untilNext(collector: CollectorStatus, nowMs: number): number | null {
  return collector.nextAttemptMs === null ? null : toSeconds(Math.max(0, collector.nextAttemptMs - nowMs))
}

interface View {
  readonly board: StatusBoard
  readonly nowMs: number
  readonly numbers: TrackedStatistics
}

export function collectorView(collector: CollectorStatus, { board, nowMs, numbers }: View): Collector {
  return {
    name: collector.name,
    kind: collector.kind,
    critical: collector.critical,
    status: statusWord(collector, board),
    state: collector.state,
    interval_seconds: toSeconds(collector.intervalMs),
    last_update: isoTime(collector.lastUsefulMs),
    next_update_in_seconds: untilNext(collector, nowMs),
    items: collector.items,
    last_cycle_success: collector.lastCycleOk,
    consecutive_failures: collector.consecutiveFailures,
    skipped_cycles: collector.skippedCycles,
    restarts: collector.restarts,
    // Errors are other people's words.
    last_error: collector.lastError === null ? null : redactText(collector.lastError),
    last_error_time: isoTime(collector.lastErrorMs),
    statistics: statisticsView(numbers),
    stream: streamView(collector),
  }
}

function streamView({ stream }: CollectorStatus): Collector['stream'] {
  if (stream === null) return null
  return {
    tokens_wanted: stream.tokensWanted,
    tokens_subscribed: stream.tokensSubscribed,
    connections_wanted: stream.connectionsWanted,
    connections_active: stream.connectionsActive,
    connections_stalled: stream.connectionsStalled,
    reconnections: stream.reconnections,
    frames_received: stream.framesReceived,
    bytes_received: stream.bytesReceived,
    frames_refused: stream.framesRefused,
    last_data: isoTime(stream.lastDataMs),
    trouble: stream.trouble === null ? null : redactText(stream.trouble),
  }
}

export function cycleView(cycle: FinishedCycle & { readonly id?: number }): Cycle {
  return {
    id: cycle.id ?? null,
    collector: cycle.collector,
    started_at: iso(cycle.startedMs),
    duration_seconds: toSeconds(cycle.durationMs),
    success: cycle.ok,
    items: cycle.items,
    error: cycle.error,
    details: { ...cycle.details },
  }
}
