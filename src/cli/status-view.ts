import colors from 'picocolors'
import { formatDuration } from '../core/duration.ts'
import { columns } from './columns.ts'
import { formatBytes } from './format-bytes.ts'

/** What the health listener said; read leniently, because the daemon may be of another version. */
type Facts = Readonly<Record<string, unknown>>

/** The status as lines of text. `nowMs` is Unix ms, for the time until the next attempts. */
export function statusLines(body: Facts, nowMs: number): readonly string[] {
  return [
    headline(body),
    ...list(body['reasons']).map((reason) => `  ${colors.yellow('!')} ${reason}`),
    '',
    ...collectorTable(facts(body['collectors']), nowMs),
    '',
    ...columns(
      [
        ['trades', tradesLine(facts(body['trade_listener']))],
        ['tape', tapeLine(facts(body['tape']))],
        ['ledger', ledgerLine(facts(body['ledger']))],
        ['reader', readerLine(facts(body['recorder']))],
        ['books', booksLine(facts(body['recorder']), facts(body['book_checks']))],
        ['gaps', gapsLine(facts(body['coverage']))],
      ].map(([title = '', text = '']) => [colors.bold(title), text]),
    ),
  ]
}

const COLOUR_OF_STATE: Readonly<Record<string, (text: string) => string>> = {
  healthy: colors.green,
  starting: colors.cyan,
  running: colors.green,
  ok: colors.green,
  connecting: colors.cyan,
  degraded: colors.red,
  failed: colors.red,
  cooling: colors.red,
  unavailable: colors.red,
  backing_off: colors.yellow,
}

function headline(body: Facts): string {
  const parts = [state(body['status'])]
  const uptime = number(body['uptime_seconds'])
  if (uptime !== null) parts.push(`up ${formatDuration(uptime * 1000)}`)
  if (number(body['total_restarts']) !== null) parts.push(`restarts ${count(body['total_restarts'])}`)
  if (typeof body['version'] === 'string') parts.push(`version ${body['version']}`)
  return parts.join('   ')
}

function collectorTable(collectors: Facts, nowMs: number): readonly string[] {
  const head = ['collector', 'state', 'newest data', 'items', 'errors', 'next attempt'].map(colors.underline)
  const rows = Object.entries(collectors).map(([name, value]) => {
    const collector = facts(value)
    return [
      name,
      state(collector['state']),
      age(collector['last_collect_age_seconds']),
      count(collector['total_items']),
      Number(collector['error_count']) > 0
        ? colors.yellow(count(collector['error_count']))
        : count(collector['error_count']),
      until(collector['next_attempt_ts'], nowMs),
    ]
  })
  const errors = Object.entries(collectors).flatMap(([name, value]) => {
    const { last_error: error, consecutive_failures: failures } = facts(value)
    return typeof error === 'string' && Number(failures) > 0 ? [`  ${colors.yellow('!')} ${name}: ${error}`] : []
  })
  return [...columns([head, ...rows]), ...errors]
}

function tradesLine(trades: Facts): string {
  const share = (part: string, whole: string) => `${count(trades[part])}/${count(trades[whole])}`
  return [
    `received ${count(trades['trades_received'])}`,
    `inserted ${count(trades['trades_inserted'])}`,
    `connections ${share('connections_active', 'connections_wanted')}`,
    `tokens ${share('tokens_subscribed', 'tokens_wanted')}`,
    `queue ${count(trades['queue_depth'])}`,
  ].join(' · ')
}

function tapeLine(tape: Facts): string {
  return withTrouble(tape, [
    state(tape['state']),
    `${count(tape['frames_accepted'])} frames`,
    `${bytes(tape['bytes_accepted'])} accepted`,
    `${bytes(tape['bytes_on_disk'])} on disk`,
    ...(Number(tape['frames_refused']) > 0 ? [colors.red(`${count(tape['frames_refused'])} refused`)] : []),
    ...(Number(tape['damaged_lines']) > 0 ? [colors.yellow(`${count(tape['damaged_lines'])} damaged lines`)] : []),
  ])
}

function ledgerLine(ledger: Facts): string {
  const version = typeof ledger['server_version'] === 'string' ? [`PostgreSQL ${ledger['server_version']}`] : []
  return withTrouble(ledger, [state(ledger['state']), String(ledger['kind'] ?? ''), ...version].filter(Boolean))
}

/** The reader brings the tape to the ledger. */
function readerLine(recorder: Facts): string {
  const behind = number(recorder['behind_bytes'])
  const words = [
    recorder['caught_up'] === true ? 'caught up' : `behind${behind === null ? '' : ` by ${bytes(behind)}`}`,
  ]
  for (const name of ['rejects', 'dead_letters', 'unknown_events']) {
    if (Number(recorder[name]) > 0) words.push(colors.yellow(`${count(recorder[name])} ${name.replace('_', ' ')}`))
  }
  return withTrouble(recorder, words)
}

function booksLine(recorder: Facts, checks: Facts): string {
  const mismatch = `${count(checks['mismatch'])} mismatch`
  return [
    `${count(recorder['books_kept'])} kept`,
    `${count(checks['match'])} match`,
    Number(checks['mismatch']) > 0 ? colors.red(mismatch) : mismatch,
    `${count(checks['unverifiable'])} unverifiable`,
    `${count(checks['skipped'])} skipped`,
  ].join(' · ')
}

function gapsLine(coverage: Facts): string {
  const { equal } = facts(coverage['comparisons'])
  const doubt = `${count(coverage['tokens_in_doubt'])} tokens in doubt`
  return [
    `${count(coverage['gaps_opened'])} since start`,
    Number(coverage['tokens_in_doubt']) > 0 ? colors.yellow(doubt) : doubt,
    `${count(equal)} fetched books equal`,
  ].join(' · ')
}

function withTrouble(part: Facts, words: readonly string[]): string {
  const { trouble } = part
  return [...words, ...(typeof trouble === 'string' && trouble !== '' ? [trouble] : [])].join(' · ')
}

function state(value: unknown): string {
  const text = typeof value === 'string' ? value : '?'
  return (COLOUR_OF_STATE[text] ?? String)(text)
}

function age(seconds: unknown): string {
  const value = number(seconds)
  return value === null ? 'none yet' : `${formatDuration(value * 1000)} ago`
}

function until(time: unknown, nowMs: number): string {
  const atMs = typeof time === 'string' ? Date.parse(time) : Number.NaN
  if (Number.isNaN(atMs)) return '–'
  return atMs <= nowMs ? 'now' : `in ${formatDuration(atMs - nowMs)}`
}

function count(value: unknown): string {
  return number(value)?.toLocaleString('en-US') ?? '–'
}

function bytes(value: unknown): string {
  const size = number(value)
  return size === null ? '–' : formatBytes(size)
}

function facts(value: unknown): Facts {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}

function list(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : []
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}
