import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startVenueProcess } from '../src/sim/process.ts'
import { median, type Outcome } from './report.ts'
import type { Settings } from './settings.ts'

const TARGET_SECONDS = 3
const POLL_MS = 5
const WAIT_MS_MAX = 60_000
/** Any free port: another recorder may be running. */
const ANY_API_PORT = { TAPEKEEPER_API_ADDRESS: '127.0.0.1:0' }
const VENUE = { markets: 200, rate: 500, seed: 3 }

interface Start {
  /** Seconds from the start of the process to the first row of any kind in the ledger, and to the first trade. */
  readonly anySeconds: number
  readonly tradeSeconds: number
}

/** Benchmark 5: the real daemon against the simulated venue, on a data directory that a run before has filled. */
export async function measureStart(settings: Settings): Promise<Outcome> {
  const { say, rounds } = settings
  const venue = await startVenueProcess(VENUE)
  const dataDir = mkdtempSync(join(tmpdir(), 'tapekeeper-bench-start-'))
  // As root, the server's own user must be able to come in.
  chmodSync(dataDir, 0o755)
  try {
    const first = await startOnce(dataDir, venue.environment)
    say(`first start with an empty directory: ${first.tradeSeconds.toFixed(2)} s to the first trade`)
    const starts: Start[] = []
    for (let round = 1; round <= rounds; round += 1) {
      const start = await startOnce(dataDir, venue.environment)
      starts.push(start)
      say(`start ${round} of ${rounds}: ${start.anySeconds.toFixed(2)} s, trade ${start.tradeSeconds.toFixed(2)} s`)
    }
    return outcomeOf(starts, first)
  } finally {
    await venue.stop()
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  }
}

async function startOnce(dataDir: string, environment: Readonly<Record<string, string>>): Promise<Start> {
  const port = await freePort()
  const startedMs = performance.now()
  const seconds = () => (performance.now() - startedMs) / 1000
  const daemon = spawn(process.execPath, [join(process.cwd(), 'bin', 'tapekeeper.js'), 'collect'], {
    env: {
      ...bareEnvironment(),
      ...environment,
      TAPEKEEPER_DATA_DIR: dataDir,
      ...ANY_API_PORT,
      HEALTH_PORT: String(port),
    },
    stdio: 'ignore',
  })
  try {
    let anySeconds: number | null = null
    for (;;) {
      const seen = await look(port)
      if (seen?.any) anySeconds ??= seconds()
      if (anySeconds !== null && seen?.trade) return { anySeconds, tradeSeconds: seconds() }
      if (daemon.exitCode !== null) throw new Error(`the daemon ended with ${daemon.exitCode}`)
      if (seconds() * 1000 > WAIT_MS_MAX) throw new Error(`no row within ${WAIT_MS_MAX} ms`)
      await delay(POLL_MS)
    }
  } finally {
    await endProgram(daemon)
  }
}

/** What health says is in the ledger since this start: it counts after the commit. */
async function look(port: number): Promise<{ any: boolean; trade: boolean } | null> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/health`)
    const health = (await response.json()) as {
      readonly collectors: Readonly<Record<string, { readonly total_items: number; readonly kind: string }>>
      readonly trade_listener: { readonly trades_inserted: number }
    }
    const trade = health.trade_listener.trades_inserted > 0
    const items = Object.values(health.collectors).filter(({ kind }) => kind === 'polling')
    return { any: trade || items.some(({ total_items: total }) => total > 0), trade }
  } catch {
    return null // it does not listen yet
  }
}

/** Ends a program in order and waits for it. */
export async function endProgram(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return
  const ended = once(daemon, 'exit')
  daemon.kill('SIGTERM')
  await ended
}

/** The environment without anything that configures a recorder. */
export function bareEnvironment(): NodeJS.ProcessEnv {
  const mine = /^TAPEKEEPER_|^(?:DATABASE_URL|PORT|HEALTH_PORT|NODE_OPTIONS)$/
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !mine.test(name)))
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

function outcomeOf(starts: readonly Start[], first: Start): Outcome {
  const trade = median(starts.map(({ tradeSeconds }) => tradeSeconds))
  const any = median(starts.map(({ anySeconds }) => anySeconds))
  return {
    id: 5,
    what: 'start to the first stored trade',
    reached: `${trade.toFixed(2)} s`,
    target: `≤ ${TARGET_SECONDS} s`,
    met: trade <= TARGET_SECONDS,
    details: [
      `first row of any kind after ${any.toFixed(2)} s; with an empty directory ${first.anySeconds.toFixed(2)} s and ` +
        `${first.tradeSeconds.toFixed(2)} s`,
    ],
    numbers: {
      trade: starts.map(({ tradeSeconds }) => tradeSeconds),
      any: starts.map(({ anySeconds }) => anySeconds),
      first,
    },
  }
}
