/** A backfilled trade that lies in no gap. */
export interface MissedTrade {
  readonly tokenKey: number
  /** The second of the trade, Unix ms. */
  readonly atMs: number
  readonly transactionHash: string
  /** Trades of one market may be one incident. */
  readonly market: string
}

/** Missed trades of one market that are one incident. */
export interface MissedCluster {
  readonly startedMs: number
  readonly endedMs: number
  readonly tokenKeys: readonly number[]
  /** The first of them. */
  readonly transactionHashes: readonly string[]
  readonly trades: number
}

/** The API knows seconds only, and receiving takes a moment. */
const BEFORE_MS = 1_000
const AFTER_MS = 2_000
const HASHES_MAX = 20

/** Puts trades together whose surroundings overlap; takes them in the order of time. */
export function clusterMissed(trades: readonly MissedTrade[]): MissedCluster[] {
  const clusters: (MissedCluster & { endedMs: number; trades: number; keys: Set<number>; hashes: Set<string> })[] = []
  const open = new Map<string, (typeof clusters)[number]>()
  for (const { tokenKey, atMs, transactionHash, market } of trades) {
    let cluster = open.get(market)
    if (cluster === undefined || cluster.endedMs < atMs - BEFORE_MS) {
      const [keys, hashes] = [new Set<number>(), new Set<string>()]
      cluster = {
        startedMs: atMs - BEFORE_MS,
        endedMs: 0,
        tokenKeys: [],
        transactionHashes: [],
        trades: 0,
        keys,
        hashes,
      }
      open.set(market, cluster)
      clusters.push(cluster)
    }
    cluster.endedMs = atMs + AFTER_MS
    cluster.trades += 1
    cluster.keys.add(tokenKey)
    if (transactionHash !== '' && cluster.hashes.size < HASHES_MAX) cluster.hashes.add(transactionHash)
  }
  return clusters.map(({ startedMs, endedMs, trades: count, keys, hashes }) => {
    return { startedMs, endedMs, tokenKeys: [...keys], transactionHashes: [...hashes], trades: count }
  })
}
