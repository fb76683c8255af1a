import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { BookSnapshot, Level, LevelChange, Side } from '../core/events.ts'
import { parseTokenId, type TokenId } from '../core/ids.ts'
import { createPriceTable, createSide, replaceLevels, setLevel } from './book-side.ts'
import { type Book, Books } from './books.ts'

const TOKEN = parseTokenId('11')
const MARKET = `0x${'ab'.repeat(32)}`

function snapshot(venueMs: number, bids: readonly Level[], asks: readonly Level[], token = TOKEN): BookSnapshot {
  return {
    kind: 'book',
    token,
    market: MARKET,
    venueMs,
    hash: `dump ${venueMs}`,
    bids,
    asks,
    tickSize: null,
    lastTradePrice: null,
    afterTrade: false,
    minOrderSize: null,
    negRisk: null,
    version: null,
  }
}

function change(side: Side, price: string, size: string, hash: string | null = 'h', token = TOKEN): LevelChange {
  return { token, side, price, size, hash, bestBid: null, bestAsk: null }
}

const level = (price: string, size: string): Level => ({ price, size })

function books(limits: { booksMax?: number; levelsMax?: number } = {}) {
  const log: string[] = []
  const all = new Books({
    onBatch: (book) => void log.push(`batch ${book.batchHash} ${text(book)}`),
    onReopened: (book) => void log.push(`reopened ${book.batchHash}`),
    onSkipped: () => void log.push('skipped'),
    ...limits,
  })
  return { all, log }
}

function text(book: Book | undefined): string {
  if (book === undefined) return 'none'
  const side = (name: 'bids' | 'asks') =>
    book[name].prices.map(({ text }, index) => `${text}×${book[name].sizes[index]}`)
  return `${side('bids').join(' ')} | ${side('asks').join(' ')}`
}

/** A book with 1 share at 0.4 and at 0.6, owned by `one`. */
function opened(limits = {}) {
  const made = books(limits)
  made.all.applySnapshot(snapshot(1, [level('0.4', '1')], [level('0.6', '1')]), 'one')
  return made
}

test('levels are kept best last with the venue’s own text; sizes are absolute, zero removes', () => {
  const { all } = books()
  all.applySnapshot(
    snapshot(1, [level('0.1', '5'), level('0.50', '7')], [level('0.9', '1'), level('0.6', '2.50')]),
    'one',
  )
  assert.equal(text(all.get(TOKEN)), '0.1×5 0.50×7 | 0.9×1 0.6×2.50')
  all.applyChange(change('BUY', '0.2', '3'), 2, 'one')
  all.applyChange(change('BUY', '0.50', '0'), 2, 'one')
  all.applyChange(change('SELL', '0.55', '9'), 2, 'one')
  all.applyChange(change('SELL', '0.6', '0.00'), 2, 'one')
  all.applyChange(change('SELL', '0.7', '0'), 2, 'one')
  all.applyChange(change('BUY', '0.10', '6'), 2, 'one')
  assert.equal(text(all.get(TOKEN)), '0.10×6 0.2×3 | 0.9×1 0.55×9')
  assert.equal(all.levels, 4)
})

const prices = fc.integer({ min: 1, max: 30 }).map((cents) => String(cents / 100))
/** Some are not in their shortest form, or beyond what a number holds: the text must come back all the same. */
const sizes = fc.constantFrom('0', '1', '2', '3', '12.5', '2.50', '0.0000001', '1e3', '12345678901234567890')

for (const direction of [1, -1] as const) {
  test(`a side equals a sorted map after any changes (direction ${direction})`, () => {
    const steps = fc.array(fc.tuple(prices, sizes), { maxLength: 80 })
    fc.assert(
      fc.property(fc.array(fc.tuple(prices, sizes), { maxLength: 20 }), steps, (first, changes) => {
        const intern = createPriceTable()
        const side = createSide(direction)
        const model = new Map<string, string>()
        const apply = (price: string, size: string) => (size === '0' ? model.delete(price) : model.set(price, size))
        // In the order of arrival: a dump whose levels are out of order or doubled must do no harm.
        replaceLevels(
          side,
          first.map(([price, size]) => level(price, size)),
          intern,
        )
        for (const [price, size] of first) apply(price, size)
        let length = side.prices.length
        for (const [price, size] of changes) {
          length += setLevel(side, intern(price), size)
          apply(price, size)
        }
        const expected = [...model].sort(([a], [b]) => (Number(a) - Number(b)) * direction)
        assert.deepEqual(
          side.prices.map((price, index) => [price.text, String(side.sizes[index])]),
          expected,
        )
        assert.equal(length, expected.length)
      }),
      { numRuns: 300 },
    )
  })
}

