import type { TapePosition } from '../core/tape.ts'
import type { Disk } from './disk.ts'
import { plainPath, segmentFolder, segmentName } from './layout.ts'
import type { Manifest } from './manifest.ts'
import type { KnownSegment, Now } from './protocol.ts'
import { hashFile } from './scan.ts'

/** The lines of one pack. */
export interface Lines {
  /** Valid until the next pack's lines are made. */
  readonly bytes: Buffer
  readonly count: number
  readonly firstAtUs: number
  readonly lastAtUs: number
}

export interface SegmentWriterOptions {
  readonly root: string
  readonly boot: number
  readonly disk: Disk
  readonly manifest: Manifest
  readonly segmentBytes: number
  readonly segmentMs: number
  readonly onOpened: (segment: string) => void
  readonly onClosed: (segment: KnownSegment) => void
}

interface Segment {
  readonly name: string
  readonly file: number
  readonly openedMs: number
  /** Synced. The file may be longer after a failure. */
  bytes: number
  lines: number
  firstAtUs: number | null
  lastAtUs: number | null
}

/**
 * Writes groups of lines into segments.
 *
 *   none ──commit──► open ──full, old, close──► none
 *                     └──any failure──► broken ──seal──► none
 *
 * A broken segment is cut back to what was synced and closed in the manifest before another one is begun.
 * So a group that is written again never stands on the tape twice.
 */
export class SegmentWriter {
  readonly #options: SegmentWriterOptions
  #open: Segment | null = null
  #broken: Segment | null = null
  #sequence = 0

  constructor(options: SegmentWriterOptions) {
    this.#options = options
  }

  get openBytes(): number {
    return this.#open?.bytes ?? 0
  }

  /**
   * Writes the packs, made into lines one by one while they are in the processor's cache, and syncs them together.
   * Returns the position after each; throws when they are not synced, and may then be repeated.
   */
  commit(packs: Iterable<Lines>, now: Now): TapePosition[] {
    return this.#guarded(() => {
      this.#seal()
      this.#closeIf((segment) => segment.bytes >= this.#options.segmentBytes || this.#isOld(segment, now))
      this.#open ??= this.#begin(now)
      const written = { ...this.#open }
      const ends: TapePosition[] = []
      for (const lines of packs) {
        this.#options.disk.append(written.file, lines.bytes)
        written.bytes += lines.bytes.length
        written.lines += lines.count
        written.firstAtUs ??= lines.firstAtUs
        written.lastAtUs = lines.lastAtUs
        ends.push({ segment: written.name, offset: written.bytes, line: written.lines })
      }
      this.#options.disk.sync(written.file)
      this.#open = written
      return ends
    })
  }

  /** Closes a segment that has become old while nothing was written. */
  closeIfOld(now: Now): void {
    this.#guarded(() => {
      this.#seal()
      this.#closeIf((segment) => this.#isOld(segment, now))
    })
  }

  /** Closes the segment for good. */
  close(): void {
    this.#guarded(() => {
      this.#seal()
      const segment = this.#open
      if (segment === null) return
      // At full speed the hash costs too much here and the compressing thread computes it; now nothing is waiting.
      this.#record(segment, hashFile(plainPath(this.#options.root, segment.name), segment.bytes))
      this.#open = null
      closeQuietly(this.#options.disk, segment.file)
    })
  }

  #guarded<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (this.#open !== null) {
        closeQuietly(this.#options.disk, this.#open.file)
        this.#broken = this.#open
        this.#open = null
        // At once, if it can be done, so that nobody reads what was not accepted; for certain before going on.
        this.#cut(this.#broken)
      }
      throw error
    }
  }

  #isOld(segment: Segment, now: Now): boolean {
    return now.monotonicMs - segment.openedMs >= this.#options.segmentMs
  }

  #begin(now: Now): Segment {
    const { root, boot, disk } = this.#options
    this.#sequence += 1
    const name = segmentName(now.wallMs, boot, this.#sequence)
    disk.makeFolder(segmentFolder(root, name))
    const file = disk.create(plainPath(root, name))
    this.#options.onOpened(name)
    return { name, file, openedMs: now.monotonicMs, bytes: 0, lines: 0, firstAtUs: null, lastAtUs: null }
  }

  #closeIf(condition: (segment: Segment) => boolean): void {
    const segment = this.#open
    if (segment === null || !condition(segment)) return
    this.#record(segment)
    this.#open = null
    closeQuietly(this.#options.disk, segment.file)
  }

  #seal(): void {
    const segment = this.#broken
    if (segment === null) return
    if (!this.#cut(segment) || segment.bytes > 0) this.#record(segment)
    else this.#options.onClosed(known(segment, null))
    this.#broken = null
  }

  /** False when the file could not be cut: then the manifest's length is all that readers go by. */
  #cut(segment: Segment): boolean {
    const { disk, root } = this.#options
    const path = plainPath(root, segment.name)
    try {
      if (segment.bytes > 0) disk.truncate(path, segment.bytes)
      else disk.remove(path)
      return true
    } catch {
      return false
    }
  }

  #record(segment: Segment, sha256: string | null = null): void {
    this.#options.manifest.append({
      event: 'closed',
      segment: segment.name,
      sha256,
      lines: segment.lines,
      bytes: segment.bytes,
      first_at: segment.firstAtUs,
      last_at: segment.lastAtUs,
    })
    this.#options.onClosed(known(segment, sha256))
  }
}

function known({ name, bytes, lines }: Segment, sha256: string | null): KnownSegment {
  return { name, bytes, lines, sha256, diskBytes: bytes, compressed: false }
}

function closeQuietly(disk: Disk, file: number): void {
  try {
    disk.close(file)
  } catch {
    // Everything that counts in it has been synced.
  }
}
