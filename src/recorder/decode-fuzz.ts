import { assert } from '../core/errors.ts'
import { type DecodeFrame, tokensOf } from '../core/events.ts'
import { isTokenId } from '../core/ids.ts'
import type { Random } from '../core/random.ts'

/** What a decoder made of many broken frames. */
export interface FuzzReport {
  readonly frames: number
  /** Frames that gave at least one event. */
  readonly understood: number
  /** Frames with at least one part that was refused. */
  readonly refused: number
}

const DEPTH_MAX = 20_000
const REASON_LENGTH_MAX = 1_000
/** What JSON can hold where something else is expected. */
const ODD_VALUES = [
  'null',
  'true',
  '-1',
  '1e999',
  '0.5',
  '""',
  '"0x"',
  '"\\u0000"',
  '[]',
  '{}',
  '[[]]',
  '{"a":{}}',
  '{"toString":0}',
]

/**
 * Decodes `count` mutations of real frames and throws on the first that breaks a promise: a decoder never throws,
 * says why it refuses, and lets no malformed token id through. The same random sequence gives the same frames.
 */
export function fuzzDecoder(decode: DecodeFrame, seeds: readonly Buffer[], count: number, random: Random): FuzzReport {
  assert(seeds.length > 0, 'there must be frames to start from')
  let understood = 0
  let refused = 0
  for (let index = 0; index < count; index += 1) {
    const payload = mutate(seeds[Math.floor(random() * seeds.length)] as Buffer, random)
    const { events, rejects } = decodeOrExplain(decode, payload)
    if (events.length > 0) understood += 1
    if (rejects.length > 0) refused += 1
    for (const event of events) {
      assert(tokensOf(event).every(isTokenId), `a token id that is none, from ${excerpt(payload)}`)
    }
    assert(rejects.every(isReason), `a refusal without a reason, of ${excerpt(payload)}`)
  }
  return { frames: count, understood, refused }
}

function decodeOrExplain(decode: DecodeFrame, payload: Buffer) {
  try {
    return decode(payload)
  } catch (error) {
    throw new Error(`the decoder threw on ${excerpt(payload)}`, { cause: error })
  }
}

function isReason(reason: string): boolean {
  return reason.length > 0 && reason.length <= REASON_LENGTH_MAX
}

function excerpt(payload: Buffer): string {
  return payload.toString('latin1', 0, 200)
}

/** One to three changes of one frame. */
export function mutate(payload: Buffer, random: Random): Buffer {
  let mutated = payload
  const times = 1 + Math.floor(random() * 3)
  for (let time = 0; time < times; time += 1) mutated = mutateOnce(mutated, random)
  return mutated
}

function mutateOnce(payload: Buffer, random: Random): Buffer {
  const at = Math.floor(random() * payload.length)
  const text = payload.toString('latin1')
  switch (Math.floor(random() * 8)) {
    case 0:
      return payload.subarray(0, at)
    case 1:
      return withByte(payload, at, Math.floor(random() * 256))
    case 2:
      return Buffer.concat([payload.subarray(0, at), payload.subarray(Math.floor(random() * payload.length))])
    case 3:
      return replaceValue(text, at, oddValue(random))
    case 4:
      return replaceValue(text, at, nested(random))
    case 5:
      return Buffer.from(text.replace(/"(?:[a-z_]+)"(?=:)/, `"key_${at}"`), 'latin1')
    case 6:
      return Buffer.from(`[${text},${oddValue(random)},${text}]`, 'latin1')
    default:
      return Buffer.from(
        text.replaceAll(/"(-?\d+(?:\.\d+)?)"/g, (whole, digits: string) => (random() < 0.3 ? digits : whole)),
        'latin1',
      )
  }
}

function oddValue(random: Random): string {
  return ODD_VALUES[Math.floor(random() * ODD_VALUES.length)] as string
}

function nested(random: Random): string {
  const depth = random() < 0.05 ? DEPTH_MAX : 30
  return '['.repeat(depth) + ']'.repeat(depth)
}

function withByte(payload: Buffer, at: number, byte: number): Buffer {
  const copy = Buffer.from(payload)
  if (at < copy.length) copy[at] = byte
  return copy
}

/** Puts something else in the place of the first value after `from`. */
function replaceValue(text: string, from: number, value: string): Buffer {
  const colon = text.indexOf(':', from)
  if (colon < 0) return Buffer.from(value, 'latin1')
  const rest = text.slice(colon + 1).replace(/^\s*(?:"[^"]*"|[\d.]+|true|false|null|\[\]?)/, () => value)
  return Buffer.from(text.slice(0, colon + 1) + rest, 'latin1')
}
