import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { LinkableSignal } from '../../core/signals.ts'
import { canonicalUrl, cleanUrl } from './canonical-url.ts'
import { decodeText } from './charset.ts'
import { createInterests } from './interests.ts'
import { LINKS_MAX, LinkFinder } from './links.ts'
import { readPage } from './page.ts'
import { plainText } from './plain-text.ts'

describe('the encoding of a document', () => {
  const words = 'Zürich – “größer”'
  const latin = (text: string, claim: string) =>
    decodeText(Buffer.from(`<?xml version="1.0" encoding="${claim}"?>${text}`, 'latin1'), '')
  test('is UTF-8 where the bytes are, whatever is claimed', () => {
    assert.equal(decodeText(Buffer.from(words), 'text/xml; charset=iso-8859-1'), words)
    assert.equal(decodeText(Buffer.from(`\ufeff${words}`), 'text/xml; charset=utf-16'), words)
  })
  test('is what the mark says, or the pattern', () => {
    assert.equal(decodeText(Buffer.from(`\ufeff<a>${words}`, 'utf16le'), ''), `<a>${words}`)
    assert.equal(decodeText(Buffer.from(`<a>${words}`, 'utf16le'), 'text/xml; charset=utf-8'), `<a>${words}`)
    assert.equal(decodeText(Buffer.from(`<a>${words}`, 'utf16le').swap16(), ''), `<a>${words}`)
  })
  test('is otherwise what the server says, then the document, then windows-1252', () => {
    const russian = Buffer.from([0xcf, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2])
    assert.equal(decodeText(russian, 'text/html; charset="windows-1251"'), 'Привет')
    const meta = Buffer.concat([Buffer.from('<meta charset=windows-1251>'), russian])
    assert.equal(decodeText(meta, 'text/html; charset=utf-8'), '<meta charset=windows-1251>Привет')
    assert.match(latin('Zürich', 'iso-8859-1'), /Zürich$/)
    assert.match(latin('Zürich', 'utf-8'), /Zürich$/)
    assert.match(latin('Zürich', 'no-such-thing'), /Zürich$/)
    const escaped = Buffer.from('<meta charset="iso-2022-jp">\u001b$B$3$s\u001b(B', 'latin1')
    assert.match(decodeText(escaped, ''), /こん$/)
  })
  test('never throws', () => {
    fc.assert(fc.property(fc.uint8Array(), fc.string(), (bytes, type) => void decodeText(bytes, type)))
  })
})

describe('an address', () => {
  test('has one spelling', () => {
    for (const odd of [
      ...['http://Example.com/a', 'https://www.example.com/a/', 'https://example.com:443/a?utm_source=x&fbclid=1'],
      ...['https://example.com/a#top', 'https://user:pass@example.com/a', ' https://example.com/./b/../a '],
    ]) {
      assert.equal(canonicalUrl(odd), 'https://example.com/a', odd)
    }
    assert.equal(canonicalUrl('/a?b=2&a=1', 'http://example.com/x/'), 'https://example.com/a?a=1&b=2')
    assert.equal(canonicalUrl('https://example.com/a/index.html'), 'https://example.com/a')
  })
  test('keeps what tells one thing from another', () => {
    const different = ['a?id=1', 'a?id=2', 'A', 'a/b', 'a?ref=main', 'a?page=2'].map(
      (end) => `https://example.com/${end}`,
    )
    assert.equal(new Set(different.map((one) => canonicalUrl(one))).size, different.length)
    assert.notEqual(canonicalUrl('https://www.com/a'), canonicalUrl('https://com/a'))
  })
  test('that is none is null', () => {
    for (const none of ['', 'javascript:alert(1)', 'data:text/html,x', 'mailto:a@b.c', '//', 'http://', 'a b']) {
      assert.equal(canonicalUrl(none), null, none)
    }
    assert.equal(canonicalUrl(`https://example.com/${'x'.repeat(3_000)}`), null)
  })
  test('once cleaned stays as it is', () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true, withFragments: true }), (url) => {
        const [clean, canonical] = [cleanUrl(url), canonicalUrl(url)]
        if (clean === null || canonical === null) return
        assert.equal(cleanUrl(clean), clean)
        assert.equal(canonicalUrl(canonical), canonical)
        assert.equal(canonicalUrl(clean), canonical)
      }),
    )
  })
})

