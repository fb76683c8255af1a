import { type FoundItem, type FoundItems, ITEMS_MAX } from './found-item.ts'
import { localName, readXml, type XmlElement } from './xml-tree.ts'

export type ReadFeed = ({ readonly ok: true } & FoundItems) | { readonly ok: false; readonly reason: string }

/** Names of the element that holds everything, of RSS 2.0 and its kin, RSS 1.0 and Atom. */
const ROOTS: ReadonlySet<string> = new Set(['rss', 'rdf', 'feed'])
const RAW_LENGTH_MAX = 16_000
const RAW_NAMES_MAX = 60
/** Prefixes whose elements say the same as those without one. */
const OWN_PREFIXES: ReadonlySet<string> = new Set(['', 'rss', 'atom', 'a10', 'rdf'])

/**
 * Reads RSS 2.0, Atom and RSS 1.0 as far as they can be read. `from` is where the text came from. An item that is
 * broken or cut off is counted and left out, and the others are not touched by it. Never throws.
 */
export function readFeed(text: string, from: string): ReadFeed {
  const { root, cut } = readXml(text)
  const top = root.children.find((child) => ROOTS.has(localName(child)))
  if (top === undefined) return { ok: false, reason: refusal(text) }
  const channel = top.children.find((child) => localName(child) === 'channel') ?? top
  // RSS 1.0 has its items beside the channel; where a tag is missing, they can be anywhere.
  const elements = itemsBelow(top)
  const balanced = isBalanced(text, top)
  const counts = (item: XmlElement) => isReadable(item) && (balanced || isNamed(item))
  const readable = elements.filter(counts)
  const broken = elements.filter((item) => !counts(item))
  const items = readable.slice(0, ITEMS_MAX).map((item) => itemOf(item, baseOf(item, from)))
  return {
    ok: true,
    items: items.filter(hasSubstance),
    damaged: broken.length + items.filter((item) => !hasSubstance(item)).length,
    dropped: readable.length - items.length,
    whole: top.isWhole && balanced && broken.length === 0 && !cut,
    home: linkOf(channel),
  }
}

function refusal(text: string): string {
  if (text.trim() === '') return 'the answer is empty'
  return /^\s*(?:<!doctype html|<html)/i.test(text) ? 'this is a web page and not a feed' : 'this is not a feed'
}

function itemsBelow(top: XmlElement): readonly XmlElement[] {
  return elementsBelow(top).filter((element) => isOwn(element, 'item', 'entry'))
}

/** In the order of the document. */
function elementsBelow(top: XmlElement): readonly XmlElement[] {
  const found: XmlElement[] = []
  const waiting = [top]
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    for (const child of at.children.toReversed()) waiting.push(child)
    if (at !== top) found.push(at)
  }
  return found
}

/**
 * An item counts when it and what identifies it were closed: the rest of a title that was cut off is not known. One
 * that was left open holds those after it, which are none the worse for it.
 */
function isReadable(item: XmlElement): boolean {
  if (!item.isWhole) return false
  const broken = item.children.some((child) => {
    const isLink = isOwn(child, 'link') && child.attributes['href'] !== undefined
    return isOwn(child, 'title', 'link', 'guid', 'id') && !child.isWhole && !isLink && child.text !== ''
  })
  return !broken && !itemsInside(item)
}

/** Names of elements without which an item is another one. */
const STRUCTURE = 'item|entry|title|link|guid|id'
const CLOSING = new RegExp(`</(?:[\\w.-]+:)?(?:${STRUCTURE})\\s*>`, 'gi')
const NO_TAGS = /<!\[CDATA\[[\s\S]*?(?:\]\]>|$)|<!--[\s\S]*?(?:-->|$)/g

/** Whether every closing tag of the structure closes something: else its opening one is missing, and what it named. */
function isBalanced(text: string, top: XmlElement): boolean {
  const closings = text.replaceAll(NO_TAGS, '').match(CLOSING)?.length ?? 0
  const names = STRUCTURE.split('|')
  const closed = elementsBelow(top).filter((element) => element.isWhole && names.includes(localName(element)))
  return closings === closed.length
}

