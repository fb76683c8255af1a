import { CommanderError } from 'commander'
import { describeError, EXIT, type ExitCode, PermanentError, TransientError } from '../core/errors.ts'
import { createProgram } from './program.ts'

const EXIT_GRACE_MS = 2_000

/** Runs one command line. The only place that decides how the process ends. */
export async function main(argv: readonly string[]): Promise<void> {
  // the first error decides; what is written after it fails again
  process.stdout.once('error', onResultNotWritten).on('error', () => {})
  process.stderr.on('error', () => {}) // there is no third place to say it, and the exit code still tells
  let exitCode: number = EXIT.ok
  const program = createProgram((code) => {
    exitCode = code
  })
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    exitCode = report(error, argv)
  }
  process.exitCode = exitCode
  // Whatever a failed start left open must not keep the process; an empty event loop ends before this.
  setTimeout(() => process.exit(), EXIT_GRACE_MS).unref()
}

/** One line for people, and the exit code. */
function report(error: unknown, argv: readonly string[]): ExitCode {
  // commander has already written help, version or what is wrong with the command line
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  const expected = error instanceof PermanentError || error instanceof TransientError
  process.stderr.write(`tapekeeper: ${expected ? '' : 'internal error: '}${describeError(error)}\n`)
  if (wantsDebug(argv)) process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  if (error instanceof PermanentError) return error.exitCode
  return error instanceof TransientError ? EXIT.unavailable : EXIT.internal
}

/** Works before and without a configuration, because loading it may be what failed. */
function wantsDebug(argv: readonly string[]): boolean {
  const flag = argv.indexOf('--log-level')
  const level = flag < 0 ? process.env['TAPEKEEPER_LOG_LEVEL'] : argv[flag + 1]
  return level === 'debug' || argv.includes('--log-level=debug')
}

/**
 * Somebody who has seen enough (`tapekeeper status | head`) is no error: the command goes on to its own exit code, and
 * those that would never end listen for themselves. Anything else means that a result is lost.
 */
function onResultNotWritten(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') return
  process.stderr.write(`tapekeeper: the result could not be written: ${describeError(error)}\n`)
  process.exit(EXIT.inputOutput)
}
