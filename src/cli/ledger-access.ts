import { existsSync, mkdirSync } from 'node:fs'
import type { Config } from '../config/config.ts'
import type { Clock } from '../core/clock.ts'
import { describeError, EXIT, PermanentError, TransientError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { EmbeddedServer, findEmbeddedConnectionString } from '../ledger/embedded.ts'
import { type DatabaseTarget, parseDatabaseUrl } from '../ledger/target.ts'
import { lockDataDirectory } from '../runtime/lock.ts'

/** A way to the ledger for a command that is not the recorder. */
export interface LedgerAccess {
  readonly target: DatabaseTarget
  /** The same for a program that takes a connection string. Secret. */
  readonly connectionString: string
  /** Another process holds the data directory: a recorder is running. */
  readonly recording: boolean
  /** Stops what was started and frees the data directory. */
  close(): Promise<void>
}

/**
 * Reaches the ledger whether or not a recorder runs. Without one, the built-in server is started under the data
 * directory's lock. Throws PermanentError (exit code 69) when there is no ledger, unless one is to be made (`create`).
 */
export async function openLedgerAccess(
  config: Config,
  clock: Clock,
  log: Logger,
  { create = false }: { readonly create?: boolean } = {},
): Promise<LedgerAccess> {
  const { dataDir, database } = config
  if (create) mkdirSync(dataDir, { recursive: true })
  else if (!existsSync(dataDir)) throw unavailable(`there is no data directory ${dataDir}`)
  if (database.url !== null) {
    const connectionString = database.url.reveal()
    const target = parseDatabaseUrl(connectionString)
    return { target, connectionString, recording: isHeld(dataDir), close: async () => {} }
  }
  const found = findEmbeddedConnectionString(dataDir)
  if (found === null && !create) throw unavailable(`there is no ledger in ${dataDir} yet: tapekeeper collect makes it`)
  const lock = tryLock(dataDir)
  if (lock === null) {
    if (!found?.running) throw unavailable('the built-in database of the running recorder is not there')
    const { connectionString } = found
    return { target: parseDatabaseUrl(connectionString), connectionString, recording: true, close: async () => {} }
  }
  const server = new EmbeddedServer({ dataDir: lock.directory, clock, log })
  const close = async () => {
    await server.stop()
    lock.release()
  }
  try {
    const target = await server.ensureRunning()
    return { target, connectionString: server.connectionString() ?? '', recording: false, close }
  } catch (error) {
    await close()
    throw error instanceof TransientError ? unavailable(describeError(error)) : error
  }
}

/** True when another process holds the data directory. */
export function isHeld(dataDir: string): boolean {
  const lock = tryLock(dataDir)
  lock?.release()
  return lock === null
}

function tryLock(dataDir: string) {
  try {
    return lockDataDirectory(dataDir)
  } catch (error) {
    if (error instanceof PermanentError && error.message.includes(' is using ')) return null
    throw error
  }
}

function unavailable(message: string): PermanentError {
  return new PermanentError(message, { exitCode: EXIT.unavailable })
}
