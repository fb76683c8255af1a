import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { GammaMarket } from './test-client.ts'
import { tokensOf } from './test-client.ts'

/** Books rebuilt from frames alone, on purpose without anything of the venue's own code. */
interface Rebuilt {
  readonly market: GammaMarket
  tick: string
  bids: Map<string, string>
  asks: Map<string, string>
  lastTrade: string
  readonly candidates: Set<string>
  pending: { readonly hash: string; readonly timestamp: string; readonly bid: string; readonly ask: string } | null
}

export interface Checked {
  readonly dumps: number
  readonly batches: number
  readonly tradedBooks: number
  /** Hash and time of each token's book at the end. */
  readonly hashes: ReadonlyMap<string, string>
}

type Event = Record<string, unknown>
type Levels = readonly { readonly price: string; readonly size: string }[]

/** Rebuilds every book and checks each hash; a batch after its last frame. Fails the test on any mismatch. */
export function checkBooks(frames: readonly string[], markets: readonly GammaMarket[]): Checked {
  const books = new Map<string, Rebuilt>()
  for (const market of markets) {
    for (const token of tokensOf(market)) {
      const tick = String(market.orderPriceMinTickSize)
      books.set(token, {
        market,
        tick,
        bids: new Map(),
        asks: new Map(),
        lastTrade: '',
        candidates: new Set(),
        pending: null,
      })
    }
  }
  collectCandidates(frames, books)
  const counts = { dumps: 0, batches: 0, tradedBooks: 0 }
  const settle = (token: string): void => {
    const book = books.get(token)
    if (!book?.pending) return
    assert.equal(hashOf(token, book, book.pending.timestamp), book.pending.hash, `batch of ${token}`)
    assert.equal(best(book.bids, Math.max), book.pending.bid)
    assert.equal(best(book.asks, Math.min), book.pending.ask)
    book.pending = null
    counts.batches += 1
  }
  for (const frame of frames) {
    for (const event of [JSON.parse(frame) as Event | Event[]].flat()) {
      if (event['event_type'] === 'price_change') applyChanges(event, books, settle)
      if (event['event_type'] === 'book') applyBook(event, books, settle, counts)
      if (event['event_type'] === 'tick_size_change') {
        const token = String(event['asset_id'])
        settle(token)
        const book = books.get(token)
        assert.equal(book?.tick, event['old_tick_size'])
        if (book) book.tick = String(event['new_tick_size'])
      }
    }
  }
  for (const token of books.keys()) settle(token)
  const hashes = new Map([...books].map(([token, book]) => [token, levelsText(book)]))
  return { ...counts, hashes }
}

function applyChanges(event: Event, books: Map<string, Rebuilt>, settle: (token: string) => void): void {
  const changes = event['price_changes'] as Record<string, string>[]
  const timestamp = String(event['timestamp'])
  assert.equal(changes.length, 2)
  const [one, other] = changes
  assert.ok(Math.abs(Number(one?.['price']) + Number(other?.['price']) - 1) < 1e-9, 'prices mirror each other')
  assert.equal(one?.['size'], other?.['size'])
  assert.notEqual(one?.['side'], other?.['side'])
  for (const change of changes) {
    const token = change['asset_id'] ?? ''
    const book = books.get(token)
    assert.ok(book, `unknown token ${token}`)
    const hash = change['hash'] ?? ''
    if (book.pending?.hash !== hash || book.pending.timestamp !== timestamp) settle(token)
    const side = change['side'] === 'BUY' ? book.bids : book.asks
    if (change['size'] === '0') side.delete(change['price'] ?? '')
    else side.set(change['price'] ?? '', change['size'] ?? '')
    book.pending = { hash, timestamp, bid: change['best_bid'] ?? '', ask: change['best_ask'] ?? '' }
  }
}

function applyBook(
  event: Event,
  books: Map<string, Rebuilt>,
  settle: (token: string) => void,
  counts: { dumps: number; tradedBooks: number },
): void {
  const token = String(event['asset_id'])
  const book = books.get(token)
  assert.ok(book, `unknown token ${token}`)
  // A batch of either token was hashed with the last trade price of before.
  for (const sibling of tokensOf(book.market)) settle(sibling)
  book.bids = new Map((event['bids'] as Levels).map(({ price, size }) => [price, size]))
  book.asks = new Map((event['asks'] as Levels).map(({ price, size }) => [price, size]))
  const timestamp = String(event['timestamp'])
  if (typeof event['last_trade_price'] === 'string') {
    counts.dumps += 1
    book.lastTrade = event['last_trade_price']
    assert.equal(event['tick_size'], book.tick)
  } else {
    counts.tradedBooks += 1
    book.lastTrade = searchLastTrade(token, book, timestamp, String(event['hash']))
  }
  assert.equal(hashOf(token, book, timestamp), event['hash'], `book of ${token}`)
  // One value for the whole market: the sibling's hash is over the same.
  for (const sibling of tokensOf(book.market)) {
    const other = books.get(sibling)
    if (other) other.lastTrade = book.lastTrade
  }
}

/** The new last trade price is not told before its trade: look for the one that fits among the market's trades. */
function searchLastTrade(token: string, book: Rebuilt, timestamp: string, hash: string): string {
  const fits = (lastTrade: string) => hashOf(token, { ...book, lastTrade }, timestamp) === hash
  return fits(book.lastTrade) ? book.lastTrade : ([...book.candidates].find(fits) ?? book.lastTrade)
}

/** Every value that a market's last trade price can take: each trade's p and 1 − p with three decimals. */
function collectCandidates(frames: readonly string[], books: ReadonlyMap<string, Rebuilt>): void {
  for (const frame of frames) {
    if (!frame.includes('"last_trade_price", "transaction_hash"')) continue
    const trade = JSON.parse(frame) as Record<string, string>
    const book = books.get(trade['asset_id'] ?? '')
    for (const token of book === undefined ? [] : tokensOf(book.market)) {
      const price = Number(trade['price'])
      books
        .get(token)
        ?.candidates.add(price.toFixed(3))
        .add((1 - price).toFixed(3))
    }
  }
}

function hashOf(token: string, book: Rebuilt, timestamp: string): string {
  const preimage = {
    market: book.market.conditionId,
    asset_id: token,
    timestamp,
    hash: '',
    bids: sorted(book.bids, 1),
    asks: sorted(book.asks, -1),
    min_order_size: '5',
    tick_size: book.tick,
    neg_risk: book.market.negRisk,
    last_trade_price: book.lastTrade,
    ...(book.market.version === 'v2' ? { version: 'v2' } : {}),
  }
  return createHash('sha1').update(JSON.stringify(preimage)).digest('hex')
}

function sorted(levels: ReadonlyMap<string, string>, direction: 1 | -1): Levels {
  return [...levels]
    .map(([price, size]) => ({ price, size }))
    .sort((left, right) => (Number(left.price) - Number(right.price)) * direction)
}

function levelsText(book: Rebuilt): string {
  return JSON.stringify([sorted(book.bids, 1), sorted(book.asks, -1)])
}

function best(levels: ReadonlyMap<string, string>, pick: (...values: number[]) => number): string {
  return levels.size === 0 ? '' : String(pick(...[...levels.keys()].map(Number)))
}
