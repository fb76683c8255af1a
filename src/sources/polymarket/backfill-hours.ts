import { describeError } from '../../core/errors.ts'
import type { ConditionId } from '../../core/ids.ts'
import { storeOnceMore } from '../../core/store-once-more.ts'
import type { HoursAttempt, HourToReconcile, TradedMarket } from '../../core/trade-backfill.ts'
import type { BackfillCycle } from './backfill-cycle.ts'
import { fillTrades, type MarketAnswer } from './backfill-fill.ts'
import { ATTEMPT_PAUSES_MS, FAILED_ATTEMPTS_MAX, failurePauseMs } from './backfill-gaps.ts'

/** The hours that are being compared, and how far that is. Forgotten at a restart, which only costs asking again. */
export interface HoursProgress {
  current: {
    readonly fromMs: number
    readonly toMs: number
    readonly markets: ReadonlyMap<ConditionId, TradedMarket>
    readonly answers: Map<ConditionId, MarketAnswer>
  } | null
}

const HOUR_MS = 3_600_000
/** Trades of the last minutes may not have come to the API yet. */
const SETTLE_MS = 300_000
const MAX_AGE_MS = 7 * 24 * HOUR_MS
/** Hours in a row are asked for in one go: the API is read from now backwards every time. */
const HOURS_MAX = 24
const EARLIER_MS = 60_000

/** Compares what closed hours hold with what the API tells of them. */
export async function reconcileHours(
  cycle: BackfillCycle,
  progress: HoursProgress,
): Promise<{ hours: number; missed: number }> {
  const { context, store, parts, budget, counts } = cycle
  const hours = await loadHours(cycle)
  const [first, last] = [hours[0], hours.at(-1)]
  if (first === undefined || last === undefined) return { hours: 0, missed: 0 }
  const [fromMs, toMs] = [first.hourMs, last.hourMs + HOUR_MS]
  if (progress.current?.fromMs !== fromMs || progress.current.toMs !== toMs) {
    const load = () => store.loadTradedMarkets(fromMs, toMs)
    const traded = await storeOnceMore(context, 'a question for traded markets', load)
    const markets = new Map(traded.map((market) => [market.conditionId, market]))
    progress.current = { fromMs, toMs, markets, answers: new Map() }
  }
  const { markets, answers } = progress.current
  const request = {
    conditionIds: [...markets.keys()].filter((id) => !answers.has(id)),
    fromMs,
    toMs,
    sinceMs: (id: ConditionId) => markets.get(id)?.sinceMs ?? 0,
    reason: { hour: new Date(fromMs).toISOString() },
  }
  const partlyBefore = counts.partly.size
  const report = await fillTrades({ parts, request, context, budget, counts })
  for (const [id, answer] of report.answers) answers.set(id, answer)
  context.signal.throwIfAborted()
  if (report.ended === 'budget') return { hours: 0, missed: 0 }
  const [nowMs, tries] = [context.clock.wallMs(), Math.max(...hours.map(({ attempts }) => attempts)) + 1]
  const partly = counts.partly.size - partlyBefore
  if (report.ended !== null) cycle.failure = report.ended
  const attempt =
    report.ended === null
      ? judge(progress.current, { nowMs, tries, partly })
      : failed(markets.size, report.ended.error, { nowMs, tries })
  // The next attempt asks once more for all of them.
  if (report.ended === null) progress.current = null
  const save = () =>
    store.saveHoursAttempt(
      hours.map(({ hourMs }) => hourMs),
      attempt,
    )
  const { gaps } = await storeOnceMore(context, 'what an hour came to', save)
  return { hours: attempt.complete === null ? 0 : hours.length, missed: gaps }
}

/** The oldest ones that wait and follow each other. */
async function loadHours({ context, store }: BackfillCycle): Promise<readonly HourToReconcile[]> {
  const nowMs = context.clock.wallMs()
  const query = { nowMs, settleMs: SETTLE_MS, maxAgeMs: MAX_AGE_MS, limit: HOURS_MAX }
  const hours = await storeOnceMore(context, 'a question for hours', () => store.loadHoursToReconcile(query))
  const end = hours.findIndex(({ hourMs }, at) => hourMs !== (hours[0]?.hourMs ?? 0) + at * HOUR_MS)
  return end < 0 ? hours : hours.slice(0, end)
}

interface Try {
  readonly nowMs: number
  readonly tries: number
}

function judge(
  { fromMs, markets, answers }: NonNullable<HoursProgress['current']>,
  { nowMs, tries, partly }: Try & { readonly partly: number },
): HoursAttempt {
  const all = [...answers]
  const unreached = all.filter(([, answer]) => !answer.reached).length
  // The API must show something of a market that has traded, or it does not show what there is.
  const silent = all.filter(([id, { newestMs }]) => {
    return (markets.get(id)?.trades ?? 0) > 0 && (newestMs === null || newestMs < fromMs - EARLIER_MS)
  }).length
  const problems = [
    ...(unreached === 0 ? [] : [`the API does not reach back to its start for ${unreached} markets`]),
    ...(silent === 0 ? [] : [`the API shows nothing of ${silent} markets that have traded`]),
    ...(partly === 0 ? [] : [`${partly} transactions hold more than is stored, told as sums only`]),
  ]
  const isOver = unreached + silent === 0 || tries > ATTEMPT_PAUSES_MS.length
  return {
    nowMs,
    markets: markets.size,
    complete: isOver ? problems.length === 0 : null,
    nextMs: isOver ? null : nowMs + (ATTEMPT_PAUSES_MS[tries - 1] ?? 0),
    error: problems.join('; ') || null,
    reached: { markets: markets.size, unreached, silent, partly },
  }
}

function failed(markets: number, error: unknown, { nowMs, tries }: Try): HoursAttempt {
  const isOver = tries >= FAILED_ATTEMPTS_MAX
  const nextMs = isOver ? null : nowMs + failurePauseMs(tries - 1, error)
  return { nowMs, markets, complete: isOver ? false : null, nextMs, error: describeError(error), reached: {} }
}
