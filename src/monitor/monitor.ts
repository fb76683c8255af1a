import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/log.ts'
import type { CycleListener, FinishedCycle } from '../core/ports.ts'
import type { Sessions } from '../ledger/ledger.ts'
import { createAbort, withDeadline } from '../runtime/abort.ts'
import type { Logging } from '../runtime/logging.ts'
import { redact } from '../runtime/redact.ts'
import { runUpkeep } from '../runtime/upkeep.ts'
import { EventHub } from './event-hub.ts'
import { LogStore } from './log-store.ts'
import { StatisticsTracker } from './statistics-tracker.ts'

export interface MonitorOptions {
  readonly clock: Clock
  readonly log: Logger
  /** Hands over what is logged from info up. */
  readonly observe: Logging['observe']
  readonly ledger: Sessions
  readonly recorderId: string
  /** How long log entries and statistics are kept, ms. */
  readonly retentionMs: number
}

/** What the program knows of itself. */
export interface Monitor {
  readonly logs: LogStore
  readonly statistics: StatisticsTracker
  readonly events: EventHub
  /** Leaves an entry and an event for every finished cycle. */
  readonly cycles: CycleListener
  /** Ends what runs in the background and stores what is left, in 2 s at most. Never rejects. */
  close(): Promise<void>
}

const PERSIST_INTERVAL_MS = 300_000
const PURGE_INTERVAL_MS = 3_600_000
const CLOSE_MS = 1_000

/** Watches from now on: keeps the log, counts cycles, tells who listens. */
export function startMonitor(options: MonitorOptions): Monitor {
  const { clock, log, observe, ledger, recorderId, retentionMs } = options
  const logs = new LogStore({ clock, ledger, log: log.child({ part: 'log-store' }), retentionMs })
  const statistics = new StatisticsTracker({ clock, ledger, recorderId, retentionMs })
  const events = new EventHub()
  const stop = new AbortController()
  const ignore = observe((entry) => {
    logs.log(entry)
    events.publish({ kind: 'log', entry })
  })
  const persist = () => statistics.persistStatistics()
  const purge = async () => {
    const [entries, rows] = [await logs.purgeOldLogs(), await statistics.purgeOldStatistics()]
    if (entries + rows > 0) log.debug({ entries, rows }, 'purged old log entries and statistics')
  }
  const upkeep = { clock, log, signal: stop.signal }
  const background = [
    logs.run(stop.signal),
    runUpkeep({ ...upkeep, what: 'storing statistics', intervalMs: PERSIST_INTERVAL_MS, round: persist }),
    runUpkeep({ ...upkeep, what: 'purging the log', intervalMs: PURGE_INTERVAL_MS, round: purge }),
  ]
  return {
    logs,
    statistics,
    events,
    cycles: {
      cycleFinished(cycle, cause) {
        // Not through the logger: a terminal is told what changes, the ledger keeps every cycle.
        logs.log({ atMs: clock.wallMs(), ...cycleEntry(cycle, cause) })
        events.publish({ kind: 'cycle', cycle })
      },
    },
    async close() {
      stop.abort()
      const last = { clock, timeoutMs: CLOSE_MS, signal: createAbort().signal, what: 'storing statistics' }
      const ended = async () => {
        await Promise.all(background)
        await persist()
      }
      await withDeadline(last, ended).catch(() => undefined) // told by the ledger, if it is away
      ignore()
      await logs.close(CLOSE_MS)
    },
  }
}

/** One log entry for one finished cycle. */
function cycleEntry(cycle: FinishedCycle, cause: unknown) {
  const { collector, ok, items, durationMs, startedMs, error, details } = cycle
  const status = ok ? 'success' : 'failure'
  const startedAt = new Date(startedMs).toISOString()
  const facts = { collector, status, started_at: startedAt, duration_ms: durationMs, items, details }
  const seconds = (durationMs / 1000).toFixed(1)
  const context = redact(ok ? facts : { ...facts, error, err: cause }) as Record<string, unknown>
  if (ok) return { level: 'info', message: `${collector}: cycle done, ${items} items in ${seconds}s`, context } as const
  return { level: 'warn', message: `${collector}: cycle failed after ${seconds}s: ${error}`, context } as const
}
