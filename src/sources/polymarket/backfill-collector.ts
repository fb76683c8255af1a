import type { CollectorContext, CycleResult, PollingCollector } from '../../core/collector.ts'
import { describeError } from '../../core/errors.ts'
import { storeOnceMore } from '../../core/store-once-more.ts'
import type { TapeAppender } from '../../core/tape.ts'
import type { BackfillBacklog, GapToFill, StreamReach, TradeBackfillStore } from '../../core/trade-backfill.ts'
import type { BackfillCycle } from './backfill-cycle.ts'
import { BACKFILL_STREAM } from './backfill-envelope.ts'
import { emptyCounts, type FillCounts } from './backfill-fill.ts'
import { fillGap, type GapProgress } from './backfill-gaps.ts'
import { type HoursProgress, reconcileHours } from './backfill-hours.ts'
import type { BadInput } from './bad-input.ts'
import type { DataClient } from './data.ts'

/** What filling holes is handed beside the venue. */
export interface BackfillPorts {
  readonly store: TradeBackfillStore
  readonly tape: TapeAppender
  /** The stream of the market channel. */
  readonly streamed: StreamReach
  /** The stream of what was fetched. */
  readonly backfilled: StreamReach
}

export interface BackfillCollectorOptions extends BackfillPorts {
  readonly data: Pick<DataClient, 'trades'>
  /** The venue's clock, Unix seconds. */
  readonly venueSeconds: (signal: AbortSignal) => Promise<number>
  readonly badInput: BadInput
  readonly intervalMs: number
  readonly critical: boolean
  /** Unique over starts. */
  readonly connection: string
  readonly limits?: Partial<CycleLimits>
}

/** What one cycle spends at most; what is left over waits for the next. */
export interface CycleLimits {
  readonly pages: number
  readonly timeMs: number
}

const CYCLE_LIMITS: CycleLimits = { pages: 2_000, timeMs: 120_000 }
const GAPS_PER_CYCLE = 20
/** The venue tells its time in seconds, and the answer takes a while. */
const CLOCK_PRECISION_MS = 3_000
/** Gaps of which is remembered how far they are; a forgotten one starts over. */
const GAPS_REMEMBERED = 200

export interface BackfillCollector extends PollingCollector {
  /** A gap was closed: the next cycle starts at once. */
  wake(): void
}

/** Fetches the trades that the stream missed: of closed gaps at once, of every closed hour of traded markets. */
export function createBackfillCollector(options: BackfillCollectorOptions): BackfillCollector {
  const gaps = new Map<number, GapProgress>()
  const hours: HoursProgress = { current: null }
  const alarm = createAlarm()
  let lastSuccess = 'never'
  return {
    name: BACKFILL_STREAM,
    intervalMs: options.intervalMs,
    critical: options.critical,
    untilWanted: alarm.untilRung,
    wake: alarm.ring,
    async collectOnce(context): Promise<CycleResult> {
      const due = await loadDueGaps(options, context)
      const cycle = startCycle(options, context, due.length === 0 ? 0 : await askClock(options, context))
      const settled = { gaps: await fillGaps(cycle, due, gaps), hours: 0, missed: 0 }
      if (cycle.failure === null) Object.assign(settled, await reconcileHours(cycle, hours))
      await options.badInput.flush(context)
      if (cycle.failure !== null && cycle.counts.written === 0) throw cycle.failure.error
      if (cycle.failure === null) lastSuccess = new Date(context.clock.wallMs()).toISOString()
      const backlog = await options.store.loadBacklog()
      return { items: cycle.counts.written, details: { ...detailsOf(cycle.counts, backlog), ...settled, lastSuccess } }
    },
  }
}

function startCycle(options: BackfillCollectorOptions, context: CollectorContext, venueAheadMs: number): BackfillCycle {
  const { pages, timeMs } = { ...CYCLE_LIMITS, ...options.limits }
  return {
    parts: options,
    store: options.store,
    context,
    budget: { endMs: context.clock.monotonicMs() + timeMs, pagesLeft: pages },
    counts: emptyCounts(),
    venueAheadMs,
    failure: null,
  }
}

function loadDueGaps({ store }: BackfillCollectorOptions, context: CollectorContext): Promise<readonly GapToFill[]> {
  const load = () => store.loadGapsToFill(context.clock.wallMs(), GAPS_PER_CYCLE)
  return storeOnceMore(context, 'a question for gaps', load)
}

/** Gaps are in our time, trades in the venue's. A clock that cannot be asked is taken to be right. */
async function askClock({ venueSeconds }: BackfillCollectorOptions, context: CollectorContext): Promise<number> {
  const { clock, log, signal } = context
  try {
    const aheadMs = (await venueSeconds(signal)) * 1000 - clock.wallMs()
    return Number.isFinite(aheadMs) && Math.abs(aheadMs) > CLOCK_PRECISION_MS ? aheadMs : 0
  } catch (error) {
    log.debug({ err: error }, `the venue's clock could not be asked: ${describeError(error)}`)
    return 0
  }
}

/** Returns how many were settled. */
async function fillGaps(
  cycle: BackfillCycle,
  due: readonly GapToFill[],
  progress: Map<number, GapProgress>,
): Promise<number> {
  const { context } = cycle
  let settled = 0
  for (const gap of due) {
    context.signal.throwIfAborted()
    const known = progress.get(gap.gapId)
    const fresh: GapProgress = { endedUs: gap.endedUs, asked: new Map(), settled: new Set() }
    const own = known?.endedUs === gap.endedUs ? known : fresh
    const outcome = await fillGap(cycle, gap, own)
    if (outcome === 'settled') progress.delete(gap.gapId)
    else remember(progress, gap.gapId, own)
    if (outcome === 'settled') settled += 1
    if (outcome === 'unfinished' || cycle.failure !== null) break
  }
  return settled
}

function remember(progress: Map<number, GapProgress>, gapId: number, own: GapProgress): void {
  progress.delete(gapId)
  progress.set(gapId, own)
  if (progress.size > GAPS_REMEMBERED) progress.delete(progress.keys().next().value as number)
}

function detailsOf(counts: FillCounts, backlog: BackfillBacklog): Record<string, number | string> {
  const { requests, pages, rows, written, toldDifferently, unreadable, partly } = counts
  return {
    gaps_waiting: backlog.gaps,
    gaps_incomplete: backlog.gapsIncomplete,
    hours_waiting: backlog.hours,
    oldest_waiting: backlog.oldestMs === null ? 'none' : new Date(backlog.oldestMs).toISOString(),
    requests,
    pages,
    rows,
    written,
    told_differently: toldDifferently,
    partly_missing: partly.size,
    unreadable,
  }
}

/** Rung by one, heard by one: a ring while nobody listens is heard later. */
function createAlarm() {
  let isRung = false
  let hear = () => {}
  return {
    ring() {
      isRung = true
      hear()
    },
    untilRung(signal: AbortSignal): Promise<void> {
      return new Promise((resolve) => {
        const end = () => {
          isRung = false
          hear = () => {}
          signal.removeEventListener('abort', stop)
          resolve()
        }
        const stop = () => {
          hear = () => {}
          resolve()
        }
        if (signal.aborted) return resolve()
        if (isRung) return end()
        hear = end
        signal.addEventListener('abort', stop, { once: true })
      })
    },
  }
}
