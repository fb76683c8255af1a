import type { Observation } from './observe.ts'

/** When alerts open, close and are repeated. Times are ms. */
export interface AlertPolicy {
  /** Failed cycles in a row before a collector's alert opens. */
  readonly openFailures: number
  /** How long trouble has lasted before an alert opens. */
  readonly openAfterMs: number
  /** Age of the newest useful answer at which an alert opens; never less than three times the cadence. */
  readonly staleAfterMs: number
  /** How long all must have been well before an alert closes. */
  readonly closeAfterMs: number
  /** How often an alert that stays open is told again. */
  readonly repeatMs: number
}

/** One trouble with one cause, from its first sign to its end. Times are Unix ms. */
export interface Incident {
  readonly id: string
  readonly key: string
  readonly title: string
  readonly detail: string
  readonly affects: readonly string[]
  /** When the trouble was first seen. */
  readonly sinceMs: number
  readonly openedMs: number
  readonly closedMs: number | null
  readonly toldMs: number
  /** It comes and goes, so it is told to be over only after a longer quiet. */
  readonly flapping: boolean
  /** Why it was closed, where that is not that all is well. */
  readonly note: string | null
}

/** What is remembered of one key between two looks. */
interface Watch {
  badSinceMs: number | null
  goodSinceMs: number | null
  /** Failures that something else explained, and from when until when it did. */
  excusedFailures: number
  excusedSinceMs: number
  excusedUntilMs: number
  /** Whether something else explains it now. */
  suppressedBy: string | null
  openings: number[]
}

/** All that the machine knows; plain data, to be kept over restarts. */
export interface AlertState {
  readonly watches: Readonly<Record<string, Watch>>
  readonly open: readonly Incident[]
  /** Newest last. */
  readonly closed: readonly Incident[]
}

export interface Notice {
  readonly kind: 'down' | 'still_down' | 'recovered'
  readonly incident: Incident
}

export const NO_ALERTS: AlertState = { watches: {}, open: [], closed: [] }

const FLAP_WINDOW_MS = 3_600_000
const FLAP_OPENINGS = 3
/** What flaps must have been well for so many times as long. */
const FLAP_PATIENCE = 6
const STALE_INTERVALS = 3
/** After the end of a cause, the longest pause between two attempts, ms. */
const BACK_MS_MAX = 60_000
const CLOSED_MAX = 100

const UNWATCHED: Watch = {
  badSinceMs: null,
  goodSinceMs: null,
  excusedFailures: 0,
  excusedSinceMs: 0,
  excusedUntilMs: 0,
  suppressedBy: null,
  openings: [],
}

/**
 * One look. Pure: the same state, observations and time always yield the same.
 *
 *            bad long enough, unexplained                    well long enough
 *   (quiet) ─────────────────────────────► open: down ─────────────────────────► (quiet): recovered
 *                                           └─ every repeatMs: still_down
 *
 * What a cause explains is measured on, and neither opened nor repeated; when the cause ends, counting starts anew.
 */
export function step(
  before: AlertState,
  observations: readonly Observation[],
  nowMs: number,
  policy: AlertPolicy,
): { readonly state: AlertState; readonly notices: readonly Notice[] } {
  const bad = new Set(observations.filter(({ verdict }) => verdict === 'bad').map(({ key }) => key))
  const open = new Map(before.open.map((incident) => [incident.key, incident]))
  const closed = [...before.closed]
  const notices: Notice[] = []
  const watches: Record<string, Watch> = {}
  const close = (incident: Incident, note: string | null) => {
    open.delete(incident.key)
    const ended = { ...incident, closedMs: nowMs, note }
    closed.push(ended)
    notices.push({ kind: 'recovered', incident: ended })
  }
  for (const observation of observations) {
    const { key } = observation
    const watch = { ...(before.watches[key] ?? UNWATCHED) }
    watches[key] = watch
    const cause = observation.causes.find((one) => bad.has(one)) ?? null
    if (watch.suppressedBy === null && cause !== null) watch.excusedSinceMs = nowMs
    watch.suppressedBy = cause
    look(watch, observation, nowMs)
    const incident = open.get(key)
    if (incident === undefined) {
      if (!shouldOpen(watch, observation, nowMs, policy)) continue
      const wider = open.get(observation.narrows ?? '')
      if (wider !== undefined && !bad.has(wider.key)) {
        open.delete(wider.key)
        const { title, detail, affects } = observation
        const narrowed = { ...wider, key, title, detail, affects, toldMs: nowMs }
        open.set(key, narrowed)
        notices.push({ kind: 'still_down', incident: narrowed })
        continue
      }
      const opened = openIncident(watch, observation, nowMs)
      open.set(key, opened)
      notices.push({ kind: 'down', incident: opened })
    } else if (isOver(watch, incident, nowMs, policy)) {
      close(incident, null)
    } else if (shouldRepeat(watch, observation, incident, nowMs, policy)) {
      const told = { ...incident, detail: observation.detail, affects: observation.affects, toldMs: nowMs }
      open.set(key, told)
      notices.push({ kind: 'still_down', incident: told })
    }
  }
  const seen = new Set(observations.map(({ key }) => key))
  for (const incident of [...open.values()]) if (!seen.has(incident.key)) close(incident, 'no longer watched')
  return { state: { watches, open: [...open.values()], closed: closed.slice(-CLOSED_MAX) }, notices }
}

