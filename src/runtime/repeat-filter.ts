import type { Clock } from '../core/clock.ts'
import type { LogContext, Logger } from '../core/log.ts'

const REMINDER_MS = 600_000
const REPEATS_PER_LINE = 10
const KINDS_MAX = 500

interface Kind {
  repeats: number
  loggedMs: number
}

/**
 * A logger whose warnings and errors do not flood: of lines that differ only in their numbers the first is written,
 * then every 10th or one in 10 minutes, with how many there were; the others go to debug. A line not heard for
 * 10 minutes is new again.
 */
export function withoutRepeats(log: Logger, clock: Clock): Logger {
  const kinds = new Map<string, Kind>()

  const write = (level: 'warn' | 'error', context: LogContext, message: string) => {
    const key = `${level} ${message.replaceAll(/\d+/g, '#')}`
    const nowMs = clock.monotonicMs()
    const known = kinds.get(key)
    if (known === undefined || nowMs - known.loggedMs >= REMINDER_MS) {
      kinds.delete(key)
      if (kinds.size >= KINDS_MAX) kinds.delete(kinds.keys().next().value ?? '')
      kinds.set(key, { repeats: 0, loggedMs: nowMs })
      log[level](known === undefined ? context : { ...context, repeats: known.repeats }, message)
      return
    }
    known.repeats += 1
    if (known.repeats % REPEATS_PER_LINE !== 0) {
      log.debug(context, message)
      return
    }
    known.loggedMs = nowMs
    log[level]({ ...context, repeats: known.repeats }, message)
  }

  return {
    debug: (context, message) => log.debug(context, message),
    info: (context, message) => log.info(context, message),
    warn: (context, message) => write('warn', context, message),
    error: (context, message) => write('error', context, message),
    fatal: (context, message) => log.fatal(context, message),
    child: (bindings) => withoutRepeats(log.child(bindings), clock),
  }
}
