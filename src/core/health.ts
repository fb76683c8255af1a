import { formatDuration, formatUptime } from './duration.ts'
import type { CollectorState, CollectorStatus, StatusBoard } from './status.ts'

export type HealthStatus = 'starting' | 'healthy' | 'degraded' | 'stopped'

export interface HealthReport {
  readonly status: HealthStatus
  /** What is wrong, in words, worst first; empty when nothing is. */
  readonly reasons: readonly string[]
  /** The newest end of a cycle, or newest useful answer of a stream, of any collector; Unix ms. */
  readonly lastScrapeMs: number | null
  /** Whether every collector's last cycle went well; null before the first. */
  readonly lastScrapeOk: boolean | null
  /** Items collected since start, over all collectors. */
  readonly scrapeCount: number
  /** Failed cycles since start, over all collectors. */
  readonly errorCount: number
}

/** Lower is worse. */
const RANK = {
  tape: 0,
  ledger: 1,
  reader: 2,
  failed: 3,
  cooling: 4,
  restarting: 5,
  cut: 6,
  stalled: 7,
  cycle: 8,
  stale: 9,
}

interface Problem {
  readonly rank: number
  readonly text: string
}

/** The one rule of health. Pure: the same board always yields the same report. */
export function computeHealth(board: StatusBoard): HealthReport {
  const critical = board.collectors.filter((collector) => collector.critical)
  const waiting = critical.filter((collector) => isWaiting(collector, board))
  const problems = [
    ...plumbingProblems(board, critical, waiting.length > 0),
    ...critical.flatMap((collector) => (waiting.includes(collector) ? [] : collectorProblems(collector, board))),
  ].sort((a, b) => a.rank - b.rank)
  return {
    status: statusOf(board, waiting, problems),
    reasons: problems.map((problem) => problem.text),
    lastScrapeMs: newest(board.collectors.map(lastAnswerMs)),
    lastScrapeOk: lastScrapeOk(board.collectors),
    scrapeCount: board.collectors.reduce((sum, collector) => sum + collector.items, 0),
    errorCount: board.collectors.reduce((sum, collector) => sum + collector.failedCycles, 0),
  }
}

function statusOf(board: StatusBoard, waiting: readonly CollectorStatus[], problems: readonly Problem[]): HealthStatus {
  if (board.draining) return 'stopped'
  // A stream that waits while something else is broken waits for that: its silence is not a start any more.
  const isStarting = waiting.some((collector) => collector.kind === 'polling' || problems.length === 0)
  if (isStarting) return 'starting'
  return problems.length === 0 ? 'healthy' : 'degraded'
}

/** Has not finished its first cycle, and is not yet late with it. */
function isWaiting(collector: CollectorStatus, board: StatusBoard): boolean {
  if (collector.cycles > 0 || board.uptimeMs > 2 * collector.intervalMs) return false
  return collector.state === 'starting' || collector.state === 'running'
}

function plumbingProblems(board: StatusBoard, critical: readonly CollectorStatus[], isStarting: boolean): Problem[] {
  const problems: Problem[] = []
  const { tape, ledger, recorder } = board
  if (tape.state !== 'ok')
    problems.push({ rank: RANK.tape, text: withDetail(`the tape has ${tape.state}`, tape.trouble) })
  const isConnecting = ledger.state === 'connecting' && (!isStarting || critical.some((one) => one.cycles > 0))
  if (isConnecting) {
    problems.push({ rank: RANK.ledger, text: withDetail('the ledger has not been reached yet', ledger.trouble) })
  } else if (ledger.state === 'unavailable' || ledger.state === 'stopped') {
    problems.push({ rank: RANK.ledger, text: withDetail(`the ledger is ${ledger.state}`, ledger.trouble) })
  }
  if (recorder.trouble !== null) {
    problems.push({ rank: RANK.reader, text: `the tape is not reaching the ledger: ${recorder.trouble}` })
  }
  return problems
}

