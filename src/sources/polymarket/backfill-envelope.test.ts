import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../core/random.ts'
import { mutate } from '../../recorder/decode-fuzz.ts'
import { decodeBackfill, encodeBackfill } from './backfill-envelope.ts'
import { conditionId, tokenId } from './support.test.ts'

const V2 = {
  proxy_wallet: '0x1',
  side: 'BUY',
  token_id: tokenId(1, 0),
  condition_id: conditionId(1),
  size: 78.5,
  price: 0.62,
  timestamp: 1_788_887_014,
  transaction_hash: '0xabc',
}
const V1 = {
  side: 'BUY',
  asset: tokenId(1, 0),
  conditionId: conditionId(1),
  size: '78.50',
  price: '0.620',
  timestamp: 1_788_887_014,
  transactionHash: '0xabc',
}

test('what was put on the tape comes back as a trade, the same one from both versions of the API', () => {
  const { events, rejects } = decodeBackfill(encodeBackfill(V2, 3, { gap: 12 }))
  assert.deepEqual(rejects, [])
  assert.deepEqual(events, [
    {
      kind: 'trade',
      token: tokenId(1, 0),
      market: conditionId(1),
      venueMs: 1_788_887_014_000,
      price: '0.62',
      size: '78.5',
      side: 'BUY',
      feeRateBps: '',
      transactionHash: '0xabc',
      backfill: { ordinal: 3 },
    },
  ])
  assert.deepEqual(decodeBackfill(encodeBackfill(V1, 3, { hour: '2026-11-25T21:00:00.000Z' })).events, events)
})

test('the row is kept as it was received, unknown members included', () => {
  const line = JSON.parse(encodeBackfill({ ...V2, news: { deep: [1] } }, 0, { gap: 1 }).toString()) as { row: unknown }
  assert.deepEqual(line.row, { ...V2, news: { deep: [1] } })
})

test('anything else is a reject and never an exception', () => {
  for (const text of ['', '[]', 'null', '{"form":2}', '{"form":1}', '{"form":1,"ordinal":-1,"row":{}}']) {
    const { events, rejects } = decodeBackfill(Buffer.from(text))
    assert.deepEqual([events.length, rejects.length], [0, 1], text)
  }
  const seed = encodeBackfill(V2, 0, { gap: 1 })
  fc.assert(
    fc.property(fc.integer(), (number) => {
      const { events, rejects } = decodeBackfill(mutate(seed, seededRandom(number)))
      assert.equal(events.length + rejects.length, 1)
      for (const event of events) assert.ok(event.kind === 'trade' && event.backfill !== undefined)
    }),
    { numRuns: 3_000 },
  )
})
