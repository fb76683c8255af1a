import { describeError, TransientError } from '../../core/errors.ts'
import type { ConditionId } from '../../core/ids.ts'
import { storeOnceMore } from '../../core/store-once-more.ts'
import type { FillAttempt, GapToFill } from '../../core/trade-backfill.ts'
import type { BackfillCycle } from './backfill-cycle.ts'
import { fillTrades, type MarketAnswer } from './backfill-fill.ts'

/** How far a gap is. Forgotten at a restart, which only costs asking again. */
export interface GapProgress {
  readonly endedUs: number
  /** Markets that this attempt has asked for. */
  readonly asked: Map<ConditionId, MarketAnswer>
  /** Markets of which nothing can be missing any more. */
  readonly settled: Set<ConditionId>
}

/** `unfinished`: the cycle ended before the attempt. */
export type GapOutcome = 'settled' | 'waits' | 'unfinished'

/** A trade may be a while in coming to the API: pauses until it is looked at again. */
export const ATTEMPT_PAUSES_MS: readonly number[] = [30_000, 120_000, 600_000]
const PATIENCE_MS = ATTEMPT_PAUSES_MS.reduce((sum, pause) => sum + pause, 0)
/** After failures of the API. */
const FAILURE_PAUSES_MS = [...ATTEMPT_PAUSES_MS, 1_800_000, 3_600_000]
/** Some 17 hours of failures. */
export const FAILED_ATTEMPTS_MAX = 20
/** Times of the gap are ours, those of trades the venue's: widening finds nothing that is not missing. */
const MARGIN_MS = 60_000
/** A trade this long after the gap shows that the API has come past it. */
const PAST_END_MS = 5_000

/** One attempt, or as much of it as the cycle allows. */
export async function fillGap(cycle: BackfillCycle, gap: GapToFill, progress: GapProgress): Promise<GapOutcome> {
  const { context, parts, budget, counts, venueAheadMs } = cycle
  const isDone = (id: ConditionId) => progress.settled.has(id) || progress.asked.has(id)
  const request = {
    conditionIds: gap.conditionIds.filter((id) => !isDone(id)),
    // A clock that is wrong now may have been right then.
    fromMs: gap.startedMs + Math.min(0, venueAheadMs) - MARGIN_MS,
    toMs: gap.endedMs + Math.max(0, venueAheadMs) + MARGIN_MS,
    reason: { gap: gap.gapId },
  }
  const partlyBefore = counts.partly.size
  const { answers, ended } = await fillTrades({ parts, request, context, budget, counts })
  for (const [id, answer] of answers) {
    const isPast = answer.newestMs !== null && answer.newestMs > gap.endedMs + Math.max(0, venueAheadMs) + PAST_END_MS
    if (isPast && answer.reached) progress.settled.add(id)
    else progress.asked.set(id, answer)
  }
  context.signal.throwIfAborted()
  if (ended === 'budget') return 'unfinished'
  if (ended !== null) cycle.failure = ended
  const partly = counts.partly.size - partlyBefore
  const attempt =
    ended === null
      ? judge(gap, progress, partly, context.clock.wallMs())
      : failed(gap, ended.error, context.clock.wallMs())
  // The next attempt asks for what is not settled again.
  if (ended === null) progress.asked.clear()
  const save = () => cycle.store.saveGapAttempt(gap, attempt)
  const isSaved = await storeOnceMore(context, 'what a gap came to', save)
  return isSaved && attempt.complete !== null ? 'settled' : 'waits'
}

/** What an attempt without failures came to. */
function judge(gap: GapToFill, progress: GapProgress, partly: number, nowMs: number): FillAttempt {
  const waiting = [...progress.asked.values()]
  const unreached = waiting.filter((answer) => !answer.reached).length
  const quiet = waiting.length - unreached
  const tries = gap.attempts + 1
  const isLast = tries > ATTEMPT_PAUSES_MS.length
  const mayStillCome = quiet > 0 && !isLast && nowMs - gap.endedMs < PATIENCE_MS
  const mayBeReached = unreached + gap.strangers > 0 && !isLast
  const problems = [
    ...(unreached === 0 ? [] : [`the API does not reach back to its start for ${unreached} markets`]),
    ...(gap.strangers === 0 ? [] : [`the market of ${gap.strangers} tokens is not known`]),
    ...(partly === 0 ? [] : [`${partly} transactions hold more than is stored, told as sums only`]),
  ]
  const isOver = !mayStillCome && !mayBeReached
  const awaited = mayStillCome ? [`${quiet} markets show no trade after its end yet`] : []
  return {
    nowMs,
    complete: isOver ? problems.length === 0 : null,
    nextMs: isOver ? null : nowMs + (ATTEMPT_PAUSES_MS[gap.attempts] ?? 0),
    error: [...problems, ...awaited].join('; ') || null,
    reached: { markets: gap.conditionIds.length, past_end: progress.settled.size, quiet, unreached, partly },
  }
}

function failed(gap: GapToFill, error: unknown, nowMs: number): FillAttempt {
  const isOver = gap.attempts + 1 >= FAILED_ATTEMPTS_MAX
  return {
    nowMs,
    complete: isOver ? false : null,
    nextMs: isOver ? null : nowMs + failurePauseMs(gap.attempts, error),
    error: describeError(error),
    reached: {},
  }
}

/** How long to leave the API alone after so many attempts; longer where it asked for that. */
export function failurePauseMs(attempts: number, error: unknown): number {
  const pauseMs = FAILURE_PAUSES_MS[Math.min(attempts, FAILURE_PAUSES_MS.length - 1)] ?? 0
  return Math.max(pauseMs, error instanceof TransientError ? (error.retryAfterMs ?? 0) : 0)
}
