import type { Random } from '../../src/core/random.ts'
import { mutate } from '../../src/recorder/decode-fuzz.ts'

/** One to three general changes (truncated, wrong types, nested), or one of the special ones below. */
export function mutateFrame(seeds: readonly Buffer[], random: Random): Buffer {
  const seed = pick(seeds, random)
  if (random() < 0.5) return mutate(seed, random)
  return pick(SPECIAL, random)(seed, random)
}

const DEPTHS = [510, 511, 512, 513, 2_000, 20_000]
const HUGE_NUMBERS = [
  '1e400',
  '-1e400',
  '-0',
  '9007199254740993',
  '0.1e-400',
  `1${'0'.repeat(400)}`,
  `0.${'3'.repeat(400)}`,
  `"${'9'.repeat(78)}"`,
  `"${'9'.repeat(79)}"`,
  '"253402300800000"',
  '"1420070400001"',
]
const PAGES = [
  '<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>cloud</body></html>',
  '<script>alert("1")</script>',
  'upstream connect error or disconnect/reset before headers',
  '{"error":"rate limited"}',
]
const ODD_FRAMES = [
  '',
  ' ',
  '\n',
  '\n\n',
  'null',
  '{}',
  '[]\n',
  '[[[]]]',
  '""',
  '"PONG"',
  'pong',
  'PING',
  '\ufeff{}',
  '{} {}',
]
const CONTROLS = [
  '\0',
  '\x01',
  '\x07',
  '\b',
  '\t',
  '\n',
  '\r',
  '\r\n',
  '\x1b[2J',
  '\x7f',
  '\x85',
  '\u2028',
  '\ufeff',
  '\ufffe',
]
const ESCAPES = ['\\u0000', '\\ud800', '\\udfff\\ud83d', '\\u202e', '\\ud83d\\ude00', '\\n', '\\u001b[31m']
const BAD_UTF8 = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82], [0x80]]

type Change = (seed: Buffer, random: Random) => Buffer

const SPECIAL: readonly Change[] = [
  // Keys that are there already, or that are special to JavaScript.
  (seed, random) => {
    const keys = ['asset_id', 'event_type', 'price', '__proto__', 'constructor', 'timestamp', 'bids']
    const value = pick(['"0"', 'null', '{"toString":1}', '["BUY"]', '"last_trade_price"'], random)
    return insertAfter(seed, '{', `"${pick(keys, random)}":${value},`, random)
  },
  (seed, random) => replaceOne(seed, /"[\d.]+"/g, pick(HUGE_NUMBERS, random), random),
  (_seed, random) => Buffer.from(pick(PAGES, random)),
  (_seed, random) => Buffer.from(pick(ODD_FRAMES, random)),
  (_seed, random) =>
    Buffer.from(Array.from({ length: 1 + Math.floor(random() * 300) }, () => Math.floor(random() * 256))),
  (seed, random) => insertAnywhere(seed, Buffer.from(pick(CONTROLS, random)), random),
  (seed, random) => replaceOne(seed, /"[^"]*"/g, `"${pick(ESCAPES, random)}x${pick(ESCAPES, random)}"`, random),
  (seed, random) => insertAnywhere(seed, Buffer.from(pick(BAD_UTF8, random)), random),
  (seed, random) => {
    const depth = random() < 0.9 ? pick(DEPTHS.slice(0, 4), random) : pick(DEPTHS, random)
    const [open, close] = random() < 0.5 ? ['[', ']'] : ['{"a":', '}']
    return replaceOne(seed, /"[^"]*"(?!\s*:)/g, `${open.repeat(depth)}0${close.repeat(depth)}`, random)
  },
  (seed, random) => insertAfter(seed, '"', 'ab<\u00e9\u4e2d'.repeat(Math.floor(random() ** 8 * 5_000)), random),
  (seed, random) => Buffer.concat([seed, Buffer.from(pick(['\n', '\r\n', '\n\n', ' ', '\0', ',', '\n{}'], random))]),
]

function pick<T>(from: readonly T[], random: Random): T {
  return from[Math.floor(random() * from.length)] as T
}

function insertAnywhere(seed: Buffer, piece: Buffer, random: Random): Buffer {
  const at = Math.floor(random() * (seed.length + 1))
  return Buffer.concat([seed.subarray(0, at), piece, seed.subarray(at)])
}

function insertAfter(seed: Buffer, mark: string, piece: string, random: Random): Buffer {
  const text = seed.toString('utf8')
  const places = [...text.matchAll(new RegExp(`\\${mark}`, 'g'))].map((match) => match.index + 1)
  if (places.length === 0) return Buffer.from(piece + text)
  const at = pick(places, random)
  return Buffer.from(text.slice(0, at) + piece + text.slice(at))
}

function replaceOne(seed: Buffer, pattern: RegExp, piece: string, random: Random): Buffer {
  const text = seed.toString('utf8')
  const matches = [...text.matchAll(pattern)]
  if (matches.length === 0) return Buffer.from(piece)
  const { 0: found, index } = pick(matches, random)
  return Buffer.from(text.slice(0, index) + piece + text.slice(index + found.length))
}
