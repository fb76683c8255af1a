/** One market in Gamma's listing: simulated, or raw text served as it is. */
export interface Listed {
  readonly id: string
  readonly conditionId: string
  readonly questionId: string
  readonly slug: string
  readonly tokens: readonly string[]
  /** The value of one JSON member for ordering and filtering; undefined when it is missing. */
  value(key: string): string | number | boolean | undefined
  object(): Record<string, unknown>
  json(): string
}

export interface Page {
  readonly items: readonly Listed[]
  /** Absent on the last page. */
  readonly nextCursor: string | null
}

export const PAGE_MAX = 100
const PAGE_DEFAULT = 20

type Keep = (listed: Listed) => boolean
type Value = string | number | boolean | null

/** Which of a listing a request asks for. Parameters without a meaning here are ignored in silence, as Gamma does. */
export function select(all: readonly Listed[], query: URLSearchParams): Listed[] {
  const tests = filters(query)
  return all.filter((listed) => tests.every((keep) => keep(listed)))
}

/** A page after a cursor. null when the cursor cannot be read. `limit` in place of what was asked for. */
export function keysetPage(selected: Listed[], query: URLSearchParams, limit = limitOf(query)): Page | null {
  const keys = orderKeys(selected, query)
  const direction = keys.length > 0 && query.get('ascending') === 'false' ? -1 : 1
  const after = readCursor(query.get('after_cursor'))
  if (after === undefined) return null
  const compare = (left: readonly Value[], right: readonly Value[]) => compareKeys(left, right, direction)
  let entries = selected.map((listed) => ({ listed, key: keyOf(listed, keys) }))
  if (after !== null) entries = entries.filter((entry) => compare(entry.key, after) > 0)
  entries.sort((left, right) => compare(left.key, right.key))
  const page = entries.slice(0, limit)
  const last = page.at(-1)
  return {
    items: page.map((entry) => entry.listed),
    // Present only when a full page was returned, so an exact multiple ends in an empty page.
    nextCursor: last && page.length === limit ? writeCursor(last.key) : null,
  }
}

/** The old listing: a bare page by offset. */
export function offsetPage(selected: Listed[], query: URLSearchParams): readonly Listed[] {
  const keys = orderKeys(selected, query)
  const direction = query.get('ascending') === 'false' ? -1 : 1
  const offset = wholeNumber(query.get('offset')) ?? 0
  return selected
    .map((listed) => ({ listed, key: keyOf(listed, keys) }))
    .sort((left, right) => compareKeys(left.key, right.key, direction))
    .slice(offset, offset + limitOf(query))
    .map((entry) => entry.listed)
}

function limitOf(query: URLSearchParams): number {
  return Math.min(PAGE_MAX, Math.max(1, wholeNumber(query.get('limit')) ?? PAGE_DEFAULT))
}

/** Only names that some market has; `volume_num` is ignored in practice, `volumeNum` works. */
function orderKeys(selected: readonly Listed[], query: URLSearchParams): string[] {
  const asked = (query.get('order') ?? '').split(',').filter((key) => key !== '')
  return asked.filter((key) => selected.some((listed) => listed.value(key) !== undefined))
}

function keyOf(listed: Listed, keys: readonly string[]): readonly Value[] {
  return [...keys.map((key) => listed.value(key) ?? null), Number(listed.id)]
}

/** Missing values come last either way; the id decides between equals. */
function compareKeys(left: readonly Value[], right: readonly Value[], direction: 1 | -1): number {
  for (let index = 0; index < left.length; index += 1) {
    const one = left[index] ?? null
    const other = right[index] ?? null
    if (one === other) continue
    if (one === null) return 1
    if (other === null) return -1
    return one < other ? -direction : direction
  }
  return 0
}

function writeCursor(key: readonly Value[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url')
}

/** null without a cursor, undefined when it is not one of ours. */
function readCursor(cursor: string | null): readonly Value[] | null | undefined {
  if (cursor === null || cursor === '') return null
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    return Array.isArray(key) ? key : undefined
  } catch {
    return undefined
  }
}

const NUMBER_RANGES: readonly (readonly [string, string])[] = [
  ['volume_num', 'volumeNum'],
  ['liquidity_num', 'liquidityNum'],
]
const DATE_RANGES: readonly (readonly [string, string])[] = [
  ['start_date', 'startDate'],
  ['end_date', 'endDate'],
]

function filters(query: URLSearchParams): Keep[] {
  const tests: Keep[] = []
  const closed = query.get('closed') ?? 'false' // without the parameter, closed markets do not exist
  tests.push((listed) => (listed.value('closed') === true) === (closed === 'true'))
  for (const key of ['active', 'archived']) {
    const wanted = query.get(key)
    if (wanted !== null) tests.push((listed) => (listed.value(key) === true) === (wanted === 'true'))
  }
  addSetTests(query, tests)
  for (const [name, key] of NUMBER_RANGES) {
    const [least, most] = [query.get(`${name}_min`), query.get(`${name}_max`)]
    if (least !== null) tests.push((listed) => Number(listed.value(key) ?? 0) >= Number(least))
    if (most !== null) tests.push((listed) => Number(listed.value(key) ?? 0) <= Number(most))
  }
  for (const [name, key] of DATE_RANGES) {
    const [least, most] = [query.get(`${name}_min`), query.get(`${name}_max`)]
    const time = (listed: Listed) => Date.parse(String(listed.value(key)))
    if (least !== null) tests.push((listed) => time(listed) >= Date.parse(least))
    if (most !== null) tests.push((listed) => time(listed) <= Date.parse(most))
  }
  return tests
}

function addSetTests(query: URLSearchParams, tests: Keep[]): void {
  const sets: readonly (readonly [string, (listed: Listed) => readonly string[]])[] = [
    ['id', (listed) => [listed.id]],
    ['slug', (listed) => [listed.slug]],
    ['condition_ids', (listed) => [listed.conditionId]],
    ['question_ids', (listed) => [listed.questionId]],
    ['clob_token_ids', (listed) => listed.tokens],
    ['position_ids', (listed) => listed.tokens],
    ['uma_resolution_status', (listed) => [String(listed.value('umaResolutionStatus') ?? '')]],
  ]
  for (const [name, values] of sets) {
    const wanted = new Set(query.getAll(name))
    if (wanted.size > 0) tests.push((listed) => values(listed).some((value) => wanted.has(value)))
  }
}

/** undefined for anything but digits. */
export function wholeNumber(text: string | null): number | undefined {
  return text !== null && /^\d{1,9}$/.test(text) ? Number(text) : undefined
}

/** A real array of texts, or the JSON of one inside a string; empty when it is neither. */
export function textList(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String)
  if (typeof value !== 'string') return []
  try {
    const parsed: unknown = JSON.parse(value)
    return Array.isArray(parsed) ? parsed.map(String) : []
  } catch {
    return []
  }
}

/** A raw market: its own text goes out, its members answer for ordering and filtering. */
export function listRaw(raw: string, object: Record<string, unknown>): Listed {
  const text = (key: string) => String(object[key] ?? '')
  return {
    id: text('id'),
    conditionId: text('conditionId'),
    questionId: text('questionID'),
    slug: text('slug'),
    tokens: textList(object['version'] === 'v2' ? object['positionIds'] : object['clobTokenIds']),
    value(key) {
      const value = object[key]
      return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : undefined
    },
    object: () => object,
    json: () => raw,
  }
}
