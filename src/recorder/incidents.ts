import type { Evidence, GapCause, GapRow } from '../core/coverage.ts'
import type { TokenId } from '../core/ids.ts'

/** An interval in which some tokens may have missed something. Times are receive times, Unix µs. */
export interface Incident {
  readonly no: number
  cause: GapCause
  startedUs: number
  endedUs: number | null
  evidence: Record<string, unknown>
  /** Tokens without a fresh book. */
  readonly open: Set<TokenId>
  /** Tokens that have one; true when they are proven to have missed nothing. */
  readonly closed: Map<TokenId, boolean>
  firstClosedUs: number | null
  lastClosedUs: number
  /** The same incident for tokens of which nothing was certain for longer, by the cell of its beginning. */
  readonly earlier: Map<number, Incident>
}

/** Tokens that get their fresh book this much later than the first ones are an incident of their own. */
const LAG_US_MAX = 2_000_000
/** Tokens whose doubt began within the same cell of this grid share an incident. */
const GRID_US = 30_000_000
/** A token whose doubt began at most this much earlier needs no incident of its own. */
const SLACK_US = 1_000_000
const NOTES_MAX = 10
/** Verdicts on the same token whose intervals are at most this far apart are one incident. */
const MERGE_US = 1_000_000
const RECENT_MAX = 1_000

/** The incidents that are open or have changed since they were last taken for the ledger. */
export class Incidents {
  readonly #open = new Set<Incident>()
  #dirty = new Set<Incident>()
  #removed: number[] = []
  /** The latest past incident of a cause and token. */
  readonly #recent = new Map<string, Incident>()
  /** Incidents that the ledger may have: only those must be removed there. */
  readonly #taken = new Set<number>()
  #nextNo = 1
  /** Opened since the start. */
  opened = 0

