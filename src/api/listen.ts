import { describeError, EXIT, PermanentError } from '../core/errors.ts'

export interface Listening {
  /** What is served, in one word. */
  readonly what: string
  /** The variable that names another port. */
  readonly setting: string
  readonly host: string
  readonly port: number
}

/** Why nobody can listen there, in one clear line; ends the program with exit code 73. */
export function cannotListen({ what, setting, host, port }: Listening, error: unknown): PermanentError {
  const code = error instanceof Error && 'code' in error ? error.code : ''
  const why = code === 'EADDRINUSE' ? `the port is in use; set ${setting} to a free one` : describeError(error)
  const text = `cannot serve ${what} on ${host}:${port}: ${why}`
  return new PermanentError(text, { exitCode: EXIT.cannotCreate, cause: error })
}
