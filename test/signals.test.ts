import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { TransientError } from '../src/core/errors.ts'
import type { SignalStore } from '../src/core/signals.ts'
import type { Ledger } from '../src/ledger/ledger.ts'
import { selectRuns } from '../src/ledger/scrape-runs.ts'
import { selectSignal, selectSignals } from '../src/ledger/signal-reads.ts'
import { freshLedger } from '../src/ledger/test-server.ts'
import type { ServedSource } from '../src/sim/news.ts'
import type { Story } from '../src/sim/news-text.ts'
import { startVenueProcess, type VenueProcess } from '../src/sim/process.ts'
import type { PagePlace } from '../src/sources/signals/page.ts'
import { accountOf, feedsOf, scrapeOnce } from './support/scraping.ts'

describe('signals, from a simulated press into a real ledger', { concurrency: false }, () => {
  let venue: VenueProcess
  let ledger: Ledger
  before(async () => {
    venue = await startVenueProcess({ markets: 5, rate: 0 })
    ledger = (await freshLedger()).ledger
  })
  after(async () => {
    await ledger.close()
    await venue.stop()
  })

  const everything = { search: null, keyword: null, company: null, conditionId: null, before: null, limit: 1_000 }
  const stored = (source: string) => ledger.view((session) => selectSignals(session, { ...everything, source }))
  const newestRun = async () => (await ledger.view((session) => selectRuns(session, 1, null)))[0] ?? assert.fail()
  const page = (name: string, change: Partial<PagePlace> = {}): PagePlace => ({
    ...{ name, url: `${venue.urls.news}/page/${name}`, item: 'article.post', title: 'h2' },
    ...{ link: null, summary: 'p.teaser', time: 'time' },
    ...change,
  })

  test('feeds, Hacker News and pages are stored as they were told, each item once', async () => {
    const settings = {
      feeds: feedsOf(venue, ['f1', 'f2', 'f3']),
      hackernewsUrl: `${venue.urls.news}/hn`,
      pages: [page('p1')],
      keywords: ['copper price'],
      companies: ['Nordwind Energy=Nordwind', 'Acme Robotics'],
    }
    const { result, error } = await scrapeOnce(ledger, settings)
    assert.equal(result?.items, 3 * 20 + 30 + 20, error)
    assert.deepEqual([result.details['failed'], result.details['sources']], [0, 5])
    const stories = await accountOf<Story>(venue, 'stories')
    for (const source of ['feed:f1', 'feed:f2', 'feed:f3', 'page:p1']) {
      const told = stories.filter((story) => story.source === source.replace(':', '/'))
      const rows = await stored(source)
      const line = (title: string, url: string | null, published: number | null) => `${title} ${url} ${published}`
      const toSecond = (ms: number | null) => Math.floor((ms ?? 0) / 1000)
      assert.deepEqual(
        rows.map((row) => line(row.title, canonical(row.url), toSecond(row.publishedMs))).sort(),
        told.map(({ title, url, atMs }) => line(title, url, toSecond(atMs))).sort(),
      )
      for (const { summary, externalId } of rows) {
        assert.match(summary, /^Dispatch \d+: more than 100 people & others follow “[^”]+” – here is what \S+ knows\./)
        assert.equal(externalId === null, source === 'page:p1')
      }
    }
    const copper = await ledger.view((session) =>
      selectSignals(session, { ...everything, source: null, keyword: 'copper price' }),
    )
    assert.ok(copper.length > 5 && copper.every(({ title }) => title.startsWith('Copper price')))
    const nordwind = await ledger.view((session) =>
      selectSignals(session, { ...everything, source: null, company: 'Nordwind Energy', search: 'disp' }),
    )
    assert.ok(nordwind.length > 5 && nordwind.every(({ title }) => title.startsWith('Nordwind Energy')))
    const raw = (await ledger.view((session) => selectSignal(session, nordwind[0]?.id ?? 0)))?.raw ?? {}
    assert.ok(JSON.stringify(raw).includes('Nordwind'))
  })

  test('a second run stores nothing and is sent next to nothing', async () => {
    const settings = {
      feeds: feedsOf(venue, ['f1', 'f2', 'f3']),
      hackernewsUrl: `${venue.urls.news}/hn`,
      pages: [page('p1')],
    }
    const before = await accountOf<ServedSource>(venue, 'news')
    const { result } = await scrapeOnce(ledger, settings)
    assert.deepEqual([result?.items, result?.details['unchanged'], result?.details['repeated']], [0, 5, 0])
    const after = await accountOf<ServedSource>(venue, 'news')
    for (const [n, source] of after.entries()) {
      const was = before[n] ?? assert.fail()
      assert.deepEqual([source.unchanged, source.bytes], [was.unchanged + 1, was.bytes], source.source)
    }
  })

  test('what fails in one source is told there and touches no other', async () => {
    const modes = ['loop', 'html', 'empty', 'huge'] as const
    for (const mode of modes) await venue.control({ newsFault: { source: `feed/${mode}`, mode } })
    await venue.control({ httpFault: { path: '/news/feed/broken', mode: '500' } })
    await venue.control({ httpFault: { path: '/news/feed/reset', mode: 'reset' } })
    const feeds = feedsOf(venue, ['good', ...modes, 'broken', 'reset'])
    const pages = [page('private'), page('p2', { item: 'div.gone' }), page('p3', { item: 'a[' }), page('p4')]
    const { result, lines } = await scrapeOnce(ledger, { feeds, pages })
    await venue.control({ clearFaults: true })
    assert.deepEqual([result?.items, result?.details['failed']], [40, 9])
    const { sources, state, finishedMs } = await newestRun()
    assert.equal(state, 'succeeded')
    assert.ok(finishedMs !== null)
    const errors = new Map(sources.map((one) => [one.source, one.error]))
    for (const [source, message] of [
      ['feed:loop', /redirected more than 5 times/],
      ['feed:html', /web page and not a feed/],
      ['feed:empty', /empty/],
      ['feed:huge', /more than 4194304 bytes/],
      ['feed:broken', /answered 500/],
      ['feed:reset', /failed: /],
      ['page:private', /does not let programs read \/news\/page\/private/],
      ['page:p2', /nothing on the page fits div\.gone/],
      ['page:p3', /a\[ is not a CSS selector/],
    ] as const) {
      assert.match(errors.get(source) ?? '', message)
      assert.ok(lines.some((line) => line.startsWith(`${source}: `) && message.test(line)))
    }
    assert.equal(errors.get('feed:good'), null)
    assert.deepEqual([(await stored('feed:good')).length, (await stored('page:p4')).length], [20, 20])
    assert.match(String(result?.details['failures']), /feed:loop: /)
  })

  test('what was damaged is read again until it is whole, whatever was known before', async () => {
    const modes = ['truncated', 'unclosed', 'wrong-encoding', 'utf-16', 'unescaped', 'moved'] as const
    const feeds = feedsOf(
      venue,
      modes.flatMap((mode) => [1, 2, 3].map((n) => `d-${mode}${n}`)),
    )
    for (const mode of modes) await venue.control({ newsFault: { source: `feed/d-${mode}`, mode } })
    assert.ok((await scrapeOnce(ledger, { feeds })).result !== null)
    await venue.control({ clearNewsFaults: true })
    await scrapeOnce(ledger, { feeds })
    const told = (await accountOf<Story>(venue, 'stories')).filter(({ source }) => source.startsWith('feed/d'))
    const rows = (await Promise.all(feeds.map(({ name }) => stored(`feed:${name}`)))).flat()
    assert.deepEqual(rows.map(({ url }) => canonical(url)).sort(), told.map(({ url }) => url).sort())
  })

  test('a server without validators is not read anew when it sends the same', async () => {
    await venue.control({ newsFault: { source: 'page/quiet', mode: 'no-validators' } })
    const settings = { pages: [page('quiet')] }
    assert.equal((await scrapeOnce(ledger, settings)).result?.items, 20)
    const { result } = await scrapeOnce(ledger, settings)
    assert.deepEqual([result?.details['unchanged'], Number(result?.details['bytes']) > 1_000], [1, true])
    await venue.control({ clearFaults: true })
  })

  test('signals are linked to markets whose question shares a name or a keyword, with the reason', async () => {
    const question = 'Will Nordwind Energy close higher than 20?'
    const [made] = (await venue.control({ createMarket: { question } }))['created'] as { condition_id: string }[]
    assert.ok(made)
    await saveMarket(ledger, made.condition_id, question)
    const { result } = await scrapeOnce(ledger, { feeds: feedsOf(venue, ['linked']), companies: ['Nordwind Energy'] })
    assert.ok(Number(result?.details['links']) > 0)
    const linked = await ledger.view((session) =>
      selectSignals(session, { ...everything, source: 'feed:linked', conditionId: made.condition_id }),
    )
    const about = (await stored('feed:linked')).filter(({ title }) => title.startsWith('Nordwind Energy'))
    assert.deepEqual(
      linked.map(({ id }) => id),
      about.map(({ id }) => id),
    )
    const [link] = linked[0]?.markets ?? []
    assert.deepEqual(
      [link?.question, link?.reason.split('; ').slice(0, 2)],
      [question, ['both name Nordwind Energy', 'company Nordwind Energy']],
    )
    const earlier = await ledger.view((session) =>
      selectSignals(session, { ...everything, source: 'feed:f1', conditionId: made.condition_id }),
    )
    assert.ok(earlier.length > 0, 'signals from before the market are linked, too')
  })

  test('a cycle fails when nothing could be read, and when the ledger takes nothing', async () => {
    await venue.control({ httpFault: { path: '/news/', mode: '503' } })
    const away = await scrapeOnce(ledger, { feeds: feedsOf(venue, ['x1', 'x2']) })
    await venue.control({ clearFaults: true })
    assert.match(away.error, /none of 2 sources could be read: feed:x\d: GET .* answered 503/)
    const { state, error } = await newestRun()
    assert.deepEqual([state, error], ['failed', away.error])
    const refuse = async () => {
      throw new TransientError('the database is away')
    }
    const closed = await scrapeOnce({ ...ledger, beginRun: refuse }, { feeds: feedsOf(venue, ['x1']) })
    assert.match(closed.error, /the database is away/)
    assert.equal((await scrapeOnce(ledger, {})).result?.items, 0, 'no sources are no failure')
  })

  test('an operation that the ledger refused is tried once more, and its source alone fails after that', async () => {
    const refusals = { r1: 0, r2: 0 }
    const store: SignalStore = {
      ...ledger,
      async saveSource(runId, outcome, signals, document) {
        const name = outcome.source === 'feed:r1' ? 'r1' : 'r2'
        // Once; and whatever it is that it does not like, each time.
        const fails = name === 'r1' ? refusals.r1 === 0 : signals.length > 0
        if (!fails) return ledger.saveSource(runId, outcome, signals, document)
        refusals[name] += 1
        throw new TransientError('the database did not take it')
      },
    }
    const feeds = feedsOf(venue, ['r1', 'r2'])
    const { result } = await scrapeOnce(store, { feeds })
    assert.deepEqual([result?.items, result?.details['failed'], refusals], [20, 1, { r1: 1, r2: 2 }])
    const { sources } = await newestRun()
    assert.match(sources.find(({ source }) => source === 'feed:r2')?.error ?? '', /could not be stored/)
    const again = await scrapeOnce(ledger, { feeds })
    assert.equal(again.result?.items, 20, 'what was not stored is asked for again, whole')
  })
})

/** As the venue's feeds mean it: oddities of scheme, host and slash taken back. */
function canonical(url: string | null): string {
  const { host, pathname } = new URL(url ?? 'https://none.example')
  return `https://${host.replace('www.', '')}${pathname.replace(/\/$/, '')}`
}

async function saveMarket(ledger: Ledger, conditionId: string, question: string): Promise<void> {
  await ledger.write((session) =>
    session.query(
      `INSERT INTO markets (condition_id, question, slug, active, closed, archived, accepting_orders, first_seen_at,
                            updated_at)
       VALUES ($1, $2, '', true, false, false, true, now(), now())`,
      [conditionId, question],
    ),
  )
}
