import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Clock } from '../core/clock.ts'
import type { Account, ConnectionAccount, PlayedTrade } from './account.ts'
import type { FrameFiles } from './account-files.ts'
import type { Outcome } from './book.ts'
import type { Feed, FrameKind } from './engine.ts'
import type { Faults } from './faults.ts'
import { dumpBook, dumpFrame, type Fill } from './frames.ts'
import type { SimMarket } from './market.ts'
import type { VenueOptions } from './options.ts'
import { parseFirst, parseLater } from './subscription.ts'
import type { World } from './world.ts'

/** One client of the market channel. */
export interface Connection {
  readonly account: ConnectionAccount
  readonly ws: WebSocket
  readonly socket: Duplex
  readonly tokens: Set<string>
  /** A valid first frame has come. */
  started: boolean
  corked: boolean
  lastPingMs: number
}

/** Answers for tokens that are not simulated: those of a recording. */
export interface ForeignTokens {
  owns(token: string): boolean
  /** Called after each accepted subscribe or unsubscribe frame, and when the connection ends. */
  changed(connection: Connection): void
  ended(connection: Connection): void
}

export interface ChannelParts {
  readonly options: VenueOptions
  readonly world: World
  readonly account: Account
  readonly files: FrameFiles | null
  readonly faults: Faults
  readonly clock: Clock
  readonly foreign: ForeignTokens | null
}

const ABNORMAL_CLOSURE = 1006
const INVALID_PAYLOAD = 'invalid subscription payload'
const INVALID_OPERATION = 'INVALID OPERATION'
const EMPTY_DUMP = dumpFrame([])
const NOBODY: ReadonlySet<Connection> = new Set()
/** A frame that waits to be swapped with the next of its market goes out by itself after this time. */
const HOLD_MS_MAX = 250

/** A frame on its way out. */
interface Given {
  readonly kind: FrameKind
  readonly frame: string
  readonly fill?: Fill
}

interface Held {
  readonly sinceMs: number
  release(): void
}

/** The market channel: who is connected, what each subscribed to, and what each was given. */
export class Channel implements Feed {
  readonly connections: ReadonlySet<Connection>
  readonly #connections = new Set<Connection>()
  readonly #parts: ChannelParts
  readonly #watchers = new Map<string, Set<Connection>>()
  /** By market: at most one frame each. */
  readonly #held = new Map<string, Held>()
  /** Connections that were given something since the last tick. */
  #corked: Connection[] = []

  constructor(parts: ChannelParts) {
    this.#parts = parts
    this.connections = this.#connections
  }

