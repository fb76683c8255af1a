import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { describeError } from '../core/errors.ts'
import {
  compareSegments,
  compressedPath,
  listSegments,
  manifestPath,
  parseSegmentName,
  plainPath,
  type SegmentFiles,
  streamRoot,
} from './layout.ts'
import { type ManifestEntry, readManifest } from './manifest.ts'
import { type Scan, Scanner } from './scan.ts'

/** Something that is not as the manifest says. */
export interface Finding {
  readonly kind:
    | 'content'
    | 'compressed file'
    | 'lines'
    | 'bytes'
    | 'damaged lines'
    | 'missing'
    | 'unlisted'
    | 'manifest'
  /** null when it concerns the manifest itself. */
  readonly segment: string | null
  /** For people. */
  readonly detail: string
}

export interface VerifyProgress {
  readonly segmentsDone: number
  readonly segments: number
}

export interface Verification {
  readonly segments: number
  readonly lines: number
  readonly bytes: number
  readonly findings: readonly Finding[]
}

export interface VerifyLimits {
  /** Leaves out segments that are known to lie wholly before or after; Unix µs. */
  readonly sinceUs?: number
  readonly untilUs?: number
  /** A recorder is writing: the end of the newest segment is on its way, and others are compressed meanwhile. */
  readonly live?: boolean
  readonly signal?: AbortSignal
}

/** Checks every segment against the manifest, and the manifest against itself. Changes nothing. */
export async function verifyTape(
  directory: string,
  stream: string,
  onProgress: (progress: VerifyProgress) => void,
  limits: VerifyLimits = {},
): Promise<Verification> {
  const root = streamRoot(directory, stream)
  // Files before manifest: what a daemon closes in between is listed, and never missing.
  const files = new Map(listSegments(root).map((segment) => [segment.name, segment]))
  const manifest = readManifest(manifestPath(root))
  const findings: Finding[] = manifest.faults.map(({ line, reason }) => ({
    kind: 'manifest',
    segment: null,
    detail: `line ${line}: ${reason}`,
  }))
  const all = [...new Set([...manifest.entries.keys(), ...files.keys()])].sort(inOrder)
  const newest = all.at(-1)
  const names = all.filter((name) => {
    const entry = manifest.entries.get(name)
    return !entry?.deleted && isWanted(entry, limits)
  })
  let lines = 0
  let bytes = 0
  for (const [index, name] of names.entries()) {
    limits.signal?.throwIfAborted()
    const check = () => checkSegment(root, name, files.get(name), manifest.entries.get(name), name === newest)
    const first = await check()
    const checked = limits.live && first.findings.length > 0 ? await checkAgain(root, name, name === newest) : first
    findings.push(...checked.findings)
    lines += checked.lines
    bytes += checked.bytes
    onProgress({ segmentsDone: index + 1, segments: names.length })
  }
  return { segments: names.length, lines, bytes, findings }
}

function isWanted(entry: ManifestEntry | undefined, { sinceUs, untilUs }: VerifyLimits): boolean {
  const closed = entry?.closed
  if (closed?.first_at == null || closed.last_at == null) return true
  return closed.last_at >= (sinceUs ?? 0) && closed.first_at < (untilUs ?? Number.POSITIVE_INFINITY)
}

/** Once more as it is now: it may have been closed, compressed or deleted since it was looked up. */
async function checkAgain(root: string, name: string, newest: boolean): Promise<Checked> {
  const files = listSegments(root).find((segment) => segment.name === name)
  const entry = readManifest(manifestPath(root)).entries.get(name)
  if (entry?.deleted) return { lines: 0, bytes: 0, findings: [] }
  const checked = await checkSegment(root, name, files, entry, newest)
  const { torn } = checked
  if (!newest || !torn) return checked
  return { ...checked, findings: checked.findings.filter(({ kind }) => kind !== 'damaged lines') }
}

