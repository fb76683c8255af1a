import { type BookText, bookHash, bookJson } from './book-hash.ts'
import { lastTradeText, PRICE_ONE } from './decimal.ts'
import { eventsOf, type Recording } from './recording.ts'

interface PlayedBook {
  readonly market: string
  readonly bids: Map<string, string>
  readonly asks: Map<string, string>
  readonly tickSize: string
  readonly version: 'v1' | 'v2'
  timestamp: string
  hash: string
  lastTradePrice: string
}

type JsonObject = Record<string, unknown>
type Level = { readonly price: string; readonly size: string }

/** The books of a recording as of the frames played so far: what REST answers for its tokens. */
export class PlayedBooks {
  readonly #books = new Map<string, PlayedBook>()
  /** Every last trade price that the recording can mean: each trade's p and 1 − p, and none. */
  readonly #lastTrades: readonly string[]

  constructor(recording: Recording) {
    const units = recording.frames.flatMap(({ trade }) => (trade ? [Math.round(Number(trade.price) * PRICE_ONE)] : []))
    this.#lastTrades = ['', ...new Set(units.flatMap((one) => [lastTradeText(one), lastTradeText(PRICE_ONE - one)]))]
    // REST has a book before anybody listens: that of each token's first dump.
    for (const { text } of [...recording.frames].reverse()) {
      for (const event of eventsOf(text)) if (typeof event['tick_size'] === 'string') this.#onBook(event)
    }
  }

  apply(text: string): void {
    for (const event of eventsOf(text)) {
      if (event['event_type'] === 'book') this.#onBook(event)
      if (event['event_type'] === 'price_change') this.#onChange(event)
    }
  }

  /** The book as REST has it, with the hash that the recording gives for it; null for other tokens. */
  rest(token: string): { readonly json: string; readonly hash: string; readonly venueMs: number } | null {
    const book = this.#books.get(token)
    if (book === undefined) return null
    const candidates = [book.lastTradePrice, ...this.#lastTrades]
    const fitting = candidates.find((lastTrade) => bookHash(textOf(token, book, lastTrade)) === book.hash)
    book.lastTradePrice = fitting ?? book.lastTradePrice
    return {
      json: bookJson(textOf(token, book, book.lastTradePrice), book.hash),
      hash: book.hash,
      venueMs: Number(book.timestamp),
    }
  }

  /** The middle of the book in price units; null when a side is empty. */
  middleUnits(token: string): number | null {
    const book = this.#books.get(token)
    if (book === undefined || book.bids.size === 0 || book.asks.size === 0) return null
    const bid = Math.max(...[...book.bids.keys()].map(Number))
    const ask = Math.min(...[...book.asks.keys()].map(Number))
    return Math.round(((bid + ask) / 2) * PRICE_ONE)
  }

  #onBook(event: JsonObject): void {
    const token = String(event['asset_id'])
    const known = this.#books.get(token)
    const levels = (key: string) => new Map((event[key] as Level[]).map(({ price, size }) => [price, size]))
    this.#books.set(token, {
      market: String(event['market']),
      bids: levels('bids'),
      asks: levels('asks'),
      tickSize: String(event['tick_size'] ?? known?.tickSize ?? '0.01'),
      version: event['version'] === 'v2' || known?.version === 'v2' ? 'v2' : 'v1',
      timestamp: String(event['timestamp']),
      hash: String(event['hash']),
      lastTradePrice: String(event['last_trade_price'] ?? known?.lastTradePrice ?? ''),
    })
  }

  #onChange(event: JsonObject): void {
    for (const change of event['price_changes'] as JsonObject[]) {
      const book = this.#books.get(String(change['asset_id']))
      if (book === undefined) continue
      const side = change['side'] === 'BUY' ? book.bids : book.asks
      if (change['size'] === '0') side.delete(String(change['price']))
      else side.set(String(change['price']), String(change['size']))
      book.timestamp = String(event['timestamp'])
      book.hash = String(change['hash'])
    }
  }
}

function textOf(token: string, book: PlayedBook, lastTradePrice: string): BookText {
  return {
    market: book.market,
    assetId: token,
    timestamp: book.timestamp,
    bids: sideText(book.bids, 1),
    asks: sideText(book.asks, -1),
    minOrderSize: '5',
    tickSize: book.tickSize,
    negRisk: false,
    lastTradePrice,
    version: book.version,
  }
}

function sideText(levels: ReadonlyMap<string, string>, direction: 1 | -1): string {
  return [...levels]
    .sort(([left], [right]) => (Number(left) - Number(right)) * direction)
    .map(([price, size]) => `{"price":"${price}","size":"${size}"}`)
    .join(',')
}
