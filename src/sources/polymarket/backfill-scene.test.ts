/** What the tests of backfilling share: ledger, tapes and API in memory. No tests here. */
import assert from 'node:assert/strict'
import type { ConditionId } from '../../core/ids.ts'
import type {
  FillAttempt,
  GapToFill,
  HoursAttempt,
  HourToReconcile,
  StoredTrade,
  TradeBackfillStore,
  TradedMarket,
} from '../../core/trade-backfill.ts'
import { SimulatedClock } from '../../sim/clock.ts'
import { createBackfillCollector } from './backfill-collector.ts'
import { decodeBackfill } from './backfill-envelope.ts'
import { createBadInput } from './bad-input.ts'
import type { DataClient, TradePage, TradeQuery } from './data.ts'
import type { DataTrade } from './data-trade-parser.ts'
import { collectorContext, conditionId, MemoryStore, MemoryTape, tokenId } from './support.test.ts'

export const NOW_MS = Date.UTC(2026, 9, 1, 12, 10)
export const SECOND_MS = 1_000
export const MINUTE_MS = 60_000

/** A trade of the venue so many seconds before now; `market` 1 and 2 have one token each here. */
export function venueTrade(agoSeconds: number, change: Partial<DataTrade> & { market?: number } = {}): DataTrade {
  const { market = 1, ...rest } = change
  return {
    tokenId: tokenId(market, 0),
    conditionId: conditionId(market),
    side: 'BUY',
    price: '0.5',
    size: '10',
    timestampSeconds: NOW_MS / SECOND_MS - agoSeconds,
    transactionHash: `0x${market}-${agoSeconds}`,
    wallet: null,
    outcome: null,
    ...rest,
  }
}

function raw(trade: DataTrade): unknown {
  const { tokenId: token_id, conditionId: condition_id, side, price, size, timestampSeconds, transactionHash } = trade
  const numbers = { price: Number(price), size: Number(size), timestamp: timestampSeconds }
  return { token_id, condition_id, side, ...numbers, transaction_hash: transactionHash }
}

export function streamed(trade: DataTrade): StoredTrade {
  return {
    tokenId: trade.tokenId,
    venueMs: trade.timestampSeconds * SECOND_MS + 357,
    price: Number(trade.price),
    size: Number(trade.size),
    side: trade.side,
    transactionHash: trade.transactionHash,
    origin: 'stream',
  }
}

/** Ledger, tapes and API in memory; what is put on the tape is in the ledger at once, unless it is held up. */
export class Scene {
  readonly clock = new SimulatedClock(NOW_MS)
  readonly tape = new MemoryTape()
  readonly letters = new MemoryStore()
  readonly stored: StoredTrade[] = []
  readonly gaps = new Map<number, GapToFill>()
  readonly attempts: FillAttempt[] = []
  readonly hourAttempts: { hours: readonly number[]; attempt: HoursAttempt }[] = []
  readonly queries: TradeQuery[] = []
  hours: HourToReconcile[] = []
  traded: TradedMarket[] = []
  /** What the API shows, in any order. */
  shown: DataTrade[] = []
  unreadable: { reason: string; raw: unknown }[] = []
  pageRows = 1_000
  isSorted = true
  /** Rows that the API reaches for one question. */
  reach = Number.POSITIVE_INFINITY
  failure: Error | null = null
  /** The stream is in the ledger up to so long before now; its own tape, whether it is at all. */
  streamBehindMs = 0
  venueAheadMs = 0
  ownTapeStored = true
  #taken = 0

