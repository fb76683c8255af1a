import { type Config, secretsOf } from '../config/config.ts'
import type { GlobalFlags } from '../config/load.ts'
import type { Clock } from '../core/clock.ts'
import { TransientError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { createLogging } from '../runtime/logging.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { loadForProcess } from './load.ts'
import { createProgressLine, type ProgressLine } from './progress.ts'

/** What a long command works with. */
export interface CommandRun {
  readonly config: Config
  readonly notices: readonly string[]
  readonly clock: Clock
  readonly log: Logger
  readonly progress: ProgressLine
  /** Aborts at SIGINT or SIGTERM. */
  readonly signal: AbortSignal
}

/** Runs a long command: its log on stderr (warnings unless told otherwise), a signal stops it in order. */
export async function runCommand<T>(flags: GlobalFlags, work: (run: CommandRun) => Promise<T>): Promise<T> {
  const { config, notices, settings } = loadForProcess(flags)
  const clock = systemClock()
  const isTerminal = process.stderr.isTTY === true
  const chosen = settings.some(({ key, origin }) => key === 'log.level' && origin !== 'default')
  const level = chosen ? config.log.level : 'error'
  const colors = isTerminal && !process.env['NO_COLOR']
  const { log, addSecret } = createLogging({ clock, level, format: isTerminal ? 'pretty' : 'json', colors })
  for (const secret of secretsOf(config).values()) addSecret(secret.reveal())
  const stop = new AbortController()
  const onSignal = () => stop.abort(new TransientError('stopped before the end'))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal)
  const progress = createProgressLine(() => clock.monotonicMs())
  try {
    return await work({ config, notices, clock, log, progress, signal: stop.signal })
  } finally {
    progress.clear()
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal)
  }
}
