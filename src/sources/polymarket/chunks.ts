import type { CollectorContext } from '../../core/collector.ts'
import { describeError } from '../../core/errors.ts'
import { storeOnceMore } from './store-once-more.ts'

export interface ChunkedStore<T> {
  /** Names the items in log lines. */
  readonly what: string
  readonly items: readonly T[]
  readonly chunkSize: number
  /** One transaction; returns how many rows it stored. */
  readonly store: (items: readonly T[]) => Promise<number>
}

export interface StoredChunks {
  readonly rows: number
  /** Why a part could not be stored; null when everything was. */
  readonly trouble: string | null
}

/** Two chunks in a row that fail twice each: the store is gone, and the rest of the cycle would only wait for it. */
const FAILED_CHUNKS_MAX = 2

/** Stores items in transactions of bounded size. Throws only when there was something and nothing could be stored. */
export async function storeChunks<T>(context: CollectorContext, work: ChunkedStore<T>): Promise<StoredChunks> {
  let rows = 0
  let succeeded = 0
  let failedInARow = 0
  let lastError: unknown = null
  for (let start = 0; start < work.items.length; start += work.chunkSize) {
    if (context.signal.aborted) break
    const chunk = work.items.slice(start, start + work.chunkSize)
    try {
      rows += await storeOnceMore(context, `${chunk.length} ${work.what}`, () => work.store(chunk))
      succeeded += 1
      failedInARow = 0
    } catch (error) {
      lastError = error
      failedInARow += 1
      context.log.error({ err: error, items: chunk.length }, `${work.what} were not stored: ${describeError(error)}`)
      if (failedInARow >= FAILED_CHUNKS_MAX) break
    }
  }
  if (lastError !== null && succeeded === 0) throw lastError
  return { rows, trouble: lastError === null ? null : describeError(lastError) }
}
