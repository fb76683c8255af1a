import { secretsOf } from '../config/config.ts'
import type { GlobalFlags } from '../config/load.ts'
import { describeError, EXIT, type ExitCode, PermanentError } from '../core/errors.ts'
import { type Daemon, startDaemon } from '../daemon.ts'
import { keepHeapSmall } from '../runtime/heap.ts'
import { createLogging, type Logging } from '../runtime/logging.ts'
import { systemClock, systemRandom } from '../runtime/system-clock.ts'
import { takeSystemdEnvironment } from '../runtime/systemd.ts'
import { loadForProcess } from './load.ts'
import { readVersion } from './version.ts'

/** The drain has bounds of its own; this is for what nobody thought of. Platforms kill after 30 s. */
const DRAIN_DEADLINE_MS = 24_500

const LAST_WORDS_MS_MAX = 1_500

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
  for (const secret of secretsOf(config).values()) logging.addSecret(secret.reveal())
  const { log } = logging
  for (const notice of notices) log.warn({}, notice)
  const systemd = takeSystemdEnvironment(process.env, process.pid)
  const signals = catchSignals()
  try {
    let lastWords = async () => {}
    process.on('unhandledRejection', (error) => endWithBug(logging, error, lastWords))
    process.on('uncaughtException', (error) => endWithBug(logging, error, lastWords))
    const daemon = await startDaemon({
      config,
      version: readVersion(),
      clock,
      random: systemRandom,
      log,
      observe: logging.observe,
      systemd,
    })
    lastWords = () => daemon.lastWords()
    const asked = signals.first.then(() => 'asked' as const)
    if ((await Promise.race([asked, ended(daemon, logging)])) === 'asked') await drainInTime(daemon, logging, EXIT.ok)
    return EXIT.ok
  } finally {
    signals.release()
  }
}

/** Rejects with what made going on senseless, after everything was closed. */
async function ended(daemon: Daemon, logging: Logging): Promise<'ended'> {
  try {
    await daemon.ended
  } catch (error) {
    await drainInTime(daemon, logging, error instanceof PermanentError ? error.exitCode : EXIT.internal)
    throw error
  }
  return 'ended'
}

/** `code` is what the process ends with when the drain itself hangs. */
async function drainInTime(daemon: Daemon, { log }: Logging, code: ExitCode): Promise<void> {
  const timer = setTimeout(() => {
    log.error({}, 'the drain took too long; what was accepted is on the tape')
    process.exit(code)
  }, DRAIN_DEADLINE_MS)
  try {
    await daemon.drain()
  } finally {
    clearTimeout(timer)
  }
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

/** A broken assumption outside of every part that can be restarted: the tape is synced, so leaving is safe. */
function endWithBug({ log }: Logging, error: unknown, lastWords: () => Promise<void>): void {
  if (error instanceof PermanentError) {
    process.stderr.write(`tapekeeper: ${describeError(error)}\n`)
    process.exit(error.exitCode)
  }
  log.fatal({ err: error }, `internal error: ${describeError(error)}`)
  const end = () => process.exit(EXIT.internal)
  setTimeout(end, LAST_WORDS_MS_MAX)
  lastWords().then(end, end)
}
