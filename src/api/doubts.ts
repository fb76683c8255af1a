import type { Clock } from '../core/clock.ts'
import { selectDoubts, type TokenDoubt } from '../ledger/coverage-reads.ts'
import type { Sources } from './sources.ts'

const WINDOW_MS = 86_400_000
const FRESH_MS = 15_000

/** Which tokens may have missed something in the last 24 h. Gaps name many tokens each, so this is kept for 15 s. */
export interface Doubts {
  of(): Promise<ReadonlyMap<number, TokenDoubt>>
}

export function createDoubts(ledger: Sources['ledger'], clock: Clock): Doubts {
  let known: ReadonlyMap<number, TokenDoubt> | null = null
  let readMs = Number.NEGATIVE_INFINITY
  let reading: Promise<ReadonlyMap<number, TokenDoubt>> | null = null
  const read = async () => {
    const nowMs = clock.wallMs()
    const rows = await ledger.view((session) => selectDoubts(session, nowMs - WINDOW_MS, nowMs))
    known = new Map(rows.map((row) => [row.tokenKey, row]))
    readMs = clock.monotonicMs()
    return known
  }
  return {
    async of() {
      if (known !== null && clock.monotonicMs() - readMs < FRESH_MS) return known
      reading ??= read().finally(() => {
        reading = null
      })
      // Who comes while it is read anew gets what was known; only the first of all waits.
      if (known === null) return await reading
      reading.catch(() => undefined)
      return known
    },
  }
}
