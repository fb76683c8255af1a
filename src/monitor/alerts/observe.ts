import { judgeCollector } from '../../core/health.ts'
import type { CollectorStatus, StatusBoard } from '../../core/status.ts'

/** What can be said of one thing that may be in trouble, at one moment. */
export interface Observation {
  /** `tape`, `ledger`, `reader`, `books`, `doubt`, `network`, `source:<name>`, `host:<name>` or `collector:<name>`. */
  readonly key: string
  /** `unknown` says nothing either way: a start, or a matter that cannot be judged now. */
  readonly verdict: 'good' | 'bad' | 'unknown'
  readonly title: string
  /** What is wrong, in words; empty when nothing is. */
  readonly detail: string
  /** While one of these is bad, it explains this one. */
  readonly causes: readonly string[]
  /** An alert that was opened too wide, before all had been asked, goes on as this one. */
  readonly narrows?: string
  /** What this one explains at the moment, by name. */
  readonly affects: readonly string[]
  /** Cycles that failed in a row; null where trouble is not counted in cycles. */
  readonly failures: number | null
  /** Told once and never repeated: nothing that can be done about it is urgent. */
  readonly once?: true
  /** Age of the newest useful answer and the cadence it is measured by, ms; null where there is none. */
  readonly stale: { readonly ageMs: number; readonly intervalMs: number } | null
}

interface Judged {
  readonly collector: CollectorStatus
  readonly verdict: Observation['verdict']
  readonly text: string
}

/** How long a ledger may take to be reached after a start, ms. */
const CONNECTING_MS_MAX = 120_000

const UNVERIFIABLE = 'Order books have a form that this version cannot verify'

/**
 * Everything that alerts are made of, causes first. Pure: the same board always yields the same observations.
 * `openKeys`: what is told to be in trouble, of which the board may know nothing after a restart.
 */
export function observe(board: StatusBoard, openKeys: readonly string[] = []): readonly Observation[] {
  const judged = board.collectors
    .filter(({ critical }) => critical)
    .map((collector) => ({ collector, ...judgeCollector(collector, board) }))
  const sources = groupBySource(judged)
  return [
    ...plumbing(board, judged),
    ...group('network', 'Nothing answers: the network is down, or every source at once', judged, board),
    ...[...sources].flatMap(([source, members]) =>
      group(`source:${source}`, `Nothing of ${source} answers`, members, board, ['network']),
    ),
    ...hosts(judged, openKeys),
    ...judged.map(ofCollector),
    ...doubt(board, judged),
  ]
}

/**
 * Connections that answer, and successors of theirs that never send a book: no connection is to blame any more, and the
 * doubt about what they should have told stays.
 */
function doubt({ recorder }: StatusBoard, judged: readonly Judged[]): Observation[] {
  const streams = judged.filter(({ collector }) => collector.stream !== null)
  if (streams.length === 0) return []
  const tokens = streams.reduce((sum, { collector }) => sum + (collector.stream?.tokensSubscribed ?? 0), 0)
  const isBad = recorder.tokensInDoubt > 0 && recorder.tokensInDoubt >= tokens / 2
  const whole = streams.flatMap((one) => [`source:${sourceOf(one)}`, `collector:${one.collector.name}`])
  return [
    {
      key: 'doubt',
      verdict: isBad ? 'bad' : 'good',
      title: 'The stream sends no fresh order books',
      detail: isBad ? `${recorder.tokensInDoubt} of ${tokens} tokens are in doubt` : '',
      causes: ['tape', 'ledger', 'reader', 'network', ...whole],
      affects: [],
      failures: null,
      stale: null,
    },
  ]
}

const HOST = 'host:'

/** How an error of the shared HTTP client names whom it asked. */
const ASKED = /\b(?:GET|POST) ([\w.-]+(?::\d+)?)\//

function hostOf({ collector }: Judged): string | null {
  return ASKED.exec(collector.lastError ?? '')?.[1] ?? null
}

/** Two collectors that complain of the same host have one trouble. */
function hosts(judged: readonly Judged[], openKeys: readonly string[]): Observation[] {
  const named = new Set(judged.map(hostOf).filter((host) => host !== null))
  const open = openKeys.filter((key) => key.startsWith(HOST)).map((key) => key.slice(HOST.length))
  const isAllWell = judged.every(({ verdict }) => verdict === 'good')
  return [...new Set([...named, ...open])].map((host) => {
    const bad = judged.filter((one) => one.verdict === 'bad' && hostOf(one) === host)
    const isBad = bad.length >= 2
    const isKnown = named.has(host) || isAllWell
    const sources = bad.map((one) => `source:${sourceOf(one)}`)
    return {
      key: `${HOST}${host}`,
      verdict: isBad ? 'bad' : isKnown ? 'good' : 'unknown',
      title: `${host} does not answer as it should`,
      detail: isBad ? bad.map(({ text }) => text).join('; ') : '',
      causes: ['ledger', 'network', ...new Set(sources)],
      affects: isBad ? badNames(bad) : [],
      failures: null,
      stale: null,
    }
  })
}

