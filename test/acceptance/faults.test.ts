import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeVerdict, runSeeds } from '../faults/run.ts'
import { removeDirectory, temporaryDirectory } from '../support/daemon.ts'

const SCHEDULES = Number(process.env['TAPEKEEPER_TEST_SCHEDULES'] ?? 16)
const AT_ONCE = 4

test(`${SCHEDULES} seeded fault schedules: 0 lost, 0 doubled, 0 silent gaps`, async (t) => {
  const folder = await temporaryDirectory()
  t.after(() => removeDirectory(folder))
  const seeds = Array.from({ length: SCHEDULES }, (_, index) => index + 1)
  const onVerdict = (verdict: Parameters<typeof describeVerdict>[0]) => t.diagnostic(describeVerdict(verdict))
  const verdicts = await runSeeds(seeds, { form: 'long', folder, jobs: AT_ONCE, keep: false, onVerdict })
  const failed = verdicts.filter((verdict) => verdict.violations.length > 0)
  assert.equal(failed.length, 0, failed.map(describeVerdict).join('\n'))
  assert.equal(verdicts.length, SCHEDULES)
  const sum = (pick: 'owed' | 'recorded' | 'covered' | 'trades') => {
    return verdicts.reduce((total, { figures }) => total + (figures?.[pick] ?? 0), 0)
  }
  t.diagnostic(`${sum('owed')} owed: ${sum('recorded')} recorded, ${sum('covered')} in gaps; ${sum('trades')} trades`)
  const skipped = verdicts.filter((verdict) => verdict.skipped.some((what) => what.startsWith('fill disk'))).length
  t.diagnostic(`${skipped} schedules without their full disk`)
})
