import { compareMultisets, expectedTrades, storedTradesBy, sum, tradesOnTape } from '../support/compare.ts'
import { describeGap, describeSilent, type GapRow, readCoverage, readGaps } from '../support/coverage.ts'
import { type HealthBody, readTapeLines } from '../support/daemon.ts'
import { until } from '../support/processes.ts'
import { type Interval, readTape, type TapeFacts } from './evidence.ts'
import { type Stage, withLedger } from './stage.ts'

/** How soon everything must be well again after the last fault has ended. */
const RECOVERY_MS_MAX = 60_000
const CATCH_UP_MS_MAX = 30_000
const LAST_DOUBTS_MS_MAX = 15_000
/** Order-book cycles, 2 s each: more than the time that a fetched book gives the stream to follow. */
const ROUNDS = 4
const COMPARED_MS_MAX = 20_000
const TAPE_LOOK_MS = 700
const TOLERANCE_MS = 1_000
const SHOWN_MAX = 5
/** Enough of a token's number to find it. */
const TOKEN = /\b(\d{8})\d{30,70}\b/g

export interface Figures {
  readonly owed: number
  readonly recorded: number
  readonly covered: number
  readonly trades: number
  readonly gaps: number
  readonly recoveryMs: number
}

/** After the faults: waits until data flows again everywhere; returns what is wrong with that and how long it took. */
export async function awaitRecovery(stage: Stage): Promise<{ violations: string[]; recoveryMs: number }> {
  const { daemon } = stage
  const begunMs = performance.now()
  const healedMs = Date.now()
  let missing = 'nothing was looked at'
  let lookAtMs = 0
  try {
    await until(
      'recovery',
      async () => {
        if (!daemon.running.alive) return true
        const health = await daemon.health()
        if (health.status !== 'healthy') {
          missing = `health is ${health.status}: ${JSON.stringify(health['reasons'])}`
          return undefined
        }
        if (performance.now() < lookAtMs) return undefined
        lookAtMs = performance.now() + TAPE_LOOK_MS
        missing = await whatIsMissing(stage, healedMs)
        return missing === '' ? true : undefined
      },
      RECOVERY_MS_MAX,
    )
  } catch (error) {
    const cause = (error as Error).cause
    const more = cause === undefined ? '' : ` (${String(cause)})`
    return {
      violations: [`not recovered ${RECOVERY_MS_MAX} ms after the faults: ${missing}${more}`],
      recoveryMs: RECOVERY_MS_MAX,
    }
  }
  const violations = daemon.running.alive
    ? []
    : [`the daemon has ended by itself: ${daemon.running.stderr.slice(-500)}`]
  return { violations, recoveryMs: Math.round(performance.now() - begunMs) }
}

async function whatIsMissing(stage: Stage, healedMs: number): Promise<string> {
  const open = await openTokens(stage)
  const { newest } = readTape(await wholeLines(stage))
  const silent = open.filter((token) => (newest.get(token) ?? 0) < healedMs)
  if (silent.length > 0) return `nothing new of ${silent.length} of ${open.length} tokens, such as ${silent[0]}`
  const left = openGaps(await withLedger(stage, readGaps), open)
  return left.length === 0 ? '' : `${left.length} gaps are open, such as ${describeGap(left[0] as GapRow)}`
}

/** The last line may be half written while the daemon runs. */
async function wholeLines({ dataDir }: Stage): Promise<string[]> {
  const lines = await readTapeLines(dataDir)
  return lines.filter((line, index) => index < lines.length - 1 || line.endsWith('}'))
}

/** The venue falls silent; waits until all that was accepted is in the ledger, and what was doubted has ended. */
export async function drain(stage: Stage): Promise<string[]> {
  const { venue, daemon } = stage
  await venue.control({ drain: true })
  let last = -1
  try {
    await daemon.whenHealth(
      'everything accepted is in the ledger',
      (body) => {
        const listener = body['trade_listener'] as { frames_received: number; queue_depth: number }
        const still = listener.frames_received === last
        last = listener.frames_received
        return still && listener.queue_depth === 0 && isCaughtUp(body)
      },
      CATCH_UP_MS_MAX,
    )
    const open = await openTokens(stage)
    await comparedAgain(stage, open.length)
    // A verdict on the very last messages may have opened a gap that is about to be closed.
    await until(
      'the end of the last doubts',
      async () => (openGaps(await withLedger(stage, readGaps), open).every(isSilence) ? true : undefined),
      LAST_DOUBTS_MS_MAX,
    ).catch(() => undefined) // those that are left are told by the judgement
    return []
  } catch (error) {
    return [`not caught up within ${CATCH_UP_MS_MAX} ms: ${(error as Error).message.slice(0, 1_500)}`]
  }
}

