import type { StreamContext, StreamingCollector, StreamStatus } from '../../core/collector.ts'
import { PermanentError } from '../../core/errors.ts'
import type { MarketStore } from '../../core/ports.ts'
import type { Random } from '../../core/random.ts'
import type { TapeAppender } from '../../core/tape.ts'
import { createAbort } from '../../runtime/abort.ts'
import { ConnectionPool } from './connection-pool.ts'
import { seedRegistry } from './seed.ts'
import type { TokenMoves } from './token-moves.ts'
import type { TokenRegistry } from './token-registry.ts'

export interface TradeListenerOptions {
  readonly registry: TokenRegistry
  readonly moves: TokenMoves
  readonly store: Pick<MarketStore, 'loadTrackedTokens'>
  readonly tape: TapeAppender
  readonly random: Random
  readonly wsUrl: string
  /** Makes connection ids unique over boots: `<bootId>-<n>`. */
  readonly bootId: string
  readonly critical: boolean
  readonly maxMarkets: number
  readonly maxTokensPerConnection: number
  readonly pingIntervalMs: number
  readonly stallTimeoutMs: number
  /** Pause between two subscribe frames of one connection, ms. */
  readonly subscribePaceMs?: number
  /** New connections a second over all tokens, however many were lost at once. */
  readonly connectsPerSecond?: number
}

const NAME = 'polymarket.trades'
const PACE = { subscribePaceMs: 50, connectsPerSecond: 10 }
const TICK_MS_MAX = 1_000
/** A tick that comes this much too late says that the process stood still, not that the venue was silent. */
const LATE_TICKS_MAX = 3
/** The log tells of trouble when it begins and ends, and no more often than this. */
const LOG_INTERVAL_MS = 10_000

/** Records the market channel for every token of the registry, on as many connections as that takes. */
export function createTradeListener(options: TradeListenerOptions): StreamingCollector {
  return { name: NAME, critical: options.critical, run: (context) => run(options, context) }
}

async function run(options: TradeListenerOptions, context: StreamContext): Promise<void> {
  requireWebSocketUrl(options.wsUrl)
  const abort = createAbort(context.signal)
  const { registry } = options
  const inner = { ...context, signal: abort.signal }
  const seeding = seedRegistry(registry, options.store, options.maxMarkets, inner)
  const pool = new ConnectionPool(
    { ...PACE, ...options },
    { clock: context.clock, log: context.log, status: context.status, signal: abort.signal },
  )
  try {
    context.status.trouble = 'waiting for the first markets'
    if (registry.tokenCount === 0) {
      context.log.info(
        {},
        `waiting for the first markets; connects to ${new URL(options.wsUrl).host} once they are known`,
      )
    }
    await registry.untilFirst(abort.signal)
    await Promise.race([record(options, pool, inner), pool.failed])
  } finally {
    abort.abort()
    await Promise.allSettled([pool.stop(), seeding])
    abort.release()
    reset(context.status)
  }
}

/** Looks after the pool at a steady pace: changes, heartbeats, silence, status. */
async function record(options: TradeListenerOptions, pool: ConnectionPool, context: StreamContext): Promise<void> {
  const { clock, signal, status } = context
  const { registry } = options
  const tickMs = Math.min(TICK_MS_MAX, options.pingIntervalMs / 4, options.stallTimeoutMs / 4)
  const log = createTroubleLog(context)
  let changed = true
  const stop = registry.onChange(() => {
    changed = true
  })
  try {
    let lastTickMs = clock.monotonicMs()
    while (!signal.aborted) {
      const nowMs = clock.monotonicMs()
      registry.dropExpired()
      if (changed) {
        changed = false
        pool.update(registry.markets())
      }
      const moving = options.moves.take(nowMs)
      if (moving.length > 0) pool.move(moving, nowMs)
      pool.tick(nowMs, nowMs - lastTickMs <= tickMs * LATE_TICKS_MAX)
      lastTickMs = nowMs
      status.tokensWanted = registry.tokenCount
      status.trouble = registry.tokenCount === 0 ? 'waiting for markets' : pool.trouble(nowMs)
      log(status.trouble, nowMs)
      await clock.sleep(tickMs, signal)
    }
  } finally {
    stop()
  }
}

function createTroubleLog({ log, status }: StreamContext) {
  let told: string | null = 'not connected yet'
  let toldMs = Number.NEGATIVE_INFINITY
  return (trouble: string | null, nowMs: number): void => {
    if ((trouble === null) === (told === null)) return
    if (trouble !== null && nowMs - toldMs < LOG_INTERVAL_MS) return
    told = trouble
    toldMs = nowMs
    const { connectionsActive, connectionsWanted, tokensWanted } = status
    const context = { connectionsActive, connectionsWanted, tokensWanted }
    const connections = connectionsActive === 1 ? '1 connection' : `${connectionsActive} connections`
    if (trouble === null) log.info(context, `recording ${tokensWanted} tokens on ${connections}`)
    else log.warn(context, `the market channel is in trouble: ${trouble}`)
  }
}

function requireWebSocketUrl(text: string): void {
  const protocol = URL.canParse(text) ? new URL(text).protocol : ''
  if (protocol !== 'wss:' && protocol !== 'ws:') throw new PermanentError(`not a WebSocket address: ${text}`)
}

function reset(status: StreamStatus): void {
  status.connectionsActive = 0
  status.connectionsStalled = 0
  status.tokensSubscribed = 0
  status.trouble ??= 'not running'
}