  accept(ws: WebSocket, socket: Duplex): void {
    const { account, clock, files, foreign } = this.#parts
    const entry = account.opened(clock.wallMs())
    const lastPingMs = clock.monotonicMs()
    const tokens = new Set<string>()
    const connection: Connection = { account: entry, ws, socket, tokens, started: false, corked: false, lastPingMs }
    this.#connections.add(connection)
    ws.on('message', (data) => this.#onMessage(connection, data.toString()))
    ws.on('error', () => undefined) // 'close' follows and tells the code
    ws.on('close', (code, reason) => {
      if (entry.closedMs === null) entry.unsentBytes = ws.bufferedAmount
      this.#noteEnd(connection, 'client', code, reason.toString())
      for (const token of [...tokens]) this.#unwatch(connection, token)
      this.#connections.delete(connection)
      foreign?.ended(connection)
      files?.close(entry.conn)
    })
  }

  /** Gives one frame to one connection when it is open and not frozen; false when it was not given. */
  send(connection: Connection, kind: FrameKind, frame: string, trade?: Fill | PlayedTrade): boolean {
    const { ws, account: own } = connection
    if (ws.readyState !== ws.OPEN) return false
    if (this.#parts.faults.freezesConnection(own.conn)) {
      own.withheld += 1
      return false
    }
    this.#give(connection, kind, frame, trade)
    return true
  }

  /** Writes out what was collected since the last call, and ends connections without a heartbeat. */
  tick(): void {
    if (this.#held.size > 0) this.releaseHeld(this.#parts.clock.monotonicMs() - HOLD_MS_MAX)
    for (const connection of this.#corked) this.#uncork(connection)
    this.#corked = []
    const { options, clock } = this.#parts
    if (options.heartbeatTimeoutMs === 0) return
    const oldestMs = clock.monotonicMs() - options.heartbeatTimeoutMs
    for (const connection of this.#connections) {
      if (connection.lastPingMs < oldestMs) {
        connection.lastPingMs = Number.POSITIVE_INFINITY
        this.#close(connection, 1001, 'no heartbeat')
      }
    }
  }

  /** Ends the connections given, or all, as the venue. Returns how many. */
  end(code: number, reason: string, only?: readonly number[]): number {
    const chosen = [...this.#connections].filter((one) => only === undefined || only.includes(one.account.conn))
    for (const connection of chosen) this.#close(connection, code, reason)
    return chosen.length
  }

  /** The numbers of the connections that have this token. */
  watching(token: string): number[] {
    return [...(this.#watchers.get(token) ?? NOBODY)].map((connection) => connection.account.conn)
  }

  wanted(market: SimMarket): boolean {
    return this.#watchers.has(market.tokens[0]) || this.#watchers.has(market.tokens[1])
  }

  toMarket(market: SimMarket, kind: FrameKind, frame: string): void {
    const [first, second] = market.tokens
    const receivers = new Set([...(this.#watchers.get(first) ?? []), ...(this.#watchers.get(second) ?? [])])
    this.#spread(market, market.tokens, receivers, { kind, frame })
  }

  toToken(market: SimMarket, outcome: Outcome, kind: FrameKind, frame: string, fill?: Fill): void {
    const token = market.tokens[outcome]
    const receivers = this.#watchers.get(token) ?? NOBODY
    this.#spread(market, [token], receivers, fill === undefined ? { kind, frame } : { kind, frame, fill })
  }

  toTokenCustom(market: SimMarket, outcome: Outcome, kind: FrameKind, frame: string): void {
    for (const connection of this.#watchers.get(market.tokens[outcome]) ?? NOBODY) {
      if (connection.account.custom) this.#deliver(connection, market, { kind, frame })
    }
  }

  broadcast(kind: FrameKind, frame: string): void {
    for (const connection of this.#connections) {
      if (connection.started && connection.account.custom) this.send(connection, kind, frame)
    }
  }

  /** Lets frames go that were held back to be swapped, `olderThanMs` on the monotonic clock or all. */
  releaseHeld(olderThanMs = Number.POSITIVE_INFINITY): void {
    for (const [market, held] of this.#held) {
      if (held.sinceMs > olderThanMs) continue
      this.#held.delete(market)
      held.release()
    }
  }

  /** One frame to all who should have it, or whatever the faults in force make of it. */
  #spread(market: SimMarket, tokens: readonly string[], receivers: ReadonlySet<Connection>, given: Given): void {
    if (receivers.size === 0) return
    const { frames } = this.#parts.faults
    const key = market.conditionId
    const held = this.#held.get(key)
    const fate = frames.judge(key, market.tokens, given.kind, given.frame, held !== undefined)
    if (fate === 'drop') {
      const { clock } = this.#parts
      const connections = [...receivers].map((one) => one.account.conn)
      const { kind, frame } = given
      frames.dropped.push({ atUs: clock.wallUs(), kind, market: key, tokens, connections, frame })
      return
    }
    const give = () => {
      for (const connection of receivers) this.#deliver(connection, market, given)
    }
    if (fate === 'hold') {
      this.#held.set(key, { release: give, sinceMs: this.#parts.clock.monotonicMs() })
      return
    }
    give()
    if (fate === 'twice') give()
    if (held === undefined) return
    this.#held.delete(key)
    frames.counts.swapped += 1
    held.release()
  }

  #deliver(connection: Connection, market: SimMarket, { kind, frame, fill }: Given): void {
    if (this.#parts.faults.freezesTokens(connection.account.conn, market.tokens)) connection.account.withheld += 1
    else this.send(connection, kind, frame, fill)
  }

  #give(connection: Connection, kind: FrameKind, frame: string, trade?: Fill | PlayedTrade): void {
    const { account, clock, files, options } = this.#parts
    const { ws, account: own } = connection
    if (!connection.corked) {
      // One write to the kernel for all frames of a tick instead of one each.
      connection.corked = true
      this.#corked.push(connection)
      connection.socket.cork()
    }
    const data = Buffer.from(frame)
    ws.send(data, { binary: false })
    const atUs = clock.wallUs()
    account.sent(own, kind, data.length, atUs, trade)
    files?.add(own.conn, atUs, frame)
    if (ws.bufferedAmount <= options.bufferLimitBytes) return
    // The venue does not wait for slow clients: it hangs up, and what the kernel had not taken is lost.
    own.unsentBytes = ws.bufferedAmount
    this.#noteEnd(connection, 'venue', 1006, 'slow consumer')
    ws.terminate()
  }

  #onMessage(connection: Connection, text: string): void {
    if (text === 'PING') this.#onPing(connection)
    else if (connection.started) this.#onLater(connection, text)
    else this.#onFirst(connection, text)
    // Answers leave at once and not with the next tick.
    this.#uncork(connection)
  }

  #onPing(connection: Connection): void {
    if (!connection.started) {
      this.#close(connection, 1008, INVALID_PAYLOAD)
      return
    }
    connection.account.pings += 1
    connection.lastPingMs = this.#parts.clock.monotonicMs()
    if (connection.ws.readyState === connection.ws.OPEN) connection.ws.send('PONG')
  }

  #onFirst(connection: Connection, text: string): void {
    const first = parseFirst(text)
    if (first === null) {
      this.#close(connection, 1008, INVALID_PAYLOAD)
      return
    }
    connection.started = true
    connection.account.custom = first.custom ?? false
    this.#subscribe(connection, first.tokens, first.dump)
  }

  #onLater(connection: Connection, text: string): void {
    const later = parseLater(text)
    if (later === null) {
      this.send(connection, 'refusal', INVALID_OPERATION)
      return
    }
    // The custom flag counts even when every id is known already.
    if (later.custom !== null) connection.account.custom = later.custom
    if (later.operation === 'subscribe') {
      this.#subscribe(connection, later.tokens, true)
      return
    }
    for (const token of later.tokens) this.#unwatch(connection, token)
    connection.account.tokens = connection.tokens.size
    this.#parts.foreign?.changed(connection)
  }

  #subscribe(connection: Connection, tokens: readonly string[], dump: boolean): void {
    const { options, faults, foreign } = this.#parts
    if (tokens.length > options.maxTokensPerFrame) {
      this.#close(connection, 1008, 'too many assets')
      return
    }
    const fresh = [...new Set(tokens)].filter((token) => !connection.tokens.has(token))
    const played = fresh.filter((token) => foreign?.owns(token))
    for (const token of played) this.#watch(connection, token)
    const books = this.#watchFresh(connection, fresh)
    connection.account.tokens = connection.tokens.size
    if (faults.freezesConnection(connection.account.conn)) {
      // What frozen servers were seen to answer.
      if (connection.ws.readyState === connection.ws.OPEN) this.#give(connection, 'dump', EMPTY_DUMP)
    } else if (dump && fresh.length > played.length) {
      this.send(connection, 'dump', dumpFrame(books))
    }
    foreign?.changed(connection)
  }

  /** Subscribes to the simulated ones among the tokens and returns their books. Unknown ids are passed over. */
  #watchFresh(connection: Connection, tokens: readonly string[]): string[] {
    const books: string[] = []
    for (const token of tokens) {
      const place = this.#parts.world.place(token)
      if (place === undefined || place.market.closed) continue
      this.#watch(connection, token)
      if (this.#parts.faults.freezesTokens(connection.account.conn, place.market.tokens, 'dump')) continue
      if (connection.tokens.size <= this.#parts.options.maxTokensPerConnection) {
        books.push(dumpBook(place.market, place.outcome))
      }
    }
    return books
  }

  #watch(connection: Connection, token: string): void {
    connection.tokens.add(token)
    const set = this.#watchers.get(token)
    if (set) set.add(connection)
    else this.#watchers.set(token, new Set([connection]))
  }

  #unwatch(connection: Connection, token: string): void {
    connection.tokens.delete(token)
    const set = this.#watchers.get(token)
    set?.delete(connection)
    if (set?.size === 0) this.#watchers.delete(token)
  }

  #close(connection: Connection, code: number, reason: string): void {
    this.#uncork(connection)
    this.#noteEnd(connection, 'venue', code, reason)
    // No peer may send this code: it is what the other one sees when the connection ends without a word.
    if (code === ABNORMAL_CLOSURE) connection.ws.terminate()
    else connection.ws.close(code, reason)
  }

  #uncork(connection: Connection): void {
    if (!connection.corked) return
    connection.corked = false
    connection.socket.uncork()
  }

  #noteEnd(connection: Connection, by: 'client' | 'venue', code: number, reason: string): void {
    const own = connection.account
    if (own.closedMs !== null) return
    own.closedMs = this.#parts.clock.wallMs()
    own.closedBy = by
    own.closeCode = code
    own.closeReason = reason
  }
}
