import { describeError, PermanentError, TransientError } from '../core/errors.ts'

/** What a failed statement means for the caller. */
export type DatabaseErrorKind =
  | 'data' // these rows will never be taken
  | 'transient' // the same statement may succeed later
  | 'login' // the server refuses us
  | 'bug'

/** SQLSTATE classes and codes after which the same statement may succeed later. */
const TRANSIENT_CLASSES = new Set(['08', '40', '53', '57', '58'])
const TRANSIENT_CODES = new Set(['25006', '25P03', '55006', '55P03', 'XX000'])
const LOGIN_CODES = new Set(['28000', '28P01', '3D000'])
/** Node's own codes (ECONNREFUSED, ENOENT of a socket, EAI_AGAIN …) are words, SQLSTATEs are five characters. */
const SQLSTATE = /^[0-9A-Z]{5}$/
/** The client library has no codes for these. */
const CONNECTION_LOST = /terminated|timeout|timed out|not queryable|connection (?:was |is )?closed|ended/i

function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  return SQLSTATE.test(error.code) && 'severity' in error ? error.code : undefined
}

/** True when a row has no partition to go to: the only check violation that names no constraint. */
export function isMissingPartition(error: unknown): boolean {
  return sqlState(error) === '23514' && !(error as { constraint?: string }).constraint
}

/** Sorts an error of the client library or the server. */
export function classifyError(error: unknown): DatabaseErrorKind {
  if (error instanceof TransientError) return 'transient'
  if (error instanceof PermanentError) return 'login'
  const state = sqlState(error)
  if (state === undefined) return isConnectionError(error) ? 'transient' : isMissingPassword(error) ? 'login' : 'bug'
  if (LOGIN_CODES.has(state)) return 'login'
  if (TRANSIENT_CODES.has(state) || TRANSIENT_CLASSES.has(state.slice(0, 2))) return 'transient'
  if (isMissingPartition(error)) return 'transient'
  if (state.startsWith('22') || state.startsWith('23')) return 'data'
  return 'bug'
}

/** True when the connection itself is gone and must not be used again. */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const state = sqlState(error)
  if (state !== undefined) return state.startsWith('08') || state.startsWith('57P') || state === '25P03'
  if ('syscall' in error && typeof error.syscall === 'string') return true
  if (
    'code' in error &&
    typeof error.code === 'string' &&
    /^(?:E[A-Z]{3,}|CERT_|DEPTH_|SELF_|UNABLE_)/.test(error.code)
  ) {
    return !error.code.startsWith('ERR_')
  }
  if (error instanceof AggregateError) return error.errors.some(isConnectionError)
  return CONNECTION_LOST.test(error.message)
}

function isMissingPassword(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('SASL')
}

/** What callers of the ledger see: TransientError for trouble that may pass, the error itself otherwise. */
export function toLedgerError(error: unknown): unknown {
  if (error instanceof TransientError || error instanceof PermanentError) return error
  if (classifyError(error) !== 'transient') return error
  return new TransientError(`the database did not take it: ${describeError(error)}`, { cause: error })
}
