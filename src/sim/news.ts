import { createHash } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import type { Random } from '../core/random.ts'
import type { HttpReply } from './faults.ts'
import { purposeRandom } from './identity.ts'
import { type NewsFaultMode, spoilReply } from './news-faults.ts'
import { feedText, pageText, type Story, type StoryForm, storyOf } from './news-text.ts'

export interface NewsFault {
  /** Like `feed/f1` or `page/p1`; paths that begin with this are hit. */
  readonly source: string
  readonly mode: NewsFaultMode
  /** How many answers are hit; 0 or nothing: all until cleared. */
  readonly count?: number
}

/** What one source was asked and what it gave. */
export interface ServedSource {
  readonly source: string
  requests: number
  /** Answers that said that nothing has changed. */
  unchanged: number
  /** Of bodies. */
  bytes: number
}

const ITEMS_DEFAULT = 20
const ITEMS_MAX = 5_000
const SOURCES_MAX = 1_000
const FAULTS_MAX = 100
const STORIES_PER_LIST = 10
const HN_SHOWN = 30
const FORMS: readonly StoryForm[] = ['rss2', 'atom', 'rss1']

interface Source extends ServedSource {
  readonly random: Random
  /** The newest story that was listed. */
  newest: number
  readonly first: number
}

/** A simulated press: any number of feeds and pages by name, Hacker News, and everything that goes wrong there. */
export class SimNews {
  readonly #seed: number
  readonly #clock: Clock
  /** When the world began: `grow` counts from then. */
  readonly #startMs: number
  readonly #sources = new Map<string, Source>()
  #faults: { fault: NewsFault; left: number }[] = []

  constructor(seed: number, clock: Clock) {
    this.#seed = seed
    this.#clock = clock
    this.#startMs = clock.wallMs()
  }

