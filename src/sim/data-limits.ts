/** What the Data API holds back: how late it knows of trades, how far back it goes, whether it is the newer one. */
export interface DataLimits {
  /** A trade is shown this long after it happened, ms. */
  readonly delayMs: number
  /** false: `/v2` is not there. */
  readonly v2: boolean
  /** Rows of a page at most. */
  readonly pageRows: number
  /** The older one refuses to begin further back than this many rows. */
  readonly v1Offset: number
}

export const NO_LIMITS: DataLimits = { delayMs: 0, v2: true, pageRows: 1_000, v1Offset: 3_000 }

/** The limits with these changes; null when they are none. Nothing at all takes every limit away. */
export function dataLimits(now: DataLimits, changes: unknown): DataLimits | null {
  if (typeof changes !== 'object' || changes === null) return null
  if (Object.keys(changes).length === 0) return NO_LIMITS
  const next = { ...now, ...changes }
  const isNumber = (value: unknown) => typeof value === 'number' && value >= 0
  const { delayMs, v2, pageRows, v1Offset } = next
  return [delayMs, pageRows, v1Offset].every(isNumber) && typeof v2 === 'boolean' ? next : null
}

/** What is known of these trades. */
export function shownTrades<Trade extends { readonly venueMs: number }>(
  trades: readonly Trade[],
  limits: DataLimits,
  nowMs: number,
): readonly Trade[] {
  return limits.delayMs === 0 ? trades : trades.filter(({ venueMs }) => venueMs <= nowMs - limits.delayMs)
}
