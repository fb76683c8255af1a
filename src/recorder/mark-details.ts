import type { Evidence, GapCause, Verdicts } from '../core/coverage.ts'
import { isTokenId, type TokenId } from '../core/ids.ts'

/** What the details of a mark say; they are read back from disk, so nothing about them is taken for granted. */

/** The token ids of a mark, by whichever name its writer used. */
export function tokensIn(detail: Evidence): readonly TokenId[] {
  const list = detail['tokens'] ?? detail['assets_ids'] ?? detail['token_ids']
  return Array.isArray(list) ? list.filter(isTokenId) : []
}

export function textIn(detail: Evidence, key: string): string {
  const value = detail[key]
  return typeof value === 'string' ? value : ''
}

/** A verdict that something may have been missed. Times are Unix µs. */
export interface Suspicion {
  readonly cause: SuspectCause
  readonly tokens: readonly TokenId[]
  readonly fromUs: number
  /** null: until the fresh book. */
  readonly toUs: number | null
  readonly verdict: keyof Verdicts | null
  readonly evidence: Evidence
}

export type SuspectCause = Extract<GapCause, 'hash_mismatch' | 'missing_trade' | 'stall'>

const CAUSES: readonly string[] = ['hash_mismatch', 'missing_trade', 'stall'] satisfies SuspectCause[]
const VERDICTS: readonly string[] = [
  'hashMismatches',
  'bestDisagreements',
  'missingTrades',
] satisfies (keyof Verdicts)[]

/** As the detail of a `suspect` mark. */
export function suspicionDetail({ cause, tokens, fromUs, toUs, verdict, evidence }: Suspicion): Evidence {
  return { cause, tokens, from_us: fromUs, to_us: toUs, verdict, evidence }
}

/** null when the mark is not what this program writes. */
export function readSuspicion(detail: Evidence, atUs: number): Suspicion | null {
  const { cause, from_us: from, to_us: to, verdict, evidence } = detail as Record<string, unknown>
  if (typeof cause !== 'string' || !CAUSES.includes(cause) || !Number.isSafeInteger(from)) return null
  return {
    cause: cause as SuspectCause,
    tokens: tokensIn(detail),
    fromUs: Math.min(from as number, atUs),
    toUs: Number.isSafeInteger(to) ? (to as number) : null,
    verdict: typeof verdict === 'string' && VERDICTS.includes(verdict) ? (verdict as keyof Verdicts) : null,
    evidence: typeof evidence === 'object' && evidence !== null ? (evidence as Evidence) : {},
  }
}
