import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { createGunzip, type Gunzip } from 'node:zlib'
import type { TapeRecord } from '../core/tape.ts'
import { compressedPath, isMissing, plainPath } from './layout.ts'
import { LineReader } from './line-reader.ts'

const CHUNK_BYTES = 1 << 20
const NEWLINE = 0x0a

/** Consecutive lines of one segment. */
export interface Lines {
  readonly records: TapeRecord[]
  /** The place after the last line, damaged ones included. */
  readonly offset: number
  readonly line: number
  /** Where each damaged line began. */
  readonly damagedAt: readonly number[]
}

export interface BatchLimits {
  readonly records: number
  readonly bytes: number
}

/** Bytes of a segment in order, from wherever they are kept. */
interface ByteSource {
  /**
   * `rest`, which was read before and in which no line ends, and the bytes after it: up to the end of a line at least,
   * if there is one before `limit`. A long line is put together once. Null when there is nothing after `rest` now.
   */
  read(limit: number, rest: Buffer): Promise<Buffer | null>
  close(): Promise<void>
}

/** A place in one segment, plain or compressed, that moves forward line by line. */
export class SegmentCursor {
  readonly #source: ByteSource
  readonly #reader = new LineReader()
  #offset: number
  #line: number
  /** Read and not yet split; begins at `#offset`. */
  #rest: Buffer = Buffer.alloc(0)

  private constructor(source: ByteSource, offset: number, line: number) {
    this.#source = source
    this.#offset = offset
    this.#line = line
  }

  /** Null when the segment has no file. */
  static async open(root: string, segment: string, offset: number, line: number): Promise<SegmentCursor | null> {
    // In this order: compression puts the new file in place before it removes the old one.
    const plain = await openIfThere(plainPath(root, segment))
    if (plain !== null) return new SegmentCursor(new PlainSource(plain, offset), offset, line)
    const compressed = await openIfThere(compressedPath(root, segment))
    if (compressed !== null) return new SegmentCursor(new CompressedSource(compressed, offset), offset, line)
    return null
  }

  /** The next lines before `end`, at least one if there is one; null when there is none now. */
  async next(end: number | 'open', limits: BatchLimits): Promise<Lines | null> {
    const limit = end === 'open' ? Number.MAX_SAFE_INTEGER : end
    while (this.#rest.indexOf(NEWLINE) < 0) {
      const read = await this.#source.read(limit, this.#rest)
      if (read === null) return end === 'open' || this.#offset >= end ? null : this.#skipTo(end)
      this.#rest = read
    }
    return this.#split(limits)
  }

  /** True when bytes without a line's end are left: a torn tail, if nothing comes any more. */
  get torn(): boolean {
    return this.#rest.length > 0
  }

  async close(): Promise<void> {
    await this.#source.close()
  }

  #split(limits: BatchLimits): Lines {
    const bytes = this.#rest
    const records: TapeRecord[] = []
    const damagedAt: number[] = []
    let start = 0
    while (records.length < limits.records && start < limits.bytes) {
      const end = bytes.indexOf(NEWLINE, start)
      if (end < 0) break
      const record = this.#reader.read(bytes, start, end)
      if (record === null) damagedAt.push(this.#offset + start)
      else records.push(record)
      start = end + 1
      this.#line += 1
    }
    this.#rest = bytes.subarray(start)
    this.#offset += start
    return { records, offset: this.#offset, line: this.#line, damagedAt }
  }

  /** The file ends before what was accepted: its missing end counts as one damaged line. */
  #skipTo(end: number): Lines {
    const damagedAt = [this.#offset]
    this.#rest = Buffer.alloc(0)
    this.#offset = end
    this.#line += 1
    return { records: [], offset: end, line: this.#line, damagedAt }
  }
}

class PlainSource implements ByteSource {
  readonly #file: FileHandle
  #offset: number

  constructor(file: FileHandle, offset: number) {
    this.#file = file
    this.#offset = offset
  }

  async read(limit: number, rest: Buffer): Promise<Buffer | null> {
    const wanted = Math.min(CHUNK_BYTES, limit - this.#offset)
    if (wanted <= 0) return null
    // Where the line ends is looked up first: a long one is then read into a buffer of its size, and never copied.
    const more = rest.length < CHUNK_BYTES ? wanted : await this.#lengthOfLine(limit)
    if (more === 0) return null
    const bytes = Buffer.allocUnsafeSlow(rest.length + more)
    rest.copy(bytes)
    const bytesRead = await this.#fill(bytes.subarray(rest.length), this.#offset)
    if (bytesRead === 0) return null
    this.#offset += bytesRead
    return bytes.subarray(0, rest.length + bytesRead)
  }

  /** From the offset to the end of the line, or of what may be read. */
  async #lengthOfLine(limit: number): Promise<number> {
    const scratch = Buffer.allocUnsafe(CHUNK_BYTES)
    for (let length = 0; ; ) {
      const wanted = Math.min(CHUNK_BYTES, limit - this.#offset - length)
      const bytesRead = wanted <= 0 ? 0 : await this.#fill(scratch.subarray(0, wanted), this.#offset + length)
      const end = scratch.subarray(0, bytesRead).indexOf(NEWLINE)
      if (end >= 0 || bytesRead === 0) return length + end + 1
      length += bytesRead
    }
  }

  /** Returns how much there was. */
  async #fill(target: Buffer, offset: number): Promise<number> {
    let filled = 0
    while (filled < target.length) {
      const { bytesRead } = await this.#file.read(target, filled, target.length - filled, offset + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return filled
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}

/** Reads from the start up to the wanted offset: a segment is small enough for that. */
class CompressedSource implements ByteSource {
  readonly #stream: Gunzip
  readonly #chunks: AsyncIterator<Buffer>
  #offset: number
  #position = 0

  constructor(file: FileHandle, offset: number) {
    this.#offset = offset
    const compressed = createReadStream('', { fd: file, highWaterMark: CHUNK_BYTES })
    this.#stream = createGunzip({ chunkSize: CHUNK_BYTES })
    compressed.on('error', (error) => this.#stream.destroy(error))
    this.#stream.on('close', () => compressed.destroy())
    this.#chunks = compressed.pipe(this.#stream)[Symbol.asyncIterator]()
  }

  async read(limit: number, rest: Buffer): Promise<Buffer | null> {
    const parts = [rest]
    for (;;) {
      const { value, done } = await this.#nextChunk()
      if (done === true) break
      const start = this.#position
      this.#position += value.length
      if (this.#position <= this.#offset) continue
      const bytes = value.subarray(Math.max(0, this.#offset - start), Math.max(0, limit - start))
      if (bytes.length === 0) break
      parts.push(bytes)
      if (bytes.indexOf(NEWLINE) >= 0) break
    }
    if (parts.length === 1) return null
    return rest.length === 0 && parts.length === 2 ? (parts[1] as Buffer) : Buffer.concat(parts)
  }

  /** Where the compressed data is damaged, the readable part ends. */
  async #nextChunk(): Promise<IteratorResult<Buffer>> {
    try {
      return await this.#chunks.next()
    } catch (error) {
      if (error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')) {
        return { value: undefined, done: true }
      }
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#chunks.return?.()
    this.#stream.destroy()
  }
}

async function openIfThere(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}
