import type { CollectorContext } from '../../core/collector.ts'
import { AssertionError, TransientError } from '../../core/errors.ts'
import type { ConditionId, TokenId } from '../../core/ids.ts'
import { storeOnceMore } from '../../core/store-once-more.ts'
import type { TapeAppender } from '../../core/tape.ts'
import type { StreamReach, TradeBackfillStore } from '../../core/trade-backfill.ts'
import { BACKFILL_STREAM, type BackfillReason, encodeBackfill } from './backfill-envelope.ts'
import type { BadInput } from './bad-input.ts'
import { CONDITIONS_PER_REQUEST_MAX, type DataClient } from './data.ts'
import type { DataTrade } from './data-trade-parser.ts'
import { isJsonObject, textOrNull } from './json-values.ts'
import { matchTrades } from './match-trades.ts'

export interface FillParts {
  readonly data: Pick<DataClient, 'trades'>
  readonly store: Pick<TradeBackfillStore, 'loadTrades'>
  /** The tape of what was fetched. */
  readonly tape: TapeAppender
  /** The stream that is compared with. */
  readonly streamed: StreamReach
  /** The stream of what was fetched. */
  readonly backfilled: StreamReach
  readonly badInput: BadInput
  /** Stands for a connection on the tape: unique over starts. */
  readonly connection: string
}

export interface FillRequest {
  readonly conditionIds: readonly ConditionId[]
  /** Venue times, Unix ms: from `fromMs` until before `toMs`. */
  readonly fromMs: number
  readonly toMs: number
  /** Earlier trades of a market are not missing, Unix ms; all of them count unless told. */
  readonly sinceMs?: (conditionId: ConditionId) => number
  readonly reason: BackfillReason
}

/** What the API told of one market. */
export interface MarketAnswer {
  /** Its newest trade, Unix ms; null: none. */
  readonly newestMs: number | null
  /** Whether the API's pages went back to the start of the time asked for. */
  readonly reached: boolean
}

/** What came of one request; it counts on while the request is worked on. */
export interface FillCounts {
  requests: number
  pages: number
  /** Trades of the time asked for. */
  rows: number
  written: number
  toldDifferently: number
  unreadable: number
  /** Transactions of which a part is missing that cannot be told apart. */
  readonly partly: Set<string>
}

export interface FillReport {
  /** Markets that were asked for and compared. */
  readonly answers: ReadonlyMap<ConditionId, MarketAnswer>
  /** Why it ended before the last market; null when it did not. `'budget'`: the rest waits for the next cycle. */
  readonly ended: { readonly error: unknown } | 'budget' | null
}

/** What one cycle may spend. */
export interface FillBudget {
  /** Monotonic ms. */
  readonly endMs: number
  pagesLeft: number
}

/** Markets that are fetched before they are compared: each comparison may wait for the stream. */
const MARKETS_PER_COMPARISON = 10 * CONDITIONS_PER_REQUEST_MAX
/** Rows are in order up to this much. */
const DISORDER_SECONDS = 10
/** Rows that are held until they are compared. */
const ROWS_HELD_MAX = 5_000
const PAGES_PER_REQUEST_MAX = 500
/** A streamed trade follows what the API shows within this. */
const STREAM_FOLLOWS_MS = 2_000
/** Rows older than this are streamed for certain, whatever the clocks say. */
const CLOCKS_DIFFER_MS = 120_000
const STREAM_WAIT_MS = 30_000
const STORED_WAIT_MS = 15_000
/** The API has the time of a block, which comes after that of the match. */
const BLOCK_LATER_MS = 600_000

export function emptyCounts(): FillCounts {
  return { requests: 0, pages: 0, rows: 0, written: 0, toldDifferently: 0, unreadable: 0, partly: new Set() }
}

interface Row extends DataTrade {
  readonly raw: unknown
}

interface Filling {
  readonly parts: FillParts
  readonly request: FillRequest
  readonly context: CollectorContext
  readonly budget: FillBudget
  readonly counts: FillCounts
}

