import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { LineReader } from './line-reader.ts'

const CHUNK_BYTES = 1 << 20
const NEWLINE = 0x0a

/** What a segment's uncompressed content is made of. */
export interface Scan {
  /** Up to the end of the last line that may stay: what follows is torn. */
  readonly bytes: number
  /** Bytes after that. */
  readonly tornBytes: number
  readonly tornLines: number
  readonly lines: number
  readonly damagedLines: number
  readonly firstAtUs: number | null
  readonly lastAtUs: number | null
  /** Of the first `bytes` bytes. */
  readonly sha256: string
}

/** Adds up chunk after chunk of a segment; keeps nothing of a chunk but copies. */
export class Scanner {
  readonly #reader = new LineReader()
  readonly #hash = createHash('sha256')
  /** The hash and counts up to the last line that may stay. */
  #kept: Omit<Scan, 'tornBytes' | 'tornLines' | 'sha256'> = {
    bytes: 0,
    lines: 0,
    damagedLines: 0,
    firstAtUs: null,
    lastAtUs: null,
  }
  /** The beginning of a line that has not ended. */
  #rest: Buffer[] = []
  /** Lines with zero blocks in them since the last line that may stay, each with its newline. */
  #doubtful: Buffer[] = []

  add(chunk: Buffer): void {
    if (chunk.indexOf(NEWLINE) < 0) {
      if (chunk.length > 0) this.#rest.push(Buffer.from(chunk))
      return
    }
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([...this.#rest, chunk])
    let start = 0
    for (let end = bytes.indexOf(NEWLINE, start); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
      this.#line(bytes, start, end)
      start = end + 1
    }
    this.#rest = start < bytes.length ? [Buffer.from(bytes.subarray(start))] : []
  }

  finish(): Scan {
    const doubtfulBytes = this.#doubtful.reduce((sum, line) => sum + line.length, 0)
    return {
      ...this.#kept,
      sha256: this.#hash.copy().digest('hex'),
      tornBytes: doubtfulBytes + this.#rest.reduce((sum, part) => sum + part.length, 0),
      tornLines: this.#doubtful.length + (this.#rest.length > 0 ? 1 : 0),
    }
  }

  #line(bytes: Buffer, start: number, end: number): void {
    // The tape never writes a zero byte: a block was allocated and not written when the power went.
    if (bytes.subarray(start, end).includes(0)) {
      this.#doubtful.push(Buffer.from(bytes.subarray(start, end + 1)))
      return
    }
    for (const line of this.#doubtful) this.#keep(line, 0, line.length - 1)
    this.#doubtful = []
    this.#keep(bytes, start, end)
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    const record = this.#reader.read(bytes, start, end)
    this.#hash.update(bytes.subarray(start, end + 1))
    const kept = this.#kept
    this.#kept = {
      ...kept,
      bytes: kept.bytes + end + 1 - start,
      lines: kept.lines + 1,
      damagedLines: kept.damagedLines + (record === null ? 1 : 0),
      firstAtUs: kept.firstAtUs ?? record?.atUs ?? null,
      lastAtUs: record?.atUs ?? kept.lastAtUs,
    }
  }
}

/** The SHA-256 of a file's first bytes, hex. */
export function hashFile(path: string, bytes: number): string {
  const hash = createHash('sha256')
  const file = openSync(path, 'r')
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    for (let done = 0; done < bytes; ) {
      const length = readSync(file, chunk, 0, Math.min(CHUNK_BYTES, bytes - done), null)
      if (length === 0) throw new Error(`${path} is shorter than ${bytes} bytes`)
      hash.update(chunk.subarray(0, length))
      done += length
    }
    return hash.digest('hex')
  } finally {
    closeSync(file)
  }
}

/** Scans a plain segment on this thread. */
export function scanFile(path: string): Scan {
  const scanner = new Scanner()
  const file = openSync(path, 'r')
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    for (;;) {
      const length = readSync(file, chunk, 0, CHUNK_BYTES, null)
      if (length === 0) return scanner.finish()
      scanner.add(chunk.subarray(0, length))
    }
  } finally {
    closeSync(file)
  }
}
