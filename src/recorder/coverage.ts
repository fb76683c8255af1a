import type { CoverageChanges, CoverageState, Evidence, GapCause } from '../core/coverage.ts'
import type { BookSnapshot, MarketEvent } from '../core/events.ts'
import type { TokenId } from '../core/ids.ts'
import type { TapeMark } from '../core/tape.ts'
import { type Followed, FollowedTokens, idsOf, isLive, type Link, needsDoubt, unlink } from './followed.ts'
import { type Incident, Incidents } from './incidents.ts'
import { KnownBooks, type KnownBooksOptions } from './known-books.ts'
import { Links } from './links.ts'
import { readSuspicion, type Suspicion, textIn, tokensIn } from './mark-details.ts'
import { ToldVerdicts } from './told-verdicts.ts'

export interface CoverageOptions extends KnownBooksOptions {
  /** False when the source has dropped the token without a connection to say so on. */
  readonly isFollowed?: ((token: TokenId) => boolean) | undefined
}

/** A subscription without a book after this long is in doubt: what happens meanwhile is recorded by nobody. */
const FIRST_BOOK_US_MAX = 1_000_000
/** Unreadable frames of one connection within this time are one incident. */
const UNREADABLE_US = 60_000_000
/** How long after a start a token that nobody subscribes to may still be wanted. */
const SWEEP_AFTER_US = 120_000_000
const SWEEP_EVERY_US = 60_000_000
/** A crash takes the checks of the last frames with it: hashes and trades may be waited for as long. */
const UNCHECKED_US = 2_500_000
const PROOFS_PER_COMMIT_MAX = 2_000
/** After these a fresh book that equals the last known one proves that nothing was missed. */
const PROVABLE: ReadonlySet<GapCause> = new Set(['down', 'disconnect', 'stall', 'tape_failure'])

/**
 * Follows the tape in its order and keeps the account of what may be missing: which tokens are followed, and every
 * interval in which one of them may have missed something.
 *
 *   subscribe ──► waiting ──book──► covered ──close · stall · start · suspect──► in doubt
 *                    └──1 s──► in doubt (refused)           ▲                        │
 *                                                           └────────book────────────┘
 *
 * Doubt begins at the last moment known to be good and ends with the token's fresh book. The ledger takes the changes
 * with the rows and the position that they belong to.
 */
export class Coverage {
  readonly incidents = new Incidents()
  readonly tokens = new FollowedTokens()
  readonly #books: KnownBooks
  readonly #options: CoverageOptions
  readonly #links = new Links()
  readonly #waiting = new Set<Followed>()
  readonly #told = new ToldVerdicts()
  #lastUs = 0
  #startedUs = 0
  #checkedUs = 0
  #sweptUs = 0
  /** What ends because this recorder stops or starts again. */
  #planned: Incident | null = null

  constructor(options: CoverageOptions) {
    this.#options = options
    this.#books = new KnownBooks(options, this.tokens)
  }

  load(state: CoverageState, atUs: number): void {
    this.#lastUs = atUs
    this.#checkedUs = atUs - UNCHECKED_US
    const places = this.incidents.load(state.gaps, state.nextNo, atUs)
    for (const incident of places.values()) if (incident.evidence['stopped'] === true) this.#planned = incident
    for (const span of state.spans) {
      this.tokens.load(span, places.get(span.token) ?? null)
      const followed = this.tokens.get(span.token)
      if (followed === undefined || followed.incident !== null) continue
      followed.owner = this.#links.of(span.connection, atUs)
      this.#subscribed(followed.owner, followed)
    }
  }

