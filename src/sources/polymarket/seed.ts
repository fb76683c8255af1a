import type { CollectorContext } from '../../core/collector.ts'
import { describeError } from '../../core/errors.ts'
import type { MarketStore } from '../../core/ports.ts'
import type { TokenRegistry } from './token-registry.ts'

const PAUSE_MS_MIN = 1_000
const PAUSE_MS_MAX = 30_000

/** Fills the registry from the ledger as soon as that answers, unless markets were heard of earlier from elsewhere. */
export async function seedRegistry(
  registry: TokenRegistry,
  store: Pick<MarketStore, 'loadTrackedTokens'>,
  maxMarkets: number,
  context: CollectorContext,
): Promise<void> {
  let pauseMs = PAUSE_MS_MIN
  while (!context.signal.aborted && registry.tokenCount === 0) {
    try {
      const tokens = await store.loadTrackedTokens(maxMarkets)
      registry.seed(tokens)
      if (tokens.length > 0) context.log.info({ tokens: tokens.length }, 'known markets loaded from the ledger')
      return
    } catch (error) {
      context.log.debug({ err: error }, `known markets cannot be loaded yet: ${describeError(error)}`)
      await context.clock.sleep(pauseMs, context.signal)
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)
    }
  }
}
