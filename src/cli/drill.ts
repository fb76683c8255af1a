import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { EXIT, type ExitCode, PermanentError, TransientError } from '../core/errors.ts'
import { findEmbeddedConnectionString } from '../ledger/embedded.ts'
import { findCluster } from '../ledger/embedded-place.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { startVenueProcess, type VenueProcess } from '../sim/process.ts'
import { columns } from './columns.ts'
import { printJson, printMessage, printResult } from './output.ts'

export interface DrillFlags {
  readonly only?: string
  readonly json?: boolean
}

/** How long it took, ms. `null`: it did not come in time. */
interface Measured {
  readonly fault: string
  readonly reason: string
  /** From the fault to the first 503, or to the first token in doubt. */
  readonly detectedMs: number | null
  /** From the fault to the alert. */
  readonly alertMs: number | null
  /** From the end of the fault until all is well. */
  readonly recoveredMs: number | null
  /** From the end of the fault to the message that it is over. */
  readonly overMs: number | null
}

interface Health {
  readonly status: string
  readonly reasons: readonly string[]
  readonly coverage: { readonly tokens_in_doubt: number }
}

interface Fault {
  readonly name: string
  begin(stage: Stage): Promise<void>
  end(stage: Stage): Promise<void>
}

const FAULTS: Readonly<Record<string, Fault>> = {
  feed: {
    name: 'a feed freezes: connections answer and deliver nothing',
    begin: async ({ venue }) => void (await venue.control({ freeze: { connections: 'all' } })),
    end: async ({ venue }) => void (await venue.control({ unfreeze: true })),
  },
  source: {
    name: 'a source stops: its metadata cannot be had',
    begin: async ({ venue }) => void (await venue.control({ httpFault: { path: '/gamma', mode: '503' } })),
    end: async ({ venue }) => void (await venue.control({ clearHttpFaults: true })),
  },
  queue: {
    name: 'a queue fills: the database stands still',
    begin: (stage) => stage.signalDatabase('SIGSTOP'),
    end: (stage) => stage.signalDatabase('SIGCONT'),
  },
}

/** Quicker than the defaults, so that a drill takes minutes; the times of alerts are part of what is shown. */
const SETTINGS = [
  ...['markets', 'price', 'orderbook', 'resolution'].map((name) => `polymarket.${name}_interval=3s`),
  'polymarket.stall_timeout=5s',
  'alerts.check_interval=500ms',
  'alerts.open_after=5s',
  'alerts.close_after=5s',
]
const WAIT_MS_MAX = 120_000
const LOOK_MS = 100
const SAID_LENGTH_MAX = 2_000

/** `tapekeeper drill`: breaks a simulated venue and its recorder, both of its own, and shows how long things took. */
export async function runDrill({ only, json }: DrillFlags): Promise<ExitCode> {
  const names = only === undefined ? Object.keys(FAULTS) : only.split(',')
  const unknown = names.find((name) => !(name in FAULTS))
  if (unknown !== undefined) {
    const text = `--only takes ${Object.keys(FAULTS).join(', ')}, not ${unknown}`
    throw new PermanentError(text, { exitCode: EXIT.usage })
  }
  const stage = await Stage.build()
  const results: Measured[] = []
  try {
    for (const name of names) {
      const fault = FAULTS[name] as Fault
      printMessage(`${fault.name} …`)
      results.push(await stage.play(fault))
    }
  } finally {
    await stage.close()
  }
  if (json) printJson({ settings: SETTINGS, results: results.map(inSeconds) })
  else printTable(results)
  const isComplete = results.every((one) => one.alertMs !== null && one.overMs !== null)
  return isComplete ? EXIT.ok : EXIT.unhealthy
}

function inSeconds({ fault, reason, ...times }: Measured) {
  const seconds = (ms: number | null) => (ms === null ? null : Math.round(ms / 100) / 10)
  return {
    fault,
    reason,
    detected_seconds: seconds(times.detectedMs),
    alert_seconds: seconds(times.alertMs),
    recovered_seconds: seconds(times.recoveredMs),
    over_seconds: seconds(times.overMs),
  }
}

function printTable(results: readonly Measured[]): void {
  const text = (ms: number | null) => (ms === null ? 'never' : `${(ms / 1000).toFixed(1)}s`)
  const rows = results.map(({ fault, detectedMs, alertMs, recoveredMs, overMs }) => {
    return [fault, text(detectedMs), text(alertMs), text(recoveredMs), text(overMs)]
  })
  const head = ['fault', 'detected', 'alert', 'recovered', 'told to be over']
  for (const line of columns([head, ...rows])) printResult(line)
}

/** A venue, a recorder in a process and a directory of its own, and somebody whom it alerts. */
class Stage {
  readonly venue: VenueProcess
  readonly #directory: string
  readonly #recorder: ChildProcess
  readonly #inbox: Server
  readonly #kinds: string[]
  readonly #healthUrl: string
  readonly #clock = systemClock()
  /** Aborts when somebody has seen enough. */
  readonly #stop = new AbortController()
  #stopped: readonly number[] = []
  /** The recorder's last words. */
  #said = ''

