/** What the forecast is made from. Sizes are bytes, growth is bytes a day; null where nobody knows. */
export interface StorageFacts {
  readonly nowMs: number
  readonly tapeBytes: number
  readonly ledgerBytes: number
  readonly tapeGrowth: number | null
  readonly ledgerGrowth: number | null
  readonly freeBytes: number
  /** `storage.max_bytes`: beyond it, tape that the ledger has taken goes. */
  readonly maxBytes: number
}

export interface Forecast {
  /** Together; null when there is too little history. */
  readonly growth: number | null
  /** When the budget is used up: from then on the oldest tape makes room. Unix ms; null: never, at this pace. */
  readonly budgetMs: number | null
  /** When the disk is full; null when the budget is used up before, or it never is. */
  readonly fullMs: number | null
}

const DAY_MS = 86_400_000
/** Beyond that a day means nothing. */
const HORIZON_DAYS = 3_650

/** When the budget is used up, and whether the disk is full before that. */
export function forecast(facts: StorageFacts): Forecast {
  const { nowMs, tapeGrowth, ledgerGrowth, freeBytes } = facts
  const growth = tapeGrowth === null && ledgerGrowth === null ? null : (tapeGrowth ?? 0) + (ledgerGrowth ?? 0)
  const left = Math.max(0, facts.maxBytes - facts.tapeBytes - facts.ledgerBytes)
  const after = (bytes: number) => {
    const days = growth === null || growth <= 0 ? Number.POSITIVE_INFINITY : bytes / growth
    return days > HORIZON_DAYS ? null : nowMs + days * DAY_MS
  }
  return { growth, budgetMs: after(left), fullMs: freeBytes < left ? after(freeBytes) : null }
}

/** Bytes a day over the time that the parts span; null below `spanMsMin`, from which nothing can be told. */
export function growthOf(
  parts: readonly { readonly atMs: number; readonly bytes: number }[],
  nowMs: number,
  spanMsMin: number,
): number | null {
  const firstMs = Math.min(...parts.map(({ atMs }) => atMs))
  const spanMs = nowMs - firstMs
  if (parts.length === 0 || spanMs < spanMsMin) return null
  return (parts.reduce((sum, { bytes }) => sum + bytes, 0) / spanMs) * DAY_MS
}
