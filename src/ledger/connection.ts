import type { Clock } from '../core/clock.ts'
import { describeError, PermanentError, TransientError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { LedgerStatus } from '../core/status.ts'
import { Database } from './database.ts'
import type { EmbeddedServer } from './embedded.ts'
import { toLedgerError } from './errors.ts'
import { migrate } from './migrate.ts'
import type { DatabaseTarget } from './target.ts'

export interface ConnectionOptions {
  /** A server that is there, or the built-in one. */
  readonly server: DatabaseTarget | EmbeddedServer
  readonly schema: string
  readonly poolSize: number
  readonly clock: Clock
  readonly log: Logger
  /** Runs on every contact, after the migrations: forget what was known of the database, prepare it. */
  readonly onContact: (database: Database) => Promise<void>
  /** Told of a PermanentError that shows up after `connect` returned and before the first contact. */
  readonly onFatal: (error: PermanentError) => void
}

const BACKOFF_MS = { first: 1_000, last: 30_000 }
const PING_INTERVAL_MS = 15_000
/** After a failed attempt, callers are turned away for this long instead of trying again each. */
const ATTEMPT_PAUSE_MS = 500
const CLOSE_TIMEOUT_MS = 3_000

/** Keeps one database within reach: first contact, migrations, status, and coming back after it was away. */
export class Connection {
  readonly status: LedgerStatus
  readonly #options: ConnectionOptions
  readonly #closing = new AbortController()
  #database: Database | null = null
  #attempt: Promise<Database> | null = null
  #pauseUntilMs = 0
  #hadContact = false
  #wake = new AbortController()
  #loop: Promise<void> = Promise.resolve()

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.status = {
      state: 'connecting',
      trouble: null,
      kind: isEmbedded(options.server) ? 'embedded' : 'server',
      serverVersion: null,
      sinceMs: options.clock.wallMs(),
    }
  }

  /** Tries once, then keeps the database within reach in the background. Rejects with PermanentError only. */
  async connect(): Promise<void> {
    let failures = 0
    try {
      await this.#contact()
    } catch (error) {
      if (error instanceof PermanentError) {
        await this.close()
        throw error
      }
      failures = 1
    }
    this.#loop = this.#keep(failures)
  }

  /** Runs `work` with the database, making contact first where it is missing. */
  async run<T>(work: (database: Database) => Promise<T>): Promise<T> {
    const database = await this.#ready()
    try {
      return await work(database)
    } catch (error) {
      throw this.#laterError(toLedgerError(error))
    }
  }

  /** Closes the pool; running transactions get a moment. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#wake.abort()
    await this.#bounded(this.#loop)
    await this.#closeDatabase()
    this.#move('stopped', null)
  }

  #ready(): Promise<Database> {
    if (this.#closing.signal.aborted) return Promise.reject(new TransientError('the ledger is closed'))
    if (this.status.state === 'ok' && this.#database !== null) return Promise.resolve(this.#database)
    if (this.#attempt === null && this.#options.clock.monotonicMs() < this.#pauseUntilMs) {
      return Promise.reject(new TransientError(this.status.trouble ?? 'the database cannot be reached'))
    }
    return this.#contact()
  }

  #contact(): Promise<Database> {
    this.#attempt ??= this.#tryContact().finally(() => {
      this.#attempt = null
    })
    return this.#attempt
  }

  async #tryContact(): Promise<Database> {
    const { server, clock, log, onContact } = this.#options
    try {
      const database = await this.#databaseAt(isEmbedded(server) ? await server.ensureRunning() : server)
      this.status.serverVersion = await migrate(database, log)
      await onContact(database)
      this.#hadContact = true
      this.#move('ok', null)
      return database
    } catch (error) {
      const clear = this.#laterError(toContactError(error))
      this.#move(this.#hadContact ? 'unavailable' : 'connecting', describeError(clear), clear instanceof PermanentError)
      this.#pauseUntilMs = clock.monotonicMs() + ATTEMPT_PAUSE_MS
      throw clear
    }
  }

  /** The built-in server may come back on another port. */
  async #databaseAt(target: DatabaseTarget): Promise<Database> {
    if (this.#database !== null && sameTarget(this.#database.target, target)) return this.#database
    await this.#closeDatabase()
    const { schema, poolSize } = this.#options
    this.#database = new Database({ target, schema, poolSize, onLost: (error) => this.#lost(error) })
    return this.#database
  }

  #lost(error: Error): void {
    if (this.status.state !== 'ok') return
    this.#move('unavailable', describeError(error))
    this.#wake.abort()
  }

  async #keep(failuresBefore: number): Promise<void> {
    const { clock } = this.#options
    let failures = failuresBefore
    while (!this.#closing.signal.aborted) {
      await clock.sleep(this.#delayMs(failures), this.#freshWake())
      if (this.#closing.signal.aborted) return
      try {
        if (this.status.state === 'ok') await this.run((database) => ping(database))
        else await this.#contact()
        failures = 0
      } catch (error) {
        failures += 1
        if (error instanceof PermanentError) return this.#options.onFatal(error)
      }
    }
  }

  #delayMs(failures: number): number {
    if (failures > 0) return Math.min(BACKOFF_MS.last, BACKOFF_MS.first * 2 ** Math.min(failures - 1, 10))
    return this.status.state === 'ok' ? PING_INTERVAL_MS : 0
  }

  /** A fresh one for every sleep: an aborted signal would turn the loop into a busy one. */
  #freshWake(): AbortSignal {
    this.#wake = new AbortController()
    if (this.#closing.signal.aborted) this.#wake.abort()
    return this.#wake.signal
  }

  /** Once there was contact, a refused login is trouble that may pass: the tape goes on recording. */
  #laterError(error: unknown): unknown {
    if (!(error instanceof PermanentError) || !this.#hadContact) return error
    return new TransientError(error.message, { cause: error })
  }

  /** `told`: whoever waits for contact is given the trouble as an error that ends the program, and says it once. */
  #move(state: LedgerStatus['state'], trouble: string | null, told = false): void {
    const { clock, log } = this.#options
    if (trouble !== null && trouble !== this.status.trouble && !told) log.warn({ state }, `Ledger: ${trouble}`)
    if (state === 'ok' && this.status.state !== 'ok') {
      log.info({ kind: this.status.kind, version: this.status.serverVersion }, 'Ledger: the database is ready')
    }
    if (state !== this.status.state) this.status.sinceMs = clock.wallMs()
    this.status.state = state
    this.status.trouble = trouble
  }

  async #closeDatabase(): Promise<void> {
    const database = this.#database
    this.#database = null
    if (database === null) return
    await this.#bounded(database.close())
    database.destroy()
  }

  /** Waits for what may never end, but not for long. */
  async #bounded(work: Promise<void>): Promise<void> {
    const timer = new AbortController()
    const quiet = work.catch(() => {})
    await Promise.race([quiet, this.#options.clock.sleep(CLOSE_TIMEOUT_MS, timer.signal)])
    timer.abort()
  }
}

function isEmbedded(server: DatabaseTarget | EmbeddedServer): server is EmbeddedServer {
  return 'ensureRunning' in server
}

function sameTarget(a: DatabaseTarget, b: DatabaseTarget): boolean {
  return a.host === b.host && a.port === b.port && a.password === b.password && a.url === b.url
}

function ping(database: Database): Promise<unknown> {
  return database.transaction((session) => session.query('SELECT 1'), { readOnly: true })
}

/** At contact, missing rights are a matter of configuration. */
function toContactError(error: unknown): unknown {
  if (error instanceof Error && 'code' in error && error.code === '42501') {
    return new PermanentError(`the database user may not create what is needed: ${error.message}`, { cause: error })
  }
  return toLedgerError(error)
}
