import type { CollectorContext } from '../../core/collector.ts'
import { describeError } from '../../core/errors.ts'
import { storeOnceMore } from '../../core/store-once-more.ts'
import { createAbort } from '../../runtime/abort.ts'

export interface ChunkOptions<T> {
  /** Names the items in log lines. */
  readonly what: string
  readonly chunkSize: number
  /** One transaction; returns how many rows it stored. */
  readonly store: (items: readonly T[]) => Promise<number>
}

export interface StoredChunks {
  readonly rows: number
  /** Why a part could not be stored; null when everything was. */
  readonly trouble: string | null
}

/** Stores items in transactions of bounded size while they are still being collected. */
export interface ChunkWriter<T> {
  /** Resolves when the next items are wanted: the store is a chunk behind at most, or holds everybody up. */
  add(items: readonly T[]): Promise<void>
  /** Stores what is left. Throws only when there was something and nothing could be stored. */
  finish(): Promise<StoredChunks>
}

/** Two chunks in a row that fail twice each: the store is gone, and the rest of the cycle would only wait for it. */
const FAILED_CHUNKS_MAX = 2
/** How long a slow store may hold up the collecting: once; afterwards items wait in memory. */
const PATIENCE_MS = 2_000

export function createChunkWriter<T>(context: CollectorContext, options: ChunkOptions<T>): ChunkWriter<T> {
  const { what, chunkSize, store } = options
  const { signal, clock, log } = context
  let waiting: T[] = []
  let running: Promise<void> | null = null
  let patient = true
  let rows = 0
  let succeeded = 0
  let failedInARow = 0
  let lastError: unknown = null
  const gone = () => signal.aborted || failedInARow >= FAILED_CHUNKS_MAX

  const storeNext = async (): Promise<void> => {
    const chunk = waiting.splice(0, chunkSize)
    try {
      rows += await storeOnceMore(context, `${chunk.length} ${what}`, () => store(chunk))
      succeeded += 1
      failedInARow = 0
    } catch (error) {
      lastError = error
      failedInARow += 1
      log.error({ err: error, items: chunk.length }, `${what} were not stored: ${describeError(error)}`)
    }
  }
  const storeWhole = async (): Promise<void> => {
    while (waiting.length >= chunkSize && !gone()) await storeNext()
    running = null
  }
  return {
    async add(items) {
      if (gone()) waiting = []
      else waiting.push(...items)
      if (waiting.length < chunkSize) return
      running ??= storeWhole()
      if (!patient) return
      const enough = createAbort(signal)
      const lost = clock.sleep(PATIENCE_MS, enough.signal).then(() => {
        if (!enough.signal.aborted) patient = false
      })
      await Promise.race([running, lost])
      enough.abort()
      enough.release()
    },
    async finish() {
      await running
      while (waiting.length > 0 && !gone()) await storeNext()
      waiting = []
      if (lastError !== null && succeeded === 0) throw lastError
      return { rows, trouble: lastError === null ? null : describeError(lastError) }
    },
  }
}

/** Stores items that are all there. Throws only when there was something and nothing could be stored. */
export async function storeChunks<T>(
  context: CollectorContext,
  work: ChunkOptions<T> & { readonly items: readonly T[] },
): Promise<StoredChunks> {
  const writer = createChunkWriter(context, work)
  await writer.add(work.items)
  return writer.finish()
}
