import assert from 'node:assert/strict'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { CheckResult, DiskPort } from '../src/cli/doctor/check.ts'
import { doctorLines, examine } from '../src/cli/doctor/doctor.ts'
import { loadConfig } from '../src/config/load.ts'
import { systemClock } from '../src/runtime/system-clock.ts'
import { startVenueProcess, type VenueProcess } from '../src/sim/process.ts'
import { freePort, removeDirectory, temporaryDirectory, venueEnvironment } from './support/daemon.ts'
import { runProgram } from './support/processes.ts'
import { type Recording, record } from './support/recording.ts'

const ANSI = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g')
const ROOMY: DiskPort = { statfs: () => Promise.resolve({ freeBytes: 100e9, totalBytes: 200e9 }) }

let venue: VenueProcess
let recording: Recording
let whileRecording: readonly CheckResult[]
let ports: Record<string, string>

before(async () => {
  venue = await startVenueProcess({ markets: 5, rate: 5 })
  recording = await record({
    async during(env) {
      whileRecording = await look({ env })
    },
  })
  ports = { HEALTH_PORT: String(await freePort()), TAPEKEEPER_API_ADDRESS: `127.0.0.1:${await freePort()}` }
})

after(async () => {
  await venue?.stop()
  await recording?.close()
})

async function look({ env, disk = ROOMY }: { env: Record<string, string>; disk?: DiskPort }) {
  const load = () => loadConfig({ flags: {}, env, cwd: '/', readFile: () => null })
  return examine({ load, clock: systemClock(), disk, signal: new AbortController().signal })
}

/** The recording that has ended, with its database still there, and the venue. */
function environment(more: Record<string, string> = {}): Record<string, string> {
  return { ...venueEnvironment(venue.urls), ...recording.env, ...ports, ...more }
}

function find(results: readonly CheckResult[], name: string): CheckResult {
  const result = results.find((one) => one.name === name)
  assert.ok(result !== undefined, `no check ${name} in ${results.map((one) => one.name).join()}`)
  return result
}

function verdicts(results: readonly CheckResult[], wanted: CheckResult['verdict']): string[] {
  return results.filter(({ verdict }) => verdict === wanted).map(({ name }) => name)
}

describe('all is well', () => {
  test('beside a running recorder', () => {
    assert.deepEqual(verdicts(whileRecording, 'fail'), [], JSON.stringify(whileRecording))
    assert.match(find(whileRecording, 'data directory').text, /a recorder runs \(process \d+\)/)
    assert.match(find(whileRecording, 'health port').text, /the recorder answers at http:.* (healthy|starting)/)
    assert.match(find(whileRecording, 'database').text, /built-in PostgreSQL 18\.\d+, .* at migration (\d+) of \1/)
    assert.match(find(whileRecording, 'clock').text, /^0\.\d+ s (behind|ahead of) the venue’s, ± 0\.\d+ s$/)
  })

  test('without one, and nothing is made or started', async () => {
    const env = { ...environment(), TAPEKEEPER_DATA_DIR: '/nonexistent/data' }
    delete (env as Record<string, string | undefined>)['DATABASE_URL']
    const results = await look({ env })
    assert.match(find(results, 'database').text, /made when tapekeeper collect first starts/)
    await assert.rejects(readdir('/nonexistent'))
    for (const name of ['Gamma', 'CLOB', 'Data API', 'WebSocket', 'clock', 'health port', 'API port', 'disk']) {
      assert.equal(find(results, name).verdict, 'ok', JSON.stringify(find(results, name)))
    }
    assert.match(find(results, 'WebSocket').text, /handshake in \d+ ms/)
  })

  test('an empty data directory stays empty', async () => {
    const directory = await temporaryDirectory()
    const env = environment({ TAPEKEEPER_DATA_DIR: directory })
    assert.deepEqual(verdicts(await look({ env }), 'fail'), [])
    assert.deepEqual(await readdir(directory), [])
    await removeDirectory(directory)
  })

  test('as a command: lines for people, JSON for programs, exit code 0', async () => {
    const { code, stdout, stderr } = await runProgram(['doctor'], { env: environment() })
    assert.deepEqual([code, stderr], [0, ''], stdout)
    assert.match(stdout, /^ok +configuration +valid, no file, \d+ of \d+ keys set$/m)
    assert.match(stdout, /^ok +node +\d+\.\d+\.\d+ on /m)
    assert.match(stdout, /Everything is as it must be\.$|\d+ to look at\.$/m)
    const json = await runProgram(['doctor', '--json'], { env: environment() })
    const { ok, checks } = JSON.parse(json.stdout) as { ok: boolean; checks: CheckResult[] }
    assert.deepEqual([json.code, ok, checks.length], [0, true, 14])
  })
})

