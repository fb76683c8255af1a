import { isUtf8 } from 'node:buffer'
import { crc32 } from 'node:zlib'
import { isJsonLine } from './json-check.ts'

const AT = Buffer.from('{"at":')
const FRAME = Buffer.from('","frame":')
const HEX = Buffer.from('0123456789abcdef')
const NEWLINE = 0x0a
/** Room for everything on a line but the connection and the payload. */
const LINE_OVERHEAD = 64
const USUAL_BYTES = 2 << 20
/** A buffer that a burst has made larger than this is given back. */
const MOST_KEPT_BYTES = 16 << 20

/** A connection as the line needs it: `,"conn":"…","crc":"`. */
export function connectionBytes(connection: string): Buffer {
  return Buffer.from(`,"conn":${JSON.stringify(connection)},"crc":"`)
}

/** Turns payloads into lines, in one buffer that is used again and again. */
export class LineWriter {
  #out = Buffer.allocUnsafeSlow(USUAL_BYTES)
  #end = 0

  /** What has been written since the last `clear`; valid until the next call. */
  get bytes(): Buffer {
    return this.#out.subarray(0, this.#end)
  }

  get length(): number {
    return this.#end
  }

  clear(): void {
    this.#end = 0
    if (this.#out.length > MOST_KEPT_BYTES) this.#out = Buffer.allocUnsafeSlow(USUAL_BYTES)
  }

  frame(atUs: number, connection: Buffer, payload: Uint8Array): void {
    const length = payload.length
    const stored = length > 0 && payload[length - 1] === NEWLINE ? payload.subarray(0, length - 1) : payload
    if (isUtf8(stored)) {
      if (isJsonLine(stored, 0, stored.length)) this.#json(atUs, connection, stored)
      else this.#line(atUs, connection, crc32(payload), `text":${JSON.stringify(asBuffer(payload).toString())}`)
    } else this.#line(atUs, connection, crc32(payload), `base64":"${asBuffer(payload).toString('base64')}"`)
  }

  /** `detail` is a JSON object as text on one line; the line's CRC covers it. */
  mark(atUs: number, connection: Buffer, mark: string, detail: string): void {
    this.#line(atUs, connection, crc32(detail), `mark":${JSON.stringify(mark)},"detail":${detail}`)
  }

  #json(atUs: number, connection: Buffer, payload: Uint8Array): void {
    this.#reserve(payload.length + connection.length + LINE_OVERHEAD)
    this.#head(atUs, connection, crc32(payload))
    this.#copy(FRAME)
    this.#out.set(payload, this.#end)
    this.#end += payload.length
    this.#tail()
  }

  /** A line that is rare enough to be made of text. */
  #line(atUs: number, connection: Buffer, crc: number, content: string): void {
    this.#reserve(content.length * 3 + connection.length + LINE_OVERHEAD)
    this.#head(atUs, connection, crc)
    this.#end += this.#out.write(`","${content}`, this.#end)
    this.#tail()
  }

  #head(atUs: number, connection: Buffer, crc: number): void {
    this.#copy(AT)
    this.#decimal(atUs)
    this.#copy(connection)
    let at = this.#end
    for (let shift = 28; shift >= 0; shift -= 4) this.#out[at++] = HEX[(crc >>> shift) & 15] as number
    this.#end = at
  }

  #tail(): void {
    this.#out[this.#end] = 0x7d
    this.#out[this.#end + 1] = NEWLINE
    this.#end += 2
  }

  /** Short constants: a loop costs less than a call of `set`. */
  #copy(bytes: Buffer): void {
    const out = this.#out
    const end = this.#end
    for (let i = 0; i < bytes.length; i += 1) out[end + i] = bytes[i] as number
    this.#end = end + bytes.length
  }

  #decimal(value: number): void {
    let digits = 1
    for (let limit = 10; limit <= value; limit *= 10) digits += 1
    // Two halves, so that the divisions stay within 32 bits.
    const high = Math.floor(value / 1e8)
    let low = value - high * 1e8
    let rest = high
    for (let i = digits - 1; i >= 0; i -= 1) {
      const half = i >= digits - 8 ? low : rest
      const tenth = Math.floor(half / 10)
      this.#out[this.#end + i] = 0x30 + half - tenth * 10
      if (i >= digits - 8) low = tenth
      else rest = tenth
    }
    this.#end += digits
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#out.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#out.length * 2, this.#end + bytes))
    this.#out.copy(grown, 0, 0, this.#end)
    this.#out = grown
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
