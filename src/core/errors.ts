/**
 * Two kinds of error, chosen where the knowledge is; everything else that is thrown is a bug.
 * TransientError may succeed if tried again; PermanentError will not (bad configuration, a refused login).
 */
export class TransientError extends Error {
  override readonly name = 'TransientError'
  /** How long the other side asked us to wait, in ms. */
  readonly retryAfterMs: number | undefined
  /** The other side said that it was asked too often, whether or not it said for how long to wait. */
  readonly rateLimited: boolean

  constructor(
    message: string,
    options: ErrorOptions & { retryAfterMs?: number | undefined; rateLimited?: boolean } = {},
  ) {
    super(message, options)
    this.retryAfterMs = options.retryAfterMs
    this.rateLimited = options.rateLimited ?? false
  }
}

/** Exit codes of the command line (sysexits.h). */
export const EXIT = {
  ok: 0,
  unhealthy: 1,
  usage: 64,
  unavailable: 69,
  internal: 70,
  cannotCreate: 73,
  inputOutput: 74,
  configuration: 78,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export class PermanentError extends Error {
  override readonly name = 'PermanentError'
  /** What the process should exit with when this error ends it. */
  readonly exitCode: ExitCode

  constructor(message: string, options: ErrorOptions & { exitCode?: ExitCode } = {}) {
    super(message, options)
    this.exitCode = options.exitCode ?? EXIT.configuration
  }
}

/** A broken assumption of our own: a bug. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

export function assertNever(value: never): never {
  throw new AssertionError(`unexpected value: ${JSON.stringify(value)}`)
}

/** One line for people: the message and, when it adds something, the chain of causes. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const parts = [messageOf(error)]
  let cause = error.cause
  for (let depth = 0; cause instanceof Error && depth < 4; depth += 1) {
    const text = messageOf(cause)
    if (!parts.some((part) => part.includes(text))) parts.push(text)
    cause = cause.cause
  }
  return parts.join(': ').replaceAll(/\s*\n\s*/g, ' ')
}

function messageOf(error: Error): string {
  if (error.message) return error.message
  if (error instanceof AggregateError && error.errors.length > 0) return describeError(error.errors[0])
  const code = 'code' in error ? String(error.code) : ''
  return code || error.name
}
