import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { DropFault, DroppedFrame } from '../../src/sim/frame-faults.ts'
import type { PartialVenueOptions } from '../../src/sim/options.ts'
import { startVenueProcess, type VenueProcess } from '../../src/sim/process.ts'
import { type Coverage, describeSilent, readDaemonCoverage } from '../support/coverage.ts'
import { Daemon, readTapeLines, removeDirectory, temporaryDirectory, venueEnvironment } from '../support/daemon.ts'
import { until } from '../support/processes.ts'

const DROPPED = 20
const TOLERANCE_MS = 1_000

interface Outcome {
  readonly dropped: readonly DroppedFrame[]
  readonly coverage: Coverage
  readonly lines: readonly string[]
}

/** Records a venue that tells nobody of some messages, until all of that was noticed by one of these causes. */
async function recordWithLosses(
  t: TestContext,
  options: PartialVenueOptions,
  fault: DropFault,
  causes: readonly string[],
): Promise<Outcome> {
  const directory = await temporaryDirectory()
  const accountDir = join(directory, 'account')
  const venue = await startVenueProcess({ markets: 30, rate: 60, repeatShare: 0, accountDir, ...options })
  const daemon = await Daemon.start(join(directory, 'data'), {
    ...venueEnvironment(venue.urls),
    TAPEKEEPER_POLYMARKET_ORDERBOOK_INTERVAL: '5s',
    // Every batch is checked, however busy the machine.
    TAPEKEEPER_POLYMARKET_CHECK_PERCENT: '100',
  })
  t.after(async () => {
    await daemon.end('SIGTERM')
    await venue.stop()
    await removeDirectory(directory)
  })
  await daemon.whenHealth('data flows', (body) => {
    return body.status === 'healthy' && framesOf(body) > 400
  })
  await venue.control({ dropFrames: fault })
  await venue.waitFor(({ faults }) => faults.dropped >= fault.count, 120_000)
  const framesThen = (await venue.account()).totals.frames
  await daemon.whenHealth('the feed runs on', (body) => framesOf(body) > framesThen + 300, 120_000)
  await settle(venue, daemon)
  const outcome = async () => ({
    dropped: await venue.dropped(),
    coverage: await readDaemonCoverage(daemon, accountDir),
    lines: await readTapeLines(daemon.dataDir),
  })
  // A verdict waits two seconds for a trade that may explain the hash, and its row for a commit.
  const told = async () => {
    const now = await outcome()
    return unnoticed(now, causes).length === 0 && describeSilent(now.coverage).length === 0 ? now : undefined
  }
  return await until('every loss is told of', told, 30_000).catch(outcome)
}

function framesOf(body: Record<string, unknown>): number {
  return (body['trade_listener'] as { frames_received: number }).frames_received
}

async function settle(venue: VenueProcess, daemon: Daemon): Promise<void> {
  await venue.control({ drain: true })
  const { totals } = await venue.account()
  await daemon.whenHealth('everything sent is in the ledger', (body) => {
    const { queue_depth: depth } = body['trade_listener'] as { queue_depth: number }
    return (
      framesOf(body) >= totals.frames &&
      depth === 0 &&
      (body['recorder'] as { behind_bytes: number }).behind_bytes === 0
    )
  })
}

/** The lost messages that lie in no gap of one of their tokens with one of these causes, and the gaps there are. */
function unnoticed({ dropped, coverage }: Outcome, causes: readonly string[]): string[] {
  // The next batch set the same level anew: nothing could tell.
  const excused = coverage.balance.overwritten.map(({ token, atMs }) => ({ token, atMs }))
  return dropped.flatMap(({ tokens, atUs }) =>
    tokens.flatMap((token) => {
      if (excused.some((one) => one.token === token && Math.abs(one.atMs - atUs / 1_000) < TOLERANCE_MS)) return []
      const own = coverage.gaps.filter((gap) => gap.token === token)
      const isIn = own.some((gap) => {
        const [from, to] = [gap.startMs - TOLERANCE_MS, gap.endMs + TOLERANCE_MS]
        return causes.includes(gap.cause) && atUs / 1_000 >= from && atUs / 1_000 <= to
      })
      const gaps = own.map(({ cause, startMs, endMs }) => `${cause} ${startMs}–${endMs}`)
      return isIn ? [] : [`${token} lost one at ${atUs / 1_000}; its gaps: ${gaps.join(', ')}`]
    }),
  )
}

