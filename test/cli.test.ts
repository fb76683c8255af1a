import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { freePort } from './support/daemon.ts'
import { ROOT, runProgram, startProgram } from './support/processes.ts'

const COMMANDS = ['collect', 'demo', 'status', 'health', 'logs', 'config', 'verify', 'rebuild', 'sim']
const ANSI = new RegExp(`${String.fromCharCode(27)}\\[`)
const readRoot = (path: string) => readFileSync(new URL(path, `file://${ROOT}`), 'utf8')

describe('help and version', () => {
  test('--help shows every command and an example, on stdout', async () => {
    const { code, stdout, stderr } = await runProgram(['--help'])
    assert.deepEqual([code, stderr], [0, ''])
    for (const command of COMMANDS) assert.match(stdout, new RegExp(`^ {2}${command} `, 'm'))
    assert.match(stdout, /Examples:/)
  })
  for (const command of COMMANDS) {
    test(`${command} --help has its flags and examples`, async () => {
      const { code, stdout } = await runProgram([command, '--help'])
      assert.equal(code, 0)
      const configured = command === 'sim' ? [] : ['--config', '--data-dir', '--log-level', '--set']
      for (const text of [...configured, 'Examples:']) assert.ok(stdout.includes(text), text)
    })
  }
  test('--version is the version of the package', async () => {
    const { version } = JSON.parse(readRoot('package.json')) as { version: string }
    assert.equal((await runProgram(['--version'])).stdout.trim(), version)
  })
  test('--help loads no more than it needs', async () => {
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(PRINT_MODULES_AT_EXIT)}` }
    const { stderr } = await runProgram(['--help'], { env })
    const loaded = stderr.split('\n').filter((line) => line.startsWith('loaded '))
    assert.deepEqual(
      loaded.filter((line) => /\/node_modules\/(?!commander\/)|\/dist\/(?!cli\/|core\/errors)/.test(line)),
      [],
    )
    assert.ok(loaded.some((line) => line.includes('/dist/cli/main.js')))
  })
  test('an old Node.js is told so', async () => {
    const old = `Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.18.3'}})`
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(old)}` }
    const { code, stderr } = await runProgram(['--help'], { env })
    assert.equal(code, 78)
    assert.match(stderr, /^tapekeeper: needs Node\.js 20\.19 or newer, this is 20\.18\.3/)
  })
})

/** Registers a loader hook that writes one line per module. */
const PRINT_MODULES_AT_EXIT = `
import { register } from 'node:module'
const hook = "import { writeSync } from 'node:fs'; export async function load(url, context, next) {" +
  " writeSync(2, 'loaded ' + url + '\\\\n'); return next(url, context) }"
register('data:text/javascript,' + encodeURIComponent(hook))
`

describe('mistakes on the command line end with 64', () => {
  for (const [name, args, message] of [
    ['no command', [], /Usage: tapekeeper/],
    ['an unknown command', ['stats'], /unknown command 'stats'\n\(Did you mean status\?\)/],
    ['an unknown flag', ['config', '--jsom'], /unknown option '--jsom'/],
    ['too many arguments', ['config', 'more'], /too many arguments/],
    ['a number that is none', ['demo', '--rate', 'fast'], /must be a whole number/],
    ['flags that exclude each other', ['config', '--json', '--reference'], /cannot be used with/],
  ] as const) {
    test(name, async () => {
      const { code, stdout, stderr } = await runProgram(args)
      assert.deepEqual([code, stdout], [64, ''])
      assert.match(stderr, message)
    })
  }
})

describe('mistakes in the configuration end with 78 and one line', () => {
  for (const [name, args, env, message] of [
    ['an unknown key', ['--set', 'polymarket.prise_interval=5s'], {}, /did you mean polymarket\.price_interval\?/],
    ['an unknown variable', [], { TAPEKEEPER_LOGLEVEL: 'info' }, /did you mean TAPEKEEPER_LOG_LEVEL\?/],
    ['a malformed DATABASE_URL', [], { DATABASE_URL: 'postgres://u:hush#hush@h/d' }, /database\.url \(DATABASE_URL\)/],
    ['a feed that is none', ['--set', 'signals.feeds=techcrunsh'], {}, /signals\.feeds \(--set\) holds techcrunsh/],
    ['a file that is not there', ['--config', 'none.yaml'], {}, /there is no configuration file/],
  ] as const) {
    for (const command of ['config', 'status', 'health', 'collect']) {
      test(`${command}: ${name}`, async () => {
        const { code, stdout, stderr } = await runProgram([command, ...args], { env })
        assert.deepEqual([code, stdout], [78, ''], stderr)
        assert.match(stderr, /^tapekeeper: [^\n]+\n$/)
        assert.match(stderr, message)
        assert.ok(!stderr.includes('hush'))
      })
    }
  }
})

describe('config', () => {
  const env = { DATABASE_URL: 'postgres://me:hush@db.example/tape', HEALTH_PORT: '9001' }
  test('shows values and where they come from', async () => {
    const { code, stdout } = await runProgram(['config'], { env })
    assert.equal(code, 0)
    assert.match(stdout, /^health\.port +9001 +HEALTH_PORT$/m)
    assert.match(stdout, /^polymarket\.price_interval +60s +default$/m)
    assert.match(stdout, /^ledger +postgres:\/\/me:\*\*\*@db\.example\/tape$/m)
    assert.ok(!stdout.includes('hush'))
  })
  test('as JSON, secrets masked unless asked for', async () => {
    const masked = await runProgram(['config', '--json'], { env })
    assert.ok(!masked.stdout.includes('hush'))
    const shown = JSON.parse((await runProgram(['config', '--json', '--show-secrets'], { env })).stdout)
    assert.equal(shown.connection_string, env.DATABASE_URL)
    assert.equal(shown.settings.find((one: { key: string }) => one.key === 'database.url').value, env.DATABASE_URL)
  })
  test('prints the connection string alone, for psql', async () => {
    assert.equal((await runProgram(['config', '--connection-string'], { env })).stdout, `${env.DATABASE_URL}\n`)
    const none = await runProgram(['config', '--connection-string', '--data-dir', '/nonexistent'])
    assert.deepEqual([none.code, none.stdout], [69, ''])
    assert.match(none.stderr, /there is no ledger in \/nonexistent yet/)
  })
  test('--reference is the reference', async () => {
    assert.equal((await runProgram(['config', '--reference'])).stdout, readRoot('docs/configuration.md'))
  })
  test('colour only where it is wanted', async () => {
    assert.doesNotMatch((await runProgram(['config'])).stdout, ANSI)
    assert.match((await runProgram(['config'], { env: { NO_COLOR: '', FORCE_COLOR: '1' } })).stdout, ANSI)
  })
})

describe('status and health', () => {
  let body: unknown
  let env: Record<string, string> = {}
  const server = createServer((request, response) => {
    response.writeHead(503, { 'content-type': 'application/json' })
    response.end(request.url === '/health' ? JSON.stringify(body) : 'not here')
  })
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    env = { HEALTH_PORT: String((server.address() as AddressInfo).port) }
  })
  after(() => server.close())

  test('a healthy or starting recorder', async () => {
    for (const status of ['healthy', 'starting']) {
      body = { status, reasons: [] }
      assert.deepEqual(await summary(['health'], env), { code: 0, stdout: `${status}\n`, stderr: '' })
    }
  })
  test('a recorder in trouble', async () => {
    body = { status: 'degraded', reasons: ['the tape has failed', 'and more'] }
    const { code, stdout } = await runProgram(['health'], { env })
    assert.deepEqual([code, stdout], [1, 'degraded: the tape has failed; and more\n'])
    assert.deepEqual(JSON.parse((await runProgram(['health', '--json'], { env })).stdout), body)
    const status = await runProgram(['status'], { env })
    assert.equal(status.code, 0)
    assert.match(status.stdout, /^degraded\n {2}! the tape has failed\n {2}! and more\n/)
    assert.deepEqual(JSON.parse((await runProgram(['status', '--json'], { env })).stdout), body)
  })
  test('status --watch shows it again until a signal ends it', async () => {
    body = { status: 'healthy', reasons: [] }
    const running = startProgram(['status', '--watch', '--json'], { env })
    await Promise.race([new Promise((resolve) => running.child.stdout?.once('data', resolve)), running.ended])
    const { code, stdout } = await running.end('SIGTERM')
    assert.equal(code, 0)
    assert.deepEqual(JSON.parse(stdout.split('\n')[0] ?? ''), body)
  })
  test('something else on that port', async () => {
    body = ['hello']
    const { code, stderr } = await runProgram(['status'], { env })
    assert.equal(code, 69)
    assert.match(stderr, /is not a recorder$/m)
  })
  test('nobody on that port', async () => {
    const nobody = { HEALTH_PORT: String(await freePort()) }
    const status = await runProgram(['status'], { env: nobody })
    assert.deepEqual([status.code, status.stdout], [69, ''])
    assert.match(status.stderr, /^tapekeeper: no recorder answers at http:\/\/127\.0\.0\.1:\d+\/health\n$/)
    const health = await runProgram(['health'], { env: nobody })
    assert.equal(health.code, 1)
    assert.match(health.stdout, /^unreachable: no recorder answers/)
  })
})

async function summary(args: readonly string[], env: Record<string, string>) {
  const { code, stdout, stderr } = await runProgram(args, { env })
  return { code, stdout, stderr }
}
