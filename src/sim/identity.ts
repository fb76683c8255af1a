import { type Random, seededRandom } from '../core/random.ts'

/** A generator of its own for each purpose, so that one purpose's draws never move another's. */
export function purposeRandom(seed: number, purpose: string, index = 0): Random {
  let mixed = 0x811c9dc5 ^ seed
  for (const part of `${purpose}/${index}`) {
    mixed = Math.imul(mixed ^ part.charCodeAt(0), 0x01000193)
  }
  const random = seededRandom(mixed >>> 0)
  // The first draws of neighbouring seeds are alike; a few steps part them.
  for (let step = 0; step < 3; step += 1) random()
  return random
}

const HEX = '0123456789abcdef'

export function hexDigits(random: Random, count: number): string {
  let text = ''
  for (let index = 0; index < count; index += 1) text += HEX[Math.floor(random() * 16)]
  return text
}

/** 75 to 77 decimal digits, the first not 0: below 2^256 like a real token id. */
export function decimalTokenId(random: Random): string {
  const length = 75 + Math.floor(random() * 3)
  let text = String(1 + Math.floor(random() * 9))
  while (text.length < length) text += String(Math.floor(random() * 10))
  return text
}

/** A whole number from `from` to `to`, both included. */
export function between(random: Random, from: number, to: number): number {
  return from + Math.floor(random() * (to - from + 1))
}

export function pick<T>(random: Random, items: readonly [T, ...T[]]): T {
  return items[Math.floor(random() * items.length)] ?? items[0]
}
