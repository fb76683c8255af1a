import type { GlobalFlags } from '../config/load.ts'
import { describeError, EXIT, type ExitCode, PermanentError } from '../core/errors.ts'
import { type Daemon, startDaemon } from '../daemon.ts'
import { keepHeapSmall } from '../runtime/heap.ts'
import { createLogging, type Logging } from '../runtime/logging.ts'
import { systemClock, systemRandom } from '../runtime/system-clock.ts'
import { loadForProcess } from './load.ts'
import { readVersion } from './version.ts'

/** The drain has bounds of its own; this is for what nobody thought of. Platforms kill after 30 s. */
const DRAIN_DEADLINE_MS = 24_500

/** Runs the daemon until a signal ends it; returns after the drain. */
export async function runCollect(flags: GlobalFlags): Promise<ExitCode> {
  keepHeapSmall()
  const { config, notices } = loadForProcess(flags)
  const clock = systemClock()
  const isTerminal = process.stderr.isTTY === true
  const logging = createLogging({
    clock,
    level: config.log.level,
    format: isTerminal ? 'pretty' : 'json',
    colors: isTerminal && !process.env['NO_COLOR'],
  })
  hideSecrets(logging, [config.database.url?.reveal(), config.api.token?.reveal()])
  const { log } = logging
  for (const notice of notices) log.warn({}, notice)
  const signals = catchSignals()
  try {
    process.on('unhandledRejection', (error) => endWithBug(logging, error))
    process.on('uncaughtException', (error) => endWithBug(logging, error))
    const daemon = await startDaemon({ config, version: readVersion(), clock, random: systemRandom, log })
    const asked = signals.first.then(() => 'asked' as const)
    if ((await Promise.race([asked, ended(daemon)])) === 'asked') await drainInTime(daemon, logging)
    return EXIT.ok
  } finally {
    signals.release()
  }
}

/** Rejects with what made going on senseless, after everything was closed. */
async function ended(daemon: Daemon): Promise<'ended'> {
  try {
    await daemon.ended
  } catch (error) {
    await daemon.drain()
    throw error
  }
  return 'ended'
}

async function drainInTime(daemon: Daemon, { log }: Logging): Promise<void> {
  const timer = setTimeout(() => {
    log.error({}, 'the drain took too long; what was accepted is on the tape')
    process.exit(EXIT.ok)
  }, DRAIN_DEADLINE_MS)
  await daemon.drain()
  clearTimeout(timer)
}

/** The first SIGTERM or SIGINT is a request; the second ends the process at once. */
function catchSignals() {
  let asked = false
  let resolve = () => {}
  const first = new Promise<void>((resolveFirst) => {
    resolve = resolveFirst
  })
  const onSignal = (signal: NodeJS.Signals) => {
    if (asked) process.exit(signal === 'SIGINT' ? 130 : 143)
    asked = true
    resolve()
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return {
    first,
    release() {
      process.off('SIGTERM', onSignal)
      process.off('SIGINT', onSignal)
    },
  }
}

function hideSecrets(logging: Logging, secrets: readonly (string | undefined)[]): void {
  for (const text of secrets) if (text !== undefined) logging.addSecret(text)
}

/** A broken assumption outside of every part that can be restarted: the tape is synced, so leaving is safe. */
function endWithBug({ log }: Logging, error: unknown): void {
  if (error instanceof PermanentError) {
    process.stderr.write(`tapekeeper: ${describeError(error)}\n`)
    process.exit(error.exitCode)
  }
  log.fatal({ err: error }, `internal error: ${describeError(error)}`)
  process.exit(EXIT.internal)
}
