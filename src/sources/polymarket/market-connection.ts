import type { Clock } from '../../core/clock.ts'
import type { StreamStatus } from '../../core/collector.ts'
import { createAbort } from '../../runtime/abort.ts'
import { type OpenSocket, openWebSocket } from '../../runtime/websocket.ts'
import { createDeferred } from './deferred.ts'
import { createPulse } from './pulse.ts'
import { createSilenceWatch, type SilenceWatch } from './silence.ts'
import { createSubscriptions, type Subscriptions } from './subscriptions.ts'
import type { TapeGate } from './tape-gate.ts'

export interface ConnectionOptions {
  /** Unique over boots. */
  readonly id: string
  readonly url: string
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly gate: TapeGate
  /** Counters that every connection shares. */
  readonly status: StreamStatus
  readonly pingIntervalMs: number
  readonly stallTimeoutMs: number
  readonly subscribePaceMs: number
  readonly inheritedRate: number
  readonly patience: number
  /** The connection in whose place this one is opened. */
  readonly replaces: string | null
}

/** Why a connection is no longer any good. `closed`: it is gone; otherwise it is there and should be replaced. */
export type ConnectionEnd =
  | { readonly kind: 'closed'; readonly why: string }
  | { readonly kind: 'stalled'; readonly why: string }
  | { readonly kind: 'rejected'; readonly why: string }

/** One socket of the market channel, from its handshake to its end. */
export interface MarketConnection {
  readonly id: string
  readonly subscriptions: Subscriptions
  readonly silence: SilenceWatch
  /** Resolves with the first thing that makes this connection useless; rejects only on a bug. */
  readonly ended: Promise<ConnectionEnd>
  readonly closed: Promise<void>
  /** Resolves with the first data, or with an empty answer where an earlier connection was silent as well. */
  readonly spoke: Promise<void>
  readonly hadData: boolean
  readonly isOpen: boolean
  /** Monotonic ms. */
  readonly openedMs: number
  /** Pings when it is time; judges silence unless the process was held up. True when it is judged stalled now. */
  tick(nowMs: number, mayJudge: boolean): boolean
  close(reason: string): void
}

/** Only frames this short are looked at; everything else goes to the tape unseen. */
const CONTROL_BYTES_MAX = 64
/** Messages that are under way for longer are worth a mark: after a crash it says how much may have been lost. */
const LAG_TOLD_MS_MIN = 500
const OPEN_BRACKET = 0x5b

/** Connects and marks the opening on the tape; rejects with TransientError when the venue cannot be reached. */
export async function openMarketConnection(options: ConnectionOptions): Promise<MarketConnection> {
  const { id, url, clock, gate } = options
  const startMs = clock.monotonicMs()
  const ears = createEars(options)
  const life = createAbort(options.signal)
  const socket = await openWebSocket({
    url,
    signal: life.signal,
    onMessage: ears.onMessage,
    onClose: (code, given) => {
      const reason = ears.heard.goodbye || given
      gate.mark(id, 'close', { code, reason, rtt_ms: Math.round(ears.heard.lagMs) })
      ears.end({ kind: 'closed', why: `closed with code ${code}${reason === '' ? '' : `: ${reason}`}` })
      ears.closed.resolve()
      life.release()
      life.abort()
    },
  }).catch((error: unknown) => {
    life.release()
    throw error
  })
  const { host } = new URL(url)
  gate.mark(id, 'open', { url, host, ...(options.replaces === null ? {} : { replaces: options.replaces }) })
  const openedMs = clock.monotonicMs()
  return assemble({ ...options, signal: life.signal }, ears, socket, { openedMs, handshakeMs: openedMs - startMs })
}

