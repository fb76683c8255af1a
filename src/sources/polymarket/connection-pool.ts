import type { Clock } from '../../core/clock.ts'
import type { StreamStatus } from '../../core/collector.ts'
import type { TokenId } from '../../core/ids.ts'
import type { Logger } from '../../core/log.ts'
import type { Random } from '../../core/random.ts'
import type { TapeAppender } from '../../core/tape.ts'
import { createPacer } from '../../runtime/websocket.ts'
import { createDeferred, type Deferred } from './deferred.ts'
import { Shard, type ShardEnvironment } from './shard.ts'
import { createShardMap, type ShardMap } from './shard-map.ts'
import { createTapeGate, type TapeGate } from './tape-gate.ts'
import type { TrackedMarket } from './token-registry.ts'

export interface PoolOptions {
  readonly tape: TapeAppender
  readonly random: Random
  readonly wsUrl: string
  readonly bootId: string
  readonly maxTokensPerConnection: number
  readonly pingIntervalMs: number
  readonly stallTimeoutMs: number
  readonly subscribePaceMs: number
  /** New connections of the whole stream: so many at once, then so many a second. */
  readonly connectsPerSecond: number
}

export interface PoolContext {
  readonly clock: Clock
  readonly log: Logger
  readonly status: StreamStatus
  readonly signal: AbortSignal
}

/** How long a token that moves is heard on both connections. */
const OVERLAP_MS = 5_000

/** Tokens that another shard has taken over, and when their old one lets go of them (monotonic ms). */
interface Leaving {
  readonly shard: number
  readonly tokens: readonly TokenId[]
  readonly dueMs: number
}

/** The connections of one stream: one shard for each, created and ended as tokens come and go. */
export class ConnectionPool {
  readonly #context: PoolContext
  readonly #gate: TapeGate
  readonly #map: ShardMap
  readonly #shards = new Map<number, Shard>()
  readonly #ending = new Set<Promise<void>>()
  #leaving: Leaving[] = []
  readonly #environment: ShardEnvironment
  readonly #failed: Deferred<never> = createDeferred<never>()
  readonly #host: string

  constructor(options: PoolOptions, context: PoolContext) {
    const { clock, log, status } = context
    this.#context = context
    this.#host = new URL(options.wsUrl).host
    this.#map = createShardMap(options.maxTokensPerConnection)
    this.#gate = createTapeGate(options.tape, clock, () => this.#refuseAll())
    let connections = 0
    this.#environment = {
      url: options.wsUrl,
      clock,
      log,
      status,
      random: options.random,
      gate: this.#gate,
      pacer: createPacer(clock, options.connectsPerSecond, options.connectsPerSecond),
      nextConnectionId: () => {
        connections += 1
        return `${options.bootId}-${connections}`
      },
      pingIntervalMs: options.pingIntervalMs,
      stallTimeoutMs: options.stallTimeoutMs,
      subscribePaceMs: options.subscribePaceMs,
    }
  }

  /** Rejects with the first thing that cannot be helped; never resolves. */
  get failed(): Promise<never> {
    return this.#failed.promise
  }

  update(markets: Iterable<TrackedMarket>): void {
    const { added, removed, emptied } = this.#map.update(markets)
    for (const number of emptied) this.#end(number)
    for (const [number, tokens] of removed) this.#shards.get(number)?.remove(tokens)
    this.#add(added)
  }

  /** Subscribes to tokens on another connection; the old one lets go of them a little later. */
  move(tokens: readonly TokenId[], nowMs: number): void {
    const { added, removed } = this.#map.move(tokens)
    this.#add(added)
    for (const [shard, leaving] of removed) {
      this.#shards.get(shard)?.leave(leaving)
      this.#leaving.push({ shard, tokens: leaving, dueMs: nowMs + OVERLAP_MS })
      this.#context.status.tokensMoved += leaving.length
    }
  }

  #add(added: ReadonlyMap<number, readonly TokenId[]>): void {
    for (const [number, tokens] of added) {
      const shard = this.#shards.get(number)
      if (shard !== undefined) shard.add(tokens)
      else this.#start(number, new Shard(this.#environment, tokens, this.#context.signal))
    }
  }

  #letGo(nowMs: number): void {
    const due = this.#leaving.filter(({ dueMs }) => dueMs <= nowMs)
    if (due.length === 0) return
    this.#leaving = this.#leaving.filter(({ dueMs }) => dueMs > nowMs)
    for (const { shard, tokens } of due) {
      // It may have come back meanwhile.
      this.#shards.get(shard)?.remove(tokens.filter((token) => this.#map.shardOf(token) !== shard))
    }
    // A connection that asks for nothing could not even send a heartbeat.
    for (const number of new Set(due.map(({ shard }) => shard))) {
      const isLeaving = this.#leaving.some(({ shard }) => shard === number)
      if (!isLeaving && this.#map.dropIfEmpty(number)) this.#end(number)
    }
  }

  tick(nowMs: number, mayJudge: boolean): void {
    const { status } = this.#context
    this.#letGo(nowMs)
    const shards = [...this.#shards.values()]
    for (const shard of shards) shard.tick(nowMs, mayJudge)
    status.connectionsWanted = shards.length
    status.connectionsActive = shards.filter((shard) => shard.isOpen).length
    status.connectionsStalled = shards.filter((shard) => shard.isStalled).length
    status.tokensSubscribed = shards.reduce((sum, shard) => sum + shard.subscribedCount, 0)
  }

  /** Why not everything is connected, in words; null when it is. */
  trouble(nowMs: number): string | null {
    if (this.#gate.refusing) return 'the tape takes no frames, so nothing is received'
    const shards = [...this.#shards.values()]
    const down = shards.filter((shard) => !shard.isOpen)
    const [first] = down
    if (first !== undefined) {
      const count = shards.length === 1 ? this.#host : `${down.length} of ${shards.length} connections to ${this.#host}`
      const why = first.trouble ?? 'connecting'
      const nextMs = Math.min(...down.map((shard) => shard.nextAttemptMs ?? Number.POSITIVE_INFINITY))
      const next = Number.isFinite(nextMs)
        ? `, next attempt in ${Math.max(0, Math.ceil((nextMs - nowMs) / 1000))} s`
        : ''
      return `${count} down: ${why}${next}`
    }
    const stalled = shards.filter((shard) => shard.isStalled).length
    return stalled === 0 ? null : `${stalled} of ${shards.length} connections are silent and being replaced`
  }

  async stop(): Promise<void> {
    for (const number of [...this.#shards.keys()]) this.#end(number, 'stopping')
    await Promise.allSettled(this.#ending)
  }

  #start(number: number, shard: Shard): void {
    this.#shards.set(number, shard)
    shard.done.catch((error: unknown) => this.#failed.reject(error))
  }

  #end(number: number, reason = 'no tokens left'): void {
    const shard = this.#shards.get(number)
    if (shard === undefined) return
    this.#shards.delete(number)
    const ending = shard.stop(reason)
    this.#ending.add(ending)
    ending.then(
      () => this.#ending.delete(ending),
      () => this.#ending.delete(ending),
    )
  }

  #refuseAll(): void {
    this.#context.log.error({}, 'the tape takes no frames: every connection is closed until it does')
    for (const shard of this.#shards.values()) shard.refuse()
  }
}
