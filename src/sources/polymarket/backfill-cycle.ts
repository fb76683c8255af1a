import type { CollectorContext } from '../../core/collector.ts'
import type { TradeBackfillStore } from '../../core/trade-backfill.ts'
import type { FillBudget, FillCounts, FillParts } from './backfill-fill.ts'

/** The state of one cycle. */
export interface BackfillCycle {
  readonly parts: FillParts
  readonly store: TradeBackfillStore
  readonly context: CollectorContext
  readonly budget: FillBudget
  readonly counts: FillCounts
  /** How far the venue's clock is ahead of ours, ms. */
  readonly venueAheadMs: number
  /** The first thing that the API or a tape would not do: the rest of the cycle would only repeat it. */
  failure: { readonly error: unknown } | null
}