  /** Goes on where the ledger's state ends, which knows what was on the tape up to `atUs`. */
  load(rows: readonly GapRow[], nextNo: number, atUs: number): Map<TokenId, Incident> {
    this.#nextNo = nextNo
    const places = new Map<TokenId, Incident>()
    for (const row of [...rows].sort((a, b) => a.no - b.no)) {
      const quiet = new Set(row.quietTokens)
      const incident = create(row.no, row.cause, row.startedUs, { ...row.evidence })
      for (const token of row.tokens) {
        if (quiet.has(token)) {
          hasFreshBook(incident, token, true, atUs)
          continue
        }
        const before = places.get(token)
        // It is in doubt anew: it had a fresh book in between, which the older row does not tell yet.
        if (before?.open.delete(token)) hasFreshBook(before, token, false, row.startedUs)
        incident.open.add(token)
        places.set(token, incident)
      }
      this.#open.add(incident)
      this.#taken.add(incident.no)
    }
    for (const incident of [...this.#open]) if (incident.open.size === 0) this.#finish(incident)
    return places
  }

  get openCount(): number {
    return this.#open.size
  }

  get tokensInDoubt(): number {
    let count = 0
    for (const incident of this.#open) count += incident.open.size
    return count
  }

  /** A new incident without tokens yet. */
  begin(cause: GapCause, startedUs: number, evidence: Evidence): Incident {
    const incident = create(this.#nextNo, cause, startedUs, { ...evidence })
    this.#nextNo += 1
    this.opened += 1
    this.#open.add(incident)
    return incident
  }

  add(incident: Incident, token: TokenId): void {
    incident.open.add(token)
    this.#dirty.add(incident)
  }

  /** Something else that happened to the same tokens meanwhile. Bounded. */
  note(incident: Incident, note: Evidence): void {
    const notes = Array.isArray(incident.evidence['also']) ? incident.evidence['also'] : []
    if (notes.length >= NOTES_MAX) return
    incident.evidence = { ...incident.evidence, also: [...notes, note] }
    this.#dirty.add(incident)
  }

  touch(incident: Incident): void {
    this.#dirty.add(incident)
  }

  /**
   * The token has its fresh book. `goodUs`: the last moment at which it was known to be good; when that is before
   * the incident, the token's doubt began earlier. `quiet`: it is proven to have missed nothing.
   */
  close(incident: Incident, token: TokenId, atUs: number, goodUs: number, quiet: boolean): void {
    incident.open.delete(token)
    const isEarlier = !quiet && goodUs < incident.startedUs - SLACK_US
    const target = isEarlier ? this.#earlier(incident, goodUs) : incident
    hasFreshBook(target, token, quiet, atUs)
    if (target !== incident) {
      incident.firstClosedUs ??= atUs
      target.endedUs = target.lastClosedUs
      this.#dirty.add(target)
    }
    this.#dirty.add(incident)
    if (incident.open.size === 0) this.#finish(incident)
  }

  /** An incident that is over already; one that overlaps the last of the same cause and tokens goes on with that. */
  past(cause: GapCause, startedUs: number, endedUs: number, tokens: readonly TokenId[], evidence: Evidence): Incident {
    const key = `${cause} ${tokens[0] ?? ''}`
    const last = this.#recent.get(key)
    const overlaps = last !== undefined && startedUs <= (last.endedUs ?? 0) + MERGE_US && endedUs >= last.startedUs
    const incident = overlaps ? last : this.begin(cause, startedUs, evidence)
    this.#open.delete(incident)
    if (overlaps) this.note(incident, evidence)
    incident.startedUs = Math.min(incident.startedUs, startedUs)
    incident.endedUs = Math.max(incident.endedUs ?? startedUs, startedUs, endedUs)
    for (const token of tokens) incident.closed.set(token, false)
    this.#dirty.add(incident)
    this.#recent.delete(key)
    this.#recent.set(key, incident)
    if (this.#recent.size > RECENT_MAX) this.#recent.delete(this.#recent.keys().next().value as string)
    return incident
  }

  /**
   * Tape time is `atUs`: who lags behind the others is split off. That their connection was well till then says nothing
   * of them any more: `goodUs` is a token's own last sign of life.
   */
  turn(atUs: number, goodUs: (token: TokenId) => number): Incident[] {
    const split: Incident[] = []
    for (const incident of this.#open) {
      const { firstClosedUs } = incident
      if (firstClosedUs === null || atUs - firstClosedUs < LAG_US_MAX) continue
      split.push(...this.#split(incident, goodUs))
    }
    return split
  }

  /** Rows that changed since the last call, and numbers of rows that are no more. */
  take(): { gaps: GapRow[]; removed: number[] } {
    const gaps = Array.from(this.#dirty, (incident) => this.#row(incident))
    this.#dirty = new Set()
    const removed = this.#removed
    this.#removed = []
    return { gaps, removed }
  }

  get changed(): boolean {
    return this.#dirty.size > 0 || this.#removed.length > 0
  }

  #row(incident: Incident): GapRow {
    const { no, cause, startedUs, endedUs, evidence, open, closed } = incident
    if (endedUs === null) this.#taken.add(no)
    else this.#taken.delete(no)
    const quietTokens = [...closed].filter(([, quiet]) => quiet).map(([token]) => token)
    return { no, cause, startedUs, endedUs, evidence, tokens: [...closed.keys(), ...open], quietTokens }
  }

  /** Grouped by a grid, so that one incident does not become hundreds. */
  #earlier(incident: Incident, goodUs: number): Incident {
    const cell = Math.floor(goodUs / GRID_US)
    const known = incident.earlier.get(cell)
    if (known !== undefined) {
      known.startedUs = Math.min(known.startedUs, goodUs)
      return known
    }
    const made = this.begin(incident.cause, goodUs, { ...incident.evidence, split_from: incident.no })
    this.#open.delete(made)
    incident.earlier.set(cell, made)
    return made
  }

  /** Grouped by the same grid as those that turn out to have been in doubt for longer. */
  #split(incident: Incident, goodUs: (token: TokenId) => number): Incident[] {
    const rests = new Map<number, Incident>()
    for (const token of incident.open) {
      const ownUs = goodUs(token)
      const startedUs = ownUs < incident.startedUs - SLACK_US ? ownUs : incident.startedUs
      const cell = Math.floor(startedUs / GRID_US)
      const rest =
        rests.get(cell) ?? this.begin(incident.cause, startedUs, { ...incident.evidence, split_from: incident.no })
      rest.startedUs = Math.min(rest.startedUs, startedUs)
      rests.set(cell, rest)
      this.add(rest, token)
    }
    incident.open.clear()
    this.#finish(incident)
    return [...rests.values()]
  }

  #finish(incident: Incident): void {
    this.#open.delete(incident)
    incident.endedUs = incident.lastClosedUs
    if (incident.closed.size > 0) {
      this.#dirty.add(incident)
      return
    }
    this.#dirty.delete(incident)
    if (this.#taken.delete(incident.no)) this.#removed.push(incident.no)
  }
}

function hasFreshBook(incident: Incident, token: TokenId, quiet: boolean, atUs: number): void {
  incident.closed.set(token, quiet)
  incident.firstClosedUs ??= atUs
  incident.lastClosedUs = Math.max(incident.lastClosedUs, atUs, incident.startedUs)
}

function create(no: number, cause: GapCause, startedUs: number, evidence: Record<string, unknown>): Incident {
  return {
    no,
    cause,
    startedUs,
    endedUs: null,
    evidence,
    open: new Set(),
    closed: new Map(),
    firstClosedUs: null,
    lastClosedUs: startedUs,
    earlier: new Map(),
  }
}