  /** A line that the ledger has already: only what is known of the books is of use. */
  warm(event: MarketEvent, atUs: number): void {
    if (event.kind === 'book') this.tokens.heard(event.token, atUs, event.hash, this.#checkedUs)
    else if (event.kind === 'price_change') {
      for (const { token, hash } of event.changes) this.tokens.heard(token, atUs, hash, this.#checkedUs)
    }
  }

  /** One frame of the connection; called for every frame. */
  frame(connection: string, atUs: number): void {
    this.#lastUs = atUs
    this.#links.of(connection, atUs).goodUs = atUs
  }

  /** A whole book, before it is applied. */
  book(event: BookSnapshot, connection: string, atUs: number): void {
    const followed = this.tokens.get(event.token)
    const link = this.#links.of(connection, atUs)
    if (followed === undefined || !link.open || link.stalled) return
    const { owner, incident } = followed
    if (incident === null && owner !== null && owner !== link && isLive(owner) && owner.order > link.order) return
    if (followed.waitingUs !== null) {
      followed.waitingUs = null
      this.#waiting.delete(followed)
    }
    this.#subscribed(link, followed) // a book says so where the mark was read before a restart
    if (incident !== null) this.#mended(followed, incident, event.hash, atUs)
    if (owner === link) return
    if (incident === null && owner !== null) this.#tookOver(followed, event.hash, link, atUs)
    followed.owner = link
    this.tokens.change(followed, { connection: link.name })
  }

  /** A payload that could not be read, or not wholly: it may have been about any token of its connection. */
  unreadable(connection: string, atUs: number, reason: string): void {
    const link = this.#links.of(connection, atUs)
    const last = link.unreadable
    if (last !== null && atUs - (last.endedUs ?? atUs) < UNREADABLE_US) {
      last.endedUs = Math.max(last.endedUs ?? atUs, atUs)
      last.evidence['frames'] = Number(last.evidence['frames']) + 1
      this.incidents.touch(last)
      return
    }
    const tokens = this.#notInDoubt(link.tokens)
    if (tokens.length === 0) return
    const evidence = { connection, reason, frames: 1, kept: 'on the tape and in dead_letters' }
    link.unreadable = this.incidents.past('parse_failure', atUs, atUs, tokens, evidence)
  }

  /** Lines of the tape itself that cannot be read any more. */
  damaged(lines: number, untilUs: number): void {
    const tokens = this.#notInDoubt(this.tokens.values())
    if (tokens.length === 0) return
    this.incidents.past('tape_failure', this.#lastUs, untilUs, tokens, { damaged_lines: lines })
  }

  /** The token's silence was proven to be right: a book that was fetched equals the one known. */
  verified(token: TokenId, atUs: number, hash: string): void {
    const followed = this.tokens.get(token)
    if (followed === undefined || followed.incident !== null || !this.#books.isDecided(followed)) return
    this.tokens.prove(followed, atUs, hash)
  }

  mark(record: TapeMark): void {
    const { connection, mark, detail, atUs } = record
    const link = this.#links.of(connection, atUs)
    const lagMs = Number(detail['rtt_ms'])
    if (lagMs >= 0) link.lagUs = Math.max(link.lagUs, lagMs * 1000)
    switch (mark) {
      case 'subscribe':
        this.#subscribe(link, tokensIn(detail), atUs)
        break
      case 'unsubscribe':
        this.#unsubscribe(link, tokensIn(detail), atUs)
        break
      case 'close':
        this.#close(link, textIn(detail, 'reason'), detail, atUs)
        break
      case 'stall':
        link.stalled = true
        this.#doubtAll(link, 'stall', { connection, ...detail })
        break
      case 'refused':
        this.#doubtAll(link, 'tape_failure', { connection, ...detail })
        break
      case 'start':
        this.#start(atUs)
        break
      case 'stop':
        this.#books.remember()
        break
      case 'suspect': {
        const suspicion = readSuspicion(detail, atUs)
        if (suspicion !== null && !this.#told.take(suspicion)) this.#suspect(suspicion, atUs)
        break
      }
      default:
    }
    this.#lastUs = atUs
  }

  /** A verdict that does not follow from the lines. It counts at once: no position passes what it is about without. */
  suspect(suspicion: Suspicion, atUs: number): void {
    this.#told.tell(suspicion)
    this.#suspect(suspicion, atUs)
  }

  #suspect(suspicion: Suspicion, atUs: number): void {
    const { cause, toUs, evidence, verdict } = suspicion
    const tokens = suspicion.tokens.map((id) => this.tokens.get(id)).filter((followed) => followed !== undefined)
    // What was good was read at that time, and sent as much earlier as messages may be under way.
    const fromUs = suspicion.fromUs - Math.max(0, ...tokens.map(({ owner }) => owner?.lagUs ?? 0))
    if (verdict !== null) for (const followed of tokens) this.tokens.count(followed, verdict)
    const unknown = tokens.filter(({ incident }) => incident === null)
    for (const { id, incident } of tokens) {
      if (incident === null) continue
      this.incidents.note(incident, { cause, at_us: atUs, ...evidence })
      // What was found only now began before the doubt that there is.
      if (fromUs < incident.startedUs) this.incidents.past(cause, fromUs, incident.startedUs, [id], evidence)
    }
    if (unknown.length === 0) return
    if (toUs !== null) {
      this.incidents.past(cause, fromUs, toUs, idsOf(unknown), evidence)
      return
    }
    const mendedUs = Math.min(...unknown.map((followed) => followed.mendedUs))
    const incident = this.incidents.begin(cause, Math.max(fromUs, Math.min(mendedUs, atUs)), evidence)
    for (const followed of unknown) this.#doubt(followed, incident)
  }

  /** Tape time is `atUs`; `live`: nothing waits to be read. */
  turn(atUs: number, live: boolean): void {
    this.#refuse(atUs)
    const goodUs = (token: TokenId) => {
      const followed = this.tokens.get(token)
      return followed === undefined ? atUs : this.#books.goodUs(followed)
    }
    for (const rest of this.incidents.turn(atUs, goodUs)) {
      for (const token of rest.open) this.tokens.setIncident(token, rest)
    }
    if (live && atUs - this.#sweptUs >= SWEEP_EVERY_US && atUs - this.#startedUs >= SWEEP_AFTER_US) this.#sweep(atUs)
  }

  get changed(): boolean {
    return this.incidents.changed || this.tokens.changed
  }

  /** What is to be stored with the next position; null when nothing changed. */
  take(): CoverageChanges | null {
    if (!this.changed) return null
    const { gaps, removed } = this.incidents.take()
    return { ...this.tokens.take(PROOFS_PER_COMMIT_MAX), gaps, gapsRemoved: removed }
  }

  #subscribe(link: Link, ids: readonly TokenId[], atUs: number): void {
    for (const id of ids) {
      const followed = this.tokens.get(id) ?? this.tokens.start(id, atUs, link)
      this.#subscribed(link, followed)
      if (followed.waitingUs === null) continue
      this.#waiting.delete(followed)
      followed.waitingUs = atUs
      this.#waiting.add(followed)
    }
  }

  #subscribed(link: Link, followed: Followed): void {
    if (link.tokens.has(followed)) return
    link.tokens.add(followed)
    followed.links.push(link)
  }

  #unsubscribe(link: Link, ids: readonly TokenId[], atUs: number): void {
    let incident: Incident | null = null
    for (const id of ids) {
      const followed = this.tokens.get(id)
      if (followed === undefined) continue
      unlink(link, followed)
      if (followed.links.length === 0) {
        this.#drop(followed, atUs)
      } else if (followed.owner === link && followed.incident === null) {
        incident ??= this.#begin(link, 'disconnect', { reason: 'dropped before another connection had its book' })
        this.#doubt(followed, incident)
      }
    }
  }

  #close(link: Link, reason: string, detail: Evidence, atUs: number): void {
    link.open = false
    if (reason.startsWith('no tokens left')) {
      this.#unsubscribe(link, idsOf(link.tokens), atUs)
    } else if (reason === 'stopping') {
      this.#plan(link, detail)
    } else {
      this.#doubtAll(link, 'disconnect', { connection: link.name, ...detail })
    }
    for (const followed of [...link.tokens]) unlink(link, followed)
    this.#links.closed(link)
  }

  /** All connections that end because of one stop are one incident, unless all of their tokens are in doubt already. */
  #plan(link: Link, detail: Evidence): void {
    const tokens = [...link.tokens].filter((followed) => needsDoubt(followed, link))
    if (tokens.length === 0) return
    const planned = this.#planned ?? this.#begin(link, 'down', { stopped: true, ...detail })
    this.#planned = planned
    planned.startedUs = Math.min(planned.startedUs, link.goodUs - link.lagUs)
    for (const followed of tokens) this.#doubt(followed, planned)
  }

