import { priceText, sizeText } from './decimal.ts'
import type { FrameKind } from './engine.ts'
import type { Fill } from './frames.ts'

/** One connection of the market channel as the venue saw it. Times are Unix ms. */
export interface ConnectionAccount {
  /** From 1, in the order of connecting. */
  readonly conn: number
  readonly openedMs: number
  closedMs: number | null
  closedBy: 'client' | 'venue' | null
  closeCode: number | null
  closeReason: string
  /** Whether it asked for the custom features. */
  custom: boolean
  tokens: number
  /** Data frames given to an open socket; PONG is not data. */
  frames: number
  bytes: number
  readonly kinds: Partial<Record<FrameKind, number>>
  trades: number
  pings: number
  /** Frames that a freeze kept from it. */
  withheld: number
  /** Bytes given to the socket that the kernel had not taken when it ended: the client never got them. */
  unsentBytes: number
}

/** One trade on one connection. Two identical fills are two of these. */
export interface SentTrade {
  readonly conn: number
  /** Which data frame of that connection it was, from 1. */
  readonly frame: number
  readonly atUs: number
  readonly market: string
  readonly token: string
  readonly price: string
  readonly size: string
  readonly side: string
  readonly feeRateBps: string
  readonly venueMs: number
  readonly transactionHash: string
  /** The venue's own number of the fill: the same on every connection. 0 in a played recording. */
  readonly fill: number
}

export interface ServedPrice {
  readonly atUs: number
  readonly token: string
  readonly price: string
  /** As the JSON number was written; null when the member was left out. */
  readonly volume24h: string | null
}

export interface ServedBook {
  readonly atUs: number
  readonly token: string
  readonly hash: string
  readonly venueMs: number
}

export interface LifecycleEntry {
  readonly atMs: number
  readonly kind: 'created' | 'closed' | 'resolved'
  readonly conditionId: string
  readonly tokens: readonly string[]
  /** Set on `resolved`: the winning token, or null for a split. */
  readonly winningToken?: string | null
  readonly winningOutcome?: string | null
}

/** A list with an end: the oldest tenth is forgotten when it is full, and counted. */
export class BoundedList<T> {
  dropped = 0
  readonly #items: T[] = []
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  push(item: T): void {
    if (this.#items.length >= this.#limit) this.dropped += this.#items.splice(0, Math.ceil(this.#limit / 10)).length
    this.#items.push(item)
  }

  get items(): readonly T[] {
    return this.#items
  }

  /** All there ever were. */
  get total(): number {
    return this.#items.length + this.dropped
  }
}

interface TradeSend {
  readonly conn: number
  readonly frame: number
  readonly atUs: number
  readonly trade: Fill | PlayedTrade
}

/** A trade found in a recording. */
export interface PlayedTrade {
  readonly market: string
  readonly token: string
  readonly price: string
  readonly size: string
  readonly side: string
  readonly feeRateBps: string
  readonly venueMs: number
  readonly transactionHash: string
}

const TRADES_MAX = 2_000_000
const SERVED_MAX = 1_000_000
const LIFECYCLE_MAX = 200_000
const CONNECTIONS_MAX = 20_000

/** What the venue itself says that it sent. Nothing in it comes from the client. */
export class Account {
  readonly connections = new BoundedList<ConnectionAccount>(CONNECTIONS_MAX)
  readonly prices = new BoundedList<ServedPrice>(SERVED_MAX)
  readonly books = new BoundedList<ServedBook>(SERVED_MAX)
  readonly lifecycle = new BoundedList<LifecycleEntry>(LIFECYCLE_MAX)
  /** Requests answered, by method and first two path segments. */
  readonly requests = new Map<string, number>()
  readonly #trades = new BoundedList<TradeSend>(TRADES_MAX)

  opened(openedMs: number): ConnectionAccount {
    const entry: ConnectionAccount = {
      conn: this.connections.total + 1,
      openedMs,
      closedMs: null,
      closedBy: null,
      closeCode: null,
      closeReason: '',
      custom: false,
      tokens: 0,
      frames: 0,
      bytes: 0,
      kinds: {},
      trades: 0,
      pings: 0,
      withheld: 0,
      unsentBytes: 0,
    }
    this.connections.push(entry)
    return entry
  }

  /** To be called once for every data frame, after it was given to an open socket. */
  sent(to: ConnectionAccount, kind: FrameKind, bytes: number, atUs: number, trade?: Fill | PlayedTrade): void {
    to.frames += 1
    to.bytes += bytes
    to.kinds[kind] = (to.kinds[kind] ?? 0) + 1
    if (trade === undefined) return
    to.trades += 1
    this.#trades.push({ conn: to.conn, frame: to.frames, atUs, trade })
  }

  request(key: string): void {
    this.requests.set(key, (this.requests.get(key) ?? 0) + 1)
  }

  get tradesSent(): number {
    return this.#trades.total
  }

  get tradesForgotten(): number {
    return this.#trades.dropped
  }

  /** Every trade send from the `after`-th on, oldest first. */
  *trades(after = 0): Generator<SentTrade> {
    const items = this.#trades.items
    for (let index = Math.max(0, after - this.#trades.dropped); index < items.length; index += 1) {
      const send = items[index]
      if (send) yield { conn: send.conn, frame: send.frame, atUs: send.atUs, ...plainTrade(send.trade) }
    }
  }
}

function plainTrade(trade: Fill | PlayedTrade): PlayedTrade & { readonly fill: number } {
  return 'sequence' in trade ? { ...plainFill(trade), fill: trade.sequence } : { ...trade, fill: 0 }
}

/** A fill as text, in the words of the account. */
export function plainFill(fill: Fill): PlayedTrade {
  return {
    market: fill.market.conditionId,
    token: fill.market.tokens[fill.outcome],
    price: priceText(fill.units),
    size: sizeText(fill.hundredths),
    side: fill.side,
    feeRateBps: '0',
    venueMs: fill.venueMs,
    transactionHash: fill.transactionHash,
  }
}