/** Enough to know it again, whatever else is missing. */
function isNamed(item: XmlElement): boolean {
  return linkOf(item) !== null && (first(item, 'title')?.text.trim() ?? '') !== ''
}

function itemsInside(item: XmlElement): boolean {
  return item.children.some((child) => isOwn(child, 'item', 'entry') || itemsInside(child))
}

function hasSubstance({ title, summary, url }: FoundItem): boolean {
  return (title.trim() !== '' || summary.trim() !== '') && (url ?? title + summary).trim() !== ''
}

function itemOf(item: XmlElement, base: string): FoundItem {
  const guid = first(item, 'guid', 'id')
  const about = item.attributes['rdf:about'] ?? ''
  const externalId = guid?.text.trim() || first(item, 'dc:identifier')?.text.trim() || about || null
  const isAddress = guid !== undefined && guid.attributes['ispermalink']?.toLowerCase() !== 'false'
  const address = isAddress && /^https?:/i.test(guid.text.trim()) ? guid.text.trim() : null
  const body = first(item, 'description', 'summary') ?? first(item, 'content:encoded', 'content')
  return {
    externalId,
    url: linkOf(item) ?? address,
    base,
    title: first(item, 'title')?.text ?? '',
    summary: body?.text ?? '',
    published:
      first(item, 'pubdate', 'published', 'issued', 'dc:date')?.text.trim() ??
      first(item, 'updated', 'modified')?.text.trim() ??
      null,
    raw: rawOf(item),
  }
}

/** The link to what is told about: RSS has it as text, Atom as one of several. */
function linkOf(element: XmlElement): string | null {
  const links = element.children.filter((child) => isOwn(child, 'link'))
  const plain = links.find((link) => link.attributes['href'] === undefined && link.text.trim() !== '')
  if (plain !== undefined) return plain.text.trim()
  const rel = (link: XmlElement) => link.attributes['rel']?.toLowerCase() ?? 'alternate'
  return links.find((link) => rel(link) === 'alternate')?.attributes['href']?.trim() || null
}

/** `xml:base` of the item or of what it is in. */
function baseOf(item: XmlElement, from: string): string {
  const bases: string[] = []
  for (let at: XmlElement | null = item; at !== null; at = at.parent) bases.push(at.attributes['xml:base'] ?? '')
  return bases
    .reverse()
    .reduce((base, next) => (next !== '' && URL.canParse(next, base) ? new URL(next, base).href : base), from)
}

function first(item: XmlElement, ...names: readonly string[]): XmlElement | undefined {
  for (const name of names) {
    const found = item.children.find((child) => child.name === name || isOwn(child, name))
    if (found !== undefined) return found
  }
  return undefined
}

/** Of that name in the feed's own language, whatever prefix it gave that. */
function isOwn(element: XmlElement, ...names: readonly string[]): boolean {
  const at = element.name.indexOf(':')
  return OWN_PREFIXES.has(at < 0 ? '' : element.name.slice(0, at)) && names.includes(localName(element))
}

/** Every element of the item by its name, text or attributes, as long as there is room. */
function rawOf(item: XmlElement): Readonly<Record<string, unknown>> {
  const raw: Record<string, unknown> = {}
  let room = RAW_LENGTH_MAX
  for (const child of item.children) {
    if (Object.keys(raw).length >= RAW_NAMES_MAX || room <= 0) break
    const attributes = Object.entries(child.attributes)
    const text = child.text.trim().slice(0, room)
    const value =
      attributes.length === 0 ? text : { ...Object.fromEntries(attributes), ...(text === '' ? {} : { text }) }
    room -= child.name.length + JSON.stringify(value).length
    if (room < 0 && text === '') continue
    const before = raw[child.name]
    raw[child.name] = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value]
  }
  return raw
}
