import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { computeHealth } from '../core/health.ts'
import type { CollectorStatus, StatusBoard } from '../core/status.ts'
import type { AlertsStatus } from '../monitor/alerts/alerts.ts'
import type { LogStoreStatus } from '../monitor/log-store.ts'

export interface MetricSources {
  readonly board: () => StatusBoard
  readonly logs: { status(): LogStoreStatus }
  readonly alerts: () => AlertsStatus | null
  readonly events: { readonly listeners: number }
}

/** The numbers of the status board for Prometheus, read when they are asked for. Nothing global is touched. */
export function createMetrics({ board, logs, alerts, events }: MetricSources): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'tapekeeper_' })
  const gauge = (name: string, help: string, read: (now: StatusBoard) => number | null) =>
    new Gauge({
      name: `tapekeeper_${name}`,
      help,
      registers: [registry],
      collect() {
        const value = read(board())
        if (value === null) this.remove()
        else this.set(value)
      },
    })
  gauge('healthy', '1 while healthy or starting, else 0.', (now) => {
    const { status } = computeHealth(now)
    return status === 'healthy' || status === 'starting' ? 1 : 0
  })
  gauge('uptime_seconds', 'Since start, on the monotonic clock.', (now) => now.uptimeMs / 1000)
  gauge('restarts_total', 'Restarts of collectors since start.', (now) => now.restarts)
  addPlumbing(gauge)
  gauge('log_entries_stored_total', 'Log entries stored since start.', () => logs.status().stored)
  gauge('log_entries_dropped_total', 'Log entries that could not be stored.', () => logs.status().dropped)
  gauge('log_entries_queued', 'Log entries that wait for the ledger.', () => logs.status().queued)
  gauge('alerts_open', 'Troubles that are told and not over.', () => alerts()?.open ?? null)
  gauge('alert_messages_queued', 'Alert messages not delivered yet.', () => alerts()?.queued ?? null)
  gauge('alert_messages_dropped_total', 'Alert messages that were given up.', () => alerts()?.dropped ?? null)
  gauge('alerts_kept', '1 while alerts can be written to the data directory.', () => {
    const status = alerts()
    return status === null ? null : status.trouble === null ? 1 : 0
  })
  gauge('event_clients', 'Open streams of server-sent events.', () => events.listeners)
  addCollectorMetrics(registry, board)
  return registry
}

type AddGauge = (name: string, help: string, read: (now: StatusBoard) => number | null) => void

function addPlumbing(gauge: AddGauge): void {
  gauge('tape_ok', '1 while the tape takes frames.', ({ tape }) => (tape.state === 'ok' ? 1 : 0))
  gauge('tape_frames_accepted_total', 'Frames on the tape since start.', ({ tape }) => tape.framesAccepted)
  gauge('tape_frames_refused_total', 'Frames that the tape did not take.', ({ tape }) => tape.framesRefused)
  gauge('tape_bytes_accepted_total', 'Bytes on the tape since start.', ({ tape }) => tape.bytesAccepted)
  gauge('tape_disk_bytes', 'Size of the tape.', ({ tape }) => tape.bytesOnDisk)
  gauge('tape_damaged_lines_total', 'Lines that were damaged.', ({ tape }) => tape.damagedLines)
  gauge('ledger_ok', '1 while the ledger answers.', ({ ledger }) => (ledger.state === 'ok' ? 1 : 0))
  gauge('trades_received_total', 'Trades read off the tape.', ({ recorder }) => recorder.tradesReceived)
  gauge('trades_inserted_total', 'Trades stored.', ({ recorder }) => recorder.tradesInserted)
  gauge('recorder_queue_depth', 'Frames accepted and not yet in the ledger.', ({ recorder }) => recorder.queueDepth)
  gauge('recorder_behind_bytes', 'Tape that is not yet in the ledger.', ({ recorder }) => recorder.behindBytes)
  gauge('dead_letters_total', 'Rows that were refused.', ({ recorder }) => recorder.deadLetters)
  gauge('books_kept', 'Order books in memory.', ({ recorder }) => recorder.booksKept)
  gauge('book_matches_total', 'Books equal to their hash.', ({ recorder }) => recorder.checks.match)
  gauge('book_mismatches_total', 'Books unequal to their hash.', ({ recorder }) => recorder.checks.mismatch)
  gauge('book_unverifiable_total', 'Books that no check is known for.', ({ recorder }) => recorder.checks.unverifiable)
}

function addCollectorMetrics(registry: Registry, board: () => StatusBoard): void {
  const gauge = (name: string, help: string, read: (collector: CollectorStatus) => number | null) =>
    new Gauge({
      name: `tapekeeper_collector_${name}`,
      help,
      labelNames: ['collector'],
      registers: [registry],
      collect() {
        this.reset()
        for (const collector of board().collectors) {
          const value = read(collector)
          if (value !== null) this.set({ collector: collector.name }, value)
        }
      },
    })
  gauge('up', '1 while it works: starting or running.', ({ state }) =>
    state === 'starting' || state === 'running' ? 1 : 0,
  )
  gauge('cycles_total', 'Finished cycles since start.', ({ cycles }) => cycles)
  gauge('failed_cycles_total', 'Failed cycles since start.', ({ failedCycles }) => failedCycles)
  gauge('skipped_cycles_total', 'Starts missed because a cycle took too long.', ({ skippedCycles }) => skippedCycles)
  gauge('items_total', 'Items collected since start.', ({ items }) => items)
  gauge('restarts_total', 'Restarts since start.', ({ restarts }) => restarts)
  gauge('age_seconds', 'Age of the newest useful answer.', ({ usefulAgeMs }) => toSeconds(usefulAgeMs))
  gauge('last_duration_seconds', 'Duration of the last cycle.', ({ lastDurationMs }) => toSeconds(lastDurationMs))
  gauge('connections', 'Open connections of a stream.', ({ stream }) => stream?.connectionsActive ?? null)
  gauge('reconnections_total', 'Connections opened again.', ({ stream }) => stream?.reconnections ?? null)
}

function toSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000
}
