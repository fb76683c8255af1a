import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { TokenId } from '../../core/ids.ts'
import { createShardMap, type ShardChanges } from './shard-map.ts'
import { conditionId, tokenId } from './support.test.ts'

const pair = (number: number) => ({
  conditionId: conditionId(number),
  tokens: [tokenId(number, 0), tokenId(number, 1)],
})
const pairs = (...numbers: number[]) => numbers.map(pair)

/** What a listener would have subscribed after these changes. */
function apply(shards: Map<number, Set<TokenId>>, { added, removed, emptied }: ShardChanges): void {
  for (const shard of emptied) shards.delete(shard)
  for (const [shard, tokens] of removed) for (const token of tokens) shards.get(shard)?.delete(token)
  for (const [shard, tokens] of added) {
    const own = shards.get(shard) ?? new Set()
    for (const token of tokens) own.add(token)
    shards.set(shard, own)
  }
}

describe('the shard map', () => {
  test('fills a shard before it opens another, and keeps a market together', () => {
    const map = createShardMap(5)
    const { added } = map.update(pairs(1, 2, 3))
    assert.deepEqual(
      [...added].map(([shard, tokens]) => [shard, tokens.length]),
      [
        [1, 4],
        [2, 2],
      ],
    )
  })

  test('says only what changed', () => {
    const map = createShardMap(4)
    map.update(pairs(1, 2, 3))
    const changes = map.update(pairs(1, 3, 4))
    assert.deepEqual([...changes.removed], [[1, [tokenId(2, 0), tokenId(2, 1)]]])
    assert.equal(changes.added.size, 1)
    assert.deepEqual(map.update(pairs(1, 3, 4)), { added: new Map(), removed: new Map(), emptied: [] })
  })

  test('an emptied shard ends and its number is not used again', () => {
    const map = createShardMap(2)
    map.update(pairs(1, 2))
    assert.deepEqual(map.update(pairs(2)).emptied, [1])
    assert.deepEqual([...map.update(pairs(2, 3)).added.keys()], [3])
  })

  test('whatever comes and goes, every wanted token is on exactly one shard and none is too full', () => {
    const lists = fc.array(fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { maxLength: 30 }), { maxLength: 12 })
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 9 }), (history, tokensMax) => {
        const map = createShardMap(tokensMax)
        const shards = new Map<number, Set<TokenId>>()
        for (const numbers of history) {
          apply(shards, map.update(pairs(...numbers)))
          const held = [...shards.values()].flatMap((tokens) => [...tokens])
          assert.deepEqual(held.sort(), numbers.flatMap((number) => pair(number).tokens).sort())
          for (const tokens of shards.values()) {
            assert.ok(tokens.size > 0 && tokens.size <= tokensMax)
            if (tokensMax < 2) continue
            const odd = [...tokens].filter((token) => !tokens.has(sibling(token)))
            assert.deepEqual(odd, [])
          }
        }
      }),
      { numRuns: 200, verbose: 1 },
    )
  })
})

function sibling(token: TokenId): TokenId {
  return (token.slice(0, -1) + (token.endsWith('0') ? '1' : '0')) as TokenId
}
