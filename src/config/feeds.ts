import { parseUrl } from './values.ts'

/** A feed as it is configured: an address, or a name that stands for one. */
export interface FeedPlace {
  /** Short, for people and as the name of the source. */
  readonly name: string
  readonly url: string
}

interface Preset {
  /** `google-news:<query>` takes a query; `techcrunch` does not. */
  readonly takes: string | null
  url(given: string): string
}

const GLOBENEWSWIRE = 'https://www.globenewswire.com'

/** By the name that is configured. The addresses are those that the publishers document. */
const PRESETS: Readonly<Record<string, Preset>> = {
  'google-news': {
    takes: 'query',
    url: (query) => `https://news.google.com/rss/search?q=${encodeURIComponent(query)}&hl=en-US&gl=US&ceid=US:en`,
  },
  'pr-newswire': { takes: null, url: () => 'https://www.prnewswire.com/rss/news-releases-list.rss' },
  globenewswire: {
    takes: null,
    url: () => `${GLOBENEWSWIRE}/RssFeed/orgclass/1/feedTitle/GlobeNewswire%20-%20News%20about%20Public%20Companies`,
  },
  techcrunch: { takes: null, url: () => 'https://techcrunch.com/feed/' },
  'product-hunt': { takes: null, url: () => 'https://www.producthunt.com/feed' },
  reddit: { takes: 'subreddit', url: (name) => `https://www.reddit.com/r/${encodeURIComponent(name)}/new/.rss` },
}

const NAME = /^[a-z0-9][a-z0-9 ._-]{0,63}$/i

/** Reads `https://…`, `name=https://…`, `techcrunch`, `google-news:<query>` and the like. Throws TypeError. */
export function parseFeedPlace(text: string): FeedPlace {
  const given = text.trim()
  if (/^https?:\/\//i.test(given)) return placeOf(nameOf(given), given)
  const named = /^([^=:]+)=(https?:\/\/.+)$/i.exec(given)
  if (named !== null) {
    const [, name = '', url = ''] = named
    if (!NAME.test(name.trim())) throw new TypeError(`holds ${name}, which is not a short name`)
    return placeOf(name.trim(), url)
  }
  const [word = '', ...rest] = given.split(':')
  const argument = rest.join(':').trim()
  const preset = Object.hasOwn(PRESETS, word) ? PRESETS[word] : undefined
  if (preset === undefined) {
    const known = Object.entries(PRESETS).map(([name, { takes }]) => (takes === null ? name : `${name}:<${takes}>`))
    throw new TypeError(`holds ${given}, which is neither a web address nor one of ${known.join(', ')}`)
  }
  if (preset.takes !== null && argument === '') throw new TypeError(`needs a ${preset.takes} after ${word}:`)
  if (preset.takes === null && rest.length > 0) throw new TypeError(`holds ${word}, which takes nothing after it`)
  return { name: given, url: preset.url(argument) }
}

function placeOf(name: string, url: string): FeedPlace {
  return { name, url: parseUrl(url, ['https', 'http']) }
}

/** Host and path: two feeds of one host are two sources. */
function nameOf(address: string): string {
  return address
    .replace(/^https?:\/\/(?:www\.)?/i, '')
    .replace(/[#].*$/, '')
    .replace(/\/$/, '')
}
