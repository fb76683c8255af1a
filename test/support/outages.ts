import { emptyStreamStatus } from '../../src/core/collector.ts'
import type { CollectorStatus, StatusBoard } from '../../src/core/status.ts'
import { collector, healthyBoard } from './board.ts'

interface Player {
  readonly name: string
  readonly intervalMs: number
  status: CollectorStatus
  dueMs: number
}

const STREAM = 'polymarket.trades'
const STALL_MS = 30_000

/** A recorder as its board shows it, with collectors of usual cadences, whose outages a test scripts. */
export class Play {
  readonly #startMs: number
  readonly #players: Player[]
  #nowMs: number
  #heardMs: number
  /** What does not answer: every source, one of them, one collector, or the database. */
  readonly down = new Set<'network' | 'ledger' | string>()
  /** Laid over the board, for everything that is not a collector. */
  over: Partial<StatusBoard> = {}
  /** What a failed cycle says. */
  error = 'connect ECONNREFUSED'

  constructor(startMs: number) {
    this.#startMs = startMs
    this.#nowMs = startMs
    this.#heardMs = startMs
    const cadences = {
      'polymarket.prices': 60,
      'polymarket.markets': 300,
      'polymarket.orderbooks': 300,
      'assets.prices': 600,
    }
    this.#players = Object.entries(cadences).map(([name, seconds], index) => ({
      name,
      intervalMs: seconds * 1000,
      status: collector({ name, intervalMs: seconds * 1000, lastUsefulMs: startMs, failedCycles: 0 }),
      dueMs: startMs + 1000 * (index + 1),
    }))
  }

  /** Nothing has been asked yet, and the first answers take this long. */
  start(firstAnswerMs: number): void {
    this.over = { uptimeMs: 0 }
    for (const player of this.#players) {
      const unasked = { cycles: 0, lastUsefulMs: null, lastError: null, lastCycleOk: null, consecutiveFailures: 0 }
      player.status = { ...player.status, ...unasked, state: 'starting' }
      player.dueMs += firstAnswerMs
    }
  }

  /** Time goes on to `nowMs`, second by second. */
  advance(nowMs: number): void {
    for (; this.#nowMs < nowMs; this.#nowMs += 1000) {
      if (!this.#isDown(STREAM)) this.#heardMs = this.#nowMs
      for (const player of this.#players) if (player.dueMs <= this.#nowMs) this.#cycle(player)
    }
  }

  board(nowMs: number): StatusBoard {
    this.advance(nowMs)
    const isCut = nowMs - this.#heardMs > STALL_MS
    const stream = { ...emptyStreamStatus(), connectionsActive: isCut ? 0 : 1, connectionsWanted: 1 }
    const trades = collector({
      name: STREAM,
      kind: 'streaming',
      intervalMs: STALL_MS,
      stream,
      lastUsefulMs: this.#heardMs,
    })
    const age = (atMs: number | null) => (atMs === null ? null : nowMs - atMs)
    const polling = this.#players.map(({ status }) => ({ ...status, usefulAgeMs: age(status.lastUsefulMs) }))
    const healthy = healthyBoard()
    const ledger = {
      ...healthy.ledger,
      ...(this.down.has('ledger') ? { state: 'unavailable', trouble: 'refused' } : {}),
    }
    return {
      ...healthy,
      startedMs: this.#startMs,
      uptimeMs: nowMs - this.#startMs + 600_000,
      collectors: [...polling, { ...trades, usefulAgeMs: nowMs - this.#heardMs }],
      ledger: ledger as StatusBoard['ledger'],
      ...this.over,
    }
  }

  #isDown(name: string): boolean {
    const [source] = name.split('.')
    return this.down.has('network') || this.down.has(name) || (source !== undefined && this.down.has(source))
  }

  #cycle(player: Player): void {
    player.dueMs += player.intervalMs
    const { status } = player
    const fails = this.#isDown(player.name) || this.down.has('ledger')
    const failures = fails ? status.consecutiveFailures + 1 : 0
    const outcome = fails ? { lastErrorMs: this.#nowMs, lastError: this.error } : { lastUsefulMs: this.#nowMs }
    const cycles = status.cycles + 1
    player.status = { ...status, cycles, consecutiveFailures: failures, lastCycleOk: !fails, ...outcome }
  }
}