describe('words', () => {
  test('are read off HTML, and what is no HTML stays', () => {
    for (const [html, text] of [
      ['<p>One</p><p>two<br>three</p><script>four()</script>', 'One two three'],
      ['AT&amp;T &lt;3 &#8220;you&#8221;&nbsp;', 'AT&T <3 “you”'],
      ['AT&T <Labs> and x<y>z', 'AT&T <Labs> and x<y>z'],
      ['a < b & c > d', 'a < b & c > d'],
      ['cut off <b', 'cut off'],
      ['one\u0000\u202etwo\n\tthree', 'one two three'],
    ] as const) {
      assert.equal(plainText(html, 100), text)
    }
    assert.equal(plainText('x'.repeat(200), 100).length, 100)
    assert.equal(plainText(`${'x'.repeat(98)}😀yy`, 100), `${'x'.repeat(98)}…`)
  })
  test('are keywords in any case and companies as they are written', () => {
    const { keywordsIn, companiesIn } = createInterests(
      ['copper price', 'Fed=FOMC'],
      ['Apple', 'Alphabet=Google|GOOGL'],
    )
    assert.deepEqual(keywordsIn('COPPER-PRICE up as the fomc meets'), ['copper price', 'Fed'])
    assert.deepEqual(keywordsIn('copper prices, federal'), [])
    assert.deepEqual(companiesIn('an apple a day; Google’s plan'), ['Alphabet'])
    assert.deepEqual(companiesIn('APPLE sues GOOGL'), ['Apple', 'Alphabet'])
  })
})

describe('a page', () => {
  const place = {
    name: 'p',
    url: 'https://p.example/',
    item: 'li.news',
    title: null,
    link: null,
    summary: null,
    time: null,
  }
  test('has what its selectors find', () => {
    const html = `<base href="/en/"><ul><li class=news><a href="one?utm_source=p"><b>O</b>ne</a></li>
      <li class="news top"><a href="//cdn.example/two">Two</a> <i>more</i></li><li>none</li>
      <li class=news>no link</li></ul>`
    const { items, damaged } = readPage(html, 'https://p.example/list', place)
    assert.deepEqual(
      items.map(({ title, url, base }) => [title, cleanUrl(url ?? '', base)]),
      [
        ['One', 'https://p.example/en/one'],
        ['Two more', 'https://cdn.example/two'],
      ],
    )
    assert.equal(damaged, 1)
  })
  test('of any shape gives items or none', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('<li class=news>', '</li>', '<a href="', '">', 'x', '<!--', '<table>')),
        (parts) => {
          readPage(parts.join(''), 'https://p.example/', place)
        },
      ),
    )
  })
})

describe('links to markets', () => {
  const finder = (
    questions: readonly string[],
    keywords: readonly string[] = [],
    companies: readonly string[] = [],
  ) => {
    const interests = createInterests(keywords, companies)
    const made = new LinkFinder(interests)
    for (const [n, question] of questions.entries()) made.add({ conditionId: `m${n}`, question })
    const signal = (title: string, links: readonly string[] = []): LinkableSignal => ({
      ...{ signalId: 1, title, summary: '', links },
      keywords: interests.keywordsIn(title),
      companies: interests.companiesIn(title),
    })
    return (title: string, links?: readonly string[]) =>
      made.linksOf(signal(title, links)).map(({ conditionId, reason }) => `${conditionId} ${reason}`)
  }

  test('are made by shared names, with the reason', () => {
    const find = finder(['Will Mira Holt win the election?', 'Will the Fed cut rates in March?', 'Will it rain?'])
    assert.deepEqual(find('Mira Holt ahead in new poll'), ['m0 both name Mira Holt'])
    assert.deepEqual(find('FED CUTS RATES'), ['m1 both name Fed; both say rates'])
    assert.deepEqual(find('How Will March Look'), [], 'capitals alone are no names')
    assert.deepEqual(find('they fed the ducks'), [])
    assert.deepEqual(find('Holt election victory'), ['m0 both name Holt; both say election'].slice(0, 0))
    assert.deepEqual(find('Holt gains as election nears, who will win the election'), [])
  })
  test('are made by a last name with more beside it', () => {
    const find = finder(['Will Donald Trump announce new tariffs on copper before summer?'])
    assert.deepEqual(find('Trump will announce tariffs'), ['m0 both name Trump; both say announce, tariffs'])
    assert.deepEqual(find('Trump plays golf'), [])
  })
  test('are made by configured keywords and companies', () => {
    const find = finder(
      ['Will the copper price close higher?', 'Will Google launch it?'],
      ['copper price'],
      ['Alphabet=Google'],
    )
    assert.deepEqual(find('The copper price falls'), ['m0 keyword copper price; both say copper'])
    assert.deepEqual(find('GOOGLE does it'), ['m1 both name Google; company Alphabet'])
  })
  test('are the nearest ones, as many as there is room for', () => {
    const find = finder(
      Array.from({ length: 30 }, (_, n) => `Will Acme Robotics sell ${n} robots${n === 25 ? ' abroad' : ''}?`),
    )
    const found = find('Acme Robotics goes abroad')
    assert.equal(found.length, LINKS_MAX)
    assert.match(found[0] ?? '', /^m25 /)
    assert.deepEqual(find('Acme Robotics goes abroad', ['m25', ...Array.from({ length: 8 }, (_, n) => `m${n}`)]), [
      'm8 both name Acme Robotics',
    ])
  })
})
