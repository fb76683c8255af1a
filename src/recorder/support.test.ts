import type { Logger } from '../core/log.ts'

/** A logger that says nothing. */
export function silentLogger(): Logger {
  const nothing = () => {}
  const log: Logger = {
    debug: nothing,
    info: nothing,
    warn: nothing,
    error: nothing,
    fatal: nothing,
    child: () => log,
  }
  return log
}