test('a batch is complete when a change with another time or hash comes', () => {
  const { all, log } = opened()
  all.applyChange(change('BUY', '0.1', '1', 'a'), 2, 'one')
  all.applyChange(change('BUY', '0.2', '1', 'a'), 2, 'one')
  assert.deepEqual(log, [])
  all.applyChange(change('BUY', '0.3', '1', 'b'), 2, 'one')
  assert.deepEqual(log, ['batch a 0.1×1 0.2×1 0.4×1 | 0.6×1'])
  all.applyChange(change('BUY', '0.3', '2', 'b'), 3, 'one')
  assert.equal(log.length, 2)
  all.applySnapshot(snapshot(9, [], []), 'one')
  assert.equal(log.at(-1), 'batch b 0.1×1 0.2×1 0.3×2 0.4×1 | 0.6×1')
})

test('a quiet batch is complete after one to two periods; if it goes on after all, it is open again', () => {
  const { all, log } = opened()
  all.turn(1_000)
  all.applyChange(change('BUY', '0.1', '1', 'a'), 2, 'one')
  all.turn(1_099)
  all.turn(1_100)
  assert.deepEqual(log, [])
  all.turn(1_200)
  assert.deepEqual(log, ['batch a 0.1×1 0.4×1 | 0.6×1'])
  all.applyChange(change('BUY', '0.2', '1', 'a'), 2, 'one')
  assert.equal(log.at(-1), 'reopened a')
  all.finish()
  assert.equal(log.at(-1), 'batch a 0.1×1 0.2×1 0.4×1 | 0.6×1')
  assert.equal(log.length, 3)
})

test('exact repeats of a closed batch are ignored, however often', () => {
  const { all, log } = opened()
  all.applyChange(change('BUY', '0.1', '1', 'a'), 2, 'one')
  all.applyChange(change('BUY', '0.1', '2', 'b'), 3, 'one')
  for (let count = 0; count < 3; count += 1) all.applyChange(change('BUY', '0.1', '1', 'a'), 2, 'one')
  assert.equal(text(all.get(TOKEN)), '0.1×2 0.4×1 | 0.6×1')
  assert.equal(all.counts.repeats, 3)
  assert.equal(log.length, 1)
  // Same values at another time are news.
  all.applyChange(change('BUY', '0.1', '1', 'a'), 4, 'one')
  assert.equal(text(all.get(TOKEN)), '0.1×1 0.4×1 | 0.6×1')
})

test('a book that goes and comes back within one millisecond is followed', () => {
  const { all } = opened()
  all.applyChange(change('BUY', '0.1', '1', 'a'), 2, 'one')
  all.applyChange(change('BUY', '0.1', '0', 'b'), 2, 'one')
  all.applyChange(change('BUY', '0.1', '1', 'a'), 2, 'one')
  assert.equal(text(all.get(TOKEN)), '0.1×1 0.4×1 | 0.6×1')
  assert.equal(all.counts.repeats, 0)
})

test('a snapshot that comes again does not turn the book back', () => {
  const { all } = opened()
  all.applyChange(change('BUY', '0.1', '1', 'a'), 2, 'one')
  assert.equal(all.applySnapshot(snapshot(1, [level('0.4', '1')], [level('0.6', '1')]), 'one'), null)
  assert.equal(text(all.get(TOKEN)), '0.1×1 0.4×1 | 0.6×1')
})

test('a connection that opened later takes over with its snapshot; an older one does not', () => {
  const { all, log } = books()
  all.connections.of('one')
  all.connections.of('two')
  all.applySnapshot(snapshot(1, [level('0.1', '1')], []), 'two')
  assert.equal(all.applySnapshot(snapshot(5, [level('0.1', '5')], []), 'one'), null)
  all.applyChange(change('BUY', '0.1', '6'), 6, 'one')
  assert.equal(text(all.get(TOKEN)), '0.1×1 | ')
  assert.equal(all.counts.foreign, 2)
  all.applyChange(change('BUY', '0.1', '7'), 6, 'two')
  assert.equal(text(all.get(TOKEN)), '0.1×7 | ')
  all.applySnapshot(snapshot(8, [level('0.1', '8')], []), 'three')
  assert.deepEqual(log, ['skipped'], 'the batch under way on the old connection may lack its end')
  all.applyChange(change('BUY', '0.1', '9'), 9, 'two')
  assert.equal(text(all.get(TOKEN)), '0.1×8 | ')
})

test('after its owner closed, a book waits for a snapshot, from whomever it comes', () => {
  const { all, log } = books()
  all.connections.of('old')
  all.applySnapshot(snapshot(1, [level('0.4', '1')], []), 'one')
  all.applyChange(change('BUY', '0.1', '1', 'half'), 2, 'one')
  all.connections.close('one')
  all.applyChange(change('BUY', '0.2', '1', 'x'), 3, 'one')
  all.applyChange(change('BUY', '0.3', '1', 'y'), 3, 'old')
  assert.equal(text(all.get(TOKEN)), '0.1×1 0.4×1 | ')
  assert.equal(all.counts.unready, 2)
  all.applySnapshot(snapshot(5, [level('0.5', '5')], []), 'old')
  all.applyChange(change('BUY', '0.2', '1', 'z'), 6, 'old')
  assert.equal(text(all.get(TOKEN)), '0.2×1 0.5×5 | ')
  assert.equal(all.applySnapshot(snapshot(7, [], []), 'one'), null, 'a closed connection says nothing more')
  assert.equal(log.filter((line) => line === 'skipped').length, 3, 'x, y, and the half batch')
  assert.equal(
    log.some((line) => line.includes('half')),
    false,
  )
})

