import type { CollectorContext, CycleResult, PollingCollector } from '../../core/collector.ts'
import type { BookWitness, WitnessedBook } from '../../core/coverage.ts'
import { describeError, TransientError } from '../../core/errors.ts'
import type { TokenId } from '../../core/ids.ts'
import type { OrderBookSnapshot } from '../../core/market.ts'
import type { OrderBookStore } from '../../core/ports.ts'
import { storeOnceMore } from '../../core/store-once-more.ts'
import { createAbort } from '../../runtime/abort.ts'
import type { BadInput } from './bad-input.ts'
import { parseBookRow } from './book-parser.ts'
import { BOOKS_PER_REQUEST_MAX, type ClobClient } from './clob.ts'
import { isJsonObject, shown } from './json-values.ts'
import type { TokenRegistry } from './token-registry.ts'

export interface OrderBooksCollectorOptions {
  readonly clob: ClobClient
  readonly store: OrderBookStore
  readonly registry: TokenRegistry
  readonly badInput: BadInput
  readonly intervalMs: number
  readonly critical: boolean
  /** Levels kept on each side. */
  readonly depth: number
  /** Is shown every book, whole. */
  readonly witness: BookWitness
}

const NAME = 'polymarket.orderbooks'
/** Batches in a row that could be neither fetched nor stored before the cycle gives up: then it is not the batch. */
const FAILED_BATCHES_MAX = 3
const FIRST_TOKENS_WAIT_MS = 12_000

/** The best levels of every tracked token's book, fetched and stored batch by batch so that memory stays small. */
export function createOrderBooksCollector(options: OrderBooksCollectorOptions): PollingCollector {
  const { intervalMs, critical } = options
  return { name: NAME, intervalMs, critical, collectOnce: (context) => collectOnce(options, context) }
}

async function collectOnce(options: OrderBooksCollectorOptions, context: CollectorContext): Promise<CycleResult> {
  const tokens = await knownTokens(options, context)
  const counts = { tokens: tokens.length, observed: 0, absent: 0, unreadable: 0, requests: 0, failed: 0 }
  let items = 0
  let failedInARow = 0
  let lastError: unknown = null
  for (let start = 0; start < tokens.length && failedInARow < FAILED_BATCHES_MAX; start += BOOKS_PER_REQUEST_MAX) {
    if (context.signal.aborted) break
    const batch = tokens.slice(start, start + BOOKS_PER_REQUEST_MAX)
    counts.requests += 1
    try {
      const { books, unreadable } = await fetchBooks(options, batch, context)
      counts.observed += books.length
      counts.unreadable += unreadable
      counts.absent += Math.max(0, batch.length - books.length - unreadable)
      items += await saveBooks(options, books, context)
      failedInARow = 0
    } catch (error) {
      lastError = error
      counts.failed += 1
      failedInARow += 1
      context.log.warn({ err: error, tokens: batch.length }, `a batch of order books failed: ${describeError(error)}`)
    }
  }
  await options.badInput.flush(context)
  if (lastError !== null && counts.failed === counts.requests) throw lastError
  return { items, details: lastError === null ? counts : { ...counts, partial: describeError(lastError) } }
}

/** At start the first listing of markets is on its way: a short wait saves the first cycle. */
async function knownTokens(
  options: OrderBooksCollectorOptions,
  context: CollectorContext,
): Promise<readonly TokenId[]> {
  if (options.registry.tokenCount === 0) {
    const wait = createAbort(context.signal)
    const waitMs = Math.min(FIRST_TOKENS_WAIT_MS, options.intervalMs / 2)
    await Promise.race([options.registry.untilFirst(wait.signal), context.clock.sleep(waitMs, wait.signal)])
    wait.abort()
    wait.release()
  }
  const tokens = options.registry.tokens()
  if (tokens.length === 0 && !context.signal.aborted) {
    throw new TransientError('no tokens are known yet: the first listing of markets has not come')
  }
  return tokens
}

/** What was asked for and can be read. */
async function fetchBooks(options: OrderBooksCollectorOptions, batch: readonly TokenId[], context: CollectorContext) {
  const asked = new Set(batch)
  const books = new Map<TokenId, OrderBookSnapshot>()
  const whole: WitnessedBook[] = []
  let unreadable = 0
  const rows = await options.clob.books(batch, context.signal)
  const observedUs = context.clock.wallUs()
  for (const row of rows) {
    const parsed = parseBookRow(row, options.depth)
    if (!parsed.ok) {
      unreadable += 1
      const identity = `book ${isJsonObject(row) ? shown(row['asset_id']) : typeof row}`
      options.badInput.add(NAME, identity, parsed.reason, row)
    } else if (asked.has(parsed.book.tokenId)) {
      books.set(parsed.book.tokenId, parsed.book)
      whole.push(parsed.whole)
    }
  }
  options.witness.compare(whole, observedUs)
  return { books: [...books.values()], unreadable }
}

async function saveBooks(
  options: OrderBooksCollectorOptions,
  books: readonly OrderBookSnapshot[],
  context: CollectorContext,
): Promise<number> {
  if (books.length === 0) return 0
  const observedMs = context.clock.wallMs()
  return storeOnceMore(context, `${books.length} order books`, () => options.store.saveOrderBooks(books, observedMs))
}