/** A token that nothing was told of since it lost something is found by its fetched book, after a time of grace. */
async function comparedAgain({ daemon }: Stage, tokens: number): Promise<void> {
  const judged = (body: HealthBody): number => {
    const { comparisons } = body['coverage'] as { comparisons: Record<string, number> }
    return Object.values(comparisons).reduce((sum, count) => sum + count, 0)
  }
  const before = judged(await daemon.health())
  const isDone = (body: HealthBody) => judged(body) >= before + ROUNDS * tokens
  await daemon.whenHealth('fetched books to be compared', isDone, COMPARED_MS_MAX).catch(() => undefined)
}

function isCaughtUp(body: HealthBody): boolean {
  const recorder = body['recorder'] as { behind_bytes: number }
  const tape = body['tape'] as { pending_bytes: number }
  return recorder.behind_bytes === 0 && tape.pending_bytes === 0
}

/** Accepted equals stored exactly once, and nothing that happened is silently missing. */
export async function judge(stage: Stage): Promise<{ violations: string[]; figures: Omit<Figures, 'recoveryMs'> }> {
  const lines = await readTapeLines(stage.dataDir)
  const open = await openTokens(stage)
  const { stored, coverage } = await withLedger(stage, async (query) => ({
    stored: await storedTradesBy(query),
    coverage: await readCoverage(query, lines, stage.accountDir),
  }))
  const accepted = expectedTrades(tradesOnTape(lines))
  const { gaps, tape, spans } = coverage
  const { owed, recorded, covered } = coverage.balance
  const violations = [
    ...shorten('trades in the ledger', compareMultisets(stored, accepted)),
    ...shorten('spans', checkSpans(tape, spans, open)),
    ...shorten(
      'gaps left open',
      openGaps(gaps, open)
        .filter((gap) => !isSilence(gap))
        .map(describeGap),
    ),
    ...shorten('silent losses', describeSilent(coverage)),
  ]
  return { violations, figures: { owed, recorded, covered, trades: sum(accepted), gaps: gaps.length } }
}

/** A venue that has been told to be silent is rightly suspected; while data flowed no gap was open. */
function isSilence({ cause }: GapRow): boolean {
  return cause === 'stall'
}

function openGaps(gaps: readonly GapRow[], tokens: readonly string[]): GapRow[] {
  const alive = new Set(tokens)
  return gaps.filter((gap) => gap.endMs === Number.POSITIVE_INFINITY && alive.has(gap.token))
}

/** Whatever was asked for must have been followed from then on, and to the end if its market still trades. */
function checkSpans(tape: TapeFacts, spans: readonly Interval[], open: readonly string[]): string[] {
  const wrong: string[] = []
  for (const [token, atMs] of tape.subscribed) {
    const own = spans.filter((span) => span.token === token)
    const first = Math.min(...own.map((span) => span.startMs))
    if (!(first <= atMs + TOLERANCE_MS)) {
      wrong.push(`${token} was asked for at ${new Date(atMs).toISOString()}, and followed from ${first}`)
    }
  }
  for (const token of open) {
    const runs = spans.some((span) => span.token === token && span.endMs === Number.POSITIVE_INFINITY)
    if (!runs) wrong.push(`${token} trades and is not followed`)
  }
  return wrong
}

async function openTokens({ venue }: Stage): Promise<string[]> {
  const { markets } = (await venue.get('state?limit=1000')) as { markets: { tokens: string[]; closed: boolean }[] }
  return markets.filter((market) => !market.closed).flatMap((market) => market.tokens)
}

function shorten(what: string, wrong: readonly string[]): string[] {
  if (wrong.length === 0) return []
  const shown = wrong.slice(0, SHOWN_MAX).map((line) => line.replaceAll(TOKEN, '$1…'))
  return [`${what}: ${wrong.length} wrong, such as\n    ${shown.join('\n    ')}`]
}
