import type { Performance } from '../../../src/api/contract.ts'
import { plural, shortSymbol } from '../words.ts'

type Missing = Performance['missing'][number]

const WORDS: Readonly<Record<Missing['what'], string>> = {
  price: 'no price is known',
  currency: 'its currency is not known',
  exchange_rate: 'no exchange rate is known',
  purchase_rate: 'the exchange rate of a purchase is not known',
}
const NAMED_MAX = 5

/** Why a number of one asset is not there. */
export function whyMissing({ what }: Missing): string {
  return WORDS[what]
}

/** What is left out of a portfolio's value, and why. */
export function unknownInWords(missing: readonly Missing[]): string {
  const named = missing.slice(0, NAMED_MAX).map((one) => `${shortSymbol(one.symbol)}: ${whyMissing(one)}`)
  const more = missing.length - named.length
  return `Left out, never guessed. ${named.join('; ')}${more > 0 ? `; and ${plural(more, 'more', 'more')}` : ''}.`
}
