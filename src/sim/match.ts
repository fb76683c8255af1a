import type { Random } from '../core/random.ts'
import { type BookLevel, type Outcome, setLevel } from './book.ts'
import { PRICE_ONE } from './decimal.ts'
import type { Fill } from './frames.ts'
import { between, hexDigits } from './identity.ts'
import type { SimMarket } from './market.ts'

export type FillPart = Pick<Fill, 'outcome' | 'units' | 'hundredths' | 'side' | 'wallet'>

export interface Match {
  readonly fills: readonly FillPart[]
  readonly transactionHash: string
}

const LEVELS_KEPT = 2

/**
 * A taker takes the best resting orders of one side; several fills share one transaction. Buying the second
 * outcome takes the first outcome's bids at 1 − p. Null when too little rests there.
 */
export function match(market: SimMarket, random: Random, identicalFillShare: number): Match | null {
  const outcome: Outcome = random() < 0.5 ? 0 : 1
  const side = random() < 0.6 ? 'BUY' : 'SELL'
  const taken = (outcome === 0) === (side === 'BUY') ? 'ask' : 'bid'
  const levels = taken === 'ask' ? market.book.asks : market.book.bids
  const best = levels.at(-1)
  if (best === undefined || levels.length <= LEVELS_KEPT) return null
  const parts = random() < identicalFillShare ? identicalParts(best, random) : ordinaryParts(levels, random)
  const wallet = `0x${hexDigits(random, 40)}`
  for (const part of parts) {
    const resting = levels.at(-1)
    if (resting) setLevel(market.book, taken, resting.units, resting.hundredths - part.hundredths)
  }
  const last = parts.at(-1) ?? { units: best.units, hundredths: 0 }
  market.lastTradeUnits = last.units
  market.lastTradeSide = side
  return {
    fills: parts.map(({ units, hundredths }) => ({
      outcome,
      units: outcome === 0 ? units : PRICE_ONE - units,
      hundredths,
      side,
      wallet,
    })),
    transactionHash: `0x${hexDigits(random, 64)}`,
  }
}

type Part = Pick<BookLevel, 'units' | 'hundredths'>

/** Two fills with nothing to tell them apart: only their number says that there were two. */
function identicalParts(best: BookLevel, random: Random): Part[] {
  const each = Math.max(1, Math.min(between(random, 100, 5_000), Math.floor(best.hundredths / 2)))
  if (each * 2 > best.hundredths) return [{ units: best.units, hundredths: best.hundredths }]
  return [
    { units: best.units, hundredths: each },
    { units: best.units, hundredths: each },
  ]
}

/** Mostly a part of the best level; now and then all of it and a part of the next. */
function ordinaryParts(levels: readonly BookLevel[], random: Random): Part[] {
  const best = levels.at(-1)
  const next = levels.at(-2)
  if (best === undefined) return []
  if (random() < 0.2 && next !== undefined) {
    const more = Math.min(between(random, 100, 20_000), next.hundredths)
    return [best, { units: next.units, hundredths: more }].map(({ units, hundredths }) => ({ units, hundredths }))
  }
  return [{ units: best.units, hundredths: Math.min(between(random, 100, 50_000), best.hundredths) }]
}
