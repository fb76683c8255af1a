import { createHash } from 'node:crypto'
import type { BookChecker, BookClaim, BookLevels, CheckOutcome, SettledClaim } from '../../core/books.ts'
import type { BookSnapshot, TickSizeChange, Trade } from '../../core/events.ts'
import type { TokenDirectory } from '../../core/market.ts'
import {
  createMarketState,
  factsOf,
  guessFacts,
  type KnownFacts,
  type MarketState,
  noteTick,
  rememberValues,
  tradeValues,
  valuesToTry,
} from './book-facts.ts'
import { type BookForm, bookHash, bookHashHead, bookHashTail } from './book-hash.ts'

const WAIT_US = 2_000_000
const PENDING_MAX = 4_096
const PENDING_PER_MARKET_MAX = 64
const PENDING_CHARACTERS_MAX = 16_777_216
const MARKETS_MAX = 50_000

interface Market extends MarketState {
  readonly waiting: Set<PendingClaim>
  /** Is to be forgotten when nothing waits any more. */
  ending: boolean
}

interface PendingClaim {
  readonly claim: BookClaim
  readonly head: string
  readonly facts: KnownFacts
  readonly market: Market
}

/**
 * Checks the venue's book hashes. They cover a hidden last trade price, one per market, which a book after a trade
 * holds 34 to 88 ms before the trade's own frame comes: such a claim waits for the trade.
 *
 *   check ──► match                     (with the known value, '' or the values of recent trades)
 *         └─► pending ──► match         (the trade or tick size came; or the market's one search of all values)
 *                    ├──► mismatch      (rebuilt from changes, in a market that has verified)
 *                    └──► unverifiable  (the frame's own levels, an unproven form, or a hidden value that was lost)
 */
export class PolymarketBookChecker implements BookChecker {
  readonly #directory: TokenDirectory
  readonly #markets = new Map<string, Market>()
  readonly #pending = new Set<PendingClaim>()
  readonly #provenForms = new Set<string>()
  readonly #failedForms = new Set<string>()
  #settled: SettledClaim[] = []
  #pendingCharacters = 0

  constructor(directory: TokenDirectory) {
    this.#directory = directory
  }

  get pending(): number {
    return this.#pending.size
  }

