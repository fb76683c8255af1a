import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** Keeps every data frame sent, one file a connection: `frames-<conn>.ndjson`, lines `{"atUs","frame"}`. */
export interface FrameFiles {
  add(conn: number, atUs: number, frame: string): void
  close(conn: number): void
  /** Everything added so far can be read afterwards. */
  flush(): void
  closeAll(): void
}

const BUFFER_CHARS_MAX = 256 * 1024

interface OpenFile {
  readonly descriptor: number
  pending: string[]
  chars: number
}

/** Writes at once when a buffer is full: an account that lags behind would not be one. */
export function openFrameFiles(directory: string): FrameFiles {
  mkdirSync(directory, { recursive: true })
  const files = new Map<number, OpenFile>()

  function fileOf(conn: number): OpenFile {
    const known = files.get(conn)
    if (known) return known
    const opened = { descriptor: openSync(join(directory, `frames-${conn}.ndjson`), 'a'), pending: [], chars: 0 }
    files.set(conn, opened)
    return opened
  }

  function write(file: OpenFile): void {
    if (file.pending.length === 0) return
    const data = Buffer.from(file.pending.join(''))
    file.pending = []
    file.chars = 0
    for (let offset = 0; offset < data.length; ) offset += writeSync(file.descriptor, data, offset)
  }

  function close(conn: number): void {
    const file = files.get(conn)
    if (!file) return
    write(file)
    closeSync(file.descriptor)
    files.delete(conn)
  }

  return {
    add(conn, atUs, frame) {
      const file = fileOf(conn)
      const line = `{"atUs":${atUs},"frame":${JSON.stringify(frame)}}\n`
      file.pending.push(line)
      file.chars += line.length
      if (file.chars >= BUFFER_CHARS_MAX) write(file)
    },
    close,
    flush() {
      for (const file of files.values()) write(file)
    },
    closeAll() {
      for (const conn of [...files.keys()]) close(conn)
    },
  }
}
