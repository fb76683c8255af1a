import colors from 'picocolors'
import { formatDuration } from '../core/duration.ts'
import type {
  Coverage,
  DownSince,
  GapCause,
  Incident,
  MarketCoverage,
  StreamCoverage,
} from '../ledger/coverage-report.ts'
import { columns } from './columns.ts'
import { plainText } from './plain-text.ts'

export interface GapsResult {
  /** Unix ms; since null: from the beginning. */
  readonly interval: { readonly sinceMs: number | null; readonly untilMs: number }
  /** The market that was asked for, as it was named. */
  readonly market: string | null
  /** Only some causes, or only open ones, were asked for. */
  readonly filtered: boolean
  /** Newest first. */
  readonly incidents: readonly Incident[]
  /** How many there are beyond those listed, these included. */
  readonly total: number
  readonly streams: readonly StreamCoverage[]
  /** Those with gaps, the worst first. */
  readonly markets: readonly MarketCoverage[]
}

const CAUSE_WORDS: Readonly<Record<GapCause, string>> = {
  down: 'no recorder ran',
  disconnect: 'connection lost',
  stall: 'went silent',
  hash_mismatch: 'book not the venue’s',
  missing_trade: 'a trade never came',
  tape_failure: 'tape not writable',
  parse_failure: 'unreadable message',
  subscribe_refused: 'no book after subscribing',
}

const QUESTION_CHARACTERS = 48
const TITLE_CHARACTERS = 70

/** The interval since a recorder was last seen, as an incident. */
export function downIncident(
  { recorderId, stream, sinceUs }: DownSince,
  { untilMs }: { untilMs: number },
  tokens: number,
): Incident {
  const evidence = { note: 'no recorder runs; the row is written at its next start' }
  return {
    ...{ gapId: null, recorderId, stream, endedAt: null, cause: 'down', evidence, tokens, quietTokens: 0, markets: 0 },
    startedAt: new Date(sinceUs / 1000).toISOString(),
    durationMs: untilMs - sinceUs / 1000,
    ...{ conditionId: null, question: null, recoveredTrades: 0 },
    ...{ backfillComplete: null, backfillAttempts: 0, backfillError: null },
  }
}

/** The result for people. */
export function gapsLines(result: GapsResult): readonly string[] {
  const lines = [describeInterval(result), '']
  if (result.streams.length === 0) {
    const what = result.market === null ? 'nothing' : 'nothing of this market'
    lines.push(`no gaps: ${what} was to be recorded in this interval, as far as the ledger knows`)
    return result.incidents.length === 0 ? lines : [...lines, '', ...incidentLines(result)]
  }
  lines.push(...coverageLines(result), '')
  if (result.incidents.length > 0) return [...lines, ...incidentLines(result)]
  const words = result.filtered ? 'none of the kind that was asked for' : 'everything that was to be recorded has been'
  return [...lines, `no gaps: ${words}`]
}

function coverageLines({ streams, markets }: GapsResult): string[] {
  const many = new Set(streams.map(({ recorderId }) => recorderId)).size > 1
  const head = ['coverage', 'percent', 'missing', 'of', 'tokens', 'markets', 'silence proven right']
  const rows = streams.map((one) => [
    plainText(many ? `${one.stream} (${one.recorderId})` : one.stream),
    ...shares(one),
    count(one.tokens),
    `${count(one.markets)}${one.marketsWithGaps > 0 ? `, ${count(one.marketsWithGaps)} with gaps` : ''}`,
    proof(one),
  ])
  const lines = [...columns([head.map(colors.underline), ...rows])]
  if (markets.length === 0) return lines
  const worst = markets.map((one) => [title(one, many), ...shares(one), count(one.tokens), proof(one)])
  const titles = ['worst markets', 'percent', 'missing', 'of', 'tokens', 'silence proven right']
  return [...lines, '', ...columns([titles.map(colors.underline), ...worst])]
}

function title({ question, conditionId, recorderId }: MarketCoverage, many: boolean): string {
  const name = plainText(question ?? conditionId ?? 'a market that is not known', TITLE_CHARACTERS)
  return many ? `${name} (${plainText(recorderId)})` : name
}

/** Lengths are summed over tokens, so they are shown per token: an hour without two tokens is an hour. */
function shares({ percent, missingSeconds, wantedSeconds, tokens }: Coverage): string[] {
  const each = (seconds: number) => formatLength((seconds / Math.max(1, tokens)) * 1000)
  const text = percent === null ? '–' : percent === 100 ? '100 %' : `${percent.toFixed(4)} %`
  const paint = percent === null ? String : percent === 100 ? colors.green : percent < 99 ? colors.red : colors.yellow
  return [paint(text), missingSeconds === 0 ? '–' : each(missingSeconds), each(wantedSeconds)]
}

