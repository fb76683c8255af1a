import type { Clock } from './clock.ts'
import type { Logger } from './log.ts'

/** What every collector is handed when it works. */
export interface CollectorContext {
  /** Aborts when the collector must stop. */
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly log: Logger
}

export interface CycleResult {
  /** Items stored by this cycle (an unchanged answer stores nothing and is still useful). */
  readonly items: number
  /** Numbers and short words for the log line and for `collector_cycles`. */
  readonly details: Readonly<Record<string, number | string>>
}

/** Asked again and again at a fixed cadence. Keeps its instance when a cycle fails. */
export interface PollingCollector {
  readonly name: string
  readonly intervalMs: number
  readonly critical: boolean
  /** One cycle: stores what it found and returns, or throws. Never retries by itself. */
  collectOnce(context: CollectorContext): Promise<CycleResult>
  /** Resolves when a cycle is worth while before its time, or when the signal aborts. */
  untilWanted?(signal: AbortSignal): Promise<void>
}

/** Runs until its signal aborts and throws when it cannot go on. Rebuilt from scratch after a crash. */
export interface StreamingCollector {
  readonly name: string
  readonly critical: boolean
  run(context: StreamContext): Promise<void>
}

export interface StreamContext extends CollectorContext {
  /** Owned by the supervisor, outlives a crash; the collector keeps it true. */
  readonly status: StreamStatus
}

/** The state of one stream, as plain numbers. Times are Unix ms. */
export interface StreamStatus {
  tokensWanted: number
  tokensSubscribed: number
  connectionsWanted: number
  connectionsActive: number
  /** Connections that answer but have delivered nothing for longer than their own rate allows. */
  connectionsStalled: number
  /** Connections opened again after having been lost. */
  reconnections: number
  /** Tokens given to another connection because their book was in doubt. */
  tokensMoved: number
  framesReceived: number
  bytesReceived: number
  /** Frames that the tape would not take. */
  framesRefused: number
  /** The newest data (heartbeats do not count). */
  lastDataMs: number | null
  /** The newest useful answer: data, or a proof that silence is right. */
  lastUsefulMs: number | null
  lastReconnectMs: number | null
  /** Why the stream is not fully connected, in words; null when it is. */
  trouble: string | null
}

export function emptyStreamStatus(): StreamStatus {
  return {
    tokensWanted: 0,
    tokensSubscribed: 0,
    connectionsWanted: 0,
    connectionsActive: 0,
    connectionsStalled: 0,
    reconnections: 0,
    tokensMoved: 0,
    framesReceived: 0,
    bytesReceived: 0,
    framesRefused: 0,
    lastDataMs: null,
    lastUsefulMs: null,
    lastReconnectMs: null,
    trouble: null,
  }
}
