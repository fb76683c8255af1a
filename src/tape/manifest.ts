import { createHash } from 'node:crypto'
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync } from 'node:fs'
import type { Disk } from './disk.ts'
import { isMissing } from './layout.ts'

/**
 * The stream's ledger of segments: one line per thing that happened to one, each with the SHA-256 of the line
 * before it, so that nothing can be changed or taken out without a trace. Times are Unix µs.
 */
export type ManifestEvent = ClosedEvent | CompressedEvent | DeletedEvent

/** The segment is complete: these are its first `bytes` bytes, whatever else the file may hold. */
export interface ClosedEvent {
  readonly event: 'closed'
  readonly segment: string
  /** Of the uncompressed content; null when it comes later, with the compression. */
  readonly sha256: string | null
  readonly lines: number
  readonly bytes: number
  readonly first_at: number | null
  readonly last_at: number | null
  /** Found after a crash: bytes cut from the torn end, and damaged lines left in place. */
  readonly repaired?: { readonly cut_bytes: number; readonly damaged_lines: number }
}

export interface CompressedEvent {
  readonly event: 'compressed'
  readonly segment: string
  /** Of the uncompressed content. */
  readonly sha256: string
  /** Of the compressed file. */
  readonly gz_sha256: string
  readonly gz_bytes: number
}

export interface DeletedEvent {
  readonly event: 'deleted'
  readonly segment: string
  readonly reason: 'age' | 'size'
}

/** All that the manifest says of one segment. */
export interface ManifestEntry {
  closed: ClosedEvent | null
  compressed: CompressedEvent | null
  deleted: DeletedEvent | null
}

export interface ManifestContent {
  readonly entries: ReadonlyMap<string, ManifestEntry>
  /** What is wrong, one text per line that is. */
  readonly faults: readonly { readonly line: number; readonly reason: string }[]
  /** SHA-256 of the last complete line; null when there is none. */
  readonly lastHash: string | null
  /** Length up to the last complete line. */
  readonly bytes: number
}

/** Reads what is there, up to the last complete line; an absent manifest is empty. */
export function readManifest(path: string): ManifestContent {
  const entries = new Map<string, ManifestEntry>()
  const faults: { line: number; reason: string }[] = []
  let lastHash: string | null = null
  let line = 0
  const content = readIfThere(path)
  const bytes = content.lastIndexOf(0x0a) + 1
  for (let start = 0; start < bytes; ) {
    const end = content.indexOf(0x0a, start)
    const stored = content.subarray(start, end)
    line += 1
    const parsed = parseLine(stored)
    if (parsed === null) faults.push({ line, reason: 'not readable' })
    else {
      if (parsed.prev !== lastHash) faults.push({ line, reason: 'does not follow from the line before it' })
      take(entries, parsed.event)
    }
    lastHash = sha256(stored)
    start = end + 1
  }
  return { entries, faults, lastHash, bytes }
}

/** The manifest as its only writer keeps it. */
export class Manifest {
  readonly entries: Map<string, ManifestEntry>
  readonly #path: string
  readonly #disk: Disk
  #lastHash: string | null
  /** Length of what is known to be good. */
  #bytes: number

  constructor(path: string, disk: Disk) {
    const content = readManifest(path)
    this.#path = path
    this.#disk = disk
    this.entries = new Map(content.entries)
    this.#lastHash = content.lastHash
    this.#bytes = content.bytes
  }

  /** Returns when the line is on the medium. May be called again after it failed. */
  append(event: ManifestEvent): void {
    const line = Buffer.from(JSON.stringify({ ...event, prev: this.#lastHash }))
    const file = existsSync(this.#path) ? openSync(this.#path, 'a') : this.#disk.create(this.#path)
    try {
      // An earlier attempt, or a crash, may have left a part of a line.
      ftruncateSync(file, this.#bytes)
      this.#disk.append(file, Buffer.concat([line, Buffer.from('\n')]))
      this.#disk.sync(file)
    } finally {
      closeSync(file)
    }
    this.#bytes += line.length + 1
    this.#lastHash = sha256(line)
    take(this.entries, event)
  }
}

function take(entries: Map<string, ManifestEntry>, event: ManifestEvent): void {
  const entry = entries.get(event.segment) ?? { closed: null, compressed: null, deleted: null }
  if (event.event === 'closed') entry.closed = event
  else if (event.event === 'compressed') entry.compressed = event
  else entry.deleted = event
  entries.set(event.segment, entry)
}

function parseLine(bytes: Buffer): { event: ManifestEvent; prev: string | null } | null {
  try {
    const value = JSON.parse(bytes.toString()) as ManifestEvent & { prev: string | null }
    if (typeof value.segment !== 'string' || !KINDS.includes(value.event)) return null
    return { event: value, prev: value.prev }
  } catch {
    return null
  }
}

const KINDS: readonly string[] = ['closed', 'compressed', 'deleted'] satisfies ManifestEvent['event'][]

function readIfThere(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    if (isMissing(error)) return Buffer.alloc(0)
    throw error
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