  private constructor(parts: { venue: VenueProcess; directory: string; inbox: Server; kinds: string[]; port: number }) {
    this.venue = parts.venue
    this.#directory = parts.directory
    this.#inbox = parts.inbox
    this.#kinds = parts.kinds
    this.#healthUrl = `http://127.0.0.1:${parts.port}/health`
    const inboxPort = (parts.inbox.address() as AddressInfo).port
    const settings = [...SETTINGS, `health.port=${parts.port}`, 'api.address=127.0.0.1:0']
    const sets = [...settings, `alerts.webhook_url=http://127.0.0.1:${inboxPort}/`].flatMap((one) => ['--set', one])
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => this.#stop.abort())
    this.#recorder = spawn(
      process.execPath,
      [process.argv[1] ?? '', 'collect', '--data-dir', parts.directory, ...sets],
      {
        // Nothing of the caller's: simulated data has no place in a real ledger, nor drills in a real channel.
        env: { ...this.venue.environment, PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '' },
        cwd: parts.directory,
        stdio: ['ignore', 'ignore', 'pipe'],
        // Ctrl-C is for the drill, which ends what it broke in order.
        detached: true,
      },
    )
    this.#recorder.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-SAID_LENGTH_MAX)
    })
  }

  static async build(): Promise<Stage> {
    const directory = await mkdtemp(join(tmpdir(), 'tapekeeper-drill-'))
    await chmod(directory, 0o755)
    const kinds: string[] = []
    const inbox = createServer((request, response) => {
      let text = ''
      request.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      request.on('end', () => {
        kinds.push(String((JSON.parse(text) as { kind?: unknown }).kind))
        response.end()
      })
    })
    const port = await listen(createServer()).then(async ({ server, port: free }) => {
      await new Promise((resolve) => server.close(resolve))
      return free
    })
    await listen(inbox)
    const venue = await startVenueProcess({ markets: 20, rate: 100, seed: 1 }).catch(async (error: unknown) => {
      inbox.close()
      await rm(directory, { recursive: true, force: true })
      throw error
    })
    const stage = new Stage({ venue, directory, inbox, kinds, port })
    if ((await stage.#until(() => stage.#isWell())) !== null) return stage
    const said = stage.#said
    const wasAsked = stage.#stop.signal.aborted
    await stage.close()
    if (wasAsked) throw new TransientError('the drill was ended before its end')
    throw new TransientError(`the recorder of the drill did not become healthy; it said: ${said}`)
  }

  get #isOver(): boolean {
    const { exitCode, signalCode } = this.#recorder
    return this.#stop.signal.aborted || exitCode !== null || signalCode !== null
  }

  async play(fault: Fault): Promise<Measured> {
    if (this.#isOver) throw new TransientError('the drill was ended before its end')
    const before = this.#kinds.length
    const count = (kind: string) => this.#kinds.slice(before).filter((one) => one === kind).length
    await fault.begin(this)
    const [detectedMs, alertMs] = await Promise.all([
      this.#until(async () => (await this.#isWell()) === false),
      this.#until(async () => count('down') > 0),
    ])
    const reason = await this.#reason()
    await fault.end(this)
    const [recoveredMs, overMs] = await Promise.all([
      this.#until(() => this.#isWell()),
      this.#until(async () => count('down') > 0 && count('recovered') >= count('down')),
    ])
    return { fault: fault.name, reason, detectedMs, alertMs, recoveredMs, overMs }
  }

  /** Stops every process of the recorder's database, or lets it go on. */
  async signalDatabase(signal: 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    if (signal === 'SIGSTOP') {
      const connectionString = findEmbeddedConnectionString(this.#directory)?.connectionString
      const client = new pg.Client({ connectionString })
      await client.connect()
      const { rows } = await client.query<{ pid: number }>(
        'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()',
      )
      await client.end()
      const cluster = findCluster(this.#directory)
      const server = cluster === null ? '' : await readFile(join(cluster, 'postmaster.pid'), 'utf8')
      this.#stopped = [Number(server.split('\n')[0]), ...rows.map(({ pid }) => pid)].filter((pid) => pid > 1)
    }
    for (const pid of this.#stopped) {
      try {
        process.kill(pid, signal)
      } catch {
        // One that has ended meanwhile has nothing to do any more.
      }
    }
  }

  async close(): Promise<void> {
    await this.signalDatabase('SIGCONT')
    if (this.#recorder.exitCode === null && this.#recorder.signalCode === null) {
      const ended = once(this.#recorder, 'close')
      this.#recorder.kill('SIGTERM')
      await ended
    }
    await this.venue.stop()
    this.#inbox.closeAllConnections()
    await new Promise((resolve) => this.#inbox.close(resolve))
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 5 })
  }

  /** Healthy, and no token in doubt: a frozen feed has connections that look well. */
  async #isWell(): Promise<boolean> {
    const health = await this.#health()
    return health?.status === 'healthy' && health.coverage.tokens_in_doubt === 0
  }

  async #reason(): Promise<string> {
    const { reasons = [], coverage } = (await this.#health()) ?? {}
    return reasons.join('; ') || `${coverage?.tokens_in_doubt ?? 0} tokens in doubt`
  }

  async #health(): Promise<Health | null> {
    try {
      return (await (await fetch(this.#healthUrl)).json()) as Health
    } catch {
      return null // not there yet
    }
  }

  /** How long it took, ms; null when it did not come in time. */
  async #until(ask: () => Promise<boolean>): Promise<number | null> {
    const startMs = this.#clock.monotonicMs()
    for (;;) {
      const tookMs = this.#clock.monotonicMs() - startMs
      if (await ask()) return tookMs
      if (tookMs > WAIT_MS_MAX || this.#isOver) return null
      await this.#clock.sleep(LOOK_MS, this.#stop.signal)
    }
  }
}

function listen(server: Server): Promise<{ server: Server; port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port: 0, host: '127.0.0.1' }, () =>
      resolve({ server, port: (server.address() as AddressInfo).port }),
    )
  })
}
