import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { startVenueProcess } from '../src/sim/process.ts'
import { fillLedger, type Ids } from './api-rows.ts'
import { oneMinuteLoad } from './machine.ts'
import type { Outcome } from './report.ts'
import type { Settings } from './settings.ts'
import { bareEnvironment, endProgram, freePort } from './startup.ts'

const TARGET_MS = 50
const VENUE = { markets: 200, rate: 500, seed: 5 }
const WAIT_MS_MAX = 120_000
const WARM_ROUNDS = 3
const ROUNDS_PER_LINE = 50
/** The venue, the recorder, its database and this process want about so many cores. */
const OWN_LOAD = 2
const PROGRAM = join(process.cwd(), 'bin', 'tapekeeper.js')

interface Running {
  readonly daemon: ChildProcess
  readonly env: NodeJS.ProcessEnv
  readonly url: string
}

interface Measured {
  readonly path: string
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** Benchmark 6: every endpoint while the recorder runs, over a full log and ten million prices. */
export async function measureApi(settings: Settings): Promise<Outcome> {
  const { say, quick } = settings
  const [logs, prices, requests] = quick ? [100_000, 1_000_000, 60] : [1_000_000, 10_000_000, 300]
  const venue = await startVenueProcess(VENUE)
  const dataDir = mkdtempSync(join(tmpdir(), 'tapekeeper-bench-api-'))
  // As root, the server's own user must be able to come in.
  chmodSync(dataDir, 0o755)
  try {
    const running = await startDaemon(dataDir, venue.environment)
    try {
      say(`filling ${logs} log rows and ${prices} price rows`)
      const ids = await fill(running, logs, prices)
      const measured = await measure(running.url, pathsOf(ids), requests, say)
      return outcomeOf(measured, { logs, prices, requests })
    } finally {
      await endProgram(running.daemon)
    }
  } finally {
    await venue.stop()
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  }
}

async function startDaemon(dataDir: string, venue: Readonly<Record<string, string>>): Promise<Running> {
  const [health, api] = [await freePort(), await freePort()]
  const env = {
    ...bareEnvironment(),
    ...venue,
    TAPEKEEPER_DATA_DIR: dataDir,
    TAPEKEEPER_API_ADDRESS: `127.0.0.1:${api}`,
    HEALTH_PORT: String(health),
    TAPEKEEPER_ASSETS_ENABLED: 'true',
    TAPEKEEPER_ASSETS_PRICE_INTERVAL: '20s',
    TAPEKEEPER_ASSETS_REQUEST_DELAY: '10ms',
  }
  const daemon = spawn(process.execPath, [PROGRAM, 'collect'], { env, stdio: 'ignore' })
  const url = `http://127.0.0.1:${api}`
  const endMs = performance.now() + WAIT_MS_MAX
  while (performance.now() < endMs) {
    const found = await fetch(`${url}/api/markets`).then(
      (answer) => answer.json() as Promise<{ markets?: readonly { tokens: readonly { price: number | null }[] }[] }>,
      () => null, // it does not listen yet
    )
    if (found?.markets?.[0]?.tokens[0]?.price != null) return { daemon, env, url }
    await delay(100)
  }
  await endProgram(daemon)
  throw new Error('the recorder stored no market in time')
}

async function fill({ env }: Running, logs: number, prices: number): Promise<Ids> {
  const found = spawnSync(process.execPath, [PROGRAM, 'config', '--connection-string'], { env, encoding: 'utf8' })
  const client = new pg.Client({ connectionString: found.stdout.trim() })
  await client.connect()
  try {
    const ids = await fillLedger(client, logs, prices)
    const endMs = performance.now() + WAIT_MS_MAX
    const valued = 'SELECT count(*)::integer AS n FROM portfolio_performance_cache'
    while ((await client.query<{ n: number }>(valued)).rows[0]?.n === 0) {
      if (performance.now() > endMs) throw new Error('no portfolio was valued in time')
      await delay(100)
    }
    return ids
  } finally {
    await client.end()
  }
}

function pathsOf({ token, market }: Ids): readonly string[] {
  return [
    '/api/health',
    '/api/fetcher/status',
    '/api/fetcher/statistics',
    '/api/fetcher/recent-updates',
    '/api/fetcher/logs?limit=100',
    '/api/fetcher/logs?limit=100&offset=5000',
    '/api/fetcher/logs?limit=100&level=ERROR',
    '/api/fetcher/logs?limit=100&search=needle',
    '/api/fetcher/logs?limit=100&search=prices+done',
    '/api/collectors',
    '/api/collectors/polymarket.prices',
    '/api/collectors/polymarket.prices/cycles',
    '/api/collectors/polymarket.prices/statistics',
    '/api/markets',
    '/api/markets?search=will',
    `/api/markets/${market}`,
    `/api/tokens/${token}/trades`,
    `/api/tokens/${token}/prices?limit=1000`,
    `/api/tokens/${token}/books`,
    `/api/tokens/${token}/candles`,
    `/api/tokens/${token}/coverage`,
    '/api/gaps',
    `/api/gaps?token_id=${token}`,
    '/api/assets',
    '/api/assets?search=share+49',
    '/api/backfills',
    '/api/portfolios',
    '/api/portfolios/bench%201',
    '/api/portfolios/bench%201/snapshots',
    '/api/portfolios/bench%201/transactions',
    '/api/openapi.json',
    '/metrics',
  ]
}

/** Round by round over all of them, so that whatever happens meanwhile falls on each alike. */
async function measure(url: string, paths: readonly string[], rounds: number, say: Settings['say']) {
  const took = new Map(paths.map((path) => [path, [] as number[]]))
  for (let round = -WARM_ROUNDS; round < rounds; round += 1) {
    for (const [path, tookMs] of took) {
      const oneMs = await askOnce(url, path)
      if (round >= 0) tookMs.push(oneMs)
    }
    if ((round + 1) % ROUNDS_PER_LINE === 0) say(`${round + 1} of ${rounds} rounds`)
  }
  return Array.from(took, ([path, tookMs]): Measured => {
    tookMs.sort((a, b) => a - b)
    const at = (share: number) => tookMs[Math.ceil(share * tookMs.length) - 1] ?? Number.NaN
    return { path, p50: at(0.5), p99: at(0.99), max: at(1) }
  })
}

/** How long one whole answer took, ms. */
async function askOnce(url: string, path: string): Promise<number> {
  for (;;) {
    const startMs = performance.now()
    const answer = await fetch(`${url}${path}`)
    await answer.arrayBuffer()
    if (answer.status === 200) return performance.now() - startMs
    if (answer.status !== 429) throw new Error(`${path} answered ${answer.status}`)
    // One client must not ask so often: it goes on when it may again.
    await delay(1_000 * Number(answer.headers.get('retry-after') ?? 1))
  }
}

function outcomeOf(measured: readonly Measured[], rows: { logs: number; prices: number; requests: number }): Outcome {
  const slowest = measured.reduce((worst, one) => (one.p99 > worst.p99 ? one : worst))
  return {
    id: 6,
    what: `API, ${rows.logs / 1e6} M log rows, ${rows.prices / 1e6} M prices, recording: slowest p99`,
    reached: `${slowest.p99.toFixed(1)} ms`,
    target: `≤ ${TARGET_MS} ms`,
    // Where others want the processor too, their share is measured.
    met: oneMinuteLoad() > availableParallelism() + OWN_LOAD ? null : slowest.p99 <= TARGET_MS,
    details: measured.map(
      ({ path, p50, p99, max }) =>
        `p50 ${p50.toFixed(1)}  p99 ${p99.toFixed(1)}  max ${max.toFixed(1)} ms  ${shorten(path)}`,
    ),
    numbers: { ...rows, measured },
  }
}

/** Ids are long and say nothing here. */
function shorten(path: string): string {
  return path.replaceAll(/(?:0x)?[0-9a-f]{20,}/g, '…')
}
