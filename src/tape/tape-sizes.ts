import { statSync } from 'node:fs'
import { compressedPath, isMissing, listSegments, plainPath, streamRoot } from './layout.ts'
import { readTapeIndex } from './tape-index.ts'

/** What one segment takes on disk. */
export interface SegmentSize {
  /** When its first line was received, Unix ms. */
  readonly startedMs: number
  readonly bytes: number
  readonly compressed: boolean
}

/** The segments of a stream that are on disk now, in order. */
export function readTapeSizes(directory: string, stream: string): readonly SegmentSize[] {
  const root = streamRoot(directory, stream)
  const started = new Map(readTapeIndex(directory, stream).segments.map(({ name, firstAtUs }) => [name, firstAtUs]))
  return listSegments(root).map(({ name, plain, compressed }) => {
    const bytes = (plain ? sizeOf(plainPath(root, name)) : 0) + (compressed ? sizeOf(compressedPath(root, name)) : 0)
    return { startedMs: (started.get(name) ?? 0) / 1000, bytes, compressed: compressed && !plain }
  })
}

/** A segment may be compressed or dropped while we look. */
function sizeOf(path: string): number {
  try {
    return statSync(path).size
  } catch (error) {
    if (isMissing(error)) return 0
    throw error
  }
}
