import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import type { ScrapeRun } from '../src/api/contract.ts'
import { startVenueProcess, type VenueProcess } from '../src/sim/process.ts'
import { temporaryDirectory } from './support/daemon.ts'
import { runProgram } from './support/processes.ts'

describe('tapekeeper scrape', { concurrency: false }, () => {
  let venue: VenueProcess
  let dataDir: string
  before(async () => {
    venue = await startVenueProcess({ markets: 1, rate: 0 })
    dataDir = await temporaryDirectory()
  })
  after(async () => {
    await venue.stop()
    await rm(dataDir, { recursive: true, force: true })
  })

  const scrape = (...args: string[]) => {
    const feeds = `one=${venue.urls.news}/feed/one,two=${venue.urls.news}/feed/two`
    const env = { ...venue.environment, TAPEKEEPER_SIGNALS_FEEDS: feeds, TAPEKEEPER_SIGNALS_REQUEST_DELAY: '1ms' }
    return runProgram(['scrape', '--data-dir', dataDir, ...args], { env })
  }

  test('reads every source once and says what it found, and a second time nothing', async () => {
    const nothing = await scrape()
    assert.deepEqual([nothing.code, nothing.stdout], [69, ''], 'nothing was made')
    await venue.control({ httpFault: { path: '/news/feed/two', mode: '500' } })
    const { code, stdout, stderr } = await scrape('--once')
    await venue.control({ clearFaults: true })
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^run 1 {2}succeeded /)
    assert.match(stdout, /^feed:one +ok +\d+ +20 /m)
    assert.match(stdout, /^feed:two +failed .*answered 500$/m)
    assert.match(stdout, /^hackernews +ok +30 +30 +0 +31 /m)
    assert.match(stdout, /^50 new signals from 3 sources, 1 failed$/m)
    const again = await scrape('--once', '--json')
    const run = JSON.parse(again.stdout) as ScrapeRun
    assert.deepEqual([again.code, run.trigger, run.state], [0, 'command', 'succeeded'])
    assert.deepEqual(
      run.sources.map(({ source, state, stored, requests }) => [source, state, stored, requests]),
      [
        ['feed:one', 'unchanged', 0, 1],
        ['feed:two', 'ok', 20, 1],
        ['hackernews', 'unchanged', 0, 1],
      ],
    )
    assert.equal((await scrape('--json')).stdout, again.stdout, 'the newest run is what is shown')
  })

  test('ends with 69 when no source could be read, and tells what became of each', async () => {
    await venue.control({ httpFault: { path: '/news/', mode: '503' } })
    const { code, stdout } = await scrape('--once')
    await venue.control({ clearFaults: true })
    assert.equal(code, 69)
    assert.match(stdout, /failed/)
    assert.match(stdout, /^none of 3 sources could be read: /m)
  })
})
