import type { Logger } from '../src/core/log.ts'

const complain = (_context: unknown, message: string) => void process.stderr.write(`${message}\n`)
const ignore = () => {}

/** Shows what goes wrong and nothing else. */
export const quiet: Logger = {
  debug: ignore,
  info: ignore,
  warn: complain,
  error: complain,
  fatal: complain,
  child: () => quiet,
}
