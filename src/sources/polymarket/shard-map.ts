import { assert } from '../../core/errors.ts'
import type { TokenId } from '../../core/ids.ts'
import type { TrackedMarket } from './token-registry.ts'

/** Which tokens are recorded on which connection, by shard number. */
export interface ShardMap {
  /** Moves to a new set of markets and says what changes; tokens that stay keep their shard. */
  update(markets: Iterable<TrackedMarket>): ShardChanges
  /** Gives these tokens to another shard each; those that belong to none stay away. The old one may be empty then. */
  move(tokens: Iterable<TokenId>): Pick<ShardChanges, 'added' | 'removed'>
  /** The shard that a token belongs to. */
  shardOf(token: TokenId): number | undefined
  /** True when nothing is left of this shard; its number is not used again. */
  dropIfEmpty(shard: number): boolean
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
  return new Shards(tokensMax)
}

class Shards implements ShardMap {
  readonly #tokensMax: number
  readonly #shards = new Map<number, Set<TokenId>>()
  readonly #shardOf = new Map<TokenId, number>()
  #next = 1

  constructor(tokensMax: number) {
    this.#tokensMax = tokensMax
  }

  update(markets: Iterable<TrackedMarket>): ShardChanges {
    const list = [...markets]
    const removed = this.#removeUnwanted(new Set(list.flatMap((market) => market.tokens)))
    const added = new Map<number, TokenId[]>()
    for (const { tokens } of list) {
      const fresh = [...new Set(tokens)].filter((token) => !this.#shardOf.has(token))
      // A market with more tokens than a connection takes is the one case that is split.
      for (let start = 0; start < fresh.length; start += this.#tokensMax) {
        this.#place(fresh.slice(start, start + this.#tokensMax), tokens, added)
      }
    }
    const emptied = [...this.#shards].filter(([, tokens]) => tokens.size === 0).map(([shard]) => shard)
    for (const shard of emptied) this.#shards.delete(shard)
    return { added, removed, emptied }
  }

  move(tokens: Iterable<TokenId>): Pick<ShardChanges, 'added' | 'removed'> {
    const added = new Map<number, TokenId[]>()
    const removed = new Map<number, TokenId[]>()
    for (const token of tokens) {
      const from = this.#shardOf.get(token)
      if (from === undefined) continue
      this.#shards.get(from)?.delete(token)
      this.#give([token], this.#roomFor(1, from), added)
      push(removed, from, [token])
    }
    return { added, removed }
  }

  shardOf(token: TokenId): number | undefined {
    return this.#shardOf.get(token)
  }

  dropIfEmpty(shard: number): boolean {
    return this.#shards.get(shard)?.size === 0 && this.#shards.delete(shard)
  }

  /** The fullest shard that still has room, so that the others can run empty. */
  #roomFor(count: number, except?: number): number {
    let chosen: number | null = null
    let chosenSize = -1
    for (const [shard, tokens] of this.#shards) {
      if (shard !== except && tokens.size + count <= this.#tokensMax && tokens.size > chosenSize) {
        chosen = shard
        chosenSize = tokens.size
      }
    }
    if (chosen !== null) return chosen
    this.#shards.set(this.#next, new Set())
    this.#next += 1
    return this.#next - 1
  }

  #place(fresh: readonly TokenId[], siblings: readonly TokenId[], added: Map<number, TokenId[]>): void {
    const home = siblings.map((token) => this.#shardOf.get(token)).find((shard) => shard !== undefined)
    const homeSize = home === undefined ? this.#tokensMax : (this.#shards.get(home)?.size ?? this.#tokensMax)
    const isRoom = home !== undefined && homeSize + fresh.length <= this.#tokensMax
    this.#give(fresh, isRoom ? home : this.#roomFor(fresh.length), added)
  }

  #give(tokens: readonly TokenId[], shard: number, added: Map<number, TokenId[]>): void {
    for (const token of tokens) {
      this.#shards.get(shard)?.add(token)
      this.#shardOf.set(token, shard)
    }
    push(added, shard, tokens)
  }

  #removeUnwanted(wanted: ReadonlySet<TokenId>): Map<number, TokenId[]> {
    const removed = new Map<number, TokenId[]>()
    for (const [token, shard] of this.#shardOf) {
      if (wanted.has(token)) continue
      this.#shardOf.delete(token)
      this.#shards.get(shard)?.delete(token)
      push(removed, shard, [token])
    }
    return removed
  }
}

function push(to: Map<number, TokenId[]>, shard: number, tokens: readonly TokenId[]): void {
  const list = to.get(shard)
  if (list === undefined) to.set(shard, [...tokens])
  else list.push(...tokens)
}