/**
 * Fetches the trades of some markets and puts on the tape what the ledger lacks. Returns when that is in the ledger.
 * Throws nothing but what is a bug: a failure is told in the report, beside what was done before it.
 */
export async function fillTrades(filling: Filling): Promise<FillReport> {
  const { request, context, budget } = filling
  const answers = new Map<ConditionId, MarketAnswer>()
  for (let start = 0; start < request.conditionIds.length; start += MARKETS_PER_COMPARISON) {
    const group = request.conditionIds.slice(start, start + MARKETS_PER_COMPARISON)
    const found = new Map<ConditionId, MarketAnswer>()
    const rows: Row[] = []
    let ended: FillReport['ended'] = null
    try {
      for (let from = 0; from < group.length && ended === null; from += CONDITIONS_PER_REQUEST_MAX) {
        context.signal.throwIfAborted()
        if (budget.pagesLeft <= 0 || context.clock.monotonicMs() >= budget.endMs) ended = 'budget'
        else rows.push(...(await fetchMarkets(filling, group.slice(from, from + CONDITIONS_PER_REQUEST_MAX), found)))
      }
    } catch (error) {
      ended = failureOf(error)
    }
    try {
      await compare(filling, rows)
      for (const [conditionId, answer] of found) answers.set(conditionId, answer)
    } catch (error) {
      ended = failureOf(error)
    }
    if (ended !== null) return { answers, ended }
  }
  return { answers, ended: null }
}

/** What the API, a tape or the ledger would not do; a bug is nothing to live with. */
function failureOf(error: unknown): { readonly error: unknown } {
  if (error instanceof AssertionError) throw error
  return { error }
}

/** The trades of at most 20 markets. Where the pages end too early, each half of the markets reaches further. */
async function fetchMarkets(
  filling: Filling,
  conditionIds: readonly ConditionId[],
  found: Map<ConditionId, MarketAnswer>,
): Promise<Row[]> {
  const { rows, reached, newestMs } = await fetchPages(filling, conditionIds)
  if (reached || conditionIds.length === 1) {
    for (const id of conditionIds) found.set(id, { newestMs: newestMs.get(id) ?? null, reached })
    return rows
  }
  const middle = conditionIds.length >> 1
  const first = await fetchMarkets(filling, conditionIds.slice(0, middle), found)
  return [...first, ...(await fetchMarkets(filling, conditionIds.slice(middle), found))]
}

async function fetchPages(filling: Filling, conditionIds: readonly ConditionId[]) {
  const { parts, request, context, budget, counts } = filling
  const newestMs = new Map<ConditionId, number>()
  const asked = new Set(conditionIds)
  let rows: Row[] = []
  let reached = false
  let isOrdered = true
  let oldestSeconds = Number.POSITIVE_INFINITY
  counts.requests += 1
  for await (const page of parts.data.trades({ conditionIds, pagesMax: PAGES_PER_REQUEST_MAX }, context.signal)) {
    counts.pages += 1
    budget.pagesLeft -= 1
    keepUnreadable(filling, page.unreadable)
    for (const [at, trade] of page.trades.entries()) {
      const { conditionId, timestampSeconds } = trade
      if (timestampSeconds > oldestSeconds + DISORDER_SECONDS) isOrdered = false
      oldestSeconds = Math.min(oldestSeconds, timestampSeconds)
      if (!asked.has(conditionId)) continue
      newestMs.set(conditionId, Math.max(newestMs.get(conditionId) ?? 0, timestampSeconds * 1000))
      if (isWanted(trade, request)) rows.push({ ...trade, raw: page.raw[at] })
    }
    if (rows.length >= ROWS_HELD_MAX) rows = await compareMost(filling, rows)
    // Without an order a row says nothing about those that follow.
    reached = isOrdered && (oldestSeconds + DISORDER_SECONDS) * 1000 < request.fromMs
    if (reached) break
    reached = !page.truncated
  }
  return { rows, reached, newestMs }
}

