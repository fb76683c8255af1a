import { assert } from '../core/errors.ts'

/**
 * Numbers of the simulated venue: a price is a whole number of 1/10,000 USDC (`units`),
 * a size a whole number of 1/100 share (`hundredths`). Exact inside, decimal text on the wire.
 */
export const PRICE_ONE = 10_000

const PRICE_TEXT: readonly string[] = Array.from({ length: PRICE_ONE + 1 }, (_, units) => String(units / PRICE_ONE))

/** Trimmed decimal text: `0.5`, `0.001`. */
export function priceText(units: number): string {
  const text = PRICE_TEXT[units]
  assert(text !== undefined, `not a price: ${units}`)
  return text
}

/** Trimmed decimal text: `92790`, `51.14`. */
export function sizeText(hundredths: number): string {
  return String(hundredths / 100)
}

/** The form of a last trade price inside a book: three decimals, `0.490`. */
export function lastTradeText(units: number): string {
  return (units / PRICE_ONE).toFixed(3)
}
