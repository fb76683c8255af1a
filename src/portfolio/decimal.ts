import Big from 'big.js'

/** Exact decimals; only divisions and what is stored are rounded. */
export type Decimal = Big

/** Our own, so that nobody else's settings change ours. */
const Exact = Big()
/** Digits after the point of a quotient. */
Exact.DP = 30
Exact.RM = Big.roundHalfEven
/** Never a line with an exponent. */
Exact.NE = -1e6
Exact.PE = 1e6

/** What is stored of money and of costs of one unit, digits after the point. */
const MONEY_DIGITS = 10
const PERCENT_DIGITS = 4

/** Throws when the text is not a decimal number. */
export function decimal(text: string): Decimal {
  return new Exact(text)
}

export const ZERO = decimal('0')

/** Plain decimal text, rounded half to even and without trailing zeros. */
export function moneyText(value: Decimal): string {
  return plainText(value.round(MONEY_DIGITS))
}

export function percentText(value: Decimal): string {
  return plainText(value.round(PERCENT_DIGITS))
}

/** All digits. */
export function plainText(value: Decimal): string {
  return value.eq(ZERO) ? '0' : value.toFixed()
}

export function sum(values: readonly Decimal[]): Decimal {
  return values.reduce((total, value) => total.plus(value), ZERO)
}
