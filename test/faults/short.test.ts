import assert from 'node:assert/strict'
import { test } from 'node:test'
import { removeDirectory, temporaryDirectory } from '../support/daemon.ts'
import { describeVerdict, runSeeds } from './run.ts'

/** Between them: a kill with its server, a pause, a half-open line, a frozen token, lost messages. */
const SEEDS = [1, 2]

const TITLE = `fault schedules of seeds ${SEEDS.join(' and ')}: nothing lost, nothing doubled, no silent gap`

test(TITLE, async (t) => {
  const folder = await temporaryDirectory()
  t.after(() => removeDirectory(folder))
  const verdicts = await runSeeds(SEEDS, { form: 'short', folder, jobs: 2, keep: false })
  for (const verdict of verdicts) t.diagnostic(describeVerdict(verdict))
  const failed = verdicts.filter((verdict) => verdict.violations.length > 0)
  assert.equal(failed.length, 0, failed.map(describeVerdict).join('\n'))
  assert.ok(verdicts.every(({ figures }) => figures !== null && figures.recorded > 100))
})
