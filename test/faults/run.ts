import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { awaitRecovery, drain, type Figures, judge } from './judge.ts'
import { endFaults, play } from './play.ts'
import { createSchedule, describeSchedule, type Schedule, type ScheduleForm } from './schedule.ts'
import { closeStage, createTemplate, openStage, type Stage } from './stage.ts'

/** What became of one schedule. */
export interface Verdict {
  readonly schedule: Schedule
  readonly violations: readonly string[]
  readonly skipped: readonly string[]
  readonly figures: Figures | null
  readonly tookMs: number
  /** Where everything was left to be looked at; null when it was removed. */
  readonly kept: string | null
}

export interface RunOptions {
  readonly form: ScheduleForm
  /** An existing folder for everything; other users must be able to pass through it. */
  readonly folder: string
  /** How many schedules run at once; most of their time is waiting. */
  readonly jobs: number
  /** Leaves the files of failed schedules in the folder. */
  readonly keep: boolean
  /** Called as each ends. */
  readonly onVerdict?: (verdict: Verdict) => void
}

const FIRST_DATA_MS_MAX = 60_000
const WARM_FRAMES = 100

/** Plays the schedules of all seeds and says what became of each, in the order of the seeds. */
export async function runSeeds(seeds: readonly number[], options: RunOptions): Promise<Verdict[]> {
  const template = await createTemplate(options.folder)
  const verdicts = new Map<number, Verdict>()
  const waiting = [...seeds]
  const worker = async () => {
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
      const verdict = await runSeed(seed, template, options)
      verdicts.set(seed, verdict)
      options.onVerdict?.(verdict)
    }
  }
  await Promise.all(Array.from({ length: Math.min(options.jobs, seeds.length) }, worker))
  return seeds.flatMap((seed) => verdicts.get(seed) ?? [])
}

async function runSeed(seed: number, template: string, { form, folder, keep }: RunOptions): Promise<Verdict> {
  const schedule = createSchedule(seed, form)
  const own = join(folder, `seed-${seed}`)
  await mkdir(own)
  const begunMs = performance.now()
  let outcome: Outcome = { violations: [], skipped: [], figures: null }
  let stage: Stage | undefined
  try {
    stage = await openStage(schedule, template, own)
    outcome = await playAndJudge(stage, schedule)
  } catch (error) {
    // A stage that cannot be opened and a check that cannot be made are failures as well.
    outcome = { ...outcome, violations: [`it could not be played to the end: ${(error as Error).stack}`] }
  }
  const left = keep && outcome.violations.length > 0
  if (stage !== undefined) await closeStage(stage, left)
  return { schedule, ...outcome, tookMs: Math.round(performance.now() - begunMs), kept: left ? own : null }
}

type Outcome = Pick<Verdict, 'violations' | 'skipped' | 'figures'>

async function playAndJudge(stage: Stage, schedule: Schedule): Promise<Outcome> {
  if (schedule.warm) {
    await stage.daemon.whenHealth(
      'the first data',
      (body) => (body['trade_listener'] as { frames_received: number }).frames_received >= WARM_FRAMES,
      FIRST_DATA_MS_MAX,
    )
  }
  const played = await play(stage, schedule)
  await endFaults(stage)
  const recovery = await awaitRecovery(stage)
  const drained = await drain(stage)
  const judged = await judge(stage)
  const { code } = await stage.daemon.end('SIGTERM')
  const ending = code === 0 ? [] : [`the daemon ended with ${code} when asked to`]
  return {
    violations: [...played.violations, ...recovery.violations, ...drained, ...judged.violations, ...ending],
    skipped: played.skipped,
    figures: { ...judged.figures, recoveryMs: recovery.recoveryMs },
  }
}

/** A verdict for people: one line, and for a failure everything that is needed to run and understand it again. */
export function describeVerdict({ schedule, violations, skipped, figures, tookMs, kept }: Verdict): string {
  const took = `${(tookMs / 1_000).toFixed(1)} s`
  const said =
    figures === null
      ? ''
      : `, ${figures.recorded} recorded, ${figures.covered} in ${figures.gaps} gaps, ${figures.trades} trades, ` +
        `well after ${(figures.recoveryMs / 1_000).toFixed(1)} s`
  const lines = [`${violations.length === 0 ? 'ok  ' : 'FAIL'} seed ${schedule.seed} (${took}${said})`]
  for (const what of skipped) lines.push(`  skipped ${what}`)
  if (violations.length > 0) {
    lines.push(...violations.map((violation) => `  ${violation}`), ...describeSchedule(schedule))
    lines.push(`  again: npm run faults -- --seed ${schedule.seed}${schedule.form === 'short' ? ' --short' : ''}`)
  }
  if (kept !== null) lines.push(`  left in ${kept}`)
  return lines.join('\n')
}
