import type { Clock } from '../core/clock.ts'
import { countTrackedAssets } from '../ledger/price-updates.ts'
import { createAbort } from '../runtime/abort.ts'
import type { Sources } from './sources.ts'

/** How many assets are tracked, from memory: the status must answer also while the ledger is away. */
export interface AssetCount {
  current(): Promise<number>
}

const FRESH_MS = 5_000
/** How long the first to ask waits, and everybody while the ledger has never answered. */
const WAIT_MS = 200

/** Asks the ledger in the background whenever somebody looks at a number that is older than 5 s. */
export function createAssetCount(ledger: Sources['ledger'], clock: Clock): AssetCount {
  let count: number | null = null
  let askedMs = Number.NEGATIVE_INFINITY
  let asking: Promise<void> = Promise.resolve()
  const ask = () => {
    askedMs = clock.monotonicMs()
    asking = ledger.view(countTrackedAssets).then(
      (found) => {
        count = found
      },
      () => undefined, // the number stays what it was; that the ledger is away is told elsewhere
    )
  }
  return {
    async current() {
      if (clock.monotonicMs() - askedMs > FRESH_MS) ask()
      if (count === null) {
        const timer = createAbort()
        await Promise.race([asking, clock.sleep(WAIT_MS, timer.signal)])
        timer.abort()
      }
      return count ?? 0
    },
  }
}
