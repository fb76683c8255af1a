import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { venueOptions } from '../src/sim/options.ts'
import { startVenueProcess } from '../src/sim/process.ts'
import { createWorld } from '../src/sim/world.ts'
import { startChild } from './child.ts'
import { factsOf } from './frames.ts'
import { moveToCore, RECEIVER_CORE, SENDER_CORE } from './machine.ts'
import type { ReceiverJob, ReceiverResult, Sample } from './receiver-job.ts'
import { type Outcome, rate } from './report.ts'
import type { Settings } from './settings.ts'

const RATE = 28_000
/** The venue's rate does not count its best_bid_ask frames, about one for six others. */
const VENUE_RATE = 24_000
const RSS_BYTES_MAX = 400_000_000
const WARM_UP_MS = 10_000
/** Few levels and large steps, so that the venue itself can keep up; every hash is right all the same. */
const VENUE = { markets: 1_000, rate: VENUE_RATE, levels: 10, batchMax: 12, seed: 11 }
/** A slope that would reach the limit within a day from half of it counts as growing. */
const FLAT_BYTES_PER_SECOND = RSS_BYTES_MAX / 2 / 86_400
/** Below this many seconds a slope is noise of the garbage collector. */
const SLOPE_SECONDS_MIN = 120

/** Benchmark 4: the venue's pace, with everything that the tape does in the background. */
export async function measureSustained(settings: Settings): Promise<Outcome> {
  settings.say(`${RATE} frames/s for ${settings.seconds} s`)
  const venue = await startVenueProcess(VENUE)
  moveToCore(SENDER_CORE, venue.pid)
  const directory = mkdtempSync(join(settings.folder, 'tape-'))
  try {
    const factsPath = join(settings.folder, 'sustained-facts.json')
    writeFileSync(factsPath, JSON.stringify(factsOf(createWorld(venueOptions(VENUE), Date.now()))))
    const job: ReceiverJob = {
      product: true,
      books: true,
      url: venue.urls.ws,
      factsPath,
      directory,
      segmentBytes: null,
      frames: 0,
      warmUpFrames: 0,
      seconds: settings.seconds,
      warmUpMs: WARM_UP_MS,
    }
    const receiver = startChild(RECEIVER_CORE, 'receiver.js', JSON.stringify(job), settings.nodeOptions)
    try {
      const result = JSON.parse(await receiver.line) as ReceiverResult
      const account = await venue.account()
      return outcomeOf(result, account.engine.missed, settings.seconds)
    } finally {
      await receiver.stop()
    }
  } finally {
    await venue.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

function outcomeOf(result: ReceiverResult, missed: number, seconds: number): Outcome {
  const reached = result.frames / result.seconds
  const share = result.cpuSeconds / result.seconds
  const rssMax = Math.max(...result.samples.map(({ rssBytes }) => rssBytes))
  const slope = slopeOf(result.samples)
  const lagMax = Math.max(...result.samples.map(({ lag }) => lag))
  const lagEnd = result.samples.at(-1)?.lag ?? 0
  const megabytes = (bytes: number) => `${(bytes / 1_000_000).toFixed(0)} MB`
  const checks = result.checks
  // The venue sends some frames fewer or more than asked for; 2 % is the width of that.
  const keepsUp = reached >= RATE * 0.98 && result.refused === 0 && lagEnd < RATE
  const isFlat = seconds < SLOPE_SECONDS_MIN || slope < FLAT_BYTES_PER_SECOND
  return {
    id: 4,
    what: `${RATE.toLocaleString('en-US')} frames/s for ${seconds} s, one core: rate, RSS`,
    reached: `${rate(reached)}, ${megabytes(rssMax)}`,
    target: `${rate(RATE)}, < 400 MB, flat`,
    // A venue that was kept from sending says nothing about the receiver.
    met: missed > 0.01 * VENUE_RATE * seconds ? null : keepsUp && rssMax < RSS_BYTES_MAX && isFlat,
    details: [
      `${Math.round(share * 100)} % of one core, ${Math.round(result.bytes / result.frames)} bytes a frame, ` +
        `${result.refused} refused, lag ${lagMax} frames at most and ${lagEnd} at the end`,
      `RSS slope ${(slope / 1000).toFixed(0)} kB/s over the second half` +
        (seconds < SLOPE_SECONDS_MIN ? ` (judged only from ${SLOPE_SECONDS_MIN} s on: --seconds)` : ''),
      `${result.booksKept} books; hash checks: ${checks?.match} match, ${checks?.mismatch} mismatch, ` +
        `${checks?.unverifiable} unverifiable, ${checks?.skipped} skipped; the venue missed ${missed} frames`,
    ],
    numbers: {
      rate: reached,
      cpuShare: share,
      rssMax,
      slope,
      lagMax,
      lagEnd,
      missed,
      seconds,
      checks,
      samples: result.samples,
    },
  }
}

/** Least squares over the second half, bytes a second. */
function slopeOf(samples: readonly Sample[]): number {
  const half = samples.slice(samples.length >> 1)
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const x = mean(half.map(({ seconds }) => seconds))
  const y = mean(half.map(({ rssBytes }) => rssBytes))
  const spreadOfX = half.reduce((sum, { seconds }) => sum + (seconds - x) ** 2, 0)
  return half.reduce((sum, { seconds, rssBytes }) => sum + (seconds - x) * (rssBytes - y), 0) / spreadOfX
}
