import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { startProgram } from './support/processes.ts'

/** Everything that writes a result, and how it ends when that result was wanted and written. */
const COMMANDS: readonly (readonly [line: string, code: number])[] = [
  ['--help', 0],
  ['--version', 0],
  ['help config', 0],
  ['config', 0],
  ['config --json', 0],
  ['config --reference', 0],
  ['status', 0],
  ['status --json', 0],
  ['status --watch', 0],
  ['health', 1],
  ['health --json', 1],
  ['verify --tape-only', 0],
  ['verify --tape-only --json', 0],
  ['sim', 0],
  ['sim --json', 0],
]

/** A recorder as the commands see one. */
const server = createServer((_request, response) => {
  response.writeHead(503, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ status: 'degraded', reasons: ['a reason'] }))
})
let env: Record<string, string> = {}
let directory = ''
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tapekeeper-output-'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  env = { HEALTH_PORT: String(port), TAPEKEEPER_DATA_DIR: directory }
})
after(async () => {
  server.close()
  await rm(directory, { recursive: true, force: true })
})

describe('a result that cannot be written ends with 74 and one line', {
  skip: existsSync('/dev/full') ? false : 'there is no /dev/full here',
}, () => {
  for (const [line] of COMMANDS) {
    test(line, async () => {
      const full = await open('/dev/full', 'w')
      try {
        const { code, stderr } = await startProgram(line.split(' '), { env, stdout: full.fd }).ended
        assert.equal(code, 74, stderr)
        assert.match(stderr, /^tapekeeper: the result could not be written: [^\n]*no space left on device[^\n]*\n$/)
      } finally {
        await full.close()
      }
    })
  }

  test('messages that cannot be written leave the exit code as it is', async () => {
    const full = await open('/dev/full', 'w')
    const { code } = await startProgram(['config', '--jsom'], { env, stderr: full.fd }).ended
    await full.close()
    assert.equal(code, 64)
  })
})

describe('a reader that has seen enough is no error, and hides none', () => {
  for (const [line, expected] of COMMANDS) {
    test(line, async () => {
      const running = startProgram(line.split(' '), { env })
      running.child.stdout?.destroy()
      const { code, stderr } = await running.ended
      assert.deepEqual([code, stderr.replace(/^Sent 0 frames.*\n$/, '')], [expected, ''])
    })
  }
})