function sourceOf({ collector }: Judged): string {
  return collector.name.split('.')[0] ?? collector.name
}

function groupBySource(judged: readonly Judged[]): Map<string, Judged[]> {
  const groups = new Map<string, Judged[]>()
  for (const one of judged) groups.set(sourceOf(one), [...(groups.get(sourceOf(one)) ?? []), one])
  return groups
}

function plumbing(board: StatusBoard, judged: readonly Judged[]): Observation[] {
  const { tape, ledger, recorder } = board
  const base = { failures: null, stale: null, affects: [], causes: [] }
  const bad = (key: string, title: string, isBad: boolean, detail: string | null): Observation => {
    return { ...base, key, title, verdict: isBad ? 'bad' : 'good', detail: isBad ? (detail ?? '') : '' }
  }
  const isLate = ledger.state === 'connecting' && board.uptimeMs > CONNECTING_MS_MAX
  const isAway = ledger.state === 'unavailable' || ledger.state === 'stopped' || isLate
  const away = bad('ledger', 'The database is away', isAway, ledger.trouble)
  const forms = recorder.unverifiableForms ?? 0
  return [
    bad('tape', 'The tape cannot be written', tape.state !== 'ok', tape.trouble),
    {
      ...away,
      verdict: ledger.state === 'connecting' && !isLate ? 'unknown' : away.verdict,
      affects: isAway ? badNames(judged) : [],
    },
    {
      ...bad('reader', 'The tape does not reach the database', recorder.trouble !== null, recorder.trouble),
      causes: ['ledger', 'tape'],
    },
    {
      ...bad('books', UNVERIFIABLE, forms > 0, `forms so far: ${forms}; they are recorded, and not proven`),
      once: true,
    },
  ]
}

/**
 * Many that fail at once have one cause, unless one of them has had an answer since the last of the others began to
 * fail. Fewer than two members are no group.
 */
function group(
  key: string,
  title: string,
  members: readonly Judged[],
  board: StatusBoard,
  causes: readonly string[] = [],
): Observation[] {
  if (members.length < 2) return []
  const bad = members.filter(({ verdict }) => verdict === 'bad')
  const onsetMs = Math.max(...bad.map(({ collector }) => onsetOf(collector, board)))
  const spared = members.some(
    ({ verdict, collector }) => verdict !== 'bad' && (collector.lastUsefulMs ?? Number.NEGATIVE_INFINITY) > onsetMs,
  )
  const isBad = bad.length >= 2 && !spared
  const isKnown = isBad || members.some(({ verdict }) => verdict === 'good')
  return [
    {
      key,
      title,
      verdict: isBad ? 'bad' : isKnown ? 'good' : 'unknown',
      detail: isBad ? bad.map(({ text }) => text).join('; ') : '',
      causes: ['ledger', ...causes],
      ...(causes[0] === undefined ? {} : { narrows: causes[0] }),
      affects: isBad ? badNames(members) : [],
      failures: null,
      stale: null,
    },
  ]
}

function badNames(members: readonly Judged[]): readonly string[] {
  return members.filter(({ verdict }) => verdict === 'bad').map(({ collector }) => collector.name)
}

/** About when a collector that is bad became so, Unix ms. */
function onsetOf(collector: CollectorStatus, board: StatusBoard): number {
  const { kind, consecutiveFailures: failures, intervalMs, lastErrorMs, lastUsefulMs } = collector
  if (kind === 'polling' && failures > 0 && lastErrorMs !== null) return lastErrorMs - (failures - 1) * intervalMs
  return (lastUsefulMs ?? board.startedMs) + (kind === 'polling' ? 2 : 1) * intervalMs
}

function ofCollector(judged: Judged): Observation {
  const { collector, verdict, text } = judged
  const { name, kind, usefulAgeMs, intervalMs, consecutiveFailures, state } = collector
  const host = hostOf(judged)
  const causes = ['ledger', 'network', `source:${sourceOf(judged)}`, ...(host === null ? [] : [`host:${host}`])]
  const countsCycles = kind === 'polling' && (state === 'running' || state === 'starting')
  return {
    key: `collector:${name}`,
    verdict,
    title: `${name} does not deliver`,
    detail: text,
    causes: kind === 'polling' ? causes : [...causes, 'tape'],
    affects: [],
    failures: countsCycles ? consecutiveFailures : null,
    stale: usefulAgeMs === null || kind !== 'polling' ? null : { ageMs: usefulAgeMs, intervalMs },
  }
}
