import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { readFeed } from './feed-document.ts'
import type { FoundItem, FoundItems } from './found-item.ts'
import { createInterests } from './interests.ts'
import { toSignal } from './to-signal.ts'

const FROM = 'https://paper.example/news/feed.xml'
const SEEN_MS = Date.UTC(2026, 4, 15, 12)

function feed(text: string): FoundItems {
  const read = readFeed(text, FROM)
  assert.ok(read.ok, read.ok ? '' : read.reason)
  return read
}

function rss(...items: string[]): string {
  return `<?xml version="1.0"?><rss version="2.0"><channel><title>Paper</title><link>https://paper.example/</link>
${items.join('\n')}</channel></rss>`
}

function signalOf(item: FoundItem | undefined, home: string | null = null) {
  assert.ok(item)
  const frame = { source: 'feed:paper', seenMs: SEEN_MS, interests: createInterests([], []), home, trustsIds: false }
  return toSignal(item, frame)
}

describe('a feed', () => {
  test('of RSS 2.0 has titles, links, ids, times and summaries', () => {
    const { items, whole, damaged, home } = feed(
      rss(`<item><title>Tom &amp; Jerry: &lt;i&gt;again&lt;/i&gt;</title><link> https://paper.example/a?utm_source=x#c
        </link><guid isPermaLink="false">a-1</guid><pubDate>Fri, 15 May 2026 10:00:00 EDT</pubDate>
        <description><![CDATA[<p>One&nbsp;day</p><script>alert(1)</script><p>two</p>]]></description>
        <media:title>other</media:title><category>x</category><category>y</category></item>`),
    )
    assert.deepEqual([whole, damaged, home], [true, 0, 'https://paper.example/'])
    const { keys, seenMs: _, ...signal } = signalOf(items[0]) ?? assert.fail()
    assert.deepEqual(signal, {
      source: 'feed:paper',
      externalId: 'a-1',
      url: 'https://paper.example/a',
      title: 'Tom & Jerry: again',
      summary: 'One day two',
      // Told to be later than it was seen.
      publishedMs: SEEN_MS,
      keywords: [],
      companies: [],
      raw: {
        title: 'Tom & Jerry: <i>again</i>',
        link: 'https://paper.example/a?utm_source=x#c',
        guid: { ispermalink: 'false', text: 'a-1' },
        pubdate: 'Fri, 15 May 2026 10:00:00 EDT',
        description: '<p>One&nbsp;day</p><script>alert(1)</script><p>two</p>',
        'media:title': 'other',
        category: ['x', 'y'],
      },
    })
    assert.deepEqual(
      keys.map(({ kind }) => kind),
      ['url', 'content'],
    )
  })

  test('of Atom and of RSS 1.0 has the same', () => {
    const atom = feed(`<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://paper.example/x/"><id>urn:f</id>
      <link rel="self" href="feed.xml"/><link href="/home"/>
      <entry><title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">A <b>bold</b> title</div></title>
      <link rel="enclosure" href="a.mp3"/><link rel="alternate" href="story/1"/><id>tag:1</id>
      <published>2026-05-15T09:30:00+02:00</published><updated>2026-05-15T10:00:00Z</updated>
      <summary>short</summary><content type="html">long</content></entry></feed>`)
    assert.equal(atom.home, '/home')
    const one = signalOf(atom.items[0])
    assert.deepEqual(
      [one?.title, one?.url, one?.externalId, one?.summary, one?.publishedMs],
      ['A bold title', 'https://paper.example/x/story/1', 'tag:1', 'short', Date.UTC(2026, 4, 15, 7, 30)],
    )
    const old = feed(`<rdf:RDF xmlns:rdf="…"><channel rdf:about="x"><title>c</title><link>https://paper.example</link>
      <items><rdf:Seq><rdf:li rdf:resource="https://paper.example/2"/></rdf:Seq></items></channel>
      <item rdf:about="https://paper.example/2"><title>Two</title><link>https://paper.example/2</link>
      <dc:date>2026-05-14</dc:date></item></rdf:RDF>`)
    const two = signalOf(old.items[0])
    assert.deepEqual(
      [two?.title, two?.externalId, two?.publishedMs],
      ['Two', 'https://paper.example/2', Date.UTC(2026, 4, 14)],
    )
  })

  test('that is cut off or has tags missing gives what is whole, and says that it is not', () => {
    const items = [1, 2, 3, 4].map(
      (n) => `<item><title>Story ${n}</title><link>https://paper.example/${n}</link></item>`,
    )
    const titles = (text: string) => {
      const { items: found, damaged, whole } = feed(text)
      return [found.map(({ title }) => title.replace('Story ', '')).join(''), damaged, whole]
    }
    assert.deepEqual(titles(rss(...items)), ['1234', 0, true])
    assert.deepEqual(titles(rss(...items).slice(0, -60)), ['123', 1, false])
    assert.deepEqual(titles(rss(...items).slice(0, -10)), ['1234', 0, false])
    assert.deepEqual(titles(rss(...items).replace('</item>', '')), ['234', 1, false])
    assert.deepEqual(titles(rss(...items).replace('Story 1</title>', 'Story 1')), ['234', 1, false])
    assert.deepEqual(titles(rss(...items).replace('Story 2', '2 & <b>more')), ['12 & more34', 0, true])
  })

  test('has no entities of its own, and nothing from elsewhere', () => {
    const bombs = `<!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">
      <!ENTITY f SYSTEM "file:///etc/passwd">]>`
    const { items } = feed(
      bombs + rss('<item><title>&b;&f; is here</title><link>https://paper.example/1</link></item>'),
    )
    assert.equal(items[0]?.title, '&b;&f; is here')
  })

  test('that is none is refused in words', () => {
    for (const [text, reason] of [
      ['', /empty/],
      ['<!doctype html><html><body>Hello', /web page/],
      ['{"items":[]}', /not a feed/],
      ['<sitemap></sitemap>', /not a feed/],
    ] as const) {
      const read = readFeed(text, FROM)
      assert.match(read.ok ? '' : read.reason, reason)
    }
    assert.deepEqual(feed(rss()).items, [])
  })

  test('of any shape never throws', () => {
    const piece = fc.constantFrom(
      ...[
        '<rss>',
        '</rss>',
        '<channel>',
        '<item>',
        '</item>',
        '<title>',
        '</title>',
        '<link href="',
        '"/>',
        '<![CDATA[',
      ],
      ...[
        ']]>',
        '&amp;',
        '&#x0;',
        '&bogus;',
        '<!--',
        '-->',
        '<feed>',
        '<entry>',
        '</entry>',
        '<?xml',
        '\u0000',
        '\ud800',
      ],
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string())), (pieces) => {
        const read = readFeed(pieces.join(''), FROM)
        if (!read.ok) return
        for (const item of read.items) signalOf(item)
      }),
      { numRuns: 500 },
    )
  })
})

