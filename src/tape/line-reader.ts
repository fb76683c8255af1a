import { crc32 } from 'node:zlib'
import type { MarkKind, TapeRecord } from '../core/tape.ts'
import { readEscaped } from './escape.ts'

const AT = Buffer.from('{"at":')
const CONNECTION = Buffer.from(',"conn":"')
const CRC = Buffer.from('","crc":"')
const BODY = Buffer.from('","')
const FRAME = Buffer.from('frame":')
const TEXT = Buffer.from('text":')
const BASE64 = Buffer.from('base64":')
const MARK = /^mark":"([a-z_]{1,32})","detail":/
const MARK_HEAD_LENGTH = 64
const QUOTE = 0x22
const BACKSLASH = 0x5c
const CLOSING_BRACE = 0x7d
const NEWLINE = 0x0a

/** Reads lines without parsing the frames in them. Remembers the last connection, which most lines share. */
export class LineReader {
  #connection = ''
  #connectionBytes: Buffer = Buffer.alloc(0)

  /**
   * The record of the line at [start, end), its newline excluded; null when the line is damaged.
   * A payload that is stored as a frame is a view of `bytes`.
   */
  read(bytes: Buffer, start: number, end: number): TapeRecord | null {
    if (!matches(bytes, start, end, AT)) return null
    let at = start + AT.length
    const digits = at
    let atUs = 0
    while (at < end && isDigit(bytes[at] as number)) atUs = atUs * 10 + ((bytes[at++] as number) - 0x30)
    if (at === digits || !Number.isSafeInteger(atUs) || !matches(bytes, at, end, CONNECTION)) return null
    at += CONNECTION.length
    const connectionEnd = endOfString(bytes, at, end)
    if (connectionEnd < 0 || !matches(bytes, connectionEnd, end, CRC)) return null
    const connection = this.#connectionAt(bytes, at, connectionEnd)
    at = connectionEnd + CRC.length
    const crc = hex8(bytes, at, end)
    at += 8
    if (connection === null || crc < 0 || !matches(bytes, at, end, BODY)) return null
    if (bytes[end - 1] !== CLOSING_BRACE) return null
    return readBody(bytes, at + BODY.length, end - 1, { atUs, connection, crc })
  }

  #connectionAt(bytes: Buffer, start: number, end: number): string | null {
    const known = this.#connectionBytes
    if (known.length === end - start && matches(bytes, start, end, known)) return this.#connection
    const text = parseJson(bytes.toString('utf8', start - 1, end + 1))
    if (typeof text !== 'string') return null
    this.#connection = text
    this.#connectionBytes = Buffer.from(bytes.subarray(start, end))
    return text
  }
}

interface Head {
  readonly atUs: number
  readonly connection: string
  readonly crc: number
}

function readBody(bytes: Buffer, start: number, end: number, head: Head): TapeRecord | null {
  if (matches(bytes, start, end, FRAME)) return frame(head, bytes.subarray(start + FRAME.length, end))
  if (matches(bytes, start, end, TEXT)) {
    const payload = readEscaped(bytes, start + TEXT.length, end)
    return payload === null ? null : frame(head, payload)
  }
  if (matches(bytes, start, end, BASE64)) {
    const text = parseJson(bytes.toString('utf8', start + BASE64.length, end))
    return typeof text === 'string' ? frame(head, Buffer.from(text, 'base64')) : null
  }
  return mark(bytes, start, end, head)
}

function frame(head: Head, stored: Buffer): TapeRecord | null {
  if (crc32(stored) !== head.crc) return null
  return { kind: 'frame', atUs: head.atUs, connection: head.connection, payload: withoutFinalNewline(stored) }
}

function mark(bytes: Buffer, start: number, end: number, head: Head): TapeRecord | null {
  const match = MARK.exec(bytes.toString('latin1', start, Math.min(end, start + MARK_HEAD_LENGTH)))
  if (match === null) return null
  const stored = bytes.subarray(start + match[0].length, end)
  if (crc32(stored) !== head.crc) return null
  const detail = parseJson(stored.toString())
  if (typeof detail !== 'object' || detail === null) return null
  return {
    kind: 'mark',
    atUs: head.atUs,
    connection: head.connection,
    mark: match[1] as MarkKind,
    detail: detail as Record<string, unknown>,
  }
}

/** What a reader is handed of a payload, whether it comes from disk or from memory. */
export function withoutFinalNewline(payload: Buffer): Buffer {
  const last = payload.length - 1
  return last >= 0 && payload[last] === NEWLINE ? payload.subarray(0, last) : payload
}

function matches(bytes: Buffer, at: number, end: number, expected: Buffer): boolean {
  if (at + expected.length > end) return false
  for (let i = 0; i < expected.length; i += 1) if (bytes[at + i] !== expected[i]) return false
  return true
}

/** The place of the closing quote, or -1. */
function endOfString(bytes: Buffer, start: number, end: number): number {
  for (let at = start; at < end; at += 1) {
    if (bytes[at] === QUOTE) return at
    if (bytes[at] === BACKSLASH) at += 1
  }
  return -1
}

function hex8(bytes: Buffer, start: number, end: number): number {
  if (start + 8 > end) return -1
  let value = 0
  for (let at = start; at < start + 8; at += 1) {
    const byte = bytes[at] as number
    if (isDigit(byte)) value = value * 16 + byte - 0x30
    else if (byte >= 0x61 && byte <= 0x66) value = value * 16 + byte - 0x57
    else return -1
  }
  return value
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