/** Measures, whether or not anything comes of it. A clock that was set back starts a measurement anew. */
function look(watch: Watch, { verdict, failures }: Observation, nowMs: number): void {
  if (verdict === 'unknown') return
  if (verdict === 'good') {
    watch.badSinceMs = null
    watch.excusedFailures = 0
    watch.goodSinceMs = Math.min(watch.goodSinceMs ?? nowMs, nowMs)
    return
  }
  watch.goodSinceMs = null
  watch.badSinceMs = Math.min(watch.badSinceMs ?? nowMs, nowMs)
  if (watch.suppressedBy === null) return
  watch.badSinceMs = nowMs
  watch.excusedFailures = failures ?? 0
  watch.excusedUntilMs = nowMs
}

function shouldOpen(watch: Watch, observation: Observation, nowMs: number, policy: AlertPolicy): boolean {
  const { verdict, failures, stale } = observation
  if (verdict !== 'bad' || watch.badSinceMs === null || watch.suppressedBy !== null) return false
  if (stale !== null) {
    const ageMs = Math.min(stale.ageMs, nowMs - watch.excusedUntilMs)
    if (ageMs >= Math.max(policy.staleAfterMs, STALE_INTERVALS * stale.intervalMs)) return true
  }
  const { badSinceMs, excusedSinceMs, excusedUntilMs } = watch
  // Who has waited between attempts for longer and longer is not back at once.
  const backMs = excusedUntilMs + Math.min(Math.max(0, excusedUntilMs - excusedSinceMs), BACK_MS_MAX)
  if (nowMs - Math.max(badSinceMs, backMs) < policy.openAfterMs) return false
  return failures === null || failures - watch.excusedFailures >= policy.openFailures
}

function openIncident(watch: Watch, { key, title, detail, affects }: Observation, nowMs: number): Incident {
  const recent = watch.openings.filter((atMs) => atMs <= nowMs && nowMs - atMs < FLAP_WINDOW_MS)
  watch.openings = [...recent, nowMs].slice(-FLAP_OPENINGS)
  const id = `${key}@${new Date(nowMs).toISOString()}`
  const flapping = watch.openings.length >= FLAP_OPENINGS
  const times = { sinceMs: watch.badSinceMs ?? nowMs, openedMs: nowMs, closedMs: null, toldMs: nowMs }
  return { id, key, title, detail, affects, ...times, flapping, note: null }
}

function isOver(watch: Watch, incident: Incident, nowMs: number, policy: AlertPolicy): boolean {
  if (watch.goodSinceMs === null) return false
  return nowMs - watch.goodSinceMs >= policy.closeAfterMs * (incident.flapping ? FLAP_PATIENCE : 1)
}

function shouldRepeat(
  watch: Watch,
  observation: Observation,
  incident: Incident,
  nowMs: number,
  policy: AlertPolicy,
): boolean {
  if (observation.verdict !== 'bad' || observation.once || watch.suppressedBy !== null) return false
  return nowMs - Math.min(incident.toldMs, nowMs) >= policy.repeatMs
}
