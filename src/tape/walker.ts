import type { Logger } from '../core/log.ts'
import type { TapePosition, TapeRecord } from '../core/tape.ts'
import type { Catalogue } from './catalogue.ts'
import { type BatchLimits, SegmentCursor } from './cursor.ts'

export interface WalkerOptions {
  readonly root: string
  readonly catalogue: Catalogue
  readonly limits: BatchLimits
  readonly log: Logger
  /** Called for every damaged line that is passed. */
  readonly onDamaged: (segment: string, offset: number) => void
}

export interface WalkedBatch {
  readonly records: readonly TapeRecord[]
  readonly end: TapePosition
  readonly damagedLines: number
}

/** Walks the tape on disk from segment to segment, plain or compressed, damaged lines left out and counted. */
export class TapeWalker {
  readonly #options: WalkerOptions
  #position: TapePosition | null
  #cursor: SegmentCursor | null = null
  /** Passed since the last batch. */
  #damagedLines = 0

  constructor(options: WalkerOptions, from: TapePosition | null) {
    this.#options = options
    this.#position = from
    if (from !== null && !options.catalogue.knows(from.segment)) {
      options.log.warn({ position: from }, `the position ${from.segment} is not of this tape: reading from its start`)
      this.#position = null
    }
    const end = this.#position === null ? null : options.catalogue.endOf(this.#position.segment)
    if (from !== null && typeof end === 'number' && from.offset > end) {
      options.log.warn(
        { position: from, end },
        `the position in ${from.segment} is beyond its end: going on from there`,
      )
      this.#position = { ...from, offset: end }
    }
  }

  /** After the last line handed out, or at the start of what comes next; null before anything was read. */
  get position(): TapePosition | null {
    return this.#position
  }

  /** The next lines; null when there are none now. May be asked again later. */
  async next(): Promise<WalkedBatch | null> {
    let drained = false
    for (;;) {
      if (this.#position === null && !(await this.#enter(null))) return null
      const batch = await this.#read()
      if (batch !== null) {
        drained = false
        if (batch.records.length > 0) return batch
      } else if (!drained) {
        // Look again before going on: the segment may have grown until the next one was begun.
        if (this.#options.catalogue.after(this.#segment) === null) return null
        drained = true
      } else if (!(await this.#enter(this.#segment))) return null
    }
  }

  /** Damaged lines passed since the last batch; they count as reported afterwards. */
  takeDamagedLines(): number {
    const damagedLines = this.#damagedLines
    this.#damagedLines = 0
    return damagedLines
  }

  /** Goes on from another place of this tape. */
  async seek(position: TapePosition | null): Promise<void> {
    await this.close()
    this.#position = position
  }

  async close(): Promise<void> {
    const cursor = this.#cursor
    this.#cursor = null
    await cursor?.close()
  }

  get #segment(): string | null {
    return this.#position?.segment ?? null
  }

  /** Moves to the start of the segment after this one; false when there is none. */
  async #enter(segment: string | null): Promise<boolean> {
    const next = this.#options.catalogue.after(segment)
    if (next === null) return false
    if (this.#cursor?.torn && segment !== null) this.#damaged(segment, this.#position?.offset ?? 0)
    await this.close()
    this.#position = { segment: next, offset: 0, line: 0 }
    return true
  }

  async #read(): Promise<WalkedBatch | null> {
    const { root, catalogue, limits, log } = this.#options
    const position = this.#position
    if (position === null) return null
    const { segment, offset, line } = position
    const end = catalogue.endOf(segment)
    if (end === null || (end !== 'open' && offset >= end)) return null
    this.#cursor ??= await SegmentCursor.open(root, segment, offset, line)
    if (this.#cursor === null) {
      // Deleted since it was looked up, by retention or by hand.
      if (catalogue.endOf(segment) === null || end === 'open') return null
      log.error({ segment }, `tape segment ${segment} is missing`)
      this.#damaged(segment, offset)
      this.#position = { segment, offset: end, line }
      return null
    }
    const lines = await this.#cursor.next(end, limits)
    if (lines === null) return null
    for (const at of lines.damagedAt) this.#damaged(segment, at)
    this.#position = { segment, offset: lines.offset, line: lines.line }
    const damagedLines = lines.records.length > 0 ? this.takeDamagedLines() : 0
    return { records: lines.records, end: this.#position, damagedLines }
  }

  #damaged(segment: string, offset: number): void {
    this.#damagedLines += 1
    this.#options.onDamaged(segment, offset)
  }
}
