import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { startChild } from './child.ts'
import { buildFrames, type FrameFile } from './frames.ts'
import { RECEIVER_CORE, SENDER_CORE } from './machine.ts'
import type { ReceiverJob, ReceiverResult } from './receiver-job.ts'
import { median, type Outcome, rate, spread, times } from './report.ts'
import type { Settings } from './settings.ts'

type Mode = 'floor' | 'accepted' | 'books'

const FRAMES = 330_000
const WARM_UP_FRAMES = 50_000
const QUICK_FRAMES = 130_000
/** One segment for a whole round: see `what is left out` in docs/benchmarks.md. */
const SEGMENT_BYTES = 1 << 30
const TARGETS = { accepted: 1.2, books: 0.5 }

/** Benchmarks 1 and 2: both against the same floor, in turns. */
export async function measureSocket(settings: Settings, wanted: ReadonlySet<number>): Promise<Outcome[]> {
  const { say, rounds, folder, quick } = settings
  const modes: Mode[] = [
    'floor',
    ...(wanted.has(1) ? ['accepted' as const] : []),
    ...(wanted.has(2) ? ['books' as const] : []),
  ]
  say('making frames')
  const file = buildFrames(folder, quick ? QUICK_FRAMES : FRAMES, Date.now() - 60_000)
  const results: Record<Mode, ReceiverResult[]> = { floor: [], accepted: [], books: [] }
  for (let round = 1; round <= rounds; round += 1) {
    for (const mode of modes) {
      const result = await runRound(settings, file, mode)
      results[mode].push(result)
      say(
        `round ${round} of ${rounds}: ${mode} ${rate(result.frames / result.seconds)}, ${percent(result)} of the core`,
      )
    }
  }
  const outcomes: Outcome[] = []
  const floor = 'receive + JSON.parse'
  if (wanted.has(1)) outcomes.push(outcomeOf(1, `socket → accepted ÷ ${floor}`, 'accepted', results, file))
  if (wanted.has(2)) outcomes.push(outcomeOf(2, 'the same, decoded and all books kept', 'books', results, file))
  return outcomes
}

async function runRound(settings: Settings, file: FrameFile, mode: Mode): Promise<ReceiverResult> {
  const sender = startChild(SENDER_CORE, 'sender.js', file.path, [])
  const directory = mkdtempSync(join(settings.folder, 'tape-'))
  try {
    const job: ReceiverJob = {
      product: mode !== 'floor',
      books: mode === 'books',
      url: `ws://127.0.0.1:${await sender.line}`,
      factsPath: file.factsPath,
      directory,
      segmentBytes: SEGMENT_BYTES,
      frames: file.frames,
      warmUpFrames: WARM_UP_FRAMES,
      seconds: 0,
      warmUpMs: 0,
    }
    const receiver = startChild(RECEIVER_CORE, 'receiver.js', JSON.stringify(job), settings.nodeOptions)
    try {
      return JSON.parse(await receiver.line) as ReceiverResult
    } finally {
      await receiver.stop()
    }
  } finally {
    await sender.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

function perCpuSecond(results: readonly ReceiverResult[]): number[] {
  return results.map(({ frames, cpuSeconds }) => frames / cpuSeconds)
}

/** How much of its core the receiving process used: well below 100 it waited, for the sender or for the disk. */
function percent({ cpuSeconds, seconds }: ReceiverResult): string {
  return `${Math.round((100 * cpuSeconds) / seconds)} %`
}

function outcomeOf(
  id: number,
  what: string,
  mode: 'accepted' | 'books',
  results: Readonly<Record<Mode, readonly ReceiverResult[]>>,
  file: FrameFile,
): Outcome {
  const rates = (of: Mode) => results[of].map(({ frames, seconds }) => frames / seconds)
  const floor = median(rates('floor'))
  const reached = median(rates(mode))
  // Of neighbours in time, because a shared machine is not equally fast all the time.
  const ratios = rates(mode).map((value, round) => value / (rates('floor')[round] ?? Number.NaN))
  const ratio = median(ratios)
  const byProcessor = median(perCpuSecond(results[mode])) / median(perCpuSecond(results.floor))
  const last = results[mode].at(-1)
  const details = [
    `${rate(reached)} (${spread(rates(mode))}) against ${rate(floor)} (${spread(rates('floor'))}), ` +
      `frames of ${Math.round(file.averageBytes)} bytes`,
    `${times(byProcessor)} by processor time, which waiting for the disk and other processes do not change`,
  ]
  if (mode === 'books' && last?.checks) {
    const { match, mismatch, unverifiable, skipped } = last.checks
    details.push(
      `${last.booksKept} books, rows to a ledger that discards them; hash checks: ${match} match, ` +
        `${mismatch} mismatch, ${unverifiable} unverifiable, ${skipped} skipped`,
    )
  }
  return {
    id,
    what,
    reached: times(ratio),
    target: `≥ ${times(TARGETS[mode])}`,
    met: ratio >= TARGETS[mode],
    details,
    numbers: {
      ratio,
      byProcessor,
      floor: rates('floor'),
      rates: rates(mode),
      averageBytes: file.averageBytes,
      checks: last?.checks,
    },
  }
}
