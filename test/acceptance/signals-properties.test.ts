import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../src/core/random.ts'
import type { Ledger } from '../../src/ledger/ledger.ts'
import { administer, freshLedger } from '../../src/ledger/test-server.ts'
import { feedText, type Story, type StoryForm, storyOf } from '../../src/sim/news-text.ts'
import { scrapeOnce } from '../support/scraping.ts'

const FEEDS = 3
const STORIES = 8
const RUNS = { numRuns: 100, verbose: 1 } as const

/** What is wrong with one answer. */
type Damage =
  | { readonly kind: 'none' | 'server' | 'page' | 'empty' | 'utf-16' | 'latin-1' }
  | { readonly kind: 'cut'; readonly share: number }
  | { readonly kind: 'tag'; readonly share: number }

/** One answer of one feed: which stories it lists, in which order, how often, and what is wrong with it. */
interface Answer {
  readonly stories: readonly number[]
  readonly seed: number
  readonly damage: Damage
}

const share = fc.double({ min: 0, max: 1, noNaN: true })
const damage: fc.Arbitrary<Damage> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('none' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('server', 'page', 'empty', 'utf-16', 'latin-1') }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('cut' as const), share }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('tag' as const), share }) },
)
const story = fc.integer({ min: 0, max: STORIES - 1 })
const answer = fc.record({ stories: fc.array(story, { maxLength: 12 }), seed: fc.nat(), damage })
const round = fc.tuple(...Array.from({ length: FEEDS }, () => answer))
const rounds = fc.array(round, { minLength: 1, maxLength: 3 })
const forms = fc.tuple(...Array.from({ length: FEEDS }, () => fc.constantFrom<StoryForm>('rss2', 'atom', 'rss1')))

describe('properties of scraping', { concurrency: false }, () => {
  let ledger: Ledger
  let base = ''
  let serving: (path: string) => { body: Buffer; status: number; etag: string } = () => assert.fail()
  const server = createServer((request, response) => {
    const { body, status, etag } = serving(request.url ?? '')
    const isKnown = status === 200 && request.headers['if-none-match'] === etag
    response.writeHead(isKnown ? 304 : status, { etag, 'content-type': 'application/xml' }).end(isKnown ? '' : body)
  })
  before(async () => {
    const fresh = await freshLedger()
    ledger = fresh.ledger
    // Nothing here is about a power cut.
    await administer(fresh.url, `ALTER DATABASE ${new URL(fresh.url).pathname.slice(1)} SET synchronous_commit = off`)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(async () => {
    server.close()
    server.closeAllConnections()
    await ledger.close()
  })

  let runs = 0
  test('what is listed is stored once, whatever order, repetition or damage it came in', async () => {
    await fc.assert(
      fc.asyncProperty(rounds, forms, async (script, formOf) => {
        runs += 1
        const stories = Array.from({ length: STORIES }, (_, n) => storyOf(`run${runs}`, n, Date.now()))
        const feeds = Array.from({ length: FEEDS }, (_, n) => ({ name: `${runs}-${n}`, url: `${base}/${n}` }))
        const play = async (answers: readonly Answer[]) => {
          serving = (path) => {
            const n = Number(path.slice(1))
            return serve(answers[n] ?? assert.fail(), formOf[n] ?? 'rss2', stories)
          }
          // Nothing here is about markets.
          await scrapeOnce({ ...ledger, loadLinkable: async () => [] }, { feeds })
        }
        for (const answers of script) await play(answers)
        // What was listed last is listed once more, whole: the same validators, whatever came over the wire before.
        const last = script.at(-1) ?? assert.fail()
        const whole = last.map((one) => ({ ...one, damage: { kind: 'none' as const } }))
        await play(whole)
        const listed = new Set(last.flatMap((one) => one.stories))
        const told = new Set(script.flat().flatMap((one) => one.stories))
        const urls = await storedUrls(ledger, runs)
        assert.equal(new Set(urls).size, urls.length, 'each once')
        for (const n of listed) assert.ok(urls.includes(stories[n]?.url ?? ''), `story ${n} is missing`)
        for (const url of urls)
          assert.ok(
            [...told].some((n) => stories[n]?.url === url),
            `${url} was never told`,
          )
        await play(whole)
        assert.deepEqual(await storedUrls(ledger, runs), urls)
      }),
      RUNS,
    )
  })
})

async function storedUrls(ledger: Ledger, run: number): Promise<readonly string[]> {
  const rows = await ledger.read<{ url: string | null; source: string }>(
    "SELECT url, source FROM signals WHERE source LIKE $1 || '-%' ORDER BY signal_id",
    [`feed:${run}`],
  )
  return rows.map(({ url }) =>
    (url ?? 'none')
      .replace(/^http:/, 'https:')
      .replace('www.', '')
      .replace(/\/$/, ''),
  )
}

/** The validator belongs to what is meant, not to what comes over the wire. */
function serve({ stories: listed, seed, damage: wrong }: Answer, form: StoryForm, stories: readonly Story[]) {
  const random = seededRandom(seed)
  const text = feedText(
    form,
    'home',
    listed.map((n) => stories[n] ?? assert.fail()),
    random,
  )
  const etag = `"${createHash('sha1').update(text).digest('hex')}"`
  return { etag, status: wrong.kind === 'server' ? 500 : 200, body: spoil(text, wrong) }
}

function spoil(text: string, wrong: Damage): Buffer {
  switch (wrong.kind) {
    case 'cut':
      return Buffer.from(text).subarray(0, Math.floor(Buffer.byteLength(text) * wrong.share))
    case 'tag': {
      const tags = [...text.matchAll(/<[^>]*>/g)]
      const tag = tags[Math.floor(wrong.share * (tags.length - 1))]
      return Buffer.from(tag === undefined ? text : text.slice(0, tag.index) + text.slice(tag.index + tag[0].length))
    }
    case 'page':
      return Buffer.from('<!doctype html><html><body>come back later</body></html>')
    case 'empty':
      return Buffer.alloc(0)
    case 'utf-16':
      return Buffer.from(`\ufeff${text}`, 'utf16le')
    case 'latin-1':
      return Buffer.from(text, 'latin1')
    case 'none':
    case 'server':
      return Buffer.from(text)
  }
}
