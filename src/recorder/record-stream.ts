import type { BookChecker } from '../core/books.ts'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/log.ts'
import type { Random } from '../core/random.ts'
import type { StreamBatch, StreamLedger } from '../core/rows.ts'
import { keepRecording, type Recording } from './keep-recording.ts'
import { createRecorder, type RecorderOptions } from './recorder.ts'

/** What every recorder of a process has in common. */
export interface Recorders {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly recorderId: string
  readonly ledger: StreamLedger
  readonly signal: AbortSignal
}

/** One stream, its tape and how it is understood. */
export interface RecordedStream extends Omit<RecorderOptions, 'recorderId' | 'ledger' | 'clock' | 'log' | 'checker'> {
  /** A new one for each recorder. */
  readonly checker: () => BookChecker
  /** Hears what the ledger has taken. */
  readonly onCommitted?: (batch: StreamBatch) => void
}

/** Reads a stream's tape into the ledger until the signal aborts. */
export function recordStream(recorders: Recorders, { checker, onCommitted, ...of }: RecordedStream): Recording {
  const { clock, random, recorderId, ledger, signal } = recorders
  const log = recorders.log.child({ part: 'recorder', stream: of.stream })
  const told: StreamLedger = {
    loadPosition: (...which) => ledger.loadPosition(...which),
    loadCoverage: (...which) => ledger.loadCoverage(...which),
    async commitStream(batch) {
      const commit = await ledger.commitStream(batch)
      onCommitted?.(batch)
      return commit
    },
  }
  const build = () => createRecorder({ ...of, checker: checker(), recorderId, ledger: told, clock, log })
  return keepRecording({ clock, random, log, signal, build })
}
