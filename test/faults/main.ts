import { parseArgs } from 'node:util'
import { removeDirectory, temporaryDirectory } from '../support/daemon.ts'
import { describeVerdict, runSeeds } from './run.ts'
import { createSchedule, describeSchedule } from './schedule.ts'

const HELP = `Usage: npm run faults -- [--seeds 1..200 | --seed N] [options]

Plays seeded fault schedules against real recorders and holds each to its promise. A schedule starts a simulated venue,
a proxy and a daemon with a PostgreSQL of its own, each in its own process, and mixes for some seconds: latency, narrow
and half-open lines, resets, truncation; frozen connections and tokens, lost, repeated and swapped messages, wrong
clocks, bad HTTP answers; kill -9 and restarts of the daemon, SIGSTOP for up to 20 s, kill -9 and immediate stops of
PostgreSQL, a disk that fills and is freed (needs root, to mount a small one; elsewhere that fault is skipped, and said
to be). Then the faults end, and everything must be well again:

  * every trade on the tape is in the ledger exactly once, and nothing else is;
  * whatever happened at the venue (by its own journal, whether or not anybody was connected) to a token that was
    followed is on the tape, or lies inside a gap of that token, to within one second;
  * data flows for every token, health is healthy, no gap is left open, and the daemon ends with 0 when asked to.

A failure prints its seed, its schedule and the first things that are wrong. docs/faults.md says more.

  --seeds A..B   which schedules (default 1..200)
  --seed N       one of them
  --jobs N       how many at once (default 4: most of their time is waiting)
  --short        the short form that npm test runs
  --keep         leave tape, database, journal and log of failures for a look
  --list         only print what would be played
  --help
`

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1..200' },
      seed: { type: 'string' },
      jobs: { type: 'string', default: '4' },
      short: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const seeds = seedsOf(values.seed ?? values.seeds)
  const jobs = Number(values.jobs)
  if (values.help || seeds === null || !(jobs >= 1 && jobs <= 64)) {
    process.stdout.write(HELP)
    return values.help ? 0 : 64
  }
  const form = values.short ? 'short' : 'long'
  if (values.list) {
    for (const seed of seeds) process.stdout.write(`${describeSchedule(createSchedule(seed, form)).join('\n')}\n`)
    return 0
  }
  const folder = await temporaryDirectory()
  const begunMs = performance.now()
  const verdicts = await runSeeds(seeds, {
    ...{ form, folder, jobs, keep: values.keep },
    onVerdict: (verdict) => process.stdout.write(`${describeVerdict(verdict)}\n`),
  })
  const failed = verdicts.filter((verdict) => verdict.violations.length > 0)
  if (failed.every((verdict) => verdict.kept === null)) await removeDirectory(folder)
  const tookMinutes = ((performance.now() - begunMs) / 60_000).toFixed(1)
  const which = failed.length === 0 ? '' : `: seeds ${failed.map((verdict) => verdict.schedule.seed).join(', ')}`
  process.stdout.write(`${verdicts.length} schedules in ${tookMinutes} min, ${failed.length} failed${which}\n`)
  return failed.length === 0 ? 0 : 1
}

/** `A..B` or one number; null when it is neither. */
function seedsOf(text: string): number[] | null {
  const match = /^(\d{1,9})(?:\.\.(\d{1,9}))?$/.exec(text)
  if (match === null) return null
  const first = Number(match[1])
  const last = Number(match[2] ?? match[1])
  return last < first || last - first >= 100_000
    ? null
    : Array.from({ length: last - first + 1 }, (_, at) => first + at)
}

main().then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    process.stderr.write(`${String(error)}\n`)
    process.exitCode = 70
  },
)
