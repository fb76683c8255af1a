import type { CoverageChanges, OpenSpan, SpanChange, SpanStart, Verdicts } from '../core/coverage.ts'
import type { TokenId } from '../core/ids.ts'
import type { Incident } from './incidents.ts'

/** One connection as the tape's marks tell of it. Times are receive times, Unix µs. */
export interface Link {
  readonly name: string
  readonly order: number
  open: boolean
  /** Says nothing although it should: what it has to say does not count until it has been replaced. */
  stalled: boolean
  /** Its newest line. */
  goodUs: number
  /** How long a message may be under way: what was sent that long before the last line may be lost. */
  lagUs: number
  readonly tokens: Set<Followed>
  /** The latest incident of unreadable frames. */
  unreadable: Incident | null
}

/** A token that is to be recorded. Times are receive times, Unix µs. */
export interface Followed {
  readonly id: TokenId
  readonly startedUs: number
  /** Whose book counts; null before the first one and after a restart. */
  owner: Link | null
  /** Open connections that have subscribed to it. */
  readonly links: Link[]
  /** When it was subscribed, while its first book has not come. */
  waitingUs: number | null
  incident: Incident | null
  verifiedUs: number | null
  /** Its last fresh book after a doubt. */
  mendedUs: number
  /** The newest book as far as it is known from before this start. */
  known: { readonly atUs: number; readonly hash: string | null } | null
}

/** Stands for the hash of a book when the recorder stopped before there was a verdict on it: no hash is like it. */
export const UNDECIDED = 'undecided'

/** The tokens that are followed, and what changed about them since it was last taken for the ledger. */
export class FollowedTokens {
  readonly #tokens = new Map<TokenId, Followed>()
  #started: SpanStart[] = []
  readonly #changes = new Map<Followed, SpanChange>()
  /** May be stored later than the position they belong to: a lost proof makes a gap longer, never shorter. */
  readonly #proofs = new Map<Followed, SpanChange>()

  get size(): number {
    return this.#tokens.size
  }

  get(token: TokenId): Followed | undefined {
    return this.#tokens.get(token)
  }

  values(): IterableIterator<Followed> {
    return this.#tokens.values()
  }

  setIncident(token: TokenId, incident: Incident): void {
    const followed = this.#tokens.get(token)
    if (followed !== undefined) followed.incident = incident
  }

  load(span: OpenSpan, incident: Incident | null): void {
    const { token, startedUs, verifiedUs, known } = span
    const fresh = { owner: null, links: [], waitingUs: null, mendedUs: startedUs }
    this.#tokens.set(token, { id: token, startedUs, ...fresh, incident, verifiedUs, known })
  }

  start(id: TokenId, startedUs: number, link: Link): Followed {
    const fresh = { owner: null, links: [], incident: null, verifiedUs: null, known: null }
    const followed: Followed = { id, startedUs, waitingUs: startedUs, mendedUs: startedUs, ...fresh }
    this.#tokens.set(id, followed)
    this.#started.push({ token: id, startedUs, connection: link.name })
    return followed
  }

  /** What was told of a token's book before a restart. What came after `checkedUs` may not have been checked. */
  heard(token: TokenId, atUs: number, hash: string | null, checkedUs: number): void {
    const followed = this.#tokens.get(token)
    if (followed === undefined) return
    const { known } = followed
    if (known !== null && (known.hash === UNDECIDED || atUs <= known.atUs)) return // no verdict, or proven since
    if (atUs <= checkedUs) followed.known = { atUs, hash: hash ?? known?.hash ?? null }
    else if (known !== null) followed.known = { atUs: known.atUs, hash: null }
  }

  end(followed: Followed, endedUs: number): void {
    this.#tokens.delete(followed.id)
    this.change(followed, { endedUs: Math.max(endedUs, followed.startedUs) })
  }

  change(followed: Followed, change: Omit<SpanChange, 'token' | 'startedUs' | 'verdicts'>): void {
    const { id, startedUs } = followed
    this.#changes.set(followed, { token: id, startedUs, ...this.#changes.get(followed), ...change })
  }

  prove(followed: Followed, atUs: number, hash: string): void {
    const { id, startedUs } = followed
    followed.verifiedUs = atUs
    this.#proofs.set(followed, { token: id, startedUs, verifiedUs: atUs, known: { atUs, hash } })
  }

  count(followed: Followed, verdict: keyof Verdicts): void {
    const { id, startedUs } = followed
    const known = this.#changes.get(followed)
    const verdicts = known?.verdicts ?? { hashMismatches: 0, bestDisagreements: 0, missingTrades: 0 }
    const counted = { ...verdicts, [verdict]: verdicts[verdict] + 1 }
    this.#changes.set(followed, { token: id, startedUs, ...known, verdicts: counted })
  }

  get changed(): boolean {
    return this.#started.length > 0 || this.#changes.size > 0 || this.#proofs.size > 0
  }

  /** Everything but proofs, and of those at most `proofsMax`. */
  take(proofsMax: number): Pick<CoverageChanges, 'spansStarted' | 'spans'> {
    const spansStarted = this.#started
    this.#started = []
    const changes = new Map(this.#changes)
    this.#changes.clear()
    let left = proofsMax
    for (const [followed, proof] of this.#proofs) {
      if (left === 0) break
      left -= 1
      changes.set(followed, { ...proof, ...changes.get(followed) })
      this.#proofs.delete(followed)
    }
    return { spansStarted, spans: [...changes.values()] }
  }
}

/** What it says counts. */
export function isLive(link: Link): boolean {
  return link.open && !link.stalled
}

/** The token's book was this connection's, or it has none yet, and it is not in doubt already. */
export function needsDoubt(followed: Followed, link: Link): boolean {
  if (followed.incident !== null) return false
  return followed.owner === link || followed.owner === null || !isLive(followed.owner)
}

/** The connection no longer has the token. */
export function unlink(link: Link, followed: Followed): void {
  link.tokens.delete(followed)
  const index = followed.links.indexOf(link)
  if (index >= 0) followed.links.splice(index, 1)
}

export function idsOf(tokens: Iterable<Followed>): TokenId[] {
  return Array.from(tokens, ({ id }) => id)
}
