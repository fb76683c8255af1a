import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describeError } from '../core/errors.ts'
import type { TapePosition } from '../core/tape.ts'
import type { Disk } from './disk.ts'
import {
  bootPath,
  compareSegments,
  compressedPath,
  isMissing,
  listSegments,
  listTemporaryFiles,
  parseSegmentName,
  plainPath,
  type SegmentFiles,
  TEMPORARY,
} from './layout.ts'
import type { ClosedEvent, Manifest } from './manifest.ts'
import type { KnownSegment, Report } from './protocol.ts'
import { type Scan, Scanner, scanFile } from './scan.ts'

export interface Repaired {
  readonly segments: readonly KnownSegment[]
  /** Torn and damaged lines found in segments that a crash had left open. */
  readonly damagedLines: number
}

/** Puts the stream's folder in order after whatever ended the last boot; every segment is closed afterwards. */
export function repair(root: string, disk: Disk, manifest: Manifest, report: Report): Repaired {
  for (const path of listTemporaryFiles(root)) disk.remove(path)
  const segments: KnownSegment[] = []
  let damagedLines = 0
  for (const files of listSegments(root)) {
    const { name } = files
    try {
      if (manifest.entries.get(name)?.deleted) {
        removeBoth(root, disk, name)
        continue
      }
      damagedLines += closeSegment(root, disk, manifest, files, report)
      const known = settle(root, disk, manifest, files, report)
      if (known !== null) segments.push(known)
    } catch (error) {
      report('error', { segment: name, reason: describeError(error) }, `tape segment ${name} cannot be read`)
    }
  }
  return { segments, damagedLines }
}

/**
 * Takes back what a dead thread had written without its process knowing that it was synced: those lines are going to be
 * written again. `end` is the position after the last line that was accepted, null when none was.
 */
export function cutUnaccepted(root: string, disk: Disk, manifest: Manifest, end: TapePosition | null): void {
  const last = end === null ? null : parseSegmentName(end.segment)
  for (const files of listSegments(root)) {
    if (manifest.entries.get(files.name)?.closed) continue
    const order = last === null ? 1 : compareSegments(files, last)
    if (order > 0) disk.remove(plainPath(root, files.name))
    else if (order === 0 && end !== null) disk.truncate(plainPath(root, files.name), end.offset)
  }
}

/** A number larger than that of every boot before, kept on the medium. */
export function nextBoot(root: string, disk: Disk, manifest: Manifest): number {
  const names = [...manifest.entries.keys(), ...listSegments(root).map((segment) => segment.name)]
  const boots = names.map((name) => parseSegmentName(name)?.boot ?? 0)
  const boot = boots.reduce((a, b) => Math.max(a, b), storedBoot(root)) + 1
  const temporary = bootPath(root) + TEMPORARY
  disk.remove(temporary)
  const file = disk.create(temporary)
  try {
    disk.append(file, Buffer.from(`${boot}\n`))
    disk.sync(file)
  } finally {
    disk.close(file)
  }
  disk.rename(temporary, bootPath(root))
  return boot
}

function storedBoot(root: string): number {
  try {
    const boot = Number(readFileSync(bootPath(root), 'utf8').trim())
    return Number.isSafeInteger(boot) && boot > 0 ? boot : 0
  } catch (error) {
    if (isMissing(error)) return 0
    throw error
  }
}

/** Gives a segment that a crash left open its line in the manifest; returns how many lines were torn or damaged. */
function closeSegment(root: string, disk: Disk, manifest: Manifest, files: SegmentFiles, report: Report): number {
  const { name } = files
  if (manifest.entries.get(name)?.closed) return 0
  const path = plainPath(root, name)
  const scan = files.plain ? scanFile(path) : scanCompressed(compressedPath(root, name))
  const damaged = scan.tornLines + scan.damagedLines
  if (damaged > 0) {
    const context = { segment: name, cutBytes: scan.tornBytes, cutLines: scan.tornLines, damaged: scan.damagedLines }
    report(
      'warn',
      context,
      `tape segment ${name}: cut ${scan.tornBytes} torn bytes, ${scan.damagedLines} damaged lines`,
    )
  }
  if (scan.bytes === 0) {
    removeBoth(root, disk, name)
    return damaged
  }
  // Also what was written and not yet synced is read from now on, so it must be on the medium.
  if (files.plain) disk.truncate(path, scan.bytes)
  manifest.append({
    event: 'closed',
    segment: name,
    sha256: scan.sha256,
    lines: scan.lines,
    bytes: scan.bytes,
    first_at: scan.firstAtUs,
    last_at: scan.lastAtUs,
    repaired: { cut_bytes: scan.tornBytes, damaged_lines: scan.damagedLines },
  })
  return damaged
}

/** Finishes or undoes an interrupted compression or cut. */
function settle(
  root: string,
  disk: Disk,
  manifest: Manifest,
  files: SegmentFiles,
  report: Report,
): KnownSegment | null {
  const { name } = files
  const entry = manifest.entries.get(name)
  if (!entry?.closed) return null
  const { bytes, lines, sha256 } = entry.closed
  if (bytes === 0) {
    removeBoth(root, disk, name)
    return null
  }
  // Both are there when the power went between the two steps: the manifest knows which one counts.
  if (files.plain && files.compressed)
    disk.remove(entry.compressed ? plainPath(root, name) : compressedPath(root, name))
  if (files.compressed && (entry.compressed || !files.plain)) {
    if (!entry.compressed) recordCompressed(root, manifest, name, entry.closed)
    return { name, bytes, lines, sha256, diskBytes: statSync(compressedPath(root, name)).size, compressed: true }
  }
  const size = statSync(plainPath(root, name)).size
  if (size > bytes) disk.truncate(plainPath(root, name), bytes)
  if (size < bytes) report('error', { segment: name, size, bytes }, `tape segment ${name} is shorter than recorded`)
  return { name, bytes, lines, sha256, diskBytes: Math.min(size, bytes), compressed: false }
}

/** The manifest was lost, or someone compressed the segment by hand. */
function recordCompressed(root: string, manifest: Manifest, name: string, closed: ClosedEvent): void {
  const content = readFileSync(compressedPath(root, name))
  const gz_sha256 = createHash('sha256').update(content).digest('hex')
  const sha256 = closed.sha256 ?? scanCompressed(compressedPath(root, name)).sha256
  manifest.append({ event: 'compressed', segment: name, sha256, gz_sha256, gz_bytes: content.length })
}

function removeBoth(root: string, disk: Disk, name: string): void {
  disk.remove(plainPath(root, name))
  disk.remove(compressedPath(root, name))
}

function scanCompressed(path: string): Scan {
  const scanner = new Scanner()
  scanner.add(gunzipSync(readFileSync(path)))
  return scanner.finish()
}
