import { compile, selectAll, selectOne } from 'css-select'
import { DomUtils, parseDocument } from 'htmlparser2'
import { describeError, TransientError } from '../../core/errors.ts'
import { getChanged } from './document.ts'
import { type FoundItem, type FoundItems, ITEMS_MAX } from './found-item.ts'
import { plainText } from './plain-text.ts'
import type { Robots } from './robots.ts'
import type { Scraper } from './scraper.ts'

/** A page and how items are found on it, by CSS selectors; null where the whole item, or its first link, is meant. */
export interface PagePlace {
  readonly name: string
  readonly url: string
  readonly item: string
  readonly title: string | null
  readonly link: string | null
  readonly summary: string | null
  readonly time: string | null
}

type Node = ReturnType<typeof parseDocument>['children'][number]
type Element = Extract<Node, { attribs: unknown }>

const BODY_BYTES_MAX = 4 * 1024 * 1024
const ACCEPT = 'text/html, application/xhtml+xml;q=0.9, */*;q=0.5'
const TEXT_LENGTH_MAX = 5_000

/** A web page, where its host lets programs read it. */
export function createPageScraper(place: PagePlace, robots: Robots): Scraper {
  return {
    name: `page:${place.name}`,
    trustsIds: false,
    async scrape(context) {
      const changed = await getChanged(context, place.url, {
        accept: ACCEPT,
        bodyBytesMax: BODY_BYTES_MAX,
        mayAsk: (url) => robots.mayAsk(url, context.get),
      })
      if (changed === null) return { found: null, document: null }
      const found = readPage(changed.text, changed.foundAt, place)
      // A page that has been made over would be silent for ever.
      if (found.items.length === 0) {
        throw new TransientError(
          `${changed.foundAt}: nothing on the page fits ${place.item}, or has a title and a link`,
        )
      }
      return { found, document: changed.state }
    },
  }
}

/** What the selectors find in a page. Throws TransientError when one of them is none. */
export function readPage(html: string, from: string, place: PagePlace): FoundItems {
  for (const selector of [place.item, place.title, place.link, place.summary, place.time]) checkSelector(selector)
  const document = parseDocument(html)
  const stated = selectOne<Node, Element>('base[href]', document.children)?.attribs['href'] ?? ''
  const base = URL.canParse(stated, from) ? new URL(stated, from).href : from
  const elements = selectAll<Node, Element>(place.item, document.children)
  const items = elements.slice(0, ITEMS_MAX).map((element) => itemOf(element, base, place))
  const readable = items.filter(({ title, url }) => title !== '' && url !== null)
  return {
    items: readable,
    damaged: items.length - readable.length,
    dropped: elements.length - items.length,
    whole: true,
    home: from,
  }
}

function checkSelector(selector: string | null): void {
  if (selector === null) return
  try {
    compile(selector)
  } catch (error) {
    throw new TransientError(`${selector} is not a CSS selector: ${describeError(error)}`, { cause: error })
  }
}

function itemOf(item: Element, base: string, place: PagePlace): FoundItem {
  const part = (selector: string | null) =>
    selector === null ? null : selectOne<Node, Element>(selector, item.children)
  const link = place.link === null ? firstLink(item) : part(place.link)
  const time = part(place.time)
  const title = place.title === null ? item : part(place.title)
  const url = link?.attribs['href']?.trim() || null
  const raw = {
    title: textOf(title),
    link: url,
    summary: textOf(part(place.summary)),
    time: time === null ? null : (time.attribs['datetime'] ?? textOf(time)),
  }
  return {
    externalId: null,
    url,
    base,
    title: raw.title,
    summary: raw.summary,
    published: raw.time,
    raw,
  }
}

/** Where the item leads: its first link, or itself. */
function firstLink(item: Element): Element | null {
  return item.name === 'a' && item.attribs['href'] !== undefined
    ? item
    : selectOne<Node, Element>('a[href]', item.children)
}

/** What is said in an element, not what runs in it. */
function textOf(element: Element | null): string {
  return element === null ? '' : plainText(DomUtils.getOuterHTML(element), TEXT_LENGTH_MAX)
}