  get unverifiableForms(): readonly string[] {
    return [...this.#failedForms]
  }

  noteBook(event: BookSnapshot): void {
    const market = this.#marketOf(event.market)
    if (event.tickSize !== null) noteTick(market, event.tickSize)
    if (event.minOrderSize !== null) market.minOrderSize = event.minOrderSize
    if (event.negRisk !== null) market.negRisk = event.negRisk
    if (event.version !== null) market.version = event.version
    if (event.lastTradePrice === null) return
    const given = event.lastTradePrice
    rememberValues(market, given === '' ? [''] : [given, ...tradeValues(given)])
  }

  noteTrade(event: Trade): void {
    const market = this.#marketOf(event.market)
    const values = tradeValues(event.price)
    rememberValues(market, values)
    this.#retry(market, values)
  }

  noteTickSize(event: TickSizeChange): void {
    const market = this.#marketOf(event.market)
    noteTick(market, event.newTickSize)
    this.#retry(market, valuesToTry(market))
  }

  check(claim: BookClaim, levels: BookLevels): CheckOutcome | 'pending' {
    const market = this.#marketOf(claim.market)
    const own = claim.origin === 'snapshot'
    if (market.trust === 'unverifiable' && !own) return 'unverifiable'
    const facts = factsOf(market, this.#directory.facts(claim.token))
    const head = bookHashHead(claim.market, claim.token, claim.venueMs, levels)
    if (facts === null) {
      const known = this.#fitsGuess(claim, head, market) || this.#fitsOldForm(claim, head, null, market)
      return known ? 'match' : 'unverifiable'
    }
    if (market.oldForm === null && this.#fits(claim, head, facts, market, valuesToTry(market))) return 'match'
    if ((own || market.oldForm !== null) && this.#fitsOldForm(claim, head, facts, market)) return 'match'
    if (market.oldForm !== null) return own ? 'unverifiable' : 'mismatch'
    if (market.trust === 'unverifiable') return 'unverifiable'
    return this.#wait(claim, head, facts, market)
  }

  withdraw(wanted: Pick<BookClaim, 'token' | 'market' | 'venueMs' | 'hash'>): boolean {
    for (const item of this.#markets.get(wanted.market)?.waiting ?? []) {
      const { token, venueMs, hash } = item.claim
      if (token === wanted.token && venueMs === wanted.venueMs && hash === wanted.hash) return this.#close(item)
    }
    return false
  }

  settle(atUs: number, mayWork: () => boolean): readonly SettledClaim[] {
    for (const item of this.#pending) {
      const { market, claim } = item
      const due = atUs - claim.atUs >= WAIT_US || (market.value === null && !market.searched)
      if (!due) continue
      if (!mayWork()) break
      this.#expire(item)
    }
    return this.#takeSettled()
  }

  abandon(): readonly SettledClaim[] {
    for (const item of this.#pending) this.#decide(item, 'skipped', false)
    return this.#takeSettled()
  }

  undecided(market: string): readonly BookClaim[] {
    const waiting = this.#markets.get(market)?.waiting ?? []
    return Array.from(waiting, ({ claim }) => claim).filter(({ origin }) => origin === 'changes')
  }

  release(market: string): void {
    const known = this.#markets.get(market)
    if (known === undefined) return
    // The trade that a claim waits for may still be on its way.
    if (known.waiting.size > 0) known.ending = true
    else this.#markets.delete(market)
  }

  #takeSettled(): readonly SettledClaim[] {
    const settled = this.#settled
    this.#settled = []
    return settled
  }

  #marketOf(name: string): Market {
    const known = this.#markets.get(name)
    if (known !== undefined) {
      known.touched = true
      return known
    }
    if (this.#markets.size >= MARKETS_MAX) this.#releaseIdlest()
    const market: Market = { ...createMarketState(), waiting: new Set(), ending: false }
    this.#markets.set(name, market)
    return market
  }

  /** Second chance: whoever was used since the last look goes to the end of the line. */
  #releaseIdlest(): void {
    for (const [name, market] of this.#markets) {
      if (!market.touched) {
        for (const item of market.waiting) this.#decide(item, 'skipped', false)
        this.#markets.delete(name)
        return
      }
      market.touched = false
      this.#markets.delete(name)
      this.#markets.set(name, market)
    }
  }

  /** Tries the values with every tick size of late. */
  #fits(claim: BookClaim, head: string, facts: KnownFacts, market: Market, values: readonly string[]): boolean {
    const form = formOf(facts)
    for (const tick of facts.ticks) {
      for (const value of values) {
        const tail = bookHashTail(form, { ...facts, tickSize: tick, lastTradePrice: value })
        if (bookHash(head, tail) !== claim.hash) continue
        this.#prove(market, facts, tick, value)
        return true
      }
    }
    return false
  }

  /** For a market that was announced a moment ago: its metadata comes with the next listing. */
  #fitsGuess(claim: BookClaim, head: string, market: Market): boolean {
    for (const guess of guessFacts(market, this.#directory.facts(claim.token))) {
      if (!this.#fits(claim, head, guess, market, valuesToTry(market))) continue
      market.minOrderSize = guess.minOrderSize
      market.negRisk = guess.negRisk
      return true
    }
    return false
  }

  /** The forms of captures from before December 2025, 9 fields and 6. */
  #fitsOldForm(claim: BookClaim, head: string, facts: KnownFacts | null, market: Market): boolean {
    for (const tickSize of facts?.ticks ?? []) {
      const tail = bookHashTail(9, { minOrderSize: '', negRisk: false, ...facts, tickSize, lastTradePrice: '' })
      if (bookHash(head, tail) === claim.hash) return proveOldForm(market, 9)
    }
    return bookHash(head, '}') === claim.hash && proveOldForm(market, 6)
  }

  #prove(market: Market, facts: KnownFacts, tick: string, value: string): void {
    market.value = value
    market.tick ??= tick
    market.trust = 'proven'
    const form = formName(facts)
    this.#provenForms.add(form)
    this.#failedForms.delete(form)
  }

  #wait(claim: BookClaim, head: string, facts: KnownFacts, market: Market): 'pending' | 'skipped' {
    const full = market.waiting.size >= PENDING_PER_MARKET_MAX || this.#pending.size >= PENDING_MAX
    if (full || this.#pendingCharacters + head.length > PENDING_CHARACTERS_MAX) return 'skipped'
    // A string built by appending holds all its pieces until it is copied into one.
    const flat = Buffer.from(head, 'utf8').toString('utf8')
    const item = { claim, head: flat, facts, market }
    this.#pending.add(item)
    market.waiting.add(item)
    this.#pendingCharacters += head.length
    return 'pending'
  }

  #close(item: PendingClaim): boolean {
    if (!this.#pending.delete(item)) return false
    const { market, claim } = item
    market.waiting.delete(item)
    if (market.ending && market.waiting.size === 0) this.#markets.delete(claim.market)
    this.#pendingCharacters -= item.head.length
    return true
  }

  #decide(item: PendingClaim, outcome: CheckOutcome, tradeMissing: boolean): void {
    if (this.#close(item)) this.#settled.push({ claim: item.claim, outcome, tradeMissing })
  }

  /** Something became known: waiting claims of the market may fit now. */
  #retry(market: Market, values: readonly string[]): void {
    for (const item of market.waiting) {
      const { facts, claim, head } = item
      const { tick } = market
      const ticks = tick === null || facts.ticks.includes(tick) ? facts.ticks : [tick, ...facts.ticks]
      if (this.#fits(claim, head, { ...facts, ticks }, market, values)) this.#decide(item, 'match', false)
    }
  }

  /** All three-decimal values; at most once per market because it costs milliseconds. */
  #search({ market, facts, head, claim }: PendingClaim): boolean {
    if (market.searched) return false
    market.searched = true
    const base = createHash('sha1').update(head)
    for (const tickSize of facts.ticks) {
      for (let thousandths = 1; thousandths < 1000; thousandths += 1) {
        const value = (thousandths / 1000).toFixed(3)
        const tail = bookHashTail(formOf(facts), { ...facts, tickSize, lastTradePrice: value })
        if (base.copy().update(tail).digest('hex') !== claim.hash) continue
        this.#prove(market, facts, tickSize, value)
        return true
      }
    }
    return false
  }

