import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Daemon, removeDirectory, temporaryDirectory } from './support/daemon.ts'
import { type Running, runProgram, startProgram, until } from './support/processes.ts'

/** Nothing listens there, so that every cycle fails and there is something to log. */
const NOWHERE = {
  TAPEKEEPER_POLYMARKET_GAMMA_URL: 'http://127.0.0.1:9/gamma',
  TAPEKEEPER_POLYMARKET_CLOB_URL: 'http://127.0.0.1:9/clob',
  TAPEKEEPER_POLYMARKET_DATA_URL: 'http://127.0.0.1:9/data',
  TAPEKEEPER_POLYMARKET_WS_URL: 'ws://127.0.0.1:9/ws',
  TAPEKEEPER_API_TOKEN: 'a-token-for-this-test',
}

interface Entry {
  readonly id: number
  readonly timestamp: string
  readonly level: string
  readonly message: string
  readonly context: Record<string, unknown>
}

let directory = ''
before(async () => {
  directory = await temporaryDirectory()
})
after(() => removeDirectory(directory))

async function logs(env: Record<string, string>, ...flags: string[]): Promise<Entry[]> {
  const { code, stdout, stderr } = await runProgram(['logs', '--json', ...flags], { env })
  assert.equal(code, 0, stderr)
  return stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

const linesOf = ({ stdout }: Running) => stdout.split('\n').filter((line) => line !== '')

test('a running recorder keeps its log where the API and the command line find it', async () => {
  const daemon = await Daemon.start(directory, NOWHERE)
  const headers = { authorization: `Bearer ${NOWHERE.TAPEKEEPER_API_TOKEN}` }
  const ask = async (path: string) => (await fetch(`${daemon.apiUrl}${path}`, { headers })).json()
  const empty = await runProgram(['logs', '--data-dir', `${directory}/nowhere`])
  assert.deepEqual([empty.code, empty.stdout], [69, ''])

  const found = await until(
    'failed cycles in the log',
    async () => {
      const { logs: entries } = (await ask('/api/fetcher/logs?search=cycle failed')) as { logs: Entry[] }
      return new Set(entries.map(({ context }) => context['collector'])).size >= 3 ? entries : undefined
    },
    60_000,
  )
  const context = found[0]?.context as { status: string; duration_ms: number; err: { stack: string } }
  assert.deepEqual([found[0]?.level, context.status, typeof context.duration_ms], ['WARNING', 'failure', 'number'])
  assert.match(context.err.stack, /TransientError/)
  const early = (await logs(daemon.env, '--search', 'recording Polymarket'))[0]
  assert.equal(early?.level, 'INFO', 'also what was said before the database was there')

  const following = startProgram(['logs', '-f', '--json', '--level', 'warning', '-n', '1'], { env: daemon.env })
  await until('the newest entry', () => (linesOf(following).length >= 1 ? true : undefined), 30_000)
  await until('another one', () => (linesOf(following).length >= 2 ? true : undefined), 60_000)
  const { code } = await following.end('SIGINT')
  assert.equal(code, 0)
  const ids = linesOf(following).map((line) => (JSON.parse(line) as Entry).id)
  assert.deepEqual(
    ids,
    [...new Set(ids)].sort((a, b) => a - b),
  )

  const stored = JSON.stringify(await logs(daemon.env, '--limit', '1000'))
  assert.doesNotMatch(stored, new RegExp(NOWHERE.TAPEKEEPER_API_TOKEN))
  assert.equal((await fetch(`${daemon.apiUrl}/api/health`)).status, 401)
  const { code: ended } = await daemon.end('SIGTERM')
  assert.equal(ended, 0)

  const last = (await logs(daemon.env, '--limit', '3')).map(({ message }) => message)
  assert.ok(
    last.some((message) => message.startsWith('drained: ')),
    last.join(),
  )
  const plain = await runProgram(['logs', '--level', 'error'], { env: daemon.env })
  assert.doesNotMatch(plain.stdout, /INFO|WARNING/)
  assert.equal((await runProgram(['logs', '--level', 'nope'], { env: daemon.env })).code, 64)
})