function inOrder(a: string, b: string): number {
  const [left, right] = [parseSegmentName(a), parseSegmentName(b)]
  return left === null || right === null ? 0 : compareSegments(left, right)
}

interface Checked {
  readonly lines: number
  readonly bytes: number
  readonly findings: readonly Finding[]
  /** All that is wrong with its lines is that the last one is not whole. */
  readonly torn?: boolean
}

async function checkSegment(
  root: string,
  name: string,
  files: SegmentFiles | undefined,
  entry: ManifestEntry | undefined,
  newest: boolean,
): Promise<Checked> {
  const findings: Finding[] = []
  const found = (kind: Finding['kind'], detail: string) => findings.push({ kind, segment: name, detail })
  const closed = entry?.closed ?? null
  if (closed?.bytes === 0) return { lines: 0, bytes: 0, findings }
  if (files === undefined) {
    found('missing', 'in the manifest and not on disk')
    return { lines: 0, bytes: 0, findings }
  }
  // The newest one is being written, or was when the power went.
  if (closed === null && !newest) found('unlisted', 'on disk and not in the manifest')
  try {
    const scan = await scanSegment(root, name, closed?.bytes ?? null, entry?.compressed?.gz_sha256 ?? null)
    if (scan.compressedMatches === false) found('compressed file', 'SHA-256 differs from the manifest')
    const total = scan.bytes + scan.tornBytes
    const lineCount = scan.lines + scan.tornLines
    if (closed !== null) {
      if (total !== closed.bytes) found('bytes', `${total} bytes, ${closed.bytes} by the manifest`)
      if (lineCount !== closed.lines) found('lines', `${lineCount} lines, ${closed.lines} by the manifest`)
      const sha256 = closed.sha256 ?? entry?.compressed?.sha256 ?? null
      if (sha256 !== null && scan.wholeSha256 !== sha256) found('content', 'SHA-256 differs from the manifest')
    }
    const known = closed?.repaired?.damaged_lines ?? 0
    const damaged = scan.damagedLines + (closed === null ? 0 : scan.tornLines)
    if (damaged > known) found('damaged lines', `${damaged} damaged lines, ${known} known since it was repaired`)
    const torn = closed === null && damaged === scan.tornLines
    return { lines: scan.lines, bytes: scan.bytes, findings, torn }
  } catch (error) {
    found('content', `cannot be read: ${describeError(error)}`)
    return { lines: 0, bytes: 0, findings }
  }
}

interface SegmentScan extends Scan {
  /** Of everything up to the recorded length. */
  readonly wholeSha256: string
  /** null when there is nothing to compare. */
  readonly compressedMatches: boolean | null
}

async function scanSegment(
  root: string,
  name: string,
  bytes: number | null,
  gzSha256: string | null,
): Promise<SegmentScan> {
  const scanner = new Scanner()
  const whole = createHash('sha256')
  const compressed = createHash('sha256')
  const plain = await exists(plainPath(root, name))
  const file = createReadStream(plain ? plainPath(root, name) : compressedPath(root, name), { highWaterMark: 1 << 20 })
  let content: Readable = file
  if (!plain) {
    file.on('data', (chunk) => compressed.update(chunk))
    const gunzip = createGunzip()
    file.on('error', (error) => gunzip.destroy(error))
    content = file.pipe(gunzip)
  }
  let left = bytes ?? Number.MAX_SAFE_INTEGER
  for await (const chunk of content as AsyncIterable<Buffer>) {
    // A file that could not be cut after a failed write is longer than what counts.
    const counted = plain ? chunk.subarray(0, left) : chunk
    left -= counted.length
    scanner.add(counted)
    whole.update(counted)
  }
  const compressedMatches = plain || gzSha256 === null ? null : compressed.digest('hex') === gzSha256
  return { ...scanner.finish(), wholeSha256: whole.digest('hex'), compressedMatches }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch {
    return false
  }
}
