import type { LiveBooks } from '../core/books.ts'
import type { Clock } from '../core/clock.ts'
import type { BookWitness } from '../core/coverage.ts'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { Random } from '../core/random.ts'
import type { RecorderStatus } from '../core/status.ts'
import { backoffMs } from '../runtime/backoff.ts'
import type { DrainReport, Recorder } from './recorder.ts'

export interface KeepRecordingOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly signal: AbortSignal
  /** Makes a recorder that goes on from the ledger's position. */
  readonly build: () => Recorder
}

/** A recorder that is made anew when it falls over. */
export interface Recording extends BookWitness, LiveBooks {
  status(): RecorderStatus
  drain(withinMs: number): Promise<DrainReport>
}

const RESTART = { baseMs: 1_000, capMs: 60_000, jitter: 0.1 }

/**
 * Runs a recorder until the signal aborts. What it throws is a bug, because troubles of the ledger do not end it; then
 * a new one takes over at the ledger's position, since the tape holds whatever the ledger does not.
 */
export function keepRecording(options: KeepRecordingOptions): Recording {
  const { clock, random, log, signal, build } = options
  let recorder = build()
  let trouble: string | null = null
  let draining = false

  const run = async () => {
    for (let failures = 1; !signal.aborted && !draining; failures += 1) {
      try {
        await recorder.run(signal)
        return
      } catch (error) {
        trouble = `it fell over and starts again: ${describeError(error)}`
        const pauseMs = backoffMs(failures, RESTART, random)
        log.error({ err: error }, `the recorder fell over; next attempt in ${Math.ceil(pauseMs / 1000)} s`)
        await clock.sleep(pauseMs, signal)
        if (draining || signal.aborted) return
        recorder = build()
      }
    }
  }
  void run()

  return {
    status() {
      const status = recorder.status()
      // A new recorder that has brought something to the ledger has got over it.
      if (status.batchesInserted > 0) trouble = null
      return { ...status, trouble: status.trouble ?? trouble }
    },
    compare: (books, observedUs) => recorder.compare(books, observedUs),
    liveBook: (token, depth) => recorder.liveBook(token, depth),
    drain(withinMs) {
      draining = true
      return recorder.drain(withinMs)
    },
  }
}
