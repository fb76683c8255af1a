import type { Random } from '../core/random.ts'

/** One story as it is, whatever its feeds make of it. */
export interface Story {
  /** Like `feed/f1`. */
  readonly source: string
  readonly n: number
  readonly id: string
  readonly url: string
  readonly title: string
  readonly summary: string
  /** Unix ms. */
  readonly atMs: number
}

export type StoryForm = 'rss2' | 'atom' | 'rss1'

const SUBJECTS = [
  ...[
    'Harbour United',
    'Mira Holt',
    'Copper price',
    'River festival',
    'Lunar lander',
    'Nordwind Energy',
    'Acme Robotics',
  ],
  ...['Café Zürich', 'AT&T <Labs>'],
]
const DEEDS = ['announces a plan', 'is ahead in a poll', 'closes higher', 'arrives on time', 'leads the count', 'wins']
const EVERY_MS = 60_000

/** The same for the same name and number. */
export function storyOf(source: string, n: number, startMs: number): Story {
  const path = source.replace('/topstories.json', '')
  const [subject, deed] = [SUBJECTS[n % SUBJECTS.length], DEEDS[(n + path.length) % DEEDS.length]]
  return {
    source,
    n,
    id: `${path}-${n}`,
    url: `https://news.example/${path}/${n}`,
    title: `${subject} ${deed}, says dispatch ${n} of ${path.replace('/', ' ')}`,
    summary: `Dispatch ${n}: more than 100 people & others follow “${subject}” – here is what ${path} knows.`,
    atMs: startMs - (1_000_000 - n) * EVERY_MS,
  }
}

/** A feed in one of its forms; how addresses and titles are written differs from one answer to the next. */
export function feedText(form: StoryForm, name: string, stories: readonly Story[], random: Random): string {
  const items = stories.map((story) => ITEMS[form](story, oddUrl(story, random), random)).join('\n')
  const home = `https://news.example/${name}`
  const head = '<?xml version="1.0" encoding="UTF-8"?>\n'
  if (form === 'atom') {
    return `${head}<feed xmlns="http://www.w3.org/2005/Atom"><title>${name}</title><id>${home}</id>
<link rel="self" href="${home}.xml"/><link href="${home}"/>\n${items}\n</feed>\n`
  }
  if (form === 'rss1') {
    return `${head}<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="${home}"><title>${name}</title><link>${home}</link>
<items><rdf:Seq><rdf:li rdf:resource="${home}"/></rdf:Seq></items></channel>\n${items}\n</rdf:RDF>\n`
  }
  return `${head}<rss version="2.0"><channel><title>${name}</title><link>${home}</link>
<description>Everything about ${name}</description>\n${items}\n</channel></rss>\n`
}

const ITEMS: Readonly<Record<StoryForm, (story: Story, url: string, random: Random) => string>> = {
  rss2: (story, url, random) => `<item><title>${oddText(story.title, random)}</title>
<link>${xml(url)}</link><guid isPermaLink="false">${story.id}</guid>
<pubDate>${new Date(story.atMs).toUTCString()}</pubDate>
<description>${xml(`<p>${xml(story.summary)}</p><img src="https://news.example/p.gif">`)}</description></item>`,
  atom: (story, url, random) => `<entry><title type="html">${xml(xml(story.title))}</title>
<link rel="enclosure" href="https://news.example/a.mp3"/><link rel="alternate" href="${xml(url)}"/>
<id>tag:news.example,2026:${story.id}</id><updated>${new Date(story.atMs).toISOString()}</updated>
<summary>${oddText(story.summary, random)}</summary></entry>`,
  rss1: (story, url, random) => `<item rdf:about="${xml(url)}"><title>${oddText(story.title, random)}</title>
<link>${xml(url)}</link><dc:date>${new Date(story.atMs).toISOString()}</dc:date>
<description>${oddText(story.summary, random)}</description></item>`,
}

/** A page of articles. */
export function pageText(name: string, stories: readonly Story[]): string {
  const articles = stories.map(
    ({ title, url, summary, atMs }) => `<article class="post"><script>var x = "</b>"</script>
<h2><a href="${xml(new URL(url).pathname)}?utm_source=page#top">${xml(title)}</a></h2>
<p class=teaser>${xml(summary)}<br>more</p><time datetime="${new Date(atMs).toISOString()}">today</time></article>`,
  )
  return `<!doctype html><html><head><meta charset="utf-8"><base href="https://news.example/">
<title>${name}</title></head>
<body><nav><a href="/">home</a></nav>\n${articles.join('\n')}\n</body></html>\n`
}

/** The same address as people hand it on. */
function oddUrl({ url }: Story, random: Random): string {
  const odd = [
    url,
    `${url}/`,
    `${url}?utm_source=feed&utm_medium=rss`,
    `${url}?fbclid=abc#comments`,
    url.replace('https://', 'http://'),
    url.replace('news.example', 'www.news.example'),
    url.replace('news.example', 'NEWS.example:443'),
  ]
  return odd[Math.floor(random() * odd.length)] ?? url
}

/** The same words in another dress. */
function oddText(text: string, random: Random): string {
  const odd = [xml(text), `<![CDATA[${xml(text)}]]>`, `\n    ${xml(text)}  `, xml(xml(text))]
  return odd[Math.floor(random() * odd.length)] ?? xml(text)
}

function xml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
