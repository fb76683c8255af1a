import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { BookLevels } from '../../core/books.ts'
import type { Level } from '../../core/events.ts'
import { type BookForm, bookHash, bookHashHead, bookHashTail } from './book-hash.ts'

const VECTORS = new URL('../../../../shared/polymarket/samples/book-hash-vectors.jsonl', import.meta.url)
const skip = existsSync(VECTORS) ? false : 'the recorded samples are not here'

interface Preimage {
  readonly market: string
  readonly asset_id: string
  readonly timestamp: string
  readonly bids: readonly Level[]
  readonly asks: readonly Level[]
  readonly min_order_size: string
  readonly tick_size: string
  readonly neg_risk: boolean
  readonly last_trade_price: string
  readonly version?: string
}

function levels(bids: readonly Level[], asks: readonly Level[]): BookLevels {
  const side = (list: readonly Level[]) => ({
    prices: list.map(({ price }) => ({ text: price, value: Number(price) })),
    sizes: list.map(({ size }) => size),
  })
  return { bids: side(bids), asks: side(asks) }
}

test('every recorded hash is reproduced from its parts', { skip }, () => {
  const lines = readFileSync(VECTORS, 'utf8').trim().split('\n')
  assert.equal(lines.length, 37)
  for (const line of lines) {
    const { preimage, sha1 } = JSON.parse(line) as { preimage: string; sha1: string }
    const book = JSON.parse(preimage) as Preimage
    const head = bookHashHead(book.market, book.asset_id, Number(book.timestamp), levels(book.bids, book.asks))
    const tail = bookHashTail(book.version === 'v2' ? 11 : 10, {
      minOrderSize: book.min_order_size,
      tickSize: book.tick_size,
      negRisk: book.neg_risk,
      lastTradePrice: book.last_trade_price,
    })
    assert.equal(head + tail, preimage)
    assert.equal(bookHash(head, tail), sha1)
  }
})

const FACTS = { minOrderSize: '5', tickSize: '0.01', negRisk: true, lastTradePrice: '0.490' }

const FORMS: readonly (readonly [BookForm, string])[] = [
  [6, '}'],
  [9, ',"min_order_size":"5","tick_size":"0.01","neg_risk":true}'],
  [10, ',"min_order_size":"5","tick_size":"0.01","neg_risk":true,"last_trade_price":"0.490"}'],
  [11, ',"min_order_size":"5","tick_size":"0.01","neg_risk":true,"last_trade_price":"0.490","version":"v2"}'],
]

for (const [form, tail] of FORMS) {
  test(`the form of ${form} fields`, () => {
    const book = levels([{ price: '0.1', size: '5' }], [{ price: '0.9', size: '7.25' }])
    const head = bookHashHead('0xab', '12', 1_790_766_966_313, book)
    const preimage =
      '{"market":"0xab","asset_id":"12","timestamp":"1790766966313","hash":"",' +
      `"bids":[{"price":"0.1","size":"5"}],"asks":[{"price":"0.9","size":"7.25"}]${tail}`
    assert.equal(head + bookHashTail(form, FACTS), preimage)
    assert.equal(Object.keys(JSON.parse(preimage) as object).length, form)
    assert.equal(bookHash(head, bookHashTail(form, FACTS)), createHash('sha1').update(preimage).digest('hex'))
  })
}
