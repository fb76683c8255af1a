import { closeSync, openSync, writeSync } from 'node:fs'

/** A file of lines that is written when enough has come together. */
export interface LineFile {
  /** `line` without its end. */
  add(line: string): void
  /** Everything added so far can be read afterwards. */
  flush(): void
  close(): void
}

const BUFFER_CHARS_MAX = 256 * 1024

/** Writes at once when its buffer is full: an account that lags behind would not be one. */
export function openLineFile(path: string): LineFile {
  const descriptor = openSync(path, 'a')
  let pending: string[] = []
  let chars = 0
  const flush = (): void => {
    if (pending.length === 0) return
    const data = Buffer.from(`${pending.join('\n')}\n`)
    pending = []
    chars = 0
    for (let offset = 0; offset < data.length; ) offset += writeSync(descriptor, data, offset)
  }
  return {
    add(line) {
      pending.push(line)
      chars += line.length
      if (chars >= BUFFER_CHARS_MAX) flush()
    },
    flush,
    close() {
      flush()
      closeSync(descriptor)
    },
  }
}
