import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { Daemon, freePort, removeDirectory, temporaryDirectory } from '../support/daemon.ts'
import { type DatabaseServer, startServer } from '../support/database-server.ts'
import { type RunResult, runProgram } from '../support/processes.ts'

/** Nothing answers there, and nothing needs to. */
const NOWHERE = {
  TAPEKEEPER_POLYMARKET_GAMMA_URL: 'http://127.0.0.1:9/gamma',
  TAPEKEEPER_POLYMARKET_CLOB_URL: 'http://127.0.0.1:9/clob',
  TAPEKEEPER_POLYMARKET_DATA_URL: 'http://127.0.0.1:9/data',
  TAPEKEEPER_POLYMARKET_WS_URL: 'ws://127.0.0.1:9/ws',
  TAPEKEEPER_API_ADDRESS: '127.0.0.1:0',
}

let directory = ''
let server: DatabaseServer
before(async () => {
  directory = await temporaryDirectory()
  server = await startServer(join(directory, 'cluster'))
})
after(async () => {
  await server.stop()
  await removeDirectory(directory)
})

async function collect(env: Record<string, string>, name: string): Promise<RunResult> {
  const dataDir = join(directory, name)
  const port = String(await freePort())
  return await runProgram(['collect'], { env: { ...NOWHERE, TAPEKEEPER_DATA_DIR: dataDir, HEALTH_PORT: port, ...env } })
}

/** What was written for people, apart from the builder's own line. */
function linesOf(result: RunResult): readonly string[] {
  const lines = result.stderr.trimEnd().split('\n')
  return lines.filter((text) => !text.startsWith('tapekeeper: built'))
}

/** The last line says what is wrong, in one line; what came before are log lines. */
function assertRefused(result: RunResult, code: number, line: RegExp): void {
  assert.equal(result.code, code, result.stderr)
  const said = linesOf(result).filter((text) => text.startsWith('tapekeeper: '))
  assert.equal(said.length, 1, result.stderr)
  assert.match(said[0] ?? '', line)
  assert.doesNotMatch(result.stderr, /\n\s+at /, 'a stack is not for users')
}

test('an unknown configuration key', async () => {
  const file = join(directory, 'typo.yaml')
  await writeFile(file, 'polymarket:\n  price_intervall: 60s\n')
  const inFile = await runProgram(['collect', '--config', file], { env: NOWHERE })
  assertRefused(inFile, 78, /price_intervall.*polymarket\.price_interval/)
  const inEnvironment = await collect({ TAPEKEEPER_POLYMARKET_PRICE_INTERVALL: '60s' }, 'typo')
  assertRefused(inEnvironment, 78, /TAPEKEEPER_POLYMARKET_PRICE_INTERVAL\b/)
})

test('a malformed DATABASE_URL, and its password stays hidden', async () => {
  const result = await collect({ DATABASE_URL: 'postgres:/me:geheim-123@nowhere' }, 'malformed')
  assertRefused(result, 78, /DATABASE_URL/)
  assert.doesNotMatch(result.stderr, /geheim-123/)
})

test('a refused login', async () => {
  const url = new URL(server.url)
  url.password = 'wrong-password-1'
  const result = await collect({ DATABASE_URL: url.href }, 'refused')
  assertRefused(result, 78, /password|login/i)
  assert.doesNotMatch(result.stderr, /wrong-password-1/)
  assert.equal(linesOf(result).length, 1, `nothing starts before the login is known to be good:\n${result.stderr}`)
})

test('a database that cannot be reached is not fatal', async () => {
  const url = `postgres://me:geheim-123@127.0.0.1:${await freePort()}/tape`
  const daemon = await Daemon.start(join(directory, 'unreachable'), { ...NOWHERE, DATABASE_URL: url })
  const body = await daemon.whenHealth('trouble', ({ ledger }) => (ledger as { trouble: unknown }).trouble !== null)
  assert.equal((body['ledger'] as { state: string }).state, 'connecting')
  assert.equal((await daemon.end('SIGTERM')).code, 0)
})

test('a database newer than the program', async () => {
  const first = await Daemon.start(join(directory, 'newer'), { ...NOWHERE, DATABASE_URL: server.url })
  await first.whenHealth('migrated', (body) => (body['ledger'] as { state: string }).state === 'ok')
  await first.end('SIGTERM')
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  const tables = await client.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables
     WHERE table_schema = 'public' AND table_name LIKE '%migration%'`,
  )
  const table = tables.rows[0]?.name ?? ''
  const columns = await client.query<{ name: string; type: string }>(
    'SELECT column_name AS name, data_type AS type FROM information_schema.columns WHERE table_name = $1',
    [table],
  )
  assert.notEqual(table, '')
  const number = columns.rows.find((column) => column.type === 'integer')?.name ?? 'id'
  const others = columns.rows.filter((column) => column.name !== number).map((column) => column.name)
  await client.query(
    `INSERT INTO ${table} (${[number, ...others].join(', ')})
     SELECT 999, ${others.map((name) => (name === 'name' ? "'from-the-future'" : name)).join(', ')}
     FROM ${table} LIMIT 1`,
  )
  await client.end()
  const result = await collect({ DATABASE_URL: server.url }, 'newer-2')
  assertRefused(result, 78, /newer/)
})

test('a port in use', async () => {
  const blocker = createServer()
  await new Promise<void>((resolve) => blocker.listen(0, '0.0.0.0', resolve))
  const { port } = blocker.address() as { port: number }
  const result = await collect({ HEALTH_PORT: String(port) }, 'port')
  blocker.close()
  assertRefused(result, 73, new RegExp(`${port}`))
})

test('a second daemon on the same directory', async () => {
  const dataDir = join(directory, 'twice')
  const first = await Daemon.start(dataDir, NOWHERE)
  const second = await collect({ TAPEKEEPER_DATA_DIR: dataDir }, 'twice')
  assertRefused(second, 73, new RegExp(`pid ${first.running.pid}`))
  assert.equal((await first.end('SIGTERM')).code, 0)
})

const isRoot = process.getuid?.() === 0
test('a full disk at start', { skip: isRoot ? false : 'mounting a small disk needs root' }, async (t) => {
  const mount = join(directory, 'small')
  await mkdir(mount)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=755', 'tmpfs', mount])
  if (mounted.status !== 0) return t.skip('a tmpfs cannot be mounted here')
  try {
    spawnSync('dd', ['if=/dev/zero', `of=${join(mount, 'fill')}`, 'bs=4k'], { stdio: 'ignore' })
    const result = await collect({ TAPEKEEPER_DATA_DIR: join(mount, 'data') }, 'unused')
    assert.ok(result.code === 73 || result.code === 74, `${result.code}: ${result.stderr}`)
    assertRefused(result, result.code, /no space/i)
  } finally {
    spawnSync('umount', [mount])
  }
})
