import type { TokenId } from '../core/ids.ts'
import type { Suspicion } from './mark-details.ts'
import { TRADE_WAIT_US } from './trade-watch.ts'
import type { BookFinding } from './verification.ts'

/** The trade is a little younger than its book at the venue, and the book was under way. */
const TRADE_BEFORE_US = 1_000_000

/** What a finding about a book says may have been missed, and when. `tokensOf`: the tokens of a market. */
export function suspicionOf(finding: BookFinding, tokensOf: (market: string) => readonly TokenId[]): Suspicion {
  const { kind, token, market, venueMs, atUs, goodUs } = finding
  const evidence = { finding: kind, venue_ms: venueMs }
  if (kind === 'unexplained') {
    // The book itself came whole: only what led to it is missing.
    const past = { fromUs: goodUs, toUs: atUs, verdict: 'hashMismatches', evidence } as const
    return { cause: 'hash_mismatch', tokens: [token], ...past }
  }
  if (kind !== 'trade_missing') {
    const verdict = kind === 'mismatch' ? 'hashMismatches' : 'bestDisagreements'
    return { cause: 'hash_mismatch', tokens: [token], fromUs: goodUs, toUs: null, verdict, evidence }
  }
  // Both outcomes change with a match, and only one of them has the trade.
  const tokens = [...new Set([token, ...tokensOf(market)])].sort()
  const [fromUs, toUs] = [atUs - TRADE_BEFORE_US, atUs + TRADE_WAIT_US]
  return { cause: 'missing_trade', tokens, fromUs, toUs, verdict: 'missingTrades', evidence }
}
