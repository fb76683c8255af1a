import type { LinkableSignal, MarketQuestion, SignalLink } from '../../core/signals.ts'
import type { Interests } from './interests.ts'
import { wordsOf } from './words.ts'

/** Links of one signal at most, the nearest. */
export const LINKS_MAX = 10
const NAME_WORDS_MAX = 4
/** What a shared thing counts. A link needs `SCORE_MIN`, and a shared name, keyword or company in it. */
const SCORES = { name: 3, word: 2, lastWord: 1, interest: 2, plain: 0.5 }
const SCORE_MIN = 2
const PLAIN_WORDS_MAX = 4
const PLAIN_LENGTH_MIN = 5
/** A name in more questions than this tells little. */
const COMMON_MARKETS = 100
const COMMON_SHARE = 0.5
const REASON_LENGTH_MAX = 300

/** Written with a capital at the beginning of a question, or everywhere, and still no names. */
const NO_NAMES = new Set(
  (
    'will who what when where which how why is are was were does do did can could should would has have had the a an ' +
    'in on at by for from to of or and if before after between over under above below more less than there this that ' +
    'any no yes not next new first last largest highest lowest most best january february march april may june july ' +
    'august september october november december jan feb mar apr jun jul aug sep sept oct nov dec monday tuesday ' +
    'wednesday thursday friday saturday sunday am pm et est edt utc gmt day week month year price up down vs'
  ).split(' '),
)

interface Name {
  readonly text: string
  readonly isPart: boolean
  readonly markets: Set<number>
}

interface IndexedMarket {
  readonly conditionId: string
  /** Lower case, long enough to tell something. */
  readonly plain: ReadonlySet<string>
  readonly keywords: readonly string[]
  readonly companies: readonly string[]
}

/**
 * Finds the markets whose question shares names, keywords or companies with a signal. Names are taken from the
 * questions, which are written as sentences; headlines have capitals everywhere.
 */
export class LinkFinder {
  readonly #markets: IndexedMarket[] = []
  /** By their words in lower case. */
  readonly #names = new Map<string, Name>()
  readonly #byInterest = new Map<string, number[]>()
  readonly #interests: Interests

  constructor(interests: Interests) {
    this.#interests = interests
  }

  add({ conditionId, question }: MarketQuestion): void {
    const at = this.#markets.length
    const keywords = this.#interests.keywordsIn(question)
    const companies = this.#interests.companiesIn(question)
    this.#markets.push({ conditionId, plain: plainWords(question), keywords, companies })
    for (const name of namesOf(question)) {
      this.#note(name.join(' '), false, at)
      // People are called by their last name.
      const last = name.at(-1) ?? ''
      if (name.length > 1 && last.length > 3 && !/\d/.test(last)) this.#note(last, true, at)
    }
    for (const key of [...keywords.map((one) => `k ${one}`), ...companies.map((one) => `c ${one}`)]) {
      this.#byInterest.set(key, [...(this.#byInterest.get(key) ?? []), at])
    }
  }

