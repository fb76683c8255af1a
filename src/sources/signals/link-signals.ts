import { setImmediate } from 'node:timers/promises'
import type { CollectorContext } from '../../core/collector.ts'
import type { LinkableQuery, SignalLink, SignalStore } from '../../core/signals.ts'
import { storeOnceMore } from '../../core/store-once-more.ts'
import type { Interests } from './interests.ts'
import { LINKS_MAX, LinkFinder } from './links.ts'

const MARKETS_MAX = 20_000
/** Markets that come later than a signal are compared with it for so long. */
const LINKABLE_MS = 3 * 86_400_000
const SIGNALS_AT_ONCE = 1_000
const ROUNDS_MAX = 20
/** Others want to work, too. */
const STEPS_PER_TURN = 250

/** Links the signals of the last days to the open markets of now; returns how many links were new. */
export async function linkSignals(
  store: SignalStore,
  interests: Interests,
  context: CollectorContext,
): Promise<number> {
  const asked = { sinceMs: context.clock.wallMs() - LINKABLE_MS, linksMax: LINKS_MAX, limit: SIGNALS_AT_ONCE }
  let finder: LinkFinder | null = null
  let before: number | null = null
  let stored = 0
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const page: LinkableQuery = { ...asked, before }
    const signals = await storeOnceMore(context, 'a question for signals', () => store.loadLinkable(page))
    if (signals.length === 0) break
    finder ??= await createFinder(store, interests, context)
    const links: SignalLink[] = []
    for (const [n, signal] of signals.entries()) {
      if (n % STEPS_PER_TURN === 0) await setImmediate()
      links.push(...finder.linksOf(signal))
    }
    context.signal.throwIfAborted()
    stored += await storeOnceMore(context, 'links of signals', () => store.saveLinks(links))
    if (signals.length < SIGNALS_AT_ONCE) break
    before = signals.at(-1)?.signalId ?? null
  }
  return stored
}

async function createFinder(store: SignalStore, interests: Interests, context: CollectorContext): Promise<LinkFinder> {
  const markets = await storeOnceMore(context, 'a question for markets', () => store.loadMarketQuestions(MARKETS_MAX))
  const finder = new LinkFinder(interests)
  for (const [n, market] of markets.entries()) {
    if (n % STEPS_PER_TURN === 0) await setImmediate()
    finder.add(market)
  }
  return finder
}
