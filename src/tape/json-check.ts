const MAX_DEPTH = 512
/** Where a failed scan ends: beyond every end. */
const FAILED = 0x3fff_ffff

// What may come next.
const VALUE = 0
const FIRST_VALUE = 1
const KEY = 2
const FIRST_KEY = 3
const COLON = 4
const AFTER_IN_OBJECT = 5
const AFTER_IN_ARRAY = 6
const END = 7

// What to do with a byte in a state; 0 refuses it.
const SKIP = 1
const STRING = 2
const KEY_STRING = 3
const NUMBER = 4
const LITERAL = 5
const TO_VALUE = 6
const TO_KEY = 7
const OPEN_OBJECT = 8
const OPEN_ARRAY = 9
const CLOSE = 10

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON_BYTE = 0x3a
const SPACE = 0x20
const LETTER_U = 0x75

const ACTIONS = actionTable()
/** 1 for a byte that stands for itself inside a string. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= SPACE && byte !== QUOTE && byte !== BACKSLASH ? 1 : 0,
)
const HEX = byteSet('0123456789abcdefABCDEF')
const DIGIT = byteSet('0123456789')
const ESCAPED = byteSet('"\\/bfnrt')

/** Scratch of one call: the state that follows each open bracket's end. */
const enclosing = new Uint8Array(MAX_DEPTH)

/**
 * Decides whether the bytes are one JSON value on one line, without building anything. Agrees with `JSON.parse`,
 * except that a line break and nesting deeper than 512 are refused. Bytes above 0x7f pass inside strings:
 * whether they are UTF-8 is for the caller to check.
 */
export function isJsonLine(bytes: Uint8Array, start: number, end: number): boolean {
  let state = VALUE
  /** The state that follows a finished value; it depends on what encloses the value. */
  let after = END
  let depth = 0
  let at = start
  while (at < end) {
    switch (ACTIONS[(state << 8) | (bytes[at] as number)]) {
      case SKIP:
        at += 1
        break
      case STRING:
        at = endOfString(bytes, at + 1, end)
        state = after
        break
      case KEY_STRING:
        at = endOfString(bytes, at + 1, end)
        state = COLON
        // The commonest way on, without a look at the table: a colon, perhaps a space, and a string.
        if (at + 2 < end && bytes[at] === COLON_BYTE) {
          at += bytes[at + 1] === SPACE ? 2 : 1
          state = VALUE
          if (bytes[at] === QUOTE) {
            at = endOfString(bytes, at + 1, end)
            state = after
          }
        }
        break
      case NUMBER:
        at = endOfNumber(bytes, at, end)
        state = after
        break
      case LITERAL:
        at = endOfLiteral(bytes, at, end)
        state = after
        break
      case TO_VALUE:
        at += 1
        state = VALUE
        break
      case TO_KEY:
        at += 1
        state = KEY
        break
      case OPEN_OBJECT:
        if (depth === MAX_DEPTH) return false
        enclosing[depth++] = after
        after = AFTER_IN_OBJECT
        state = FIRST_KEY
        at += 1
        break
      case OPEN_ARRAY:
        if (depth === MAX_DEPTH) return false
        enclosing[depth++] = after
        after = AFTER_IN_ARRAY
        state = FIRST_VALUE
        at += 1
        break
      case CLOSE:
        after = enclosing[--depth] as number
        state = after
        at += 1
        break
      default:
        return false
    }
  }
  return at === end && state === END
}

/** The place after the closing quote. Most of the time is spent here: four bytes a turn cost a quarter less. */
function endOfString(bytes: Uint8Array, start: number, end: number): number {
  const lastTurn = end - 4
  let at = start
  for (;;) {
    for (; at < lastTurn; at += 4) {
      if (PLAIN[bytes[at] as number] === 0) break
      if (PLAIN[bytes[at + 1] as number] === 0) {
        at += 1
        break
      }
      if (PLAIN[bytes[at + 2] as number] === 0) {
        at += 2
        break
      }
      if (PLAIN[bytes[at + 3] as number] === 0) {
        at += 3
        break
      }
    }
    while (at < end && PLAIN[bytes[at] as number] === 1) at += 1
    if (at >= end) return FAILED
    if (bytes[at] === QUOTE) return at + 1
    if (bytes[at] !== BACKSLASH || at + 1 >= end) return FAILED
    const escaped = bytes[at + 1] as number
    if (ESCAPED[escaped] === 1) at += 2
    else if (escaped === LETTER_U && at + 6 <= end && isHex4(bytes, at + 2)) at += 6
    else return FAILED
  }
}

function isHex4(bytes: Uint8Array, at: number): boolean {
  for (let i = at; i < at + 4; i += 1) if (HEX[bytes[i] as number] !== 1) return false
  return true
}

function endOfNumber(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  if (bytes[at] === 0x2d) at += 1
  const integer = at
  at = skipDigits(bytes, at, end)
  if (at === integer || (bytes[integer] === 0x30 && at > integer + 1)) return FAILED
  if (at < end && bytes[at] === 0x2e) {
    const fraction = at + 1
    at = skipDigits(bytes, fraction, end)
    if (at === fraction) return FAILED
  }
  if (at < end && (bytes[at] === 0x65 || bytes[at] === 0x45)) {
    at += 1
    if (at < end && (bytes[at] === 0x2b || bytes[at] === 0x2d)) at += 1
    const exponent = at
    at = skipDigits(bytes, exponent, end)
    if (at === exponent) return FAILED
  }
  return at
}

function skipDigits(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end && DIGIT[bytes[at] as number] === 1) at += 1
  return at
}

function endOfLiteral(bytes: Uint8Array, start: number, end: number): number {
  const first = bytes[start]
  const literal = first === 0x74 ? TRUE : first === 0x66 ? FALSE : NULL
  if (start + literal.length > end) return FAILED
  for (let i = 0; i < literal.length; i += 1) if (bytes[start + i] !== literal[i]) return FAILED
  return start + literal.length
}

const TRUE = Buffer.from('true')
const FALSE = Buffer.from('false')
const NULL = Buffer.from('null')

function byteSet(characters: string): Uint8Array {
  const set = new Uint8Array(256)
  for (const byte of Buffer.from(characters)) set[byte] = 1
  return set
}

function actionTable(): Uint8Array {
  const table = new Uint8Array(8 * 256)
  const put = (states: readonly number[], characters: string, action: number) => {
    for (const state of states) for (const byte of Buffer.from(characters)) table[(state << 8) | byte] = action
  }
  put([VALUE, FIRST_VALUE, KEY, FIRST_KEY, COLON, AFTER_IN_OBJECT, AFTER_IN_ARRAY, END], ' \t', SKIP)
  put([VALUE, FIRST_VALUE], '"', STRING)
  put([VALUE, FIRST_VALUE], '-0123456789', NUMBER)
  put([VALUE, FIRST_VALUE], 'tfn', LITERAL)
  put([VALUE, FIRST_VALUE], '{', OPEN_OBJECT)
  put([VALUE, FIRST_VALUE], '[', OPEN_ARRAY)
  put([KEY, FIRST_KEY], '"', KEY_STRING)
  put([COLON], ':', TO_VALUE)
  put([AFTER_IN_OBJECT], ',', TO_KEY)
  put([AFTER_IN_ARRAY], ',', TO_VALUE)
  put([FIRST_KEY, AFTER_IN_OBJECT], '}', CLOSE)
  put([FIRST_VALUE, AFTER_IN_ARRAY], ']', CLOSE)
  return table
}
