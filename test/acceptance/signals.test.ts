import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import type { ServedSource } from '../../src/sim/news.ts'
import { NEWS_FAULT_MODES } from '../../src/sim/news-faults.ts'
import type { Story } from '../../src/sim/news-text.ts'
import { startVenueProcess, type VenueProcess } from '../../src/sim/process.ts'
import { Daemon, temporaryDirectory, venueEnvironment } from '../support/daemon.ts'
import { until } from '../support/processes.ts'
import { accountOf } from '../support/scraping.ts'

const FEEDS = 50
const ITEMS = 200
const WITHIN_MS = 120_000
/** Half a minute of waiting each would tell nothing more. */
const MODES = NEWS_FAULT_MODES.filter((mode) => mode !== 'slow')

/** Real processes all the way: what the press says of itself is compared with what is in the database. */
describe('10,000 items of 50 feeds', { concurrency: false }, () => {
  let venue: VenueProcess
  let dataDir: string
  let daemon: Daemon
  before(async () => {
    venue = await startVenueProcess({ markets: 5, rate: 20, seed: 11 })
    dataDir = await temporaryDirectory()
  })
  after(async () => {
    await daemon?.end('SIGTERM')
    await venue.stop()
    await rm(dataDir, { recursive: true, force: true })
  })

  const start = () => {
    const feeds = Array.from({ length: FEEDS }, (_, n) => `f${n}=${venue.urls.news}/feed/f${n}?items=${ITEMS}`)
    return Daemon.start(dataDir, {
      ...venueEnvironment(venue.urls),
      TAPEKEEPER_SIGNALS_ENABLED: 'true',
      TAPEKEEPER_SIGNALS_FEEDS: feeds.join(','),
      TAPEKEEPER_SIGNALS_HACKERNEWS_ENABLED: 'false',
      TAPEKEEPER_SIGNALS_ALLOW_PRIVATE: 'true',
      TAPEKEEPER_SIGNALS_REQUEST_DELAY: '1ms',
      // All 50 must fit into one cycle, on a slow machine too.
      TAPEKEEPER_SIGNALS_INTERVAL: '5s',
    })
  }
  const countRows = async () => Number((await daemon.query<{ n: string }>('SELECT count(*) AS n FROM signals'))[0]?.n)
  /** Waits for a scheduled run that began after now, went well, and whose sources all are in this state. */
  const whenAll = async (state: string) => {
    const [newest] = await daemon.query<{ id: string }>('SELECT coalesce(max(run_id), 0) AS id FROM scrape_runs')
    return until(
      `a run in which every source is ${state}`,
      async () => {
        const rows = await daemon.query<{ run_id: string }>(
          `SELECT r.run_id FROM scrape_runs r JOIN scrape_progress p USING (run_id)
           WHERE r.run_id > $1 AND r.state = 'succeeded'
           GROUP BY r.run_id HAVING bool_and(p.state = $2) AND count(*) = $3 ORDER BY 1 LIMIT 1`,
          [newest?.id, state, FEEDS],
        )
        return rows[0]?.run_id
      },
      WITHIN_MS,
    )
  }

  test('are stored once each, whatever order, repetition or damage they come in, and kills in between', async () => {
    for (const [n, mode] of MODES.entries()) await venue.control({ newsFault: { source: `feed/f${n}`, mode } })
    await venue.control({ newsFault: { source: 'feed/f', mode: 'truncated', count: 40 } })
    await venue.control({ httpFault: { path: '/news/feed/f3', mode: '500', count: 8 } })
    await venue.control({ httpFault: { path: '/news/feed/f4', mode: 'reset', count: 8 } })
    daemon = await start()
    await until('the first rows', async () => ((await countRows()) > 0 ? true : undefined), WITHIN_MS)
    await daemon.end('SIGKILL')
    daemon = await start()
    await until(
      'half of all rows',
      async () => ((await countRows()) >= (FEEDS * ITEMS) / 2 ? true : undefined),
      WITHIN_MS,
    )
    await daemon.end('SIGKILL')
    await venue.control({ clearFaults: true })
    daemon = await start()
    await whenAll('unchanged')
    const told = await accountOf<Story>(venue, 'stories')
    assert.equal(told.length, FEEDS * ITEMS)
    const rows = await daemon.query<{ url: string }>(
      "SELECT regexp_replace(regexp_replace(url, '^https?://(www[.])?', 'https://'), '/$', '') AS url FROM signals",
    )
    assert.equal(rows.length, told.length)
    assert.deepEqual(rows.map(({ url }) => url).sort(), told.map(({ url }) => url).sort())
  })

  test('cost next to nothing the second time', async () => {
    const before = await accountOf<ServedSource>(venue, 'news')
    const rows = await countRows()
    await whenAll('unchanged')
    await whenAll('unchanged')
    const after = await accountOf<ServedSource>(venue, 'news')
    assert.equal(await countRows(), rows)
    for (const [n, source] of after.entries()) {
      const was = before[n] ?? assert.fail()
      assert.ok(source.requests > was.requests, 'it was asked again')
      assert.equal(source.bytes, was.bytes, `${source.source} has sent a body again`)
    }
    assert.equal((await daemon.health()).status, 'healthy')
  })
})
