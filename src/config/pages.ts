import { parseUrl } from './values.ts'

/** A page and how items are found on it, by CSS selectors. */
export interface PagePlace {
  readonly name: string
  readonly url: string
  /** What holds one item. */
  readonly item: string
  /** Inside of an item; where null, the whole item is meant, and its first link. */
  readonly title: string | null
  readonly link: string | null
  readonly summary: string | null
  readonly time: string | null
}

const REQUIRED = ['name', 'url', 'item'] as const
const OPTIONAL = ['title', 'link', 'summary', 'time'] as const
const NAME = /^[a-z0-9][a-z0-9 ._-]{0,63}$/i
const SELECTOR_LENGTH_MAX = 500
const PAGES_MAX = 200

/** Reads a list of pages, or the JSON of one. Throws TypeError. */
export function readPages(value: unknown): readonly PagePlace[] {
  const list = typeof value === 'string' ? fromJson(value) : value
  if (!Array.isArray(list)) throw new TypeError('must be a list of pages')
  if (list.length > PAGES_MAX) throw new TypeError(`must have ${PAGES_MAX} entries at most`)
  return list.map(readPage)
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new TypeError('must be a list of pages as JSON')
  }
}

function readPage(value: unknown, at: number): PagePlace {
  const where = `page ${at + 1}`
  if (typeof value !== 'object' || value === null) throw new TypeError(`${where} must have name, url and item`)
  const fields = new Map<string, unknown>(Object.entries(value))
  const known: readonly string[] = [...REQUIRED, ...OPTIONAL]
  const stranger = [...fields.keys()].find((key) => !known.includes(key))
  if (stranger !== undefined) throw new TypeError(`${where} has ${stranger}; it may have ${known.join(', ')}`)
  const text = (key: string): string | null => {
    const given = fields.get(key) ?? null
    if (given === null) return null
    const fits = typeof given === 'string' && given.trim() !== '' && given.length <= SELECTOR_LENGTH_MAX
    if (!fits) throw new TypeError(`${where}: ${key} must be text`)
    return given.trim()
  }
  const required = (key: string): string => {
    const given = text(key)
    if (given === null) throw new TypeError(`${where} has no ${key}`)
    return given
  }
  const [name, url, item] = [required('name'), parseUrl(required('url'), ['https', 'http']), required('item')]
  if (!NAME.test(name)) throw new TypeError(`${where}: ${name} is not a short name`)
  return { name, url, item, title: text('title'), link: text('link'), summary: text('summary'), time: text('time') }
}
