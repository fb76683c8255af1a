import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type LineFile, openLineFile } from './line-file.ts'

/** Keeps every data frame sent, one file a connection: `frames-<conn>.ndjson`, lines `{"atUs","frame"}`. */
export interface FrameFiles {
  add(conn: number, atUs: number, frame: string): void
  close(conn: number): void
  /** Everything added so far can be read afterwards. */
  flush(): void
  closeAll(): void
}

export function openFrameFiles(directory: string): FrameFiles {
  mkdirSync(directory, { recursive: true })
  const files = new Map<number, LineFile>()

  function fileOf(conn: number): LineFile {
    const known = files.get(conn)
    if (known) return known
    const opened = openLineFile(join(directory, `frames-${conn}.ndjson`))
    files.set(conn, opened)
    return opened
  }

  function close(conn: number): void {
    files.get(conn)?.close()
    files.delete(conn)
  }

  return {
    add(conn, atUs, frame) {
      fileOf(conn).add(`{"atUs":${atUs},"frame":${JSON.stringify(frame)}}`)
    },
    close,
    flush() {
      for (const file of files.values()) file.flush()
    },
    closeAll() {
      for (const conn of [...files.keys()]) close(conn)
    },
  }
}