  /** `?items=` says how many items a source lists, `?grow=` after how many ms it has another one. */
  handle(path: string, query: URLSearchParams, headers: Readonly<Record<string, unknown>>): HttpReply {
    const [kind = '', id = '', item = ''] = path.split('/').slice(1)
    // A feed that has moved answers at its new place, and counts as the same.
    const name = `${kind === 'moved' ? 'feed' : kind}/${decodeURIComponent(id)}`
    if (kind === 'hn' && id === 'item') return hnItem(Number.parseInt(item, 10), this.#startMs)
    const isSource = ['feed', 'page', 'moved'].includes(kind) || name === 'hn/topstories.json'
    return isSource ? this.#answer(name, query, headers) : { status: 404, body: 'there is nothing here' }
  }

  /** What programs may read here. */
  robots(): HttpReply {
    return { status: 200, body: ROBOTS, headers: { 'content-type': 'text/plain' } }
  }

  addFault(fault: NewsFault): void {
    if (this.#faults.length >= FAULTS_MAX) this.#faults.shift()
    this.#faults.push({ fault, left: fault.count || Number.POSITIVE_INFINITY })
  }

  clearFaults(): void {
    this.#faults = []
  }

  served(): readonly ServedSource[] {
    return [...this.#sources.values()].map(({ random: _, first: _first, newest: _newest, ...served }) => served)
  }

  /** Every story that the sources asked so far have ever listed, each once, as it would be without any oddity. */
  stories(): readonly Story[] {
    return [...this.#sources.values()].flatMap(({ source, first, newest }) =>
      Array.from({ length: newest - first + 1 }, (_, n) => storyOf(source, first + n, this.#startMs)),
    )
  }

  #answer(name: string, query: URLSearchParams, headers: Readonly<Record<string, unknown>>): HttpReply {
    const shown = name.startsWith('hn/') ? HN_SHOWN : ITEMS_DEFAULT
    const items = Math.min(ITEMS_MAX, Number(query.get('items') ?? shown))
    const growMs = Number(query.get('grow') ?? 0)
    const newest = items + (growMs > 0 ? Math.floor((this.#clock.wallMs() - this.#startMs) / growMs) : 0)
    const source = this.#sourceOf(name, newest - items + 1, newest)
    source.requests += 1
    const etag = `"${createHash('sha1').update(`${this.#seed} ${name} ${items} ${newest}`).digest('hex')}"`
    const mode = this.#takeFault(name)
    if (mode === null && headers['if-none-match'] === etag) {
      source.unchanged += 1
      return { status: 304, body: '', headers: { etag } }
    }
    const stories = Array.from({ length: items }, (_, n) => storyOf(name, newest - n, this.#startMs))
    const whole: HttpReply = { ...bodyOf(name, stories, source.random), status: 200 }
    const served = mode === null ? whole : spoilReply(mode, whole, { name, random: source.random })
    // What was damaged on its way has the validator of what was meant.
    const reply = mode === 'no-validators' ? served : withTag(served, etag)
    source.bytes += reply.body.length
    return reply
  }

  #sourceOf(name: string, first: number, newest: number): Source {
    const known = this.#sources.get(name)
    if (known !== undefined) {
      known.newest = Math.max(known.newest, newest)
      return known
    }
    const random = purposeRandom(this.#seed, `news ${name}`)
    const made: Source = { source: name, requests: 0, unchanged: 0, bytes: 0, random, first, newest }
    if (this.#sources.size < SOURCES_MAX) this.#sources.set(name, made)
    return made
  }

  #takeFault(name: string): NewsFaultMode | null {
    const rule = this.#faults.find(({ fault }) => name.startsWith(fault.source))
    if (rule === undefined) return null
    rule.left -= 1
    if (rule.left <= 0) this.#faults = this.#faults.filter((one) => one !== rule)
    return rule.fault.mode
  }
}

const ROBOTS = 'User-agent: *\nDisallow: /news/page/private\n\nUser-agent: greedy\nDisallow: /\n'

function withTag(reply: HttpReply, etag: string): HttpReply {
  return { ...reply, headers: { ...reply.headers, etag } }
}

function bodyOf(name: string, stories: readonly Story[], random: Random): Pick<HttpReply, 'body' | 'headers'> {
  const [kind] = name.split('/')
  if (kind === 'hn') {
    return { body: JSON.stringify(stories.map(({ n }) => n)), headers: { 'content-type': 'application/json' } }
  }
  if (kind === 'page') {
    return { body: pageText(name, stories), headers: { 'content-type': 'text/html; charset=utf-8' } }
  }
  const form = FORMS[[...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % FORMS.length] ?? 'rss2'
  const type = { rss2: 'application/rss+xml', atom: 'application/atom+xml', rss1: 'application/rdf+xml' }[form]
  return { body: feedText(form, name, shuffled(stories, random), random), headers: { 'content-type': type } }
}

/** Feeds list in any order, and now and then the same story twice. */
function shuffled(stories: readonly Story[], random: Random): readonly Story[] {
  const list = [...stories]
  for (let count = Math.ceil(stories.length / STORIES_PER_LIST); count > 0; count -= 1) {
    const again = stories[Math.floor(random() * stories.length)]
    if (again !== undefined) list.push(again)
  }
  for (let at = list.length - 1; at > 0; at -= 1) {
    const other = Math.floor(random() * (at + 1))
    const [one, two] = [list[at], list[other]]
    if (one !== undefined && two !== undefined) [list[at], list[other]] = [two, one]
  }
  return list
}

function hnItem(n: number, startMs: number): HttpReply {
  if (!Number.isSafeInteger(n)) return { status: 200, body: 'null' }
  const { title, url, atMs } = storyOf('hn/topstories.json', n, startMs)
  const item = {
    by: 'somebody',
    descendants: 3,
    id: n,
    kids: [n + 1],
    score: 10 + (n % 90),
    time: Math.floor(atMs / 1000),
  }
  return { status: 200, body: JSON.stringify({ ...item, title, type: 'story', url }) }
}
