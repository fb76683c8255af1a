import type { RecorderStatus } from '../src/core/status.ts'

/** What a receiving process is told to do. */
export interface ReceiverJob {
  /** The real transport and tape, or only `ws` and JSON.parse. */
  readonly product: boolean
  /** Also decode every frame, keep every book and derive the rows. */
  readonly books: boolean
  readonly url: string
  readonly factsPath: string
  /** Where the tape goes. */
  readonly directory: string
  /** null: as the product has it. */
  readonly segmentBytes: number | null
  /** As fast as possible: how many frames in all, and how many of them before the measurement. */
  readonly frames: number
  readonly warmUpFrames: number
  /** At the venue's pace instead: for how long, after how much that is not measured. 0: as fast as possible. */
  readonly seconds: number
  readonly warmUpMs: number
}

export interface Sample {
  readonly seconds: number
  readonly rssBytes: number
  /** Frames received and not yet accepted, decoded and in the books. */
  readonly lag: number
}

export interface ReceiverResult {
  readonly frames: number
  readonly seconds: number
  /** Of all threads of the process. */
  readonly cpuSeconds: number
  readonly bytes: number
  readonly refused: number
  readonly damaged: number
  readonly rejects: number
  readonly checks: RecorderStatus['checks'] | null
  readonly booksKept: number
  readonly rssBytes: number
  readonly samples: readonly Sample[]
}