describe('what is wrong is found, with what to do about it', () => {
  test('a configuration that is not valid', async () => {
    const results = await look({ env: { TAPEKEEPER_LOGLEVEL: 'info' } })
    assert.deepEqual(verdicts(results, 'fail'), ['configuration'])
    assert.match(find(results, 'configuration').text, /did you mean TAPEKEEPER_LOG_LEVEL\?/)
    const { code, stdout } = await runProgram(['doctor'], { env: { TAPEKEEPER_LOGLEVEL: 'info' } })
    assert.equal(code, 1)
    assert.match(stdout, /^fail +configuration .*\n +→ correct it/m)
  })

  test('a venue that is away: every address says why, in one line', async () => {
    const port = await freePort()
    const urls = { gamma: '/gamma', clob: '/clob', data: '/data' }
    const away = Object.fromEntries(
      Object.entries(urls).map(([name, path]) => [
        `TAPEKEEPER_POLYMARKET_${name.toUpperCase()}_URL`,
        `http://127.0.0.1:${port}${path}`,
      ]),
    )
    const ws = { TAPEKEEPER_POLYMARKET_WS_URL: `ws://127.0.0.1:${port}/ws` }
    const results = await look({ env: environment({ ...away, ...ws }) })
    assert.deepEqual(verdicts(results, 'fail'), ['Gamma', 'CLOB', 'Data API', 'WebSocket', 'clock'])
    for (const name of verdicts(results, 'fail')) assert.match(find(results, name).text, /ECONNREFUSED/)
    assert.match(String(find(results, 'CLOB').advice), /polymarket\.clob_url/)
  })

  test('a venue that answers with web pages', async () => {
    await venue.control({ httpFault: { path: '/gamma', mode: 'html' } })
    try {
      const results = await look({ env: environment() })
      assert.deepEqual(verdicts(results, 'fail'), ['Gamma'])
      assert.match(find(results, 'Gamma').text, /answered 520/)
    } finally {
      await venue.control({ clearHttpFaults: true })
    }
  })

  test('a venue that does not answer is given up after a while', async () => {
    await venue.control({ httpFault: { path: '/data', mode: 'hang' } })
    const startedMs = performance.now()
    try {
      const results = await look({ env: environment() })
      assert.deepEqual(verdicts(results, 'fail'), ['Data API'])
      assert.match(find(results, 'Data API').text, /took longer than \d+ s/)
      assert.ok(performance.now() - startedMs < 20_000)
    } finally {
      await venue.control({ clearHttpFaults: true })
    }
  })

  test('a clock that is wrong', async () => {
    for (const [skew, words] of [
      [5, /^[45]\.\d\d s behind the venue’s/],
      [-5, /^[45]\.\d\d s ahead of the venue’s/],
    ] as const) {
      await venue.control({ clockSkew: skew })
      const clock = find(await look({ env: environment() }), 'clock')
      assert.equal(clock.verdict, 'warn', clock.text)
      assert.match(clock.text, words)
      assert.match(String(clock.advice), /NTP/)
    }
    await venue.control({ clockSkew: 0 })
  })

  test('a disk that is full, and one that soon will be', async () => {
    const full = { statfs: () => Promise.resolve({ freeBytes: 10e6, totalBytes: 200e9 }) }
    const results = await look({ env: environment(), disk: full })
    assert.deepEqual(verdicts(results, 'fail'), ['disk'])
    assert.match(find(results, 'disk').text, /^10\.0 MB free of 200\.0 GB; tape [\d.]+ [kM]B/)
  })

  test('a database that is away, refuses us, or is of another version', async () => {
    const port = await freePort()
    const away = await look({ env: environment({ DATABASE_URL: `postgres://me:hush@127.0.0.1:${port}/tape` }) })
    assert.deepEqual(verdicts(away, 'fail'), ['database'])
    assert.match(find(away, 'database').text, /cannot be reached/)
    const refused = await look({
      env: environment({ DATABASE_URL: recording.env['DATABASE_URL']?.replace(/:[^:@]+@/, ':hush@') ?? '' }),
    })
    assert.match(find(refused, 'database').text, /refuses the login/)
    for (const results of [away, refused]) assert.ok(!JSON.stringify(results).includes('hush'))
    await recording.pool.query("INSERT INTO schema_migrations VALUES (9999, 'of the future', now())")
    try {
      const newer = find(await look({ env: environment() }), 'database')
      assert.deepEqual([newer.verdict, newer.advice], ['fail', 'install the newer version'])
      await recording.pool.query('CREATE TABLE kept AS SELECT * FROM schema_migrations')
      await recording.pool.query('DELETE FROM schema_migrations WHERE number > 1')
      const older = find(await look({ env: environment() }), 'database')
      assert.equal(older.verdict, 'warn')
      assert.match(older.text, /at migration 1 of \d+/)
    } finally {
      await recording.pool.query(
        `DELETE FROM schema_migrations;
         INSERT INTO schema_migrations SELECT * FROM kept WHERE number < 9999; DROP TABLE kept`,
      )
    }
  })

  test('a port that something else has', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const taken = String((server.address() as AddressInfo).port)
    const results = await look({ env: environment({ HEALTH_PORT: taken }) })
    server.close()
    assert.deepEqual(verdicts(results, 'fail'), ['health port'])
    assert.match(String(find(results, 'health port').advice), /set health\.port/)
  })

  test('a data directory that is a file', async () => {
    const directory = await temporaryDirectory()
    await mkdir(join(directory, 'sub'))
    await writeFile(join(directory, 'sub', 'data'), '')
    const env = environment({ TAPEKEEPER_DATA_DIR: join(directory, 'sub', 'data') })
    assert.match(find(await look({ env }), 'data directory').text, /is not a directory/)
    await rm(directory, { recursive: true })
  })
})

test('lines: a verdict each, advice below, the sum at the end', () => {
  const lines = doctorLines([
    { name: 'one', verdict: 'ok', text: 'fine', advice: null },
    { name: 'another', verdict: 'warn', text: 'odd', advice: 'look at it' },
  ])
  assert.deepEqual(
    lines.map((line) => line.replaceAll(ANSI, '')),
    ['ok    one      fine', 'warn  another  odd', '      → look at it', '', '0 failed, 1 to look at.'],
  )
})