  /** A recorder started: nothing that was open before it is open now. */
  #start(atUs: number): void {
    this.#startedUs = atUs
    const lagUs = this.#links.closeAll((link) => {
      for (const followed of [...link.tokens]) unlink(link, followed)
    })
    let incident = this.#planned
    this.#planned = null
    const checkedUs = this.#lastUs - UNCHECKED_US
    for (const followed of this.tokens.values()) {
      followed.owner = null
      if (followed.incident !== null) continue
      incident ??= this.incidents.begin('down', checkedUs - lagUs, { stopped: false })
      this.#doubt(followed, incident)
    }
    if (incident === null) return
    incident.evidence = { ...incident.evidence, started_again_us: atUs }
    this.incidents.touch(incident)
  }

  /** Subscriptions that brought no book in time; those of one connection are one incident. */
  #refuse(atUs: number): void {
    const incidents = new Map<Link | undefined, Incident>()
    for (const followed of this.#waiting) {
      const sinceUs = followed.waitingUs ?? atUs
      if (atUs - sinceUs < FIRST_BOOK_US_MAX) break
      const link = followed.links[0]
      const evidence = { connection: link?.name ?? null, reason: 'no book came after the subscription' }
      const incident = incidents.get(link) ?? this.incidents.begin('subscribe_refused', sinceUs, evidence)
      incidents.set(link, incident)
      this.#doubt(followed, incident)
    }
  }

  #begin(link: Link, cause: GapCause, evidence: Evidence): Incident {
    const more = link.lagUs > 0 ? { lag_ms: Math.round(link.lagUs / 1000) } : {}
    return this.incidents.begin(cause, link.goodUs - link.lagUs, { ...evidence, ...more })
  }

  #doubtAll(link: Link, cause: GapCause, evidence: Evidence): void {
    let incident: Incident | null = null
    for (const followed of link.tokens) {
      if (!needsDoubt(followed, link)) continue
      incident ??= this.#begin(link, cause, evidence)
      this.#doubt(followed, incident)
    }
  }

  #doubt(followed: Followed, incident: Incident): void {
    if (followed.waitingUs !== null) {
      followed.waitingUs = null
      this.#waiting.delete(followed)
    }
    followed.incident = incident
    this.incidents.add(incident, followed.id)
  }

  #mended(followed: Followed, incident: Incident, hash: string | null, atUs: number): void {
    followed.incident = null
    const book = this.#books.of(followed)
    const quiet = PROVABLE.has(incident.cause) && hash !== null && book?.hash === hash
    const goodUs = this.#books.goodUs(followed)
    followed.mendedUs = atUs
    this.incidents.close(incident, followed.id, atUs, goodUs, quiet)
  }

  /** Another connection's book, while the old one's counted: if they differ, the old one was not told of something. */
  #tookOver(followed: Followed, hash: string | null, link: Link, atUs: number): void {
    const book = this.#books.of(followed)
    if (book !== null && book.hash !== null && book.hash === hash) return
    const goodUs = this.#books.goodUs(followed)
    const evidence = { reason: 'another connection knew another book', connection: link.name }
    this.incidents.past('stall', goodUs, atUs, [followed.id], evidence)
    followed.mendedUs = atUs
  }

  #drop(followed: Followed, atUs: number): void {
    const { incident } = followed
    this.#waiting.delete(followed)
    if (incident !== null) {
      const goodUs = Math.min(incident.startedUs, this.#books.goodUs(followed))
      this.incidents.close(incident, followed.id, atUs, goodUs, false)
    }
    this.tokens.end(followed, atUs)
  }

  /** Tokens that the source dropped while it had no connection on which to say so. */
  #sweep(atUs: number): void {
    this.#sweptUs = atUs
    const { isFollowed } = this.#options
    if (isFollowed === undefined) return
    for (const followed of [...this.tokens.values()]) {
      const { id, links, incident } = followed
      if (links.length === 0 && incident !== null && !isFollowed(id)) this.#drop(followed, atUs)
    }
  }

  #notInDoubt(tokens: Iterable<Followed>): TokenId[] {
    return idsOf([...tokens].filter(({ incident }) => incident === null))
  }
}
