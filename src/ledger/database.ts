import { Socket } from 'node:net'
import pg from 'pg'
import { describeError, EXIT, PermanentError, TransientError } from '../core/errors.ts'
import { classifyError, isConnectionError, toLedgerError } from './errors.ts'
import { type DatabaseTarget, describeTarget } from './target.ts'

/** One open transaction. Errors are the raw ones of the server, so that rows can be told from trouble. */
export interface Session {
  query<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<pg.QueryResult<Row>>
}

export interface TransactionOptions {
  /** Limit of each statement, ms. */
  readonly statementTimeoutMs?: number
  /** Limit of waiting for a lock, ms. */
  readonly lockTimeoutMs?: number
  readonly readOnly?: boolean
  /** Whether the commit waits until it is on disk. True unless given: only what can be made anew may say no. */
  readonly waitForDisk?: boolean
}

export interface DatabaseOptions {
  readonly target: DatabaseTarget
  readonly schema: string
  readonly poolSize: number
  /** Called when a connection breaks or cannot be made: the server went away. */
  readonly onLost: (error: Error) => void
}

const STATEMENT_TIMEOUT_MS = 30_000
const LOCK_TIMEOUT_MS = 10_000
const CONNECT_TIMEOUT_MS = 10_000
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000
/** How much longer than the server's own limit the client waits before it gives the connection up. */
const READ_GRACE_MS = 5_000
/** Names that need no care in statements. */
export const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,62}$/

/** A pool of connections to one server; everything happens in transactions that set their own limits. */
export class Database {
  readonly target: DatabaseTarget
  readonly schema: string
  readonly #pool: pg.Pool
  readonly #onLost: (error: Error) => void
  readonly #sockets = new Set<Socket>()

  constructor(options: DatabaseOptions) {
    if (!SCHEMA_NAME.test(options.schema)) throw new PermanentError(`not a usable schema name: ${options.schema}`)
    this.target = options.target
    this.schema = options.schema
    this.#pool = new pg.Pool({
      ...clientConfig(options.target),
      max: options.poolSize,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      idleTimeoutMillis: 60_000,
      keepAlive: true,
      application_name: 'tapekeeper',
      stream: () => this.#newSocket(),
    })
    this.#onLost = options.onLost
    this.#pool.on('error', (error) => options.onLost(error))
  }

  /**
   * Runs `work` in one transaction. Throws TransientError when the server cannot be reached or asks to try again;
   * errors of the data itself and bugs come through as they are.
   */
  async transaction<T>(work: (session: Session) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const statementTimeoutMs = options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS
    const client = await this.#connect()
    let broken = false
    // Without a listener an error of a checked-out connection would end the process.
    const onError = () => {
      broken = true
    }
    client.on('error', onError)
    const session = sessionOf(client, statementTimeoutMs + READ_GRACE_MS)
    try {
      await session.query(this.#begin(statementTimeoutMs, options))
      const result = await work(session)
      await commit(session)
      return result
    } catch (error) {
      broken ||= isConnectionError(error)
      if (!broken) await session.query('ROLLBACK').catch(() => (broken = true))
      const clear = toLedgerError(error)
      if (broken && clear instanceof Error) this.#onLost(clear)
      throw clear
    } finally {
      client.off('error', onError)
      client.release(broken)
    }
  }

  /** Waits for running transactions, then closes every connection. */
  async close(): Promise<void> {
    await this.#pool.end()
    this.destroy()
  }

  /** Cuts every connection now, also those that the pool lost sight of while they logged in. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #newSocket(): Socket {
    const socket = new Socket()
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    return socket
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect()
    } catch (error) {
      const clear = connectError(error, this.target)
      this.#onLost(clear)
      throw clear
    }
  }

  #begin(statementTimeoutMs: number, options: TransactionOptions): string {
    // SET LOCAL rather than session settings: those do not survive poolers such as PgBouncer.
    return `BEGIN${options.readOnly ? ' READ ONLY' : ''};
      SET LOCAL search_path TO "${this.schema}";
      SET LOCAL timezone TO 'UTC';
      SET LOCAL jit TO off;${options.waitForDisk === false ? '\n      SET LOCAL synchronous_commit TO off;' : ''}
      SET LOCAL statement_timeout TO ${statementTimeoutMs};
      SET LOCAL lock_timeout TO ${options.lockTimeoutMs ?? LOCK_TIMEOUT_MS};
      SET LOCAL idle_in_transaction_session_timeout TO ${IDLE_IN_TRANSACTION_TIMEOUT_MS}`
  }
}

/** Settings of the client library for a target. */
export function clientConfig(target: DatabaseTarget): pg.ClientConfig {
  if (target.url !== null) return { connectionString: target.url }
  const { host, port, user, database } = target
  return { host, port, user, database, password: target.password ?? '' }
}

/** A failed connection attempt in one clear line without a password: PermanentError for a refused login. */
export function connectError(error: unknown, target: DatabaseTarget): Error {
  const where = describeTarget(target)
  const kind = classifyError(error)
  if (kind === 'login') {
    const message = `the database refuses the login ${where}: ${describeError(error)}`
    return new PermanentError(message, { exitCode: EXIT.configuration, cause: error })
  }
  if (kind === 'transient') {
    return new TransientError(`the database ${where} cannot be reached: ${describeError(error)}`, { cause: error })
  }
  return error instanceof Error ? error : new Error(describeError(error))
}

function sessionOf(client: pg.PoolClient, readTimeoutMs: number): Session {
  return {
    query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) {
      // Known to the client library, not to its types.
      const config: pg.QueryConfig & { query_timeout: number } = { text, query_timeout: readTimeoutMs }
      // Without values the simple protocol is used, which takes several statements at once.
      if (values.length > 0) config.values = [...values]
      return client.query<Row>(config)
    },
  }
}

/** A transaction that failed inside answers COMMIT with ROLLBACK; that must never pass for success. */
async function commit(session: Session): Promise<void> {
  const result = await session.query('COMMIT')
  if (result.command !== 'COMMIT') throw new TransientError('the database rolled the transaction back')
}
