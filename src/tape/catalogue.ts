import type { TapePosition } from '../core/tape.ts'
import { compareSegments, listSegments, manifestPath, parseSegmentName, type SegmentName } from './layout.ts'
import { readManifest } from './manifest.ts'
import type { KnownSegment } from './protocol.ts'

/** What a reader needs to know of the tape: which segments there are, and how far each may be read. */
export interface Catalogue {
  /** The first segment after this one, or the first of all; null when there is none. */
  after(segment: string | null): string | null
  /** The last segment before this one; null when there is none. */
  before(segment: string): string | null
  /**
   * Where the segment ends for a reader: everything before it may be read, nothing after it.
   * 'open' when only the file knows; null when the segment is not here.
   */
  endOf(segment: string): number | 'open' | null
  /** True when this tape has, or once had, a segment of this name. */
  knows(segment: string): boolean
}

interface Segment extends SegmentName {
  /** Uncompressed and accepted. */
  bytes: number
  lines: number
  diskBytes: number
}

/** The catalogue of the process that writes: kept current by what the writing thread reports. */
export class LiveCatalogue implements Catalogue {
  readonly #segments: Segment[] = []
  #deleted = new Set<string>()
  #end: TapePosition | null = null

  constructor(segments: readonly KnownSegment[], deleted: readonly string[]) {
    this.replace(segments, deleted)
    const last = segments.at(-1)
    if (last !== undefined) this.#end = { segment: last.name, offset: last.bytes, line: last.lines }
  }

  /** The position after the last accepted line; null while the tape is empty. */
  get end(): TapePosition | null {
    return this.#end
  }

  /** A new thread has looked at the files; the accepted end stays where it is. */
  replace(segments: readonly KnownSegment[], deleted: readonly string[]): void {
    this.#segments.length = 0
    this.#deleted = new Set(deleted)
    for (const segment of segments) this.#add(segment.name, segment)
  }

  get count(): number {
    return this.#segments.length
  }

  get diskBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.diskBytes, 0)
  }

  opened(name: string): void {
    this.#add(name, { bytes: 0, lines: 0, diskBytes: 0 })
  }

  accepted(end: TapePosition): void {
    this.#end = end
    const segment = this.#find(end.segment)
    if (segment === undefined) return
    segment.bytes = end.offset
    segment.lines = end.line
    segment.diskBytes = end.offset
  }

  /** A segment that was given up before anything in it was accepted disappears. */
  closed(name: string, bytes: number): void {
    if (bytes === 0) this.#remove(name)
  }

  compressed(name: string, diskBytes: number): void {
    const segment = this.#find(name)
    if (segment !== undefined) segment.diskBytes = diskBytes
  }

  deleted(name: string): void {
    this.#remove(name)
    this.#deleted.add(name)
  }

  /** Uncompressed bytes that a reader at this position has before it. */
  bytesAfter(position: TapePosition | null): number {
    const from = position === null ? null : parseSegmentName(position.segment)
    if (position === null || from === null) return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0)
    return this.#segments.reduce((sum, segment) => {
      const order = compareSegments(segment, from)
      if (order === 0) return sum + Math.max(0, segment.bytes - position.offset)
      return order > 0 ? sum + segment.bytes : sum
    }, 0)
  }

  after(name: string | null): string | null {
    return firstAfter(this.#segments, name)
  }

  before(name: string): string | null {
    return lastBefore(this.#segments, name)
  }

  endOf(name: string): number | null {
    return this.#find(name)?.bytes ?? null
  }

  knows(name: string): boolean {
    return this.#deleted.has(name) || this.#find(name) !== undefined
  }

  #add(name: string, sizes: { bytes: number; lines: number; diskBytes: number }): void {
    const parsed = parseSegmentName(name)
    if (parsed === null) return
    const { bytes, lines, diskBytes } = sizes
    this.#segments.push({ ...parsed, bytes, lines, diskBytes })
  }

  #remove(name: string): void {
    const index = this.#segments.findIndex((segment) => segment.name === name)
    if (index >= 0) this.#segments.splice(index, 1)
  }

  #find(name: string): Segment | undefined {
    return this.#segments.findLast((segment) => segment.name === name)
  }
}

/** The catalogue of a process that only reads: looks at the disk each time it is asked for more. */
export class DiskCatalogue implements Catalogue {
  readonly #root: string
  #segments: readonly SegmentName[] = []
  #manifest = readManifest('')

  constructor(root: string) {
    this.#root = root
    this.#refresh()
  }

  after(name: string | null): string | null {
    const known = firstAfter(this.#segments, name)
    // What lies behind a closed segment does not change; only at the end is there something new to see.
    if (known !== null && name !== null && this.endOf(name) !== 'open') return known
    this.#refresh()
    return firstAfter(this.#segments, name)
  }

  before(name: string): string | null {
    return lastBefore(this.#segments, name)
  }

  endOf(name: string): number | 'open' | null {
    if (!this.#segments.some((segment) => segment.name === name)) return null
    return this.#manifest.entries.get(name)?.closed?.bytes ?? 'open'
  }

  knows(name: string): boolean {
    return this.#manifest.entries.has(name) || this.endOf(name) !== null
  }

  #refresh(): void {
    this.#segments = listSegments(this.#root)
    this.#manifest = readManifest(manifestPath(this.#root))
  }
}

function firstAfter(segments: readonly SegmentName[], name: string | null): string | null {
  if (name === null) return segments[0]?.name ?? null
  const from = parseSegmentName(name)
  if (from === null) return null
  return segments.find((segment) => compareSegments(segment, from) > 0)?.name ?? null
}

function lastBefore(segments: readonly SegmentName[], name: string): string | null {
  const from = parseSegmentName(name)
  if (from === null) return null
  return segments.findLast((segment) => compareSegments(segment, from) < 0)?.name ?? null
}

/** The same tape as if it ended at `until`. */
export function boundedBy(catalogue: Catalogue, until: TapePosition): Catalogue {
  const last = parseSegmentName(until.segment)
  const isBeyond = (name: string): boolean => {
    const parsed = parseSegmentName(name)
    return last === null || parsed === null || compareSegments(parsed, last) > 0
  }
  return {
    after(name) {
      const next = catalogue.after(name)
      return next === null || isBeyond(next) ? null : next
    },
    before: (name) => catalogue.before(name),
    endOf(name) {
      const end = catalogue.endOf(name)
      if (name !== until.segment || end === null) return isBeyond(name) ? null : end
      return end === 'open' ? until.offset : Math.min(end, until.offset)
    },
    knows: (name) => catalogue.knows(name),
  }
}
