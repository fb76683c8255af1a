/** JSON strings as bytes, for payloads so large that a string of them, or two, would be too much. */

const QUOTE = 0x22
const BACKSLASH = 0x5c
const SPACE = 0x20
const HEX = Buffer.from('0123456789abcdef')
/** The letter after the backslash for control characters that have a short form. */
const SHORT: ReadonlyMap<number, number> = new Map(
  [...'btnfr'].map((letter) => [JSON.parse(`"\\${letter}"`).charCodeAt(0), letter.charCodeAt(0)]),
)
/** Parsed as one text below this. */
const PIECE_BYTES = 1 << 20

/** How long valid UTF-8 is inside the quotes of a JSON string, bytes. */
export function escapedLength(payload: Uint8Array): number {
  let length = payload.length
  for (let at = 0; at < payload.length; at += 1) {
    const byte = payload[at] as number
    if (byte === QUOTE || byte === BACKSLASH) length += 1
    else if (byte < SPACE) length += SHORT.has(byte) ? 1 : 5
  }
  return length
}

/** Writes what `JSON.stringify` would put between the quotes; returns the place after it. */
export function writeEscaped(payload: Uint8Array, out: Uint8Array, start: number): number {
  let to = start
  for (let at = 0; at < payload.length; at += 1) {
    const byte = payload[at] as number
    if (byte >= SPACE && byte !== QUOTE && byte !== BACKSLASH) {
      out[to++] = byte
      continue
    }
    out[to++] = BACKSLASH
    const short = byte < SPACE ? SHORT.get(byte) : byte
    if (short !== undefined) {
      out[to++] = short
      continue
    }
    out[to++] = 0x75
    out[to++] = 0x30
    out[to++] = 0x30
    out[to++] = HEX[byte >> 4] as number
    out[to++] = HEX[byte & 15] as number
  }
  return to
}

/** The bytes of the JSON string that stands, quotes included, at [start, end); null when it is none. */
export function readEscaped(bytes: Buffer, start: number, end: number): Buffer | null {
  if (end - start < 2 || bytes[start] !== QUOTE || bytes[end - 1] !== QUOTE) return null
  const pieces: Buffer[] = []
  for (let from = start + 1; from < end - 1 || pieces.length === 0; ) {
    const to = endOfPiece(bytes, from, end - 1)
    const text = parseString(bytes.toString('utf8', from, to))
    if (text === null) return null
    pieces.push(Buffer.from(text))
    from = to
  }
  return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
}

/** About a piece further, and never within a character or what stands for one. */
function endOfPiece(bytes: Buffer, from: number, end: number): number {
  if (end - from <= PIECE_BYTES) return end
  for (let at = from; at < end; ) {
    if (at - from >= PIECE_BYTES) return at
    const byte = bytes[at] as number
    if (byte === BACKSLASH) at += bytes[at + 1] === 0x75 ? escapeLength(bytes, at) : 2
    else if (byte < 0xc0) at += 1
    else at += byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
  }
  return end
}

/** Of one `\uXXXX`, or of the two that make a character together. */
function escapeLength(bytes: Buffer, at: number): number {
  const isHigh = /^\\u[dD][89abAB]/.test(bytes.toString('latin1', at, at + 4))
  return isHigh && bytes[at + 6] === BACKSLASH && bytes[at + 7] === 0x75 ? 12 : 6
}

function parseString(escaped: string): string | null {
  try {
    const value: unknown = JSON.parse(`"${escaped}"`)
    return typeof value === 'string' ? value : null
  } catch {
    return null
  }
}