  #expire(item: PendingClaim): void {
    const { market, claim, facts } = item
    const tracked = market.value !== null
    const searchedBefore = market.searched
    if (this.#search(item)) {
      this.#decide(item, 'match', tracked)
      this.#retry(market, [market.value ?? ''])
    } else if (claim.origin === 'changes') {
      this.#decide(item, market.trust === 'proven' && tracked ? 'mismatch' : 'unverifiable', false)
    } else {
      // The frame's own levels cannot be wrong. Either the hidden value changed and cannot be searched for again,
      // or there is something in this form that we do not know.
      const lost = searchedBefore && market.trust === 'proven'
      if (lost) market.value = null
      else this.#distrust(market, facts)
      this.#decide(item, 'unverifiable', lost)
    }
  }

  #distrust(market: Market, facts: KnownFacts): void {
    market.trust = 'unverifiable'
    const form = formName(facts)
    if (!this.#provenForms.has(form)) this.#failedForms.add(form)
  }
}

function proveOldForm(market: Market, form: 6 | 9): true {
  market.oldForm = form
  market.trust = 'proven'
  return true
}

function formOf(facts: KnownFacts): BookForm {
  return facts.version === 'v2' ? 11 : 10
}

function formName(facts: KnownFacts): string {
  return `${formOf(facts)} fields${facts.negRisk ? ', neg-risk' : ''}`
}