  readonly collector = createBackfillCollector({
    store: this.#store(),
    tape: this.tape,
    streamed: {
      reachedMs: async () => this.clock.wallMs() - this.streamBehindMs,
      until: async (atMs) => {
        await this.clock.advance(Math.max(0, atMs - this.clock.wallMs()))
        return this.streamBehindMs === 0
      },
    },
    backfilled: { reachedMs: async () => this.clock.wallMs(), until: async () => this.#take() },
    data: { trades: (query) => this.#pages(query) } satisfies Pick<DataClient, 'trades'>,
    venueSeconds: async () => (this.clock.wallMs() + this.venueAheadMs) / 1000,
    badInput: createBadInput(this.letters),
    intervalMs: 1_000,
    critical: false,
    connection: 'boot.data',
    limits: { pages: 50 },
  })

  gap(change: Partial<GapToFill> = {}): GapToFill {
    const endedMs = NOW_MS - 5 * MINUTE_MS
    const gap: GapToFill = {
      gapId: this.gaps.size + 1,
      startedMs: endedMs - MINUTE_MS,
      endedMs,
      endedUs: endedMs * 1000,
      attempts: 0,
      conditionIds: [conditionId(1)],
      strangers: 0,
      ...change,
    }
    this.gaps.set(gap.gapId, gap)
    return gap
  }

  cycle() {
    return this.collector.collectOnce(collectorContext(this.clock).context)
  }

  get written(): string[] {
    return this.tape
      .frames()
      .map(({ text }) => (JSON.parse(text) as { row: { transaction_hash: string } }).row.transaction_hash)
  }

  get last(): FillAttempt {
    const attempt = this.attempts.at(-1)
    assert.ok(attempt !== undefined, 'there was an attempt')
    return attempt
  }

  #store(): TradeBackfillStore {
    return {
      loadGapsToFill: async () => [...this.gaps.values()],
      saveGapAttempt: async (gap, attempt) => {
        this.attempts.push(attempt)
        if (attempt.complete !== null) this.gaps.delete(gap.gapId)
        else this.gaps.set(gap.gapId, { ...gap, attempts: gap.attempts + 1 })
        return true
      },
      loadTrades: async ({ tokenIds, fromMs, toMs }) =>
        this.stored.filter(({ tokenId: token, venueMs }) => {
          return tokenIds.some((id) => id === token) && venueMs >= fromMs && venueMs < toMs
        }),
      loadHoursToReconcile: async () => this.hours,
      loadTradedMarkets: async () => this.traded,
      saveHoursAttempt: async (hours, attempt) => {
        this.hourAttempts.push({ hours, attempt })
        if (attempt.complete !== null) this.hours = []
        return { gaps: 0 }
      },
      loadBacklog: async () => ({ gaps: this.gaps.size, gapsIncomplete: 0, hours: this.hours.length, oldestMs: null }),
    }
  }

  /** The recorder takes what is on the tape. */
  #take(): boolean {
    if (!this.ownTapeStored) return false
    const lines = this.tape.frames()
    for (const { text } of lines.slice(this.#taken)) {
      const [event] = decodeBackfill(Buffer.from(text)).events
      assert.ok(event?.kind === 'trade')
      const { token, venueMs, price, size, side, transactionHash } = event
      const numbers = { price: Number(price), size: Number(size) }
      this.stored.push({ tokenId: token, venueMs, ...numbers, side, transactionHash, origin: 'backfill' })
    }
    this.#taken = lines.length
    return true
  }

  async *#pages(query: TradeQuery): AsyncGenerator<TradePage, void> {
    this.queries.push(query)
    const ids = new Set<ConditionId>(query.conditionIds)
    const all = this.shown.filter((trade) => ids.has(trade.conditionId))
    if (this.isSorted) all.sort((a, b) => b.timestampSeconds - a.timestampSeconds)
    const reached = all.slice(0, this.reach)
    for (let start = 0; start === 0 || start < reached.length; start += this.pageRows) {
      if (this.failure !== null) throw this.failure
      const trades = reached.slice(start, start + this.pageRows)
      const isLast = start + this.pageRows >= reached.length
      const truncated = isLast && reached.length < all.length
      yield { api: 'v2', trades, raw: trades.map(raw), unreadable: this.unreadable, truncated }
    }
  }
}

/** Seconds before now that lie within the gap of `Scene.gap`. */
export const during = (offset: number) => 330 + offset