function proof({ verifiedTokens, verifiedAt }: Coverage): string {
  return verifiedAt === null ? '–' : `${count(verifiedTokens)} tokens, last ${time(verifiedAt)}`
}

function incidentLines({ incidents, total }: GapsResult): string[] {
  const head = ['started', 'lasted', 'cause', 'stream', 'what', 'trades recovered', 'backfill']
  const rows = incidents.map((one) => [
    time(one.startedAt),
    one.endedAt === null ? colors.red(`open, ${formatLength(one.durationMs)}`) : formatLength(one.durationMs),
    CAUSE_WORDS[one.cause],
    plainText(one.stream),
    concerned(one),
    one.recoveredTrades === 0 ? '–' : count(one.recoveredTrades),
    backfill(one),
  ])
  const more = total - incidents.length
  return [
    ...columns([head.map(colors.underline), ...rows]),
    ...(more > 0 ? [`… and ${count(more)} older ones (--limit)`] : []),
  ]
}

function concerned({ tokens, quietTokens, markets, question, conditionId }: Incident): string {
  const quiet = quietTokens === 0 ? '' : `, ${quietTokens === tokens ? 'all' : count(quietTokens)} proven quiet`
  const name = question ?? conditionId
  if (markets === 1 && name !== null) {
    return `${plainText(name, QUESTION_CHARACTERS)} (${plural(tokens, 'token')}${quiet})`
  }
  return markets === 0
    ? plural(tokens, 'token') + quiet
    : `${plural(tokens, 'token')} of ${plural(markets, 'market')}${quiet}`
}

function backfill({ endedAt, backfillComplete, backfillAttempts, backfillError }: Incident): string {
  if (endedAt === null) return '–'
  if (backfillComplete === true) return colors.green('complete')
  if (backfillComplete === false) return colors.yellow('not complete')
  const tried = backfillAttempts === 0 ? '' : ` after ${plural(backfillAttempts, 'attempt')}`
  return `pending${tried}${backfillError === null ? '' : `: ${plainText(backfillError, QUESTION_CHARACTERS)}`}`
}

function describeInterval({ interval, market }: GapsResult): string {
  const since = interval.sinceMs === null ? 'from the beginning' : `from ${time(isoMs(interval.sinceMs))}`
  const of = market === null ? '' : `, market ${plainText(market, TITLE_CHARACTERS)}`
  return `${since} until ${time(isoMs(interval.untilMs))}${of}`
}

/** The result for programs. */
export function gapsJson(result: GapsResult) {
  return {
    since: result.interval.sinceMs === null ? null : isoMs(result.interval.sinceMs),
    until: isoMs(result.interval.untilMs),
    coverage: {
      streams: result.streams.map((one) => ({
        ...coverageJson(one),
        markets: one.markets,
        markets_with_gaps: one.marketsWithGaps,
        first_at: one.firstAt,
      })),
      worst_markets: result.markets.map((one) => ({
        condition_id: one.conditionId,
        question: one.question === null ? null : plainText(one.question, 1_000),
        ...coverageJson(one),
      })),
    },
    gaps_total: result.total,
    gaps: result.incidents.map(incidentJson),
  }
}

function coverageJson(one: Coverage) {
  return {
    stream: one.stream,
    recorder_id: one.recorderId,
    percent: one.percent,
    missing_token_seconds: one.missingSeconds,
    wanted_token_seconds: one.wantedSeconds,
    tokens: one.tokens,
    verified_tokens: one.verifiedTokens,
    verified_at: one.verifiedAt,
  }
}

function incidentJson(one: Incident) {
  return {
    gap_id: one.gapId,
    stream: one.stream,
    recorder_id: one.recorderId,
    started_at: one.startedAt,
    ended_at: one.endedAt,
    duration_seconds: Math.round(one.durationMs) / 1000,
    cause: one.cause,
    evidence: plainDeep(one.evidence),
    tokens: one.tokens,
    quiet_tokens: one.quietTokens,
    markets: one.markets,
    condition_id: one.conditionId,
    question: one.question === null ? null : plainText(one.question, 1_000),
    recovered_trades: one.recoveredTrades,
    backfill_complete: one.backfillComplete,
    backfill_attempts: one.backfillAttempts,
    backfill_error: one.backfillError === null ? null : plainText(one.backfillError, 1_000),
  }
}

function plainDeep(value: unknown): unknown {
  const plain = (_key: string, part: unknown) => (typeof part === 'string' ? plainText(part, 1_000) : part)
  return JSON.parse(JSON.stringify(value, plain))
}

/** Below ten seconds with a decimal, because a gap of a second is worth telling from one of a tenth. */
function formatLength(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)}s` : formatDuration(ms)
}

function time(iso: string): string {
  return `${iso.slice(0, 19).replace('T', ' ')}Z`
}

function isoMs(ms: number): string {
  return new Date(ms).toISOString()
}

function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}
