import { listSegments, manifestPath, streamRoot } from './layout.ts'
import { readManifest } from './manifest.ts'

/** One segment that is on disk, and when its lines were received (Unix µs). */
export interface IndexedSegment {
  readonly name: string
  /** Of a segment that is still open: the time in its name. */
  readonly firstAtUs: number
  /** null while it is open, or when nobody knows. */
  readonly lastAtUs: number | null
  /** Uncompressed; null while it is open. */
  readonly bytes: number | null
}

export interface TapeIndex {
  /** In the order of the stream. */
  readonly segments: readonly IndexedSegment[]
  /** True when retention has deleted older segments: the tape does not go back to its beginning. */
  readonly truncated: boolean
  /** True when the tape has, or once had, a segment of this name. */
  knows(segment: string): boolean
}

/** What is on disk now, without reading a segment. */
export function readTapeIndex(directory: string, stream: string): TapeIndex {
  const root = streamRoot(directory, stream)
  const files = listSegments(root)
  const { entries } = readManifest(manifestPath(root))
  const segments = files
    .filter(({ name }) => entries.get(name)?.deleted == null)
    .map(({ name }) => {
      const closed = entries.get(name)?.closed ?? null
      return {
        name,
        firstAtUs: closed?.first_at ?? startOf(name),
        lastAtUs: closed?.last_at ?? null,
        bytes: closed?.bytes ?? null,
      }
    })
  const names = new Set(segments.map(({ name }) => name))
  const truncated = [...entries.values()].some(({ deleted }) => deleted !== null)
  return { segments, truncated, knows: (segment) => names.has(segment) || entries.has(segment) }
}

/** The time in a segment's name, Unix µs. */
function startOf(name: string): number {
  const [date = '', time = ''] = name.split(/[T-]/)
  const day = `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}`
  return Date.parse(`${day}T${time.slice(0, 2)}:${time.slice(2, 4)}:${time.slice(4, 6)}Z`) * 1000
}