  /** The nearest markets that it is not linked to yet, as many as it has room for. */
  linksOf(signal: LinkableSignal): readonly SignalLink[] {
    const text = `${signal.title}. ${signal.summary}`
    const shared = this.#sharedNames(text)
    const candidates = new Set<number>()
    for (const { markets } of shared) for (const at of markets) candidates.add(at)
    for (const one of signal.keywords) for (const at of this.#byInterest.get(`k ${one}`) ?? []) candidates.add(at)
    for (const one of signal.companies) for (const at of this.#byInterest.get(`c ${one}`) ?? []) candidates.add(at)
    if (candidates.size === 0) return []
    const plain = plainWords(text)
    const known = new Set(signal.links)
    const links: (SignalLink & { readonly at: number })[] = []
    for (const at of candidates) {
      const market = this.#markets[at]
      if (market === undefined || known.has(market.conditionId)) continue
      const { score, reason } = weigh(at, market, { signal, shared, plain })
      if (score >= SCORE_MIN)
        links.push({ signalId: signal.signalId, conditionId: market.conditionId, score, reason, at })
    }
    // Busier markets come first among equals.
    links.sort((one, other) => other.score - one.score || one.at - other.at)
    return links.slice(0, Math.max(0, LINKS_MAX - known.size)).map(({ at: _, ...link }) => link)
  }

  #note(text: string, isPart: boolean, at: number): void {
    const key = text.toLowerCase()
    const known = this.#names.get(key)
    if (known === undefined || (known.isPart && !isPart)) {
      this.#names.set(key, { text, isPart, markets: new Set([...(known?.markets ?? []), at]) })
    } else known.markets.add(at)
  }

  #sharedNames(text: string): readonly Name[] {
    const words = wordsOf(text)
    const found = new Set<Name>()
    for (let start = 0; start < words.length; start += 1) {
      let phrase = ''
      for (let end = start; end < Math.min(words.length, start + NAME_WORDS_MAX); end += 1) {
        const word = words[end] ?? ''
        if (!isNameLike(word) && !/^\d/.test(word)) break
        phrase = phrase === '' ? word : `${phrase} ${word}`
        const name = this.#names.get(phrase.toLowerCase())
        if (name !== undefined) found.add(name)
      }
    }
    // "Holt" says nothing where "Mira Holt" is said.
    const whole = [...found].filter(({ isPart }) => !isPart).flatMap((name) => wordsOf(name.text.toLowerCase()))
    return [...found].filter(({ isPart, text: own }) => !isPart || !whole.includes(own.toLowerCase()))
  }
}

interface Shared {
  readonly signal: LinkableSignal
  readonly shared: readonly Name[]
  readonly plain: ReadonlySet<string>
}

function weigh(
  at: number,
  market: IndexedMarket,
  { signal, shared, plain }: Shared,
): { score: number; reason: string } {
  const names = shared.filter(({ markets }) => markets.has(at))
  const keywords = signal.keywords.filter((one) => market.keywords.includes(one))
  const companies = signal.companies.filter((one) => market.companies.includes(one))
  const named = new Set(names.flatMap(({ text }) => wordsOf(text.toLowerCase())))
  const words = [...market.plain].filter((word) => plain.has(word) && !named.has(word)).slice(0, PLAIN_WORDS_MAX)
  let score = (keywords.length + companies.length) * SCORES.interest + words.length * SCORES.plain
  for (const { text, isPart, markets } of names) {
    const whole = text.includes(' ') ? SCORES.name : SCORES.word
    score += (isPart ? SCORES.lastWord : whole) * (markets.size > COMMON_MARKETS ? COMMON_SHARE : 1)
  }
  const reason = [
    ['both name', names.map(({ text }) => text)],
    ['company', companies],
    ['keyword', keywords],
    ['both say', words],
  ] as const
  const told = reason.flatMap(([what, list]) => (list.length === 0 ? [] : [`${what} ${list.join(', ')}`]))
  return { score, reason: told.join('; ').slice(0, REASON_LENGTH_MAX) }
}

/** Words with a capital that stand together, as lists of words. */
function namesOf(question: string): readonly (readonly string[])[] {
  const names: string[][] = []
  // Whatever is more than a blank, a hyphen or an apostrophe ends a name.
  for (const part of question.normalize('NFKC').split(/[^\p{L}\p{N}\p{M}\s'’.&-]+|\.\s/u)) {
    let name: string[] = []
    for (const word of [...wordsOf(part), '']) {
      const joins = isNameLike(word) && !NO_NAMES.has(word.toLowerCase())
      if (joins || (name.length > 0 && /^\d{1,3}$/.test(word))) name.push(word)
      else {
        if (name.length > 0 && name.length <= NAME_WORDS_MAX && name.join('').length > 1) names.push(name)
        name = []
      }
    }
  }
  return names
}

/** It has a capital letter, like US, Fed or iPhone. */
function isNameLike(word: string): boolean {
  return /\p{Lu}/u.test(word)
}

function plainWords(text: string): ReadonlySet<string> {
  return new Set(wordsOf(text.toLowerCase()).filter((word) => word.length >= PLAIN_LENGTH_MIN && !NO_NAMES.has(word)))
}