test('the same dump after a reconnect counts: the market was quiet', () => {
  const { all } = opened()
  all.connections.close('one')
  assert.ok(all.applySnapshot(snapshot(1, [level('0.4', '1')], [level('0.6', '1')]), 'two'))
  all.applyChange(change('BUY', '0.1', '1'), 2, 'two')
  assert.equal(text(all.get(TOKEN)), '0.1×1 0.4×1 | 0.6×1')
})

test('frames known to be missing, and distrust, end a book until its next snapshot', () => {
  const { all } = opened()
  all.connections.of('one').losses += 1
  all.applyChange(change('BUY', '0.1', '1'), 2, 'one')
  assert.equal(text(all.get(TOKEN)), '0.4×1 | 0.6×1')
  all.applySnapshot(snapshot(3, [level('0.4', '3')], []), 'one')
  all.applyChange(change('BUY', '0.1', '1'), 4, 'one')
  assert.equal(text(all.get(TOKEN)), '0.1×1 0.4×3 | ')
  all.distrust(TOKEN, 1)
  all.applyChange(change('BUY', '0.1', '2'), 5, 'one')
  assert.equal(text(all.get(TOKEN)), '0.1×2 0.4×3 | ', 'an older generation is none of its business')
  all.distrust(TOKEN, 2)
  all.applyChange(change('BUY', '0.1', '3'), 6, 'one')
  assert.equal(text(all.get(TOKEN)), '0.1×2 0.4×3 | ')
})

test('changes without a book are counted once per batch', () => {
  const { all, log } = books()
  all.applyChange(change('BUY', '0.1', '1', 'a'), 2, 'one')
  all.applyChange(change('BUY', '0.2', '1', 'a'), 2, 'one')
  all.applyChange(change('BUY', '0.2', '1', 'b'), 2, 'one')
  assert.deepEqual(log, ['skipped', 'skipped'])
  assert.equal(all.size, 0)
})

test('a dropped token frees its book; another connection’s stays', () => {
  const { all } = opened()
  all.unsubscribe(TOKEN, 'another')
  assert.equal(all.size, 1)
  all.unsubscribe(TOKEN, 'one')
  assert.equal(all.size, 0)
  assert.equal(all.levels, 0)
  all.finish()
})

test('books and levels are bounded: those unused for longest go first', () => {
  const { all } = books({ booksMax: 3, levelsMax: 8 })
  const token = (index: number): TokenId => parseTokenId(String(index))
  for (let index = 1; index <= 3; index += 1)
    all.applySnapshot(snapshot(1, [level('0.1', '1')], [], token(index)), 'one')
  all.applySnapshot(snapshot(1, [level('0.1', '1')], [], token(4)), 'one')
  assert.equal(all.get(token(1)), undefined)
  all.applyChange(change('BUY', '0.2', '1', 'h', token(2)), 2, 'one')
  all.applySnapshot(snapshot(1, [level('0.1', '1')], [], token(5)), 'one')
  assert.ok(all.get(token(2)), 'it was used')
  assert.equal(all.get(token(3)), undefined)
  assert.equal(all.size, 3)
  const many = Array.from({ length: 7 }, (_, index) => level(`0.${index + 1}`, '1'))
  all.applySnapshot(snapshot(1, many, [], token(6)), 'one')
  assert.ok(all.levels <= 8)
  assert.ok(all.counts.evicted >= 3)
})

test('the same venue sequence on one or on several overlapping connections gives the same book', () => {
  const steps = fc.array(fc.tuple(fc.constantFrom<Side>('BUY', 'SELL'), prices, sizes), { minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(steps, fc.array(fc.nat(39), { maxLength: 4 }), (changes, dumps) => {
      const { all: reference } = opened()
      const { all } = opened()
      let connections = ['one']
      changes.forEach(([side, price, size], index) => {
        const venueMs = index + 2
        const item = change(side, price, size, `h${index}`)
        reference.applyChange(item, venueMs, 'one')
        for (const name of connections) all.applyChange(item, venueMs, name)
        if (!dumps.includes(index)) return
        // A new connection opens, dumps the present book, and the oldest closes.
        const book = reference.get(TOKEN) as Book
        const levels = (name: 'bids' | 'asks') =>
          book[name].prices.map(({ text: at }, place) => level(at, String(book[name].sizes[place])))
        const name = `after ${index}`
        all.applySnapshot(snapshot(venueMs, levels('bids'), levels('asks')), name)
        if (connections.length > 1) all.connections.close(connections[0] as string)
        connections = [...connections.slice(-1), name]
      })
      assert.equal(text(all.get(TOKEN)), text(reference.get(TOKEN)))
    }),
    { numRuns: 200 },
  )
})
