import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type BookText, bookHash, bookJson } from './book-hash.ts'

const VECTORS = new URL('../../../shared/polymarket/samples/book-hash-vectors.jsonl', import.meta.url)
const absent = existsSync(VECTORS) ? false : 'the recorded vectors are not here'

const EXAMPLE: BookText = {
  market: '0xab',
  assetId: '12',
  timestamp: '1790767298635',
  bids: '{"price":"0.1","size":"5"},{"price":"0.49","size":"51.14"}',
  asks: '{"price":"0.99","size":"7"}',
  minOrderSize: '5',
  tickSize: '0.01',
  negRisk: false,
  lastTradePrice: '0.490',
  version: 'v1',
}

test('a book has ten members, and eleven on a V2 market', () => {
  const v1 = JSON.parse(bookJson(EXAMPLE, 'h')) as object
  const v2 = JSON.parse(bookJson({ ...EXAMPLE, version: 'v2' }, 'h')) as object
  assert.equal(Object.keys(v1).join(' '), MEMBERS)
  assert.equal(Object.keys(v2).join(' '), `${MEMBERS} version`)
})

const MEMBERS = 'market asset_id timestamp hash bids asks min_order_size tick_size neg_risk last_trade_price'

test('every part of a book moves its hash', () => {
  const others: Partial<BookText>[] = [
    { market: '0xac' },
    { timestamp: '1790767298636' },
    { bids: '' },
    { lastTradePrice: '' },
    { negRisk: true },
    { tickSize: '0.001' },
    { version: 'v2' },
  ]
  const hashes = new Set([EXAMPLE, ...others.map((other) => ({ ...EXAMPLE, ...other }))].map(bookHash))
  assert.equal(hashes.size, others.length + 1)
})

test('reproduces the recorded book hashes', { skip: absent }, () => {
  const lines = readFileSync(VECTORS, 'utf8').trim().split('\n')
  for (const line of lines) {
    const { preimage, sha1, source, kind } = JSON.parse(line) as Record<'preimage' | 'sha1' | 'source' | 'kind', string>
    const book = JSON.parse(preimage) as Record<string, never>
    const levels = (side: string) => JSON.stringify(book[side]).slice(1, -1)
    const text: BookText = {
      market: book['market'] ?? '',
      assetId: book['asset_id'] ?? '',
      timestamp: book['timestamp'] ?? '',
      bids: levels('bids'),
      asks: levels('asks'),
      minOrderSize: book['min_order_size'] ?? '',
      tickSize: book['tick_size'] ?? '',
      negRisk: book['neg_risk'] ?? false,
      lastTradePrice: book['last_trade_price'] ?? '',
      version: book['version'] ?? 'v1',
    }
    assert.equal(bookJson(text, ''), preimage, `${source} ${kind}`)
    assert.equal(bookHash(text), sha1, `${source} ${kind}`)
  }
  assert.equal(lines.length, 37)
})
