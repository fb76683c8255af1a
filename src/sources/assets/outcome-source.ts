import type {
  Asset,
  OutcomePrice,
  OutcomePriceReader,
  PriceSource,
  Quote,
  QuoteAttempt,
  QuoteContext,
} from '../../core/assets.ts'
import type { Clock } from '../../core/clock.ts'
import { describeError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { storeOnceMore } from '../../core/store-once-more.ts'

export interface OutcomeSourceOptions {
  readonly reader: OutcomePriceReader
  readonly clock: Clock
  readonly log: Logger
}

const NAME = 'polymarket'
/** What a share pays is counted in dollars. */
const CURRENCY = 'USD'
const TOKENS_PER_QUESTION = 1_000

/** Outcome tokens, from what was recorded of them: nobody is asked over the network. */
export function createOutcomeSource(options: OutcomeSourceOptions): PriceSource {
  return {
    name: NAME,
    serves: (type) => type === 'outcome',
    async quotes(assets, context) {
      const attempts: QuoteAttempt[] = []
      for (let at = 0; at < assets.length && !context.signal.aborted; at += TOKENS_PER_QUESTION) {
        attempts.push(...(await askMany(assets.slice(at, at + TOKENS_PER_QUESTION), options, context)))
      }
      return attempts
    },
    async history(asset, range) {
      return { bars: await options.reader.loadOutcomeDays(asset.symbol, range), currency: CURRENCY }
    },
  }
}

async function askMany(
  assets: readonly Asset[],
  { reader, clock, log }: OutcomeSourceOptions,
  { signal }: QuoteContext,
): Promise<readonly QuoteAttempt[]> {
  const startedMs = clock.wallMs()
  const startMs = clock.monotonicMs()
  const attempts = (answerOf: (asset: Asset) => QuoteAttempt['answer']) => {
    const durationMs = clock.monotonicMs() - startMs
    return assets.map((asset) => ({ asset, startedMs, durationMs, answer: answerOf(asset) }))
  }
  try {
    const load = () => reader.loadOutcomePrices(assets.map(({ symbol }) => symbol))
    const prices = await storeOnceMore({ clock, log, signal }, 'a question for outcome prices', load)
    const byToken = new Map(prices.map((price) => [price.tokenId, price]))
    const seenMs = clock.wallMs()
    return attempts(({ symbol }) => {
      const price = byToken.get(symbol)
      if (price === undefined) return { ok: false, error: `no price of the outcome token ${symbol} was recorded` }
      return { ok: true, quote: toQuote(price, seenMs) }
    })
  } catch (error) {
    const text = `outcome prices could not be read: ${describeError(error)}`
    return attempts(() => ({ ok: false, error: text }))
  }
}

function toQuote({ price, atMs, name }: OutcomePrice, seenMs: number): Quote {
  return {
    atMs: Math.min(atMs, seenMs),
    price,
    ...{ open: null, high: null, low: null, volume: null, exchange: 'Polymarket' },
    currency: CURRENCY,
    name,
  }
}