/** The worst that can be said of one collector, or nothing. */
function collectorProblems(collector: CollectorStatus, board: StatusBoard): Problem[] {
  const say = (rank: number, text: string, detail: string | null = null): Problem[] => [
    { rank, text: withDetail(`${collector.name} ${text}`, detail) },
  ]
  const { state, stream, lastError } = collector
  if (state === 'failed' || state === 'stopped') return say(RANK.failed, `has ${state}`, lastError)
  if (state === 'cooling') return say(RANK.cooling, 'crashed too often and is cooling down', lastError)
  if (state === 'backing_off') return say(RANK.restarting, 'crashed and will be restarted', lastError)
  if (stream !== null) {
    if (stream.connectionsActive === 0) return say(RANK.cut, 'has no live connection', stream.trouble)
    if (stream.connectionsStalled > 0) {
      return say(RANK.stalled, `has ${stream.connectionsStalled} stalled of ${stream.connectionsActive} connections`)
    }
    if (stream.trouble !== null) return say(RANK.cut, 'is not fully connected', stream.trouble)
  }
  if (collector.lastCycleOk === false) return say(RANK.cycle, 'failed in its last cycle', lastError)
  if (collector.usefulAgeMs === null) {
    return say(RANK.stale, `has given no answer since start, ${formatDuration(board.uptimeMs)} ago`)
  }
  if (stream !== null) {
    // The listener judges each connection's silence against its own rate: a quiet market is no fault, and its tokens
    // are found equal and in no doubt. Where successors of silent connections are silent too, none of them is to blame.
    const doubted = board.recorder.tokensInDoubt
    if (collector.usefulAgeMs <= collector.intervalMs || doubted === 0 || doubted < stream.tokensSubscribed / 2)
      return []
    const silence = formatDuration(collector.usefulAgeMs)
    return say(RANK.stalled, `has been silent for ${silence}, and ${doubted} tokens are in doubt`)
  }
  if (collector.usefulAgeMs <= 2 * collector.intervalMs) return []
  const age = formatDuration(collector.usefulAgeMs)
  return say(
    RANK.stale,
    `gave its newest useful answer ${age} ago (expected every ${formatDuration(collector.intervalMs)})`,
  )
}

/** What health thinks of one collector; `unknown` until it has finished a cycle or is late with its first. */
export interface CollectorVerdict {
  readonly verdict: 'good' | 'bad' | 'unknown'
  /** What is wrong, in words; empty when nothing is. */
  readonly text: string
}

export function judgeCollector(collector: CollectorStatus, board: StatusBoard): CollectorVerdict {
  if (isWaiting(collector, board)) return { verdict: 'unknown', text: '' }
  const worst = collectorProblems(collector, board)[0]
  return worst === undefined ? { verdict: 'good', text: '' } : { verdict: 'bad', text: worst.text }
}

function withDetail(text: string, detail: string | null): string {
  return detail === null || detail === '' ? text : `${text}: ${detail}`
}

function lastAnswerMs(collector: CollectorStatus): number | null {
  return newest([collector.lastFinishedMs, collector.lastUsefulMs])
}

function lastScrapeOk(collectors: readonly CollectorStatus[]): boolean | null {
  const known = collectors.filter((collector) => collector.lastCycleOk !== null)
  return known.length === 0 ? null : known.every((collector) => collector.lastCycleOk)
}

function newest(times: readonly (number | null)[]): number | null {
  return times.reduce((best, time) => (time !== null && (best === null || time > best) ? time : best), null)
}

/** The daemon in numbers; a deep copy that shares nothing with the board. Times are ISO 8601 UTC. */
export interface DaemonHealth {
  uptime_seconds: number
  tasks_alive: number
  tasks_dead: number
  total_restarts: number
  collectors: Record<string, CollectorHealth>
  trade_listener: TradeListenerHealth
}

export interface CollectorHealth {
  state: CollectorState
  kind: 'polling' | 'streaming'
  critical: boolean
  interval_seconds: number
  /** The newest useful answer. */
  last_collect_ts: string | null
  last_collect_age_seconds: number | null
  total_items: number
  total_cycles: number
  error_count: number
  consecutive_failures: number
  skipped_cycles: number
  last_error: string | null
  last_error_ts: string | null
  last_duration_seconds: number | null
  average_duration_seconds: number | null
  restarts: number
  next_attempt_ts: string | null
}

export interface TradeListenerHealth {
  trades_received: number
  trades_inserted: number
  batches_inserted: number
  connections_active: number
  connections_wanted: number
  connections_stalled: number
  tokens_subscribed: number
  tokens_wanted: number
  frames_received: number
  reconnections: number
  queue_depth: number
  last_trade_ts: string | null
  last_insert_ts: string | null
  last_reconnect_ts: string | null
  started_at: string
}

