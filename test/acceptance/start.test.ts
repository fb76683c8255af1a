import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { findCluster } from '../../src/ledger/embedded-place.ts'
import { freePort, type HealthBody, removeDirectory, temporaryDirectory } from '../support/daemon.ts'
import { ROOT, Running, until } from '../support/processes.ts'

const START_MS_MAX = 15_000
const WATCHED_MS = 60_000
/**
 * Nine lines of a start, two of the first failure of each of five collectors, two of every tenth repetition, and one
 * health report of six lines: 35. What repeats beyond that is a flood.
 */
const LINES_MAX = 40
const COLLECTORS = ['markets', 'prices', 'orderbooks', 'resolutions', 'trades'].map((name) => `polymarket.${name}`)

/** Nobody listens there. */
const NOWHERE = {
  TAPEKEEPER_POLYMARKET_GAMMA_URL: 'http://127.0.0.1:9',
  TAPEKEEPER_POLYMARKET_CLOB_URL: 'http://127.0.0.1:9',
  TAPEKEEPER_POLYMARKET_DATA_URL: 'http://127.0.0.1:9',
  TAPEKEEPER_POLYMARKET_WS_URL: 'ws://127.0.0.1:9/ws/market',
  TAPEKEEPER_API_ADDRESS: '127.0.0.1:0',
}

/** What a checkout has after `npm ci`, and nothing that was ever built. */
async function copyCheckout(directory: string): Promise<string> {
  const copy = join(directory, 'checkout')
  await mkdir(copy)
  for (const name of ['bin', 'src', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json']) {
    await cp(join(ROOT, name), join(copy, name), { recursive: true })
  }
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

/** What `npm start` runs, from the copy, without a terminal and with nothing configured but where the venue is. */
async function npmStart(checkout: string) {
  const port = await freePort()
  const kept = Object.entries(process.env).filter(([name]) => /^(PATH|HOME|TMPDIR|LANG)$/.test(name))
  const env = { ...Object.fromEntries(kept), ...NOWHERE, HEALTH_PORT: String(port) }
  // Without npm in between, so that signals reach the daemon itself.
  const args = ['bin/tapekeeper.js', 'collect']
  const child = spawn(process.execPath, args, { cwd: checkout, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const running = new Running(child)
  return { running, url: `http://127.0.0.1:${port}` }
}

async function healthOf(url: string): Promise<HealthBody> {
  return (await (await fetch(`${url}/health`)).json()) as HealthBody
}

interface Line {
  readonly level: string
  readonly message: string
  readonly collector?: string
}

function logOf({ stderr }: Running): Line[] {
  const lines = stderr.split('\n').filter((line) => line.startsWith('{'))
  return lines.map((line) => JSON.parse(line) as Line)
}

test('npm start from a fresh checkout without a network: it explains itself and complains in measure', async (t) => {
  const directory = await temporaryDirectory()
  const checkout = await copyCheckout(directory)
  const started = performance.now()
  const { running, url } = await npmStart(checkout)
  t.after(async () => {
    await running.end('SIGTERM')
    await removeDirectory(directory)
  })
  await until('the health listener', async () => (await fetch(`${url}/health/live`)).status, START_MS_MAX).catch(() => {
    assert.fail(`no health after ${START_MS_MAX} ms:\n${running.stderr}`)
  })
  t.diagnostic(`health after ${Math.round(performance.now() - started)} ms, build included`)
  assert.match(running.stderr, /^tapekeeper: built in /m)

  const said = (pattern: RegExp) => logOf(running).filter(({ message }) => pattern.test(message)).length
  await until('the introduction', () => (said(/^health is at /) > 0 ? true : undefined), 5_000)
  assert.equal(said(/^recording Polymarket: .*10000 open markets.*127\.0\.0\.1:9/), 1)
  assert.equal(said(new RegExp(`^data is in ${join(checkout, 'data')}: .*PostgreSQL`)), 1)
  assert.equal(said(/^health is at http:\/\/localhost:\d+\/health/), 1)

  const degraded = await until(
    'health says so',
    async () => {
      const response = await fetch(`${url}/health`)
      return response.status === 503 ? ((await response.json()) as HealthBody) : undefined
    },
    WATCHED_MS,
  )
  assert.equal(degraded.status, 'degraded')
  t.diagnostic(`degraded after ${Math.round(performance.now() - started)} ms: ${JSON.stringify(degraded['reasons'])}`)
  await until('the minute is over', () => (performance.now() - started > WATCHED_MS ? true : undefined), WATCHED_MS * 2)

  const body = await healthOf(url)
  // And the one that fills gaps, which has none to fill.
  assert.equal(body['tasks_alive'], COLLECTORS.length + 1)
  assert.equal(body['tasks_dead'], 0)
  assert.equal((body['ledger'] as { state: string }).state, 'ok')
  const log = logOf(running)
  for (const name of COLLECTORS) {
    const complaint = log.find((line) => line.collector === name && /next attempt in|waiting for/.test(line.message))
    assert.ok(complaint, `${name} says nothing:\n${running.stderr}`)
  }
  for (const name of ['polymarket.markets', 'polymarket.prices', 'polymarket.resolutions']) {
    assert.ok(
      log.some(
        ({ message }) => message.startsWith(`${name} failed: `) && /127\.0\.0\.1:9.*ECONNREFUSED.*next/.test(message),
      ),
      `${name} does not say what it cannot reach`,
    )
  }
  assert.ok(log.length <= LINES_MAX, `${log.length} lines in a minute:\n${running.stderr}`)
  assert.equal(log.filter(({ level }) => level === 'error' || level === 'fatal').length, 0, running.stderr)
  t.diagnostic(`${log.length} lines in the first minute`)

  const result = await running.end('SIGTERM')
  assert.equal(result.code, 0, result.stderr)
  assert.doesNotMatch(result.stderr, /"level":"(error|fatal)"/)
  assert.equal(result.stdout, '')
})

const isRoot = process.getuid?.() === 0
test('a directory that only root can enter holds the data, the ledger included', {
  skip: isRoot ? false : 'only root can make such a directory',
}, async (t) => {
  const directory = await temporaryDirectory()
  const closed = join(directory, 'closed')
  await mkdir(closed)
  const checkout = await copyCheckout(closed)
  await chmod(closed, 0o700)
  const data = join(checkout, 'data')
  const pointer = join(data, 'postgres.location')
  const { running, url } = await npmStart(checkout)
  t.after(async () => {
    await running.end('SIGTERM')
    const elsewhere = existsSync(pointer) ? (await readFile(pointer, 'utf8')).trim() : ''
    if (/^\/var\/lib\/tapekeeper\/[0-9a-f]{16}$/.test(elsewhere)) await removeDirectory(elsewhere)
    await removeDirectory(directory)
  })
  await until(
    'the ledger',
    async () => ((await healthOf(url))['ledger'] as { state: string }).state === 'ok' || undefined,
    30_000,
  ).catch((error: unknown) => {
    throw new Error(running.stderr, { cause: error })
  })
  assert.match((await readFile(pointer, 'utf8')).trim(), /^\/var\/lib\/tapekeeper\/[0-9a-f]{16}$/)
  assert.ok(findCluster(data)?.startsWith('/var/lib/tapekeeper/'))
  assert.match(running.stderr, /Applied \d+ migrations/)
  assert.match(running.stderr, /cannot reach .*the database lives in \/var\/lib\/tapekeeper\//)
  assert.ok(existsSync(join(data, 'tape')))
  assert.equal((await running.end('SIGTERM')).code, 0, running.stderr)
})
