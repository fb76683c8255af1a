import type { Clock } from '../core/clock.ts'
import type { Connection, ForeignTokens } from './channel.ts'
import type { DataTrade } from './data.ts'
import { PRICE_ONE } from './decimal.ts'
import { spacedJson } from './gamma-market.ts'
import { type Listed, listRaw } from './listing.ts'
import { PlayedBooks } from './played-books.ts'
import type { RecordedMarket, Recording } from './recording.ts'

export interface PlayerParts {
  readonly recording: Recording
  /** Factor of the recorded pace; 0 is as fast as possible. */
  readonly speed: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** What the channel offers to the player. */
export interface PlayerOutlet {
  send(connection: Connection, kind: 'played', text: string, trade: Recording['frames'][number]['trade']): boolean
  flush(): void
}

export interface PlayedState {
  readonly conn: number
  sent: number
  done: boolean
}

const UNSENT_BYTES_MAX = 1024 * 1024
const WAIT_MS = 5

/** Plays a recording, byte for byte and in order, to each connection that has subscribed to all of its tokens. */
export class Player implements ForeignTokens {
  readonly books: PlayedBooks
  readonly listed: readonly Listed[]
  readonly trades: readonly DataTrade[]
  readonly states: PlayedState[] = []
  outlet: PlayerOutlet | null = null
  readonly #parts: PlayerParts
  readonly #tokens: ReadonlySet<string>
  readonly #playing = new Map<Connection, AbortController>()
  readonly #tasks = new Set<Promise<void>>()

  constructor(parts: PlayerParts) {
    this.#parts = parts
    this.#tokens = new Set(parts.recording.markets.flatMap((market) => market.tokens))
    this.books = new PlayedBooks(parts.recording)
    this.listed = parts.recording.markets.map((market, index) => listRecorded(market, index, this.books))
    this.trades = tradesOf(parts.recording)
  }

  owns(token: string): boolean {
    return this.#tokens.has(token)
  }

  changed(connection: Connection): void {
    if (this.#playing.has(connection)) return
    for (const token of this.#tokens) if (!connection.tokens.has(token)) return
    const stop = new AbortController()
    this.#playing.set(connection, stop)
    const task = this.#play(connection, stop.signal).finally(() => this.#tasks.delete(task))
    this.#tasks.add(task)
  }

  ended(connection: Connection): void {
    this.#playing.get(connection)?.abort()
    this.#playing.delete(connection)
  }

  /** Ends every play. */
  async close(): Promise<void> {
    for (const stop of this.#playing.values()) stop.abort()
    await Promise.all(this.#tasks)
  }

  async #play(connection: Connection, ended: AbortSignal): Promise<void> {
    const { clock, recording, speed } = this.#parts
    const signal = AbortSignal.any([ended, this.#parts.signal])
    const state: PlayedState = { conn: connection.account.conn, sent: 0, done: false }
    this.states.push(state)
    const startMs = clock.monotonicMs()
    for (const frame of recording.frames) {
      if (speed > 0) await clock.sleep(startMs + frame.offsetMs / speed - clock.monotonicMs(), signal)
      while (!signal.aborted && connection.ws.bufferedAmount > UNSENT_BYTES_MAX) await clock.sleep(WAIT_MS, signal)
      if (signal.aborted) return
      this.books.apply(frame.text)
      if (this.outlet?.send(connection, 'played', frame.text, frame.trade)) state.sent += 1
      this.outlet?.flush()
    }
    state.done = true
  }
}

/** What a recording does not tell is made up plainly: minimum size 5, no neg-risk, outcomes Yes and No. */
function listRecorded(market: RecordedMarket, index: number, books: PlayedBooks): Listed {
  const object = (): Record<string, unknown> => {
    const units = books.middleUnits(market.tokens[0] ?? '') ?? PRICE_ONE / 2
    const prices = [String(units / PRICE_ONE), String((PRICE_ONE - units) / PRICE_ONE)]
    return {
      id: String(400_000 + index),
      question: `Recorded market ${index + 1}`,
      conditionId: market.conditionId,
      slug: `recorded-market-${index + 1}`,
      outcomes: spacedJson(['Yes', 'No']),
      outcomePrices: spacedJson(prices),
      ...(market.version === 'v2'
        ? { version: 'v2', positionIds: market.tokens }
        : { clobTokenIds: spacedJson(market.tokens) }),
      volume: '1000',
      volumeNum: 1000,
      volume24hr: 1000,
      active: true,
      closed: false,
      archived: false,
      acceptingOrders: true,
      enableOrderBook: true,
      orderPriceMinTickSize: Number(market.tickSize),
      orderMinSize: 5,
      negRisk: false,
      umaResolutionStatuses: '[]',
    }
  }
  // Prices move with the recording, so the object is made anew for every answer.
  const fixed = listRaw('', object())
  return { ...fixed, object, json: () => JSON.stringify(object()) }
}

function tradesOf(recording: Recording): DataTrade[] {
  return recording.frames.flatMap(({ trade }, index) => {
    if (trade === null) return []
    const market = recording.markets.findIndex((one) => one.conditionId === trade.market)
    const outcomeIndex = recording.markets[market]?.tokens.indexOf(trade.token) ?? 0
    const outcome = outcomeIndex === 0 ? 'Yes' : 'No'
    const title = `Recorded market ${market + 1}`
    const slug = `recorded-market-${market + 1}`
    return [{ ...trade, sequence: index + 1, outcome, outcomeIndex, title, slug, wallet: `0x${'0'.repeat(40)}` }]
  })
}
