import type { Clock } from '../../core/clock.ts'
import type { StreamStatus } from '../../core/collector.ts'
import { describeError, TransientError } from '../../core/errors.ts'
import type { TokenId } from '../../core/ids.ts'
import type { Logger } from '../../core/log.ts'
import type { Random } from '../../core/random.ts'
import { createAbort, type LinkedAbort } from '../../runtime/abort.ts'
import { ReconnectBackoff } from '../../runtime/reconnect-backoff.ts'
import type { Pacer } from '../../runtime/websocket.ts'
import { type ConnectionEnd, type MarketConnection, openMarketConnection } from './market-connection.ts'
import type { TapeGate } from './tape-gate.ts'

/** What all shards of one stream share. */
export interface ShardEnvironment {
  readonly url: string
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly gate: TapeGate
  readonly status: StreamStatus
  /** Spreads the connects of all shards. */
  readonly pacer: Pacer
  readonly nextConnectionId: () => string
  readonly pingIntervalMs: number
  readonly stallTimeoutMs: number
  readonly subscribePaceMs: number
}

/** A connection that lived shorter is not taken for a success, whatever it delivered. */
const USEFUL_LIFE_MS_MIN = 1_000
/** How long a replaced connection is kept when its successor has nothing to say. */
const OVERLAP_MS_MAX = 5_000
const PATIENCE_MAX = 16

/**
 * One group of tokens and the connection that records it, for as long as it takes:
 *
 *   connecting ──► open ──lost──► connecting (backoff)
 *                   └──silent──► open, stalled ──successor open──► open (the old one is closed)
 */
export class Shard {
  /** Settles when the shard has stopped; rejects only on a bug. */
  readonly done: Promise<void>
  readonly #environment: ShardEnvironment
  readonly #abort: LinkedAbort
  readonly #backoff: ReconnectBackoff
  readonly #tokens = new Set<TokenId>()
  readonly #open = new Set<MarketConnection>()
  #current: MarketConnection | null = null
  #connectedBefore = false
  #patience = 1
  #believedRate = 0
  #stalled = false
  #trouble: string | null = null
  #nextAttemptMs: number | null = null

  constructor(environment: ShardEnvironment, tokens: Iterable<TokenId>, signal: AbortSignal) {
    this.#environment = environment
    this.#abort = createAbort(signal)
    this.#backoff = new ReconnectBackoff(environment.random)
    for (const token of tokens) this.#tokens.add(token)
    this.done = this.#run()
    this.done.catch(() => {}) // whoever owns the shard sees it too
  }

