import type { Signal } from '../../core/signals.ts'
import { canonicalUrl, cleanUrl } from './canonical-url.ts'
import type { FoundItem } from './found-item.ts'
import type { Interests } from './interests.ts'
import { hashOf, idKey, keysOf } from './keys.ts'
import { plainText, tidyText } from './plain-text.ts'

const TITLE_LENGTH_MAX = 500
const SUMMARY_LENGTH_MAX = 2_000
const ID_LENGTH_MAX = 500
const DAY_MS = 86_400_000
/** Older than the web: a date that was not meant. */
const PUBLISHED_MS_MIN = Date.UTC(1990, 0, 1)

export interface SignalFrame {
  readonly source: string
  readonly seenMs: number
  readonly interests: Interests
  /** Where the document as a whole belongs. */
  readonly home: string | null
  /** The ids of this source are its own and name one thing for ever. */
  readonly trustsIds: boolean
}

/** An item as it is stored: plain, short, with one spelling of its address. Null when nothing is left of it. */
export function toSignal(item: FoundItem, frame: SignalFrame): Signal | null {
  const { source, seenMs, interests, trustsIds } = frame
  const summary = plainText(item.summary, SUMMARY_LENGTH_MAX)
  const title = plainText(item.title, TITLE_LENGTH_MAX) || tidyText(summary, TITLE_LENGTH_MAX)
  if (title === '') return null
  const canonical = ownAddress(item, frame.home)
  const externalId = shortId(item.externalId)
  const keys = keysOf({ source, externalId, canonical, title, summary })
  const text = `${title} ${summary}`
  return {
    source,
    externalId,
    url: canonical === null || item.url === null ? null : cleanUrl(item.url, item.base),
    title,
    summary,
    publishedMs: publishedMs(item.published, seenMs),
    seenMs,
    keywords: interests.keywordsIn(text),
    companies: interests.companiesIn(text),
    raw: item.raw,
    keys: trustsIds && externalId !== null && canonical !== null ? [...keys, idKey(source, externalId)] : keys,
  }
}

/** The address by which an item is known: not the one that its whole feed shares, and not a bare host. */
function ownAddress({ url, base }: FoundItem, home: string | null): string | null {
  const canonical = url === null ? null : canonicalUrl(url, base)
  if (canonical === null) return null
  const { pathname, search } = new URL(canonical)
  if (pathname === '/' && search === '') return null
  return home !== null && canonical === canonicalUrl(home, base) ? null : canonical
}

function shortId(externalId: string | null): string | null {
  const id = tidyText(externalId ?? '', Number.POSITIVE_INFINITY)
  if (id === '') return null
  return id.length <= ID_LENGTH_MAX ? id : hashOf(id)
}

/** Zones that are common in feeds and that `Date.parse` does not know. */
const ZONES: Readonly<Record<string, string>> = {
  BST: '+0100',
  CET: '+0100',
  CEST: '+0200',
  EET: '+0200',
  EEST: '+0300',
  IST: '+0530',
  JST: '+0900',
  AEST: '+1000',
  AEDT: '+1100',
  UT: '+0000',
}

/** Unix ms; null when it is no time. What is dated ahead of the moment it was seen is dated then. */
export function publishedMs(published: string | number | null, seenMs: number): number | null {
  const ms = typeof published === 'number' ? published : published === null ? Number.NaN : parseTime(published)
  if (!Number.isFinite(ms) || ms < PUBLISHED_MS_MIN || ms > seenMs + 366 * DAY_MS) return null
  return Math.min(Math.floor(ms), seenMs)
}

function parseTime(text: string): number {
  const trimmed = text.trim().slice(0, 100)
  if (!/\d{4}|\d\d:\d\d/.test(trimmed)) return Number.NaN
  const zoned = trimmed.replace(/\b([A-Z]{2,4})$/, (zone) => ZONES[zone] ?? zone)
  const ms = Date.parse(zoned)
  if (!Number.isNaN(ms) || !/^\d{4}-\d\d-\d\d/.test(zoned)) {
    // A name of a day that does not fit its date, and the like, is not worth a time.
    return Number.isNaN(ms) ? Date.parse(zoned.replace(/^[a-z]{3,9}\.?,?\s+(?=\d)/i, '')) : ms
  }
  return Date.parse(zoned.replace(/^(\d{4}-\d\d-\d\d)\s+/, '$1T'))
}
