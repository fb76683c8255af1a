import { selectGapChanges } from '../ledger/coverage-reads.ts'
import { selectPriceUpdates } from '../ledger/price-updates.ts'
import { gapView, priceUpdateView } from './event-views.ts'
import { statusChange } from './routes/events.ts'
import type { Sources } from './sources.ts'

const STATUS_INTERVAL_MS = 1_000
const LEDGER_INTERVAL_MS = 2_000
const ROWS_MAX = 200

/**
 * Looks for what nobody announces – the state of the whole, gaps and prices in the ledger – while somebody listens,
 * and tells what is new. Never rejects; ends with the signal.
 */
export async function watchForChanges(sources: Sources, signal: AbortSignal): Promise<void> {
  await Promise.all([watchStatus(sources, signal), watchLedger(sources, signal)])
}

async function watchStatus(sources: Sources, signal: AbortSignal): Promise<void> {
  let known = ''
  for (;;) {
    await sources.events.untilHeard(signal)
    await sources.clock.sleep(STATUS_INTERVAL_MS, signal)
    if (signal.aborted) return
    const data = statusChange(sources)
    const text = JSON.stringify(data)
    if (text === known) continue
    known = text
    sources.events.publish({ kind: 'told', name: 'status', data })
  }
}

/** What was seen of the ledger; null: nothing yet, so that the past is not told as news. */
interface Seen {
  readonly gaps: ReadonlyMap<number, string>
  readonly newestGap: number
  readonly newestUpdate: number
}

async function watchLedger(sources: Sources, signal: AbortSignal): Promise<void> {
  let seen: Seen | null = null
  for (;;) {
    if (sources.events.listeners === 0) seen = null
    await sources.events.untilHeard(signal)
    await sources.clock.sleep(LEDGER_INTERVAL_MS, signal)
    if (signal.aborted) return
    try {
      seen = await look(sources, seen)
    } catch {
      // The ledger is away, which is told elsewhere; what changes meanwhile is found afterwards.
    }
  }
}

async function look({ ledger, events }: Sources, seen: Seen | null): Promise<Seen> {
  const { gaps, updates } = await ledger.view(async (session) => ({
    gaps: await selectGapChanges(
      session,
      { after: seen?.newestGap ?? null, ids: [...(seen?.gaps.keys() ?? [])] },
      ROWS_MAX,
    ),
    updates: await selectPriceUpdates(session, seen === null ? 1 : ROWS_MAX, seen?.newestUpdate ?? null),
  }))
  const open = new Map<number, string>()
  for (const gap of gaps) {
    const text = JSON.stringify(gap)
    if (gap.endedMs === null) open.set(gap.gapId, text)
    if (seen !== null && seen.gaps.get(gap.gapId) !== text) {
      events.publish({ kind: 'told', name: 'gap', data: gapView(gap) })
    }
  }
  if (seen !== null) {
    for (const row of [...updates].reverse())
      events.publish({ kind: 'told', name: 'price', data: priceUpdateView(row) })
  }
  return {
    gaps: open,
    newestGap: Math.max(seen?.newestGap ?? 0, ...gaps.map(({ gapId }) => gapId)),
    newestUpdate: Math.max(seen?.newestUpdate ?? 0, ...updates.map(({ id }) => id)),
  }
}