  get isOpen(): boolean {
    return [...this.#open].some((connection) => connection.isOpen)
  }

  get isStalled(): boolean {
    return this.#stalled
  }

  /** Why it is not connected, in words; null when it is. */
  get trouble(): string | null {
    return this.#trouble
  }

  /** When it connects next, monotonic ms; null when it is not waiting. */
  get nextAttemptMs(): number | null {
    return this.#nextAttemptMs
  }

  get subscribedCount(): number {
    return this.#current?.isOpen ? this.#current.subscriptions.sentCount : 0
  }

  add(tokens: readonly TokenId[]): void {
    for (const token of tokens) this.#tokens.add(token)
    this.#current?.subscriptions.add(tokens)
  }

  /** Another shard takes these over: heard on this connection for a while, and on no successor of it. */
  leave(tokens: readonly TokenId[]): void {
    for (const token of tokens) this.#tokens.delete(token)
  }

  remove(tokens: readonly TokenId[]): void {
    this.leave(tokens)
    this.#current?.subscriptions.remove(tokens)
  }

  tick(nowMs: number, mayJudge: boolean): void {
    for (const connection of this.#open) {
      // Known at once: the status that is written after this tick must not call the shard well.
      if (connection.tick(nowMs, mayJudge) && connection === this.#current) this.#stalled = true
    }
    const current = this.#current
    if (current === null) return
    // Data long after the opening: the venue is alive on this connection, and its silence counts in full again.
    if (current.silence.lastFrameMs - current.openedMs >= this.#environment.stallTimeoutMs) this.#patience = 1
  }

  /** The tape takes nothing more: what is received now would be lost. */
  refuse(): void {
    for (const connection of this.#open) {
      this.#environment.gate.mark(connection.id, 'refused', { reason: 'the tape takes no frames' })
      connection.close('the tape takes no frames')
    }
  }

  async stop(reason: string): Promise<void> {
    for (const connection of this.#open) connection.close(reason)
    this.#abort.abort()
    await this.done
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort
    let replaced: MarketConnection | null = null
    try {
      while (!signal.aborted) {
        const connection = await this.#connect(replaced)
        if (connection === null) break
        connection.subscriptions.add(this.#tokens)
        if (replaced !== null && (await this.#speaks(connection))) {
          replaced.close(`replaced by ${connection.id}`)
          replaced = null
        }
        const end = await connection.ended
        if (end.kind !== 'closed') {
          replaced?.close(`replaced by ${connection.id}`)
          replaced = connection
        }
        if (!signal.aborted) await this.#wait(this.#pauseAfter(connection, end))
      }
    } finally {
      this.#abort.abort()
      await Promise.all([...this.#open].map((connection) => connection.closed))
      this.#current = null
      this.#abort.release()
    }
  }

  /** Tries until it succeeds; null when the shard is being stopped. */
  async #connect(replaced: MarketConnection | null): Promise<MarketConnection | null> {
    const { gate, pacer } = this.#environment
    const { signal } = this.#abort
    while (!signal.aborted) {
      await gate.ready(signal)
      await pacer.turn(signal)
      if (signal.aborted || gate.refusing) continue
      try {
        return await this.#openOne(replaced)
      } catch (error) {
        if (signal.aborted) break
        if (!(error instanceof TransientError)) throw error
        const delayMs = this.#backoff.afterFailure(this.#environment.clock.monotonicMs())
        this.#trouble = describeError(error)
        this.#environment.log.debug({ err: error, failures: this.#backoff.failures }, this.#trouble)
        await this.#wait(Math.max(delayMs, error.retryAfterMs ?? 0))
      }
    }
    return null
  }

  async #openOne(replaced: MarketConnection | null): Promise<MarketConnection> {
    const { status, clock, nextConnectionId } = this.#environment
    const connection = await openMarketConnection({
      ...this.#environment,
      id: nextConnectionId(),
      signal: this.#abort.signal,
      inheritedRate: this.#believedRate,
      patience: this.#patience,
      replaces: replaced?.id ?? null,
    })
    this.#open.add(connection)
    connection.closed.then(
      () => this.#open.delete(connection),
      () => {},
    )
    this.#current = connection
    connection.spoke.then(
      () => {
        if (this.#current === connection) this.#stalled = false
      },
      () => {},
    )
    this.#trouble = null
    if (this.#connectedBefore) {
      status.reconnections += 1
      status.lastReconnectMs = clock.wallMs()
    }
    this.#connectedBefore = true
    return connection
  }

  /** Waits until the new connection delivers, or has had its chance to; false when it has ended meanwhile. */
  async #speaks(connection: MarketConnection): Promise<boolean> {
    const wait = createAbort(this.#abort.signal)
    const { clock, stallTimeoutMs } = this.#environment
    const overlap = clock.sleep(Math.min(OVERLAP_MS_MAX, stallTimeoutMs), wait.signal)
    await Promise.race([connection.spoke, connection.ended, overlap])
    wait.abort()
    wait.release()
    return connection.isOpen
  }

  /** Learns from the end of a connection and says how long to wait before the next, ms. */
  #pauseAfter(connection: MarketConnection, end: ConnectionEnd): number {
    const { clock, log } = this.#environment
    log.debug({ connection: connection.id, end: end.kind }, `a connection ended: ${end.why}`)
    this.#trouble = end.why
    const nowMs = clock.monotonicMs()
    const livedMs = nowMs - connection.openedMs
    const useful = end.kind !== 'rejected' && connection.hadData && livedMs >= USEFUL_LIFE_MS_MIN
    if (end.kind !== 'stalled') return useful ? this.#backoff.afterLoss(nowMs) : this.#backoff.afterFailure(nowMs)
    // Its successor comes at once. Should that fail, the absence began now, not with what went before this one.
    if (useful) this.#backoff.afterLoss(nowMs)
    this.#believedRate = connection.silence.ratePerSecond / 2
    this.#patience = Math.min(this.#patience * 2, PATIENCE_MAX)
    return 0
  }

  async #wait(delayMs: number): Promise<void> {
    const { clock } = this.#environment
    this.#nextAttemptMs = clock.monotonicMs() + delayMs
    await clock.sleep(delayMs, this.#abort.signal)
    this.#nextAttemptMs = null
  }
}
