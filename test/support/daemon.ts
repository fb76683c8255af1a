import { randomInt } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import pg from 'pg'
import { findCluster } from '../../src/ledger/embedded-place.ts'
import { type Running, runProgram, startProgram, until } from './processes.ts'

export interface VenueUrls {
  readonly gamma: string
  readonly clob: string
  readonly data: string
  readonly ws: string
}

/** The environment that points a daemon to a venue, with cadences short enough for a test. */
export function venueEnvironment(urls: VenueUrls): Record<string, string> {
  return {
    TAPEKEEPER_POLYMARKET_GAMMA_URL: urls.gamma,
    TAPEKEEPER_POLYMARKET_CLOB_URL: urls.clob,
    TAPEKEEPER_POLYMARKET_DATA_URL: urls.data,
    TAPEKEEPER_POLYMARKET_WS_URL: urls.ws,
    TAPEKEEPER_POLYMARKET_MARKETS_INTERVAL: '5s',
    TAPEKEEPER_POLYMARKET_PRICE_INTERVAL: '5s',
    TAPEKEEPER_POLYMARKET_ORDERBOOK_INTERVAL: '5s',
    TAPEKEEPER_POLYMARKET_RESOLUTION_INTERVAL: '5s',
  }
}

/** A port that was free a moment ago. */
/**
 * A port that nobody listens on. Not one that the system gives out by itself (above 32,767): between here and its use
 * another test's server would be handed it. Nor one of the built-in database's (up to 25,431).
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const port = 25_500 + randomInt(7_200)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, () => resolve(true))
    })
    if (!isFree) continue
    await new Promise((resolve) => server.close(resolve))
    return port
  }
  throw new Error('no free port')
}

export async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'tapekeeper-test-'))
  // As root, the database's own user must be able to come in; otherwise its files would go elsewhere.
  await chmod(path, 0o755)
  return path
}

export type HealthBody = Record<string, unknown> & { status: string }

/** A real daemon in its own process, seen from outside only: its listener, its ledger, its tape, its exit. */
export class Daemon {
  readonly running: Running
  readonly dataDir: string
  readonly healthUrl: string
  readonly env: Record<string, string>
  #pool: pg.Pool | undefined

  constructor(running: Running, dataDir: string, healthUrl: string, env: Record<string, string>) {
    this.running = running
    this.dataDir = dataDir
    this.healthUrl = healthUrl
    this.env = env
  }

  static async start(dataDir: string, env: Record<string, string>, withinMs = 30_000): Promise<Daemon> {
    const [port, apiPort] = [await freePort(), await freePort()]
    const whole = {
      TAPEKEEPER_API_ADDRESS: `127.0.0.1:${apiPort}`,
      ...env,
      TAPEKEEPER_DATA_DIR: dataDir,
      HEALTH_PORT: String(port),
    }
    const running = startProgram(['collect'], { env: whole })
    const daemon = new Daemon(running, dataDir, `http://127.0.0.1:${port}`, whole)
    const answer = await until(
      'the health listener',
      async () => (running.alive ? (await fetch(`${daemon.healthUrl}/health/live`)).status : 'ended'),
      withinMs,
    ).catch(async (error: unknown) => {
      await running.end('SIGKILL')
      throw new Error(`the daemon did not start:\n${running.stderr.slice(-4000)}`, { cause: error })
    })
    if (answer === 'ended') throw new Error(`the daemon ended at its start:\n${running.stderr.slice(-4000)}`)
    return daemon
  }

  /** Where the HTTP API is. */
  get apiUrl(): string {
    return `http://${this.env['TAPEKEEPER_API_ADDRESS']}`
  }

  async health(): Promise<HealthBody> {
    return (await (await fetch(`${this.healthUrl}/health`)).json()) as HealthBody
  }

  /** Waits until health satisfies the question. */
  async whenHealth(what: string, question: (body: HealthBody) => boolean, withinMs = 60_000): Promise<HealthBody> {
    let last: HealthBody | undefined
    try {
      return await until(
        what,
        async () => {
          if (!this.running.alive) throw new Error('the daemon has ended')
          last = await this.health()
          return question(last) ? last : undefined
        },
        withinMs,
      )
    } catch (error) {
      const seen = JSON.stringify(last, null, 1)
      throw new Error(`${what}: ${seen}\n${this.running.stderr.slice(-4000)}`, { cause: error })
    }
  }

  /** The ledger, by the connection string that `tapekeeper config` prints. */
  async query<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
    this.#pool ??= await this.#connect()
    return (await this.#pool.query<Row>(sql, values)).rows
  }

  async #connect(): Promise<pg.Pool> {
    const pool = new pg.Pool({ connectionString: await this.connectionString(), max: 2 })
    pool.on('error', () => undefined)
    return pool
  }

  async connectionString(): Promise<string> {
    const result = await runProgram(['config', '--json', '--show-secrets'], { env: this.env })
    if (result.code !== 0) throw new Error(`config ended with ${result.code}: ${result.stderr}`)
    const { connection_string: text } = JSON.parse(result.stdout) as { connection_string?: string }
    if (!text) throw new Error(`config prints no connection string: ${result.stdout}`)
    return text
  }

  /** Forgets the connections, which a restart of the ledger breaks. */
  async forgetLedger(): Promise<void> {
    const pool = this.#pool
    this.#pool = undefined
    await pool?.end()
  }

  async end(signal: NodeJS.Signals) {
    await this.forgetLedger()
    return await this.running.end(signal)
  }
}

/** Every line of a stream's tape, read as anybody would: by folder, gunzip and JSON.parse. */
export async function readTapeLines(dataDir: string, stream = 'polymarket.trades'): Promise<string[]> {
  const root = join(dataDir, 'tape', stream)
  const lines: string[] = []
  const names: { order: string; path: string }[] = []
  for (const day of await readdir(root, { withFileTypes: true })) {
    if (!day.isDirectory()) continue
    const files = await readdir(join(root, day.name))
    for (const name of files) {
      if (!/\.ndjson(\.gz)?$/.test(name)) continue
      // A crash during compression leaves both, and they say the same.
      if (name.endsWith('.gz') && files.includes(name.slice(0, -'.gz'.length))) continue
      names.push({
        order: name.replace(/^[^-]*-/, '').replace(/\.ndjson(\.gz)?$/, ''),
        path: join(root, day.name, name),
      })
    }
  }
  names.sort((a, b) => (a.order < b.order ? -1 : 1))
  for (const { path } of names) {
    const bytes = await readFile(path)
    const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
    for (const line of text.split('\n')) if (line !== '') lines.push(line)
  }
  return lines
}

export async function removeDirectory(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 5 })
}

/** Sends a signal to the built-in server of a data directory; false when none runs. */
export async function signalServer(dataDir: string, signal: NodeJS.Signals): Promise<boolean> {
  const pid = await serverPid(dataDir)
  try {
    return pid !== null && process.kill(pid, signal)
  } catch {
    return false
  }
}

/** The built-in server of a data directory and everything that it started, one for each session among them. */
export async function serverProcesses(dataDir: string): Promise<number[]> {
  const pid = await serverPid(dataDir)
  if (pid === null) return []
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return [pid, ...children.trim().split(/\s+/).map(Number)]
}

async function serverPid(dataDir: string): Promise<number | null> {
  const cluster = findCluster(dataDir)
  if (cluster === null) return null
  const file = await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number(file.split('\n')[0])
  return pid > 1 ? pid : null
}