describe('an item', () => {
  const item = (change: Partial<FoundItem>): FoundItem => ({
    ...{ externalId: null, url: 'https://paper.example/a', base: FROM, title: 'A title', summary: '' },
    ...{ published: null, raw: {} },
    ...change,
  })

  test('has no address of its own where its feed shares one', () => {
    const keys = (url: string | null, externalId: string | null, home: string | null = null) =>
      signalOf(item({ url, externalId }), home)?.keys.map(({ kind }) => kind)
    assert.deepEqual(keys('https://paper.example/status', '7', 'http://www.paper.example/status/'), ['id'])
    assert.deepEqual(keys('https://paper.example/', '7'), ['id'])
    assert.deepEqual(keys(null, '7'), ['id'])
    assert.deepEqual(keys(null, null), ['content'], 'there is always one')
    assert.deepEqual(keys('javascript:alert(1)', null), ['content'])
    assert.deepEqual(keys('https://paper.example/?p=7', '7'), ['url'])
  })

  test('is the same by its words when there are enough of them', () => {
    const content = (title: string, summary = '') =>
      signalOf(item({ title, summary }))?.keys.find(({ kind }) => kind === 'content')?.hash
    const one = content('Harbour United wins the cup', 'After 20 years')
    assert.ok(one)
    assert.equal(content('HARBOUR UNITED — wins the “cup”!', 'After <b>20</b>   years…'), one)
    assert.notEqual(content('Harbour United wins the cup', 'After 21 years'), one)
    assert.equal(content('Market update'), undefined)
  })

  test('is dated as it says, never ahead of time, and not at all where it says nothing', () => {
    const at = (published: string | number | null) => signalOf(item({ published }))?.publishedMs ?? null
    assert.equal(at('Thu, 14 May 2026 10:00:00 +0200'), Date.UTC(2026, 4, 14, 8))
    assert.equal(at('Sunday, 14 May 2026 10:00:00 GMT'), Date.UTC(2026, 4, 14, 10))
    assert.equal(at('14 May 2026 10:00 CEST'), Date.UTC(2026, 4, 14, 8))
    assert.equal(at('2026-05-14 10:00:00Z'), Date.UTC(2026, 4, 14, 10))
    assert.equal(at('2026-05-16T00:00:00Z'), SEEN_MS)
    for (const nonsense of ['', 'soon', '0000-00-00', '1970-01-01', '99', Number.NaN, null])
      assert.equal(at(nonsense), null)
  })
})
