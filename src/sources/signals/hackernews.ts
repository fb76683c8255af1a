import { describeError, TransientError } from '../../core/errors.ts'
import { parseJson } from '../../runtime/parse-json.ts'
import { getChanged } from './document.ts'
import type { FoundItem } from './found-item.ts'
import type { GetDocument, Scraper } from './scraper.ts'

/** Of the list of 500: the front page. */
const STORIES_MAX = 30
const LIST_BYTES_MAX = 64 * 1024
const ITEM_BYTES_MAX = 512 * 1024
/** So many failures in a row are not about single items any more. */
const FAILURES_MAX = 3
const ACCEPT = 'application/json'
const NAME = 'hackernews'

/** The front page of Hacker News: a list of numbers, and one request for each story that is not stored yet. */
export function createHackerNewsScraper(baseUrl: string): Scraper {
  return {
    name: NAME,
    trustsIds: true,
    async scrape(context) {
      const list = await getChanged(context, `${baseUrl}/topstories.json`, {
        accept: ACCEPT,
        bodyBytesMax: LIST_BYTES_MAX,
      })
      if (list === null) return { found: null, document: null }
      const ids = readIds(list.text)
      const stored = await context.storedIds(ids)
      const { items, damaged } = await readStories(
        baseUrl,
        ids.filter((id) => !stored.has(id)),
        context.get,
      )
      const whole = damaged === 0
      const found = { items, damaged, dropped: 0, whole, home: null }
      return { found, document: whole ? list.state : null }
    },
  }
}

function readIds(text: string): readonly string[] {
  const list = fromJson(text)
  if (!Array.isArray(list)) throw new TransientError('the list of stories is not one')
  return list
    .filter((id) => Number.isSafeInteger(id) && id > 0)
    .slice(0, STORIES_MAX)
    .map(String)
}

async function readStories(
  baseUrl: string,
  ids: readonly string[],
  get: GetDocument,
): Promise<{ items: readonly FoundItem[]; damaged: number }> {
  const items: FoundItem[] = []
  let damaged = 0
  let failures = 0
  let failure: unknown = null
  for (const [n, id] of ids.entries()) {
    try {
      const { body } = await get(`${baseUrl}/item/${id}.json`, { accept: ACCEPT, bodyBytesMax: ITEM_BYTES_MAX })
      const read = readStory(fromJson(body.toString('utf8')), id, baseUrl)
      if (read === 'damaged') damaged += 1
      else if (read !== null) items.push(read)
      failures = 0
    } catch (error) {
      failure = error
      failures += 1
      damaged += 1
      if (failures < FAILURES_MAX) continue
      damaged += ids.length - n - 1
      break
    }
  }
  // What was read before is worth keeping.
  if (items.length === 0 && failure !== null) {
    throw new TransientError(`no story could be read: ${describeError(failure)}`, { cause: failure })
  }
  return { items, damaged }
}

/** A story, or null for what is none: jobs and polls count, comments and what was taken back do not. */
function readStory(value: unknown, id: string, baseUrl: string): FoundItem | null | 'damaged' {
  if (value === null) return null
  if (typeof value !== 'object') return 'damaged'
  const item: Record<string, unknown> = { ...value }
  if (item['deleted'] === true || item['dead'] === true || item['type'] === 'comment') return null
  const { title, url, text, time } = item
  if ((item['id'] !== id && item['id'] !== Number(id)) || typeof title !== 'string' || title.trim() === '')
    return 'damaged'
  const { kids: _, ...raw } = item
  return {
    externalId: id,
    url: typeof url === 'string' && url !== '' ? url : `https://news.ycombinator.com/item?id=${id}`,
    base: `${baseUrl}/`,
    title,
    summary: typeof text === 'string' ? text : '',
    published: typeof time === 'number' ? time * 1000 : null,
    raw,
  }
}

function fromJson(text: string): unknown {
  try {
    return parseJson(text)
  } catch (error) {
    throw new TransientError('the answer is not JSON', { cause: error })
  }
}
