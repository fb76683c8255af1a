import { assert } from '../../core/errors.ts'
import type { TokenId } from '../../core/ids.ts'
import type { TrackedMarket } from './token-registry.ts'

/** Which tokens are recorded on which connection, by shard number. */
export interface ShardMap {
  /** Moves to a new set of markets and says what changes; tokens that stay keep their shard. */
  update(markets: Iterable<TrackedMarket>): ShardChanges
}

export interface ShardChanges {
  /** Tokens to subscribe; a number seen for the first time is a new shard. */
  readonly added: ReadonlyMap<number, readonly TokenId[]>
  readonly removed: ReadonlyMap<number, readonly TokenId[]>
  /** Shards without a token left; their numbers are not used again. */
  readonly emptied: readonly number[]
}

/** Keeps a market's tokens together, fills shards before it opens new ones, and never holds a token twice. */
export function createShardMap(tokensMax: number): ShardMap {
  assert(Number.isInteger(tokensMax) && tokensMax >= 1, `a connection for ${tokensMax} tokens`)
  const shards = new Map<number, Set<TokenId>>()
  const shardOf = new Map<TokenId, number>()
  let nextShard = 1

  /** The fullest shard that still has room, so that the others can run empty. */
  const roomFor = (count: number): number => {
    let chosen: number | null = null
    let chosenSize = -1
    for (const [shard, tokens] of shards) {
      if (tokens.size + count <= tokensMax && tokens.size > chosenSize) {
        chosen = shard
        chosenSize = tokens.size
      }
    }
    if (chosen !== null) return chosen
    shards.set(nextShard, new Set())
    nextShard += 1
    return nextShard - 1
  }

  const place = (fresh: readonly TokenId[], siblings: readonly TokenId[], added: Map<number, TokenId[]>) => {
    const home = siblings.map((token) => shardOf.get(token)).find((shard) => shard !== undefined)
    const homeSize = home === undefined ? tokensMax : (shards.get(home)?.size ?? tokensMax)
    const shard = home !== undefined && homeSize + fresh.length <= tokensMax ? home : roomFor(fresh.length)
    for (const token of fresh) {
      shards.get(shard)?.add(token)
      shardOf.set(token, shard)
    }
    added.set(shard, [...(added.get(shard) ?? []), ...fresh])
  }

  const removeUnwanted = (wanted: ReadonlySet<TokenId>): Map<number, TokenId[]> => {
    const removed = new Map<number, TokenId[]>()
    for (const [token, shard] of shardOf) {
      if (wanted.has(token)) continue
      shardOf.delete(token)
      shards.get(shard)?.delete(token)
      removed.set(shard, [...(removed.get(shard) ?? []), token])
    }
    return removed
  }

  return {
    update(markets) {
      const list = [...markets]
      const removed = removeUnwanted(new Set(list.flatMap((market) => market.tokens)))
      const added = new Map<number, TokenId[]>()
      for (const { tokens } of list) {
        const fresh = [...new Set(tokens)].filter((token) => !shardOf.has(token))
        // A market with more tokens than a connection takes is the one case that is split.
        for (let start = 0; start < fresh.length; start += tokensMax) {
          place(fresh.slice(start, start + tokensMax), tokens, added)
        }
      }
      const emptied = [...shards].filter(([, tokens]) => tokens.size === 0).map(([shard]) => shard)
      for (const shard of emptied) shards.delete(shard)
      return { added, removed, emptied }
    },
  }
}