function isWanted({ conditionId, timestampSeconds }: DataTrade, { fromMs, toMs, sinceMs }: FillRequest): boolean {
  const atMs = timestampSeconds * 1000
  return atMs >= fromMs && atMs < toMs && atMs >= (sinceMs?.(conditionId) ?? 0)
}

function keepUnreadable({ parts, counts }: Filling, bad: readonly { reason: string; raw: unknown }[]): void {
  for (const { reason, raw } of bad) {
    counts.unreadable += 1
    const hash = isJsonObject(raw) ? textOrNull(raw['transaction_hash'] ?? raw['transactionHash']) : null
    parts.badInput.add(BACKFILL_STREAM, `trade ${hash ?? 'without a hash'}`, reason, raw)
  }
}

/** Compares what is complete: identical trades are close to each other, and the oldest may go on with the next page. */
async function compareMost(filling: Filling, rows: readonly Row[]): Promise<Row[]> {
  const oldest = rows.reduce((least, row) => Math.min(least, row.timestampSeconds), Number.POSITIVE_INFINITY)
  const isComplete = (row: Row) => row.timestampSeconds > oldest + DISORDER_SECONDS
  await compare(filling, rows.filter(isComplete))
  return rows.filter((row) => !isComplete(row))
}

/** Puts on the tape what is missing, and waits until it is in the ledger: the next comparison must see it. */
async function compare(filling: Filling, fetched: readonly Row[]): Promise<void> {
  if (fetched.length === 0) return
  const { parts, request, context, counts } = filling
  const { clock, signal } = context
  // Oldest first, as a stream would have brought them.
  const rows = [...fetched].reverse().sort((a, b) => a.timestampSeconds - b.timestampSeconds)
  const [oldest, newest] = [rows[0] as Row, rows.at(-1) as Row]
  await awaitStreams(filling, newest.timestampSeconds * 1000)
  const stored = await storeOnceMore(context, 'a question for stored trades', () =>
    parts.store.loadTrades({
      tokenIds: [...new Set<TokenId>(rows.map(({ tokenId }) => tokenId))],
      transactionHashes: [...new Set(rows.map(({ transactionHash }) => transactionHash))],
      fromMs: oldest.timestampSeconds * 1000 - BLOCK_LATER_MS,
      toMs: newest.timestampSeconds * 1000 + BLOCK_LATER_MS,
    }),
  )
  const { missing, toldDifferently, partly } = matchTrades(rows, stored)
  counts.rows += rows.length
  counts.toldDifferently += toldDifferently
  for (const transaction of partly) counts.partly.add(transaction)
  if (missing.length === 0) return
  for (const { trade, ordinal } of missing) {
    const line = encodeBackfill(trade.raw, ordinal, request.reason)
    if (!parts.tape.append(parts.connection, clock.wallUs(), line)) {
      throw new TransientError('the tape does not take what was fetched')
    }
    counts.written += 1
  }
  await parts.tape.flushed()
  if (!(await parts.backfilled.until(clock.wallMs(), STORED_WAIT_MS, signal))) throw notStored()
}

/**
 * Only what can no longer be on its way is missing. What the API shows has happened: its streamed twin is received
 * within a moment of now, whatever the clocks say, so everything received until then must be in the ledger first.
 */
async function awaitStreams({ parts, context }: Filling, newestMs: number): Promise<void> {
  const { clock, signal } = context
  const nowMs = clock.wallMs()
  if (!(await parts.backfilled.until(nowMs, STORED_WAIT_MS, signal))) throw notStored()
  const reachedMs = await parts.streamed.reachedMs()
  if (newestMs + CLOCKS_DIFFER_MS <= reachedMs) return
  if (await parts.streamed.until(nowMs + STREAM_FOLLOWS_MS, STREAM_WAIT_MS, signal)) return
  throw new TransientError('streamed trades of that time are not in the ledger yet')
}

function notStored(): TransientError {
  return new TransientError('what was fetched before is on its tape and not in the ledger yet')
}