export function getHealth(board: StatusBoard): DaemonHealth {
  const alive = board.collectors.filter(isAlive).length
  return {
    uptime_seconds: seconds(board.uptimeMs),
    tasks_alive: alive,
    tasks_dead: board.collectors.length - alive,
    total_restarts: board.restarts,
    collectors: Object.fromEntries(board.collectors.map((collector) => [collector.name, collectorHealth(collector)])),
    trade_listener: tradeListenerHealth(board),
  }
}

/** Does its work now; a crashed collector that waits for its restart does not. */
function isAlive(collector: CollectorStatus): boolean {
  return collector.state === 'starting' || collector.state === 'running'
}

function collectorHealth(collector: CollectorStatus): CollectorHealth {
  return {
    state: collector.state,
    kind: collector.kind,
    critical: collector.critical,
    interval_seconds: collector.intervalMs / 1000,
    last_collect_ts: isoTime(collector.lastUsefulMs),
    last_collect_age_seconds: seconds(collector.usefulAgeMs),
    total_items: collector.items,
    total_cycles: collector.cycles,
    error_count: collector.failedCycles,
    consecutive_failures: collector.consecutiveFailures,
    skipped_cycles: collector.skippedCycles,
    last_error: collector.lastError,
    last_error_ts: isoTime(collector.lastErrorMs),
    last_duration_seconds: seconds(collector.lastDurationMs),
    average_duration_seconds: seconds(collector.averageDurationMs ?? null),
    restarts: collector.restarts,
    next_attempt_ts: isoTime(collector.nextAttemptMs),
  }
}

function tradeListenerHealth(board: StatusBoard): TradeListenerHealth {
  const { recorder } = board
  const streams = board.collectors.filter(isTradeListener).flatMap(({ stream }) => (stream === null ? [] : [stream]))
  const sum = (read: (stream: (typeof streams)[number]) => number) => streams.reduce((all, one) => all + read(one), 0)
  return {
    trades_received: recorder.tradesReceived,
    trades_inserted: recorder.tradesInserted,
    batches_inserted: recorder.batchesInserted,
    connections_active: sum((stream) => stream.connectionsActive),
    connections_wanted: sum((stream) => stream.connectionsWanted),
    connections_stalled: sum((stream) => stream.connectionsStalled),
    tokens_subscribed: sum((stream) => stream.tokensSubscribed),
    tokens_wanted: sum((stream) => stream.tokensWanted),
    frames_received: sum((stream) => stream.framesReceived),
    reconnections: sum((stream) => stream.reconnections),
    queue_depth: recorder.queueDepth,
    last_trade_ts: isoTime(recorder.lastTradeMs),
    last_insert_ts: isoTime(recorder.lastInsertMs),
    last_reconnect_ts: isoTime(newest(streams.map((stream) => stream.lastReconnectMs))),
    started_at: isoTime(board.startedMs) ?? '',
  }
}

/** Other streams have connections too, and they carry no trades. */
function isTradeListener({ kind, name }: CollectorStatus): boolean {
  return kind === 'streaming' && name.endsWith('.trades')
}

/** The lines of the health log: one for the daemon, one per polling collector, one for trades. */
export function healthLines(board: StatusBoard): string[] {
  const { tasks_alive, tasks_dead, total_restarts, trade_listener: trades } = getHealth(board)
  const tasks = `tasks: ${tasks_alive} alive, ${tasks_dead} dead`
  const lines = [
    `=== Daemon Health === uptime: ${formatUptime(board.uptimeMs)} | ${tasks} | restarts: ${total_restarts}`,
  ]
  for (const collector of board.collectors) {
    if (collector.kind !== 'polling') continue
    const age = collector.usefulAgeMs === null ? 'never' : `${formatDuration(collector.usefulAgeMs)} ago`
    const counts = `items: ${collector.items} | errors: ${collector.failedCycles}`
    lines.push(`  ${collector.name} | ${counts} | last success: ${age}`)
  }
  if (board.collectors.some(isTradeListener)) {
    const counts = `received: ${trades.trades_received} | inserted: ${trades.trades_inserted}`
    const connections = `connections: ${trades.connections_active}/${trades.connections_wanted}`
    lines.push(`  trades | ${counts} | ${connections} | queue depth: ${trades.queue_depth}`)
  }
  return lines
}

/** Seconds to the millisecond. */
function seconds(ms: number): number
function seconds(ms: number | null): number | null
function seconds(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms) / 1000
}

/** ISO 8601 UTC; null also for a time that no calendar has: a venue's nonsense must not silence the report. */
export function isoTime(ms: number | null): string | null {
  if (ms === null) return null
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? null : date.toISOString()
}
