import { CommanderError } from 'commander'
import { describeError, EXIT, type ExitCode, PermanentError, TransientError } from '../core/errors.ts'
import { createProgram } from './program.ts'

const EXIT_GRACE_MS = 2_000

/** Runs one command line. The only place that decides how the process ends. */
export async function main(argv: readonly string[]): Promise<void> {
  process.stdout.on('error', endQuietlyWithoutReader)
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

/** `tapekeeper status | head` closes the pipe early; that is no error. */
function endQuietlyWithoutReader(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? EXIT.ok)
  throw error
}
