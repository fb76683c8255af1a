import colors from 'picocolors'
import type { GlobalFlags, LoadedConfig } from '../../config/load.ts'
import type { Clock } from '../../core/clock.ts'
import { describeError, EXIT, type ExitCode, PermanentError } from '../../core/errors.ts'
import { createAbort } from '../../runtime/abort.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { columns } from '../columns.ts'
import { loadForProcess } from '../load.ts'
import { printJson, printResult } from '../output.ts'
import { createProgressLine } from '../progress.ts'
import { readVersion } from '../version.ts'
import { type Check, type CheckResult, type DiskPort, fail, makeChecks, ok, warn } from './check.ts'
import { machineChecks } from './machine.ts'
import { realDiskPort, storageChecks } from './storage.ts'
import { venueChecks } from './venue.ts'

/** `tapekeeper doctor`: what is as it must be, and what to do about the rest. Changes nothing. */
export async function runDoctor(flags: GlobalFlags): Promise<ExitCode> {
  const clock = systemClock()
  const progress = createProgressLine(() => clock.monotonicMs())
  const stop = new AbortController()
  const onSignal = () => stop.abort(new PermanentError('stopped'))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal)
  const results = await examine({
    load: () => loadForProcess(flags),
    clock,
    disk: realDiskPort,
    signal: stop.signal,
    onDone: (waiting) => progress.show(`waiting for ${waiting.join(', ')}`),
  })
  progress.clear()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal)
  if (flags.json) printJson({ ok: isWell(results), version: readVersion(), checks: results })
  else printResult(doctorLines(results).join('\n'))
  return isWell(results) ? EXIT.ok : EXIT.unhealthy
}

export interface Examination {
  readonly load: () => LoadedConfig
  readonly clock: Clock
  readonly disk: DiskPort
  readonly signal: AbortSignal
  readonly onDone?: (waiting: readonly string[]) => void
}

/** All checks; only the first ones when there is no usable configuration. */
export async function examine(of: Examination): Promise<readonly CheckResult[]> {
  const { clock, disk, onDone = () => {} } = of
  // One that any number of checks may listen to.
  const { signal, release } = createAbort(of.signal)
  const version: Check = { name: 'tapekeeper', look: () => ok(readVersion()) }
  const { check, loaded } = checkConfiguration(of.load)
  const checks = [version, check]
  if (loaded !== null) {
    const patient = { config: loaded.config, clock, disk }
    checks.push(...machineChecks(patient), ...storageChecks(patient), ...venueChecks(patient))
  }
  return makeChecks(checks, { clock, signal, onDone }).finally(release)
}

function checkConfiguration(load: () => LoadedConfig): { check: Check; loaded: LoadedConfig | null } {
  const name = 'configuration'
  try {
    const loaded = load()
    const { file, settings, notices } = loaded
    const chosen = settings.filter(({ origin }) => origin !== 'default')
    const from = file === null ? 'no file' : file
    const text = `valid, ${from}, ${chosen.length} of ${settings.length} keys set`
    const advice = 'tapekeeper config shows every key and where it comes from'
    return {
      check: { name, look: () => (notices.length > 0 ? warn(`${text}; ${notices.join('; ')}`, advice) : ok(text)) },
      loaded,
    }
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error
    return {
      check: { name, look: () => fail(describeError(error), 'correct it; nothing else was checked') },
      loaded: null,
    }
  }
}

function isWell(results: readonly CheckResult[]): boolean {
  return results.every(({ verdict }) => verdict !== 'fail')
}

const PAINT = { ok: colors.green, warn: colors.yellow, fail: colors.red }

/** The result for people: one line a check, what to do below it. */
export function doctorLines(results: readonly CheckResult[]): readonly string[] {
  const lines = columns(results.map(({ name, verdict, text }) => [PAINT[verdict](verdict), name, text]))
  const count = (verdict: CheckResult['verdict']) => results.filter((result) => result.verdict === verdict).length
  const [failed, warned] = [count('fail'), count('warn')]
  const summary = failed + warned === 0 ? 'Everything is as it must be.' : `${failed} failed, ${warned} to look at.`
  const withAdvice = lines.flatMap((line, index) => {
    const advice = results[index]?.advice ?? null
    return advice === null ? [line] : [line, `      → ${advice}`]
  })
  return [...withAdvice, '', summary]
}
