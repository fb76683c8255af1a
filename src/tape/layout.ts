import { type Dirent, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TapePosition } from '../core/tape.ts'

/** A segment's place in the order of its stream: the boot that wrote it, then its number. The clock has no say. */
export interface SegmentName {
  readonly name: string
  readonly boot: number
  readonly sequence: number
}

/** A segment's files as found on disk. */
export interface SegmentFiles extends SegmentName {
  readonly plain: boolean
  readonly compressed: boolean
}

const NAME = /^(\d{4})(\d{2})(\d{2})T\d{6}Z-(\d{6,12})-(\d{6,12})$/
const FOLDER = /^\d{4}-\d{2}-\d{2}$/
const STREAM = /^[a-z0-9][a-z0-9._-]{0,63}$/
const PLAIN = '.ndjson'
const COMPRESSED = '.ndjson.gz'
export const TEMPORARY = '.tmp'

/** The folder of one stream's tape. Throws TypeError when the name could leave the directory. */
export function streamRoot(directory: string, stream: string): string {
  if (!STREAM.test(stream)) throw new TypeError(`not a stream name: ${stream.slice(0, 100)}`)
  return join(directory, stream)
}

export function segmentName(wallMs: number, boot: number, sequence: number): string {
  const start = new Date(wallMs)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:]/g, '')
  return `${start}-${String(boot).padStart(6, '0')}-${String(sequence).padStart(6, '0')}`
}

export function parseSegmentName(name: string): SegmentName | null {
  const match = NAME.exec(name)
  if (match === null) return null
  return { name, boot: Number(match[4]), sequence: Number(match[5]) }
}

export function compareSegments(a: SegmentName, b: SegmentName): number {
  return a.boot - b.boot || a.sequence - b.sequence
}

/** The UTC date folder that holds the segment. */
export function segmentFolder(root: string, name: string): string {
  return join(root, `${name.slice(0, 4)}-${name.slice(4, 6)}-${name.slice(6, 8)}`)
}

export function plainPath(root: string, name: string): string {
  return join(segmentFolder(root, name), name + PLAIN)
}

export function compressedPath(root: string, name: string): string {
  return join(segmentFolder(root, name), name + COMPRESSED)
}

export function manifestPath(root: string): string {
  return join(root, 'manifest.ndjson')
}

export function bootPath(root: string): string {
  return join(root, 'boot')
}

/** True when nothing lies between `end` and the position, or the position is beyond it. */
export function isAtOrAfter(position: TapePosition, end: TapePosition): boolean {
  if (position.segment === end.segment) return position.offset >= end.offset
  const [a, b] = [parseSegmentName(position.segment), parseSegmentName(end.segment)]
  return a !== null && b !== null && compareSegments(a, b) > 0
}

/** Every segment of the stream in order; none when the stream does not exist yet. */
export function listSegments(root: string): SegmentFiles[] {
  const found = new Map<string, { plain: boolean; compressed: boolean }>()
  for (const folder of listFolders(root)) {
    for (const file of readdirSync(join(root, folder))) {
      const compressed = file.endsWith(COMPRESSED)
      if (!compressed && !file.endsWith(PLAIN)) continue
      const name = file.slice(0, -(compressed ? COMPRESSED : PLAIN).length)
      const files = found.get(name) ?? { plain: false, compressed: false }
      files[compressed ? 'compressed' : 'plain'] = true
      found.set(name, files)
    }
  }
  const segments: SegmentFiles[] = []
  for (const [name, files] of found) {
    const parsed = parseSegmentName(name)
    if (parsed !== null) segments.push({ ...parsed, ...files })
  }
  return segments.sort(compareSegments)
}

/** Files that an interrupted compression or start has left behind. */
export function listTemporaryFiles(root: string): string[] {
  return listFolders(root).flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((file) => file.endsWith(TEMPORARY))
      .map((file) => join(root, folder, file)),
  )
}

function listFolders(root: string): string[] {
  let entries: Dirent[]
  try {
    entries = readdirSync(root, { withFileTypes: true })
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
  return entries.filter((entry) => entry.isDirectory() && FOLDER.test(entry.name)).map((entry) => entry.name)
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