/** What hears the socket: counters as plain numbers, because this runs for every frame. */
function createEars({ id, clock, gate, status, patience }: ConnectionOptions) {
  const ended = createDeferred<ConnectionEnd>()
  const closed = createDeferred<void>()
  const spoke = createDeferred<void>()
  const counts = { frames: 0, answers: 0, pongs: 0, pongMs: 0, lagMs: 0 }
  const heard = { ...counts, hadData: false, refused: false, goodbye: '' }

  let silent = true
  const hear = (what: 'frames' | 'answers'): void => {
    heard[what] += 1
    if (!silent) return
    silent = false
    spoke.resolve()
  }
  const onMessage = (data: Buffer): void => {
    const control = data.length < CONTROL_BYTES_MAX ? controlOf(data) : null
    if (control === 'pong') {
      heard.pongs += 1
      heard.pongMs = clock.monotonicMs()
      return
    }
    const atUs = clock.wallUs()
    if (heard.refused || !gate.append(id, atUs, data)) {
      heard.refused = true
      status.framesRefused += 1
      return
    }
    status.framesReceived += 1
    status.bytesReceived += data.length
    if (control !== null) {
      if (control === 'invalid') ended.resolve({ kind: 'rejected', why: 'the venue answered INVALID OPERATION' })
      // A frozen server says `[]` where books are due; two that say so are telling the truth.
      else if (patience > 1) hear('answers')
      return
    }
    status.lastDataMs = Math.floor(atUs / 1000)
    status.lastUsefulMs = status.lastDataMs
    heard.hadData = true
    hear(data[0] === OPEN_BRACKET ? 'answers' : 'frames')
  }
  return { onMessage, heard, closed, spoke, ended, end: ended.resolve }
}

function controlOf(data: Buffer): 'pong' | 'invalid' | 'empty' | null {
  const text = data.toString('latin1').trim()
  if (text === 'PONG') return 'pong'
  if (text === 'INVALID OPERATION') return 'invalid'
  return text === '[]' ? 'empty' : null
}

function assemble(
  options: ConnectionOptions,
  ears: ReturnType<typeof createEars>,
  socket: OpenSocket,
  { openedMs, handshakeMs }: { readonly openedMs: number; readonly handshakeMs: number },
): MarketConnection {
  const { id, clock, gate, stallTimeoutMs, inheritedRate, patience } = options
  const { heard } = ears
  const silence = createSilenceWatch({ stallTimeoutMs, startMs: openedMs, inheritedRate, patience })
  const ping = () => socket.send('PING')
  const pulse = createPulse({ ...options, silence, heard, startMs: openedMs, handshakeMs, ping })
  let lagToldMs = LAG_TOLD_MS_MIN
  const subscriptions = createSubscriptions({
    clock,
    signal: options.signal,
    paceMs: options.subscribePaceMs,
    send: socket.send,
    onSent: (kind, ids) => {
      pulse.start(clock.monotonicMs())
      gate.mark(id, kind, { assets_ids: ids })
    },
    onError: ears.ended.reject,
  })
  let judged = false

  return {
    id,
    subscriptions,
    silence,
    ended: ears.ended.promise,
    closed: ears.closed.promise,
    spoke: ears.spoke.promise,
    get hadData() {
      return heard.hadData
    },
    get isOpen() {
      return socket.isOpen
    },
    openedMs,
    tick(nowMs, mayJudge) {
      const stall = pulse.beat(nowMs)
      heard.lagMs = pulse.lagMs
      if (pulse.lagMs >= lagToldMs) {
        gate.mark(id, 'lag', { rtt_ms: Math.round(pulse.lagMs) })
        lagToldMs = pulse.lagMs + LAG_TOLD_MS_MIN
      }
      if (stall === null || judged || !mayJudge) return false
      judged = true
      gate.mark(id, 'stall', { ...stall, rtt_ms: Math.round(pulse.lagMs) })
      ears.end({ kind: 'stalled', why: stall.reason })
      return true
    },
    close(reason) {
      heard.goodbye = reason
      socket.close(1000, reason)
    },
  }
}
