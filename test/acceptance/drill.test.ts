import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { removeDirectory, temporaryDirectory } from '../support/daemon.ts'
import { startProgram, until } from '../support/processes.ts'

/** A folder for temporary files that only the drill uses: what it leaves behind is seen there. */
let folder = ''
before(async () => {
  folder = await temporaryDirectory()
})
after(() => removeDirectory(folder))

test('a drill breaks a source, measures how long it took to be told and mended, and leaves nothing', async () => {
  const drill = startProgram(['drill', '--only', 'source', '--json'], { env: { TMPDIR: folder } })
  const { code, stdout, stderr } = await drill.ended
  assert.equal(code, 0, stderr)
  const { results } = JSON.parse(stdout) as { results: Record<string, number | string | null>[] }
  assert.equal(results.length, 1)
  for (const name of ['detected', 'alert', 'recovered', 'over']) {
    assert.ok(Number(results[0]?.[`${name}_seconds`]) > 0, `${name}: ${stdout}`)
  }
  assert.match(String(results[0]?.['reason']), /polymarket\.\w+/)
  assert.deepEqual(readdirSync(folder), [])
})

test('Ctrl-C ends a drill in order', async () => {
  const drill = startProgram(['drill', '--only', 'feed'], { env: { TMPDIR: folder }, detached: true })
  await until('the fault', () => (drill.stderr.includes('a feed freezes') ? true : undefined), 60_000)
  // A terminal sends it to the whole group.
  process.kill(-drill.pid, 'SIGINT')
  const { code } = await drill.ended
  assert.notEqual(code, 0, 'it has not measured what it was to')
  assert.deepEqual(readdirSync(folder), [])
})
