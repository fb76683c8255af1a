import { isUtf8 } from 'node:buffer'
import { crc32 } from 'node:zlib'
import { escapedLength, writeEscaped } from './escape.ts'
import { isJsonLine } from './json-check.ts'

const HEX = Buffer.from('0123456789abcdef')
const NEWLINE = 0x0a
const CLOSING_BRACE = 0x7d
/** Receive times have 16 digits from 2001 to 2286. */
const AT_DIGITS = 16
const AT_START = '{"at":'.length
const LEAST_AT = 1e15
/** Room for everything on a line but the connection and the payload. */
const LINE_OVERHEAD = 64
const USUAL_BYTES = 2 << 20
/** A buffer that a burst has made larger than this is given back. */
const MOST_KEPT_BYTES = 16 << 20
/** A multiple of three: only the last piece may be padded. */
const BASE64_PIECE_BYTES = 3 << 16

/** A connection as its lines need it. */
export interface LineConnection {
  readonly json: string
  /** The start of a frame's line with zeros for the receive time and the CRC. */
  readonly template: Buffer
  readonly crcStart: number
}

export function lineConnection(connection: string): LineConnection {
  const json = JSON.stringify(connection)
  const head = `{"at":${'0'.repeat(AT_DIGITS)},"conn":${json},"crc":"`
  const template = Buffer.from(`${head}00000000","frame":`)
  return { json, template, crcStart: Buffer.byteLength(head) }
}

/** Turns payloads into lines, in one buffer that is used again and again. */
export class LineWriter {
  #out = Buffer.allocUnsafeSlow(USUAL_BYTES)
  #end = 0

  /** What has been written since the last `clear`; valid until the next call. */
  get bytes(): Buffer {
    return this.#out.subarray(0, this.#end)
  }

  clear(): void {
    this.#end = 0
    if (this.#out.length > MOST_KEPT_BYTES) this.#out = Buffer.allocUnsafeSlow(USUAL_BYTES)
  }

  frame(atUs: number, connection: LineConnection, payload: Uint8Array): void {
    const length = payload.length
    const stored = length > 0 && payload[length - 1] === NEWLINE ? payload.subarray(0, length - 1) : payload
    if (isUtf8(stored)) {
      if (isJsonLine(stored, 0, stored.length)) this.#json(atUs, connection, stored)
      else this.#text(atUs, connection, payload)
    } else this.#base64(atUs, connection, payload)
  }

  /** `detail` is a JSON object as text on one line; the line's CRC covers it. */
  mark(atUs: number, connection: LineConnection, mark: string, detail: string): void {
    this.#line(atUs, connection, crc32(detail), `mark":${JSON.stringify(mark)},"detail":${detail}`)
  }

  /** The usual line, made without any text. */
  #json(atUs: number, connection: LineConnection, payload: Uint8Array): void {
    const crc = crc32(payload)
    if (atUs < LEAST_AT || atUs >= LEAST_AT * 10) {
      this.#line(atUs, connection, crc, `frame":${asBuffer(payload).toString()}`)
      return
    }
    const { template, crcStart } = connection
    this.#reserve(template.length + payload.length + LINE_OVERHEAD)
    const out = this.#out
    const start = this.#end
    const body = start + template.length
    out.set(template, start)
    writeDigits(out, start + AT_START, atUs)
    for (let i = 0; i < 8; i += 1) out[start + crcStart + i] = HEX[(crc >>> (28 - 4 * i)) & 15] as number
    out.set(payload, body)
    const end = body + payload.length
    out[end] = CLOSING_BRACE
    out[end + 1] = NEWLINE
    this.#end = end + 2
  }

  /** Byte by byte: what is largest in this form would otherwise be several texts of 100 MB for a moment. */
  #text(atUs: number, connection: LineConnection, payload: Uint8Array): void {
    const head = headOf(atUs, connection, crc32(payload), 'text":"')
    this.#reserve(Buffer.byteLength(head) + escapedLength(payload) + LINE_OVERHEAD)
    this.#write(head)
    this.#end = writeEscaped(payload, this.#out, this.#end)
    this.#write('"}\n')
  }

  #base64(atUs: number, connection: LineConnection, payload: Uint8Array): void {
    const head = headOf(atUs, connection, crc32(payload), 'base64":"')
    this.#reserve(Buffer.byteLength(head) + Math.ceil(payload.length / 3) * 4 + LINE_OVERHEAD)
    this.#write(head)
    for (let at = 0; at < payload.length; at += BASE64_PIECE_BYTES) {
      this.#write(asBuffer(payload.subarray(at, at + BASE64_PIECE_BYTES)).toString('base64'))
    }
    this.#write('"}\n')
  }

  /** A line that is rare enough to be made of text. */
  #line(atUs: number, connection: LineConnection, crc: number, content: string): void {
    const line = `${headOf(atUs, connection, crc, content)}}\n`
    this.#reserve(Buffer.byteLength(line))
    this.#write(line)
  }

  #write(text: string): void {
    this.#end += this.#out.write(text, this.#end)
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#out.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#out.length * 2, this.#end + bytes))
    this.#out.copy(grown, 0, 0, this.#end)
    this.#out = grown
  }
}

function headOf(atUs: number, connection: LineConnection, crc: number, content: string): string {
  return `{"at":${atUs},"conn":${connection.json},"crc":"${crc.toString(16).padStart(8, '0')}","${content}`
}

/** Sixteen digits in two halves, so that the divisions stay within 32 bits. */
function writeDigits(out: Buffer, start: number, value: number): void {
  const high = Math.floor(value / 1e8)
  writeHalf(out, start, high)
  writeHalf(out, start + 8, value - high * 1e8)
}

function writeHalf(out: Buffer, start: number, value: number): void {
  let rest = value | 0
  for (let i = start + 7; i >= start; i -= 1) {
    const tenth = (rest / 10) | 0
    out[i] = 0x30 + rest - tenth * 10
    rest = tenth
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