/**
 * For each lost change: in which of the following batches of its token it was noticed; Infinity when in none, or when
 * the token lost another one before, so that nobody knows which of them was noticed.
 */
function batchesUntilVerdict({ dropped, lines }: Outcome): number[] {
  const parsed = lines.map((line) => JSON.parse(line) as Line)
  return dropped.map(({ atUs, tokens: [token = ''] }) => {
    const later = parsed.filter(({ at }) => at >= atUs)
    const verdict = later.find(({ mark, detail }) => mark === 'suspect' && detail?.tokens.includes(token))
    const times = later.flatMap(({ frame }) => {
      const isItsChange = frame?.price_changes?.some(({ asset_id: id }) => id === token)
      return isItsChange ? [Number(frame?.timestamp)] : []
    })
    const lostAgain = dropped.some((one) => {
      return one.atUs > atUs && one.tokens.includes(token) && one.atUs < (verdict?.at ?? 0)
    })
    if (lostAgain) return Number.POSITIVE_INFINITY
    const place = [...new Set(times)].indexOf(verdict?.detail?.evidence.venue_ms ?? Number.NaN)
    return place < 0 ? Number.POSITIVE_INFINITY : place + 1
  })
}

interface Line {
  readonly at: number
  readonly mark?: string
  readonly detail?: { readonly tokens: readonly string[]; readonly evidence: { readonly venue_ms?: number } }
  readonly frame?: { readonly timestamp?: string; readonly price_changes?: readonly { readonly asset_id: string }[] }
}

test(`${DROPPED} lost changes: each is noticed by hash, at the next batch that is checked`, async (t) => {
  // One change a batch, none repeated, and no matches: every lost change leaves a book that is not the venue's.
  const options = { markets: 60, seed: 51, batchMax: 1, tradeShare: 0 }
  // Where the next batch is long in coming, the book that is fetched tells earlier.
  const causes = ['hash_mismatch', 'stall']
  const outcome = await recordWithLosses(t, options, { kind: 'price_change', count: DROPPED, every: 10 }, causes)
  assert.equal(outcome.dropped.length, DROPPED)
  assert.deepEqual(unnoticed(outcome, causes), [])
  assert.deepEqual(describeSilent(outcome.coverage), [])
  const places = batchesUntilVerdict(outcome).sort((one, other) => one - other)
  t.diagnostic(`the batch of the token, counted from the lost change, whose hash told of it: ${places.join(' ')}`)
  // A token that was in doubt already, for an earlier loss, is told of by that doubt's row.
  const own = places.filter((place) => Number.isFinite(place))
  assert.ok(own.length >= 3, places.join(' '))
  assert.ok(
    own.every((place) => place === 1),
    places.join(' '),
  )
})

test(`${DROPPED} lost matches: the books that they left tell of each`, async (t) => {
  const options = { seed: 52, tradeShare: 0.3 }
  const fault = { kind: 'last_trade_price', count: DROPPED, every: 3, wholeMatch: true } as const
  const causes = ['missing_trade', 'hash_mismatch']
  const outcome = await recordWithLosses(t, options, fault, causes)
  assert.ok(outcome.dropped.length >= DROPPED)
  assert.deepEqual(unnoticed(outcome, causes), [])
  assert.deepEqual(describeSilent(outcome.coverage), [])
  t.diagnostic(`${outcome.dropped.length} trades of ${DROPPED} matches lost, ${outcome.coverage.gaps.length} gaps`)
})
