import type { BookChecker } from '../core/books.ts'
import type { Clock } from '../core/clock.ts'
import { NOTHING_FOLLOWED } from '../core/coverage.ts'
import type { DecodeFrame } from '../core/events.ts'
import type { Logger } from '../core/log.ts'
import type { StreamLedger } from '../core/rows.ts'
import type { RecorderStatus } from '../core/status.ts'
import type { TapeBatch, TapeFollower, TapePosition } from '../core/tape.ts'
import { readTape } from '../tape/read-tape.ts'
import { createRecorder, type StreamTape } from './recorder.ts'

export interface RebuildOptions {
  /** Holds one folder per stream; nothing in it is changed. */
  readonly tapeDirectory: string
  readonly stream: string
  /** Whose position the ledger keeps: the next start of this recorder goes on where the rebuild ended. */
  readonly recorderId: string
  /** Ends before this place; to the last complete line unless told. */
  readonly until?: TapePosition | null
  readonly ledger: StreamLedger
  readonly decode: DecodeFrame
  readonly checker: BookChecker
  readonly clock: Clock
  readonly log: Logger
  /** Share of the elapsed time for hash checks; 0.15 unless told. */
  readonly checkShare?: number
  /** Called about once a second. */
  readonly onProgress?: (status: RecorderStatus) => void
}

const PROGRESS_MS = 1_000

/**
 * Derives every row of a stream from its tape, from the first line on, by the same path as the recorder.
 * Rows that are there already stay as they are; dead letters have no identity and would be stored again.
 */
export async function rebuildStream(options: RebuildOptions, signal: AbortSignal): Promise<RecorderStatus> {
  const { ledger, clock, onProgress, tapeDirectory, stream, until, log } = options
  const batches = readTape({ directory: tapeDirectory, stream, from: null, until: until ?? null, log })
  const recorder = createRecorder({
    ...options,
    tape: onceThrough(batches),
    ledger: {
      loadPosition: () => Promise.resolve(null),
      loadCoverage: () => Promise.resolve(NOTHING_FOLLOWED),
      commitStream: (batch) => ledger.commitStream(batch),
    },
  })
  const over = new AbortController()
  const reporting = (async () => {
    while (onProgress !== undefined && !over.signal.aborted) {
      await clock.sleep(PROGRESS_MS, over.signal)
      if (!over.signal.aborted) onProgress(recorder.status())
    }
  })()
  try {
    await recorder.run(signal)
  } finally {
    await batches.return(undefined)
    over.abort()
    await reporting
  }
  return recorder.status()
}

/** Batches as a tape that ends. */
function onceThrough(batches: AsyncIterator<TapeBatch>): StreamTape {
  const follower: TapeFollower = {
    async next(signal) {
      if (signal.aborted) return null
      const { value, done } = await batches.next()
      return done === true ? null : value
    },
  }
  return {
    follow: () => follower,
    async *readBack() {},
    behind: () => 0,
    settled: true,
  }
}
