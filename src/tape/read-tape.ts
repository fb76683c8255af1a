import type { Logger } from '../core/log.ts'
import type { TapeBatch, TapePosition } from '../core/tape.ts'
import { boundedBy, DiskCatalogue } from './catalogue.ts'
import { streamRoot } from './layout.ts'
import { DEFAULT_TAPE_LIMITS } from './limits.ts'
import { TapeWalker } from './walker.ts'

export interface ReadTapeOptions {
  readonly directory: string
  readonly stream: string
  /** null reads from the start. */
  readonly from: TapePosition | null
  /** Ends before this place; null reads to the last complete line. */
  readonly until: TapePosition | null
  readonly log: Logger
}

/** Reads a tape without writing to it, also while a daemon does. Ends at the last complete line. */
export async function* readTape(options: ReadTapeOptions): AsyncGenerator<TapeBatch> {
  const root = streamRoot(options.directory, options.stream)
  const disk = new DiskCatalogue(root)
  const catalogue = options.until === null ? disk : boundedBy(disk, options.until)
  const limits = { records: DEFAULT_TAPE_LIMITS.diskBatchRecords, bytes: DEFAULT_TAPE_LIMITS.diskBatchBytes }
  const onDamaged = (segment: string, offset: number) =>
    options.log.warn({ segment, offset }, `tape segment ${segment}: a damaged line was skipped`)
  const walker = new TapeWalker({ root, catalogue, limits, log: options.log, onDamaged }, options.from)
  try {
    for (let batch = await walker.next(); batch !== null; batch = await walker.next()) yield { ...batch, live: false }
  } finally {
    await walker.close()
  }
}
