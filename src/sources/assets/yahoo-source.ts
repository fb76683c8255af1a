import type { PriceSource } from '../../core/assets.ts'
import type { Clock } from '../../core/clock.ts'
import { askPolitely } from './polite.ts'
import type { YahooClient } from './yahoo-client.ts'

export interface YahooSourceOptions {
  readonly client: YahooClient
  readonly clock: Clock
  /** From the start of one request to the start of the next, ms. */
  readonly requestDelayMs: number
}

const NAME = 'yahoo'
const REQUESTS_AT_ONCE = 4

/** Stocks, funds, crypto pairs, currencies and commodities: everything but our own outcome tokens. */
export function createYahooSource({ client, clock, requestDelayMs }: YahooSourceOptions): PriceSource {
  const manners = { clock, atOnce: REQUESTS_AT_ONCE, delayMs: requestDelayMs }
  return {
    name: NAME,
    serves: (type) => type !== 'outcome',
    quotes: (assets, context) =>
      askPolitely(assets, manners, context, (asset) => client.quote(asset, () => clock.wallMs(), context.signal)),
    history: (asset, range, signal) => client.history(asset, range, signal),
  }
}
