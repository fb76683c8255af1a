import colors from 'picocolors'
import type { RowFinding } from '../recorder/verify-group.ts'
import { isoUs } from '../recorder/verify-rows.ts'
import { FINDINGS_MAX, type StreamVerification } from '../recorder/verify-stream.ts'
import type { Verification } from '../tape/verify.ts'
import { columns } from './columns.ts'

/** What was found of one stream. */
export interface StreamReport {
  readonly stream: string
  readonly tape: Verification
  /** null when only the tape was looked at, or no rows are derived from it. */
  readonly ledger: StreamVerification | null
  /** What is wrong with the place up to which the ledger says it has taken the tape; null when nothing is. */
  readonly position: string | null
}

/** The receive times that were asked for, Unix ms; null: from the beginning, to the end. */
export interface Interval {
  readonly sinceMs: number | null
  readonly untilMs: number | null
}

export interface VerifyResult {
  readonly reports: readonly StreamReport[]
  readonly interval: Interval
}

/** Findings of one kind that are shown; all that are kept are in the JSON. */
const SHOWN_MAX = 20

const ROW_WORDS: Readonly<Record<RowFinding['kind'], string>> = {
  missing: 'on the tape, not in the ledger',
  changed: 'not what the tape says',
  doubled: 'more often than on the tape',
  unknown: 'in the ledger, not on the tape',
}

/** True when nothing at all was found. */
export function isClean({ tape, ledger, position }: StreamReport): boolean {
  if (tape.findings.length > 0 || position !== null) return false
  if (ledger === null) return true
  const { books, rowCounts, tradesMissingFromBooks, unexplained } = ledger
  const rows = Object.values(rowCounts).reduce((sum, count) => sum + count, 0)
  return rows + books.mismatch + tradesMissingFromBooks + unexplained.length === 0
}

/** The result for people. */
export function verifyLines({ reports, interval }: VerifyResult): readonly string[] {
  if (reports.length === 0) return ['there is no tape yet']
  const lines: string[] = []
  if (interval.sinceMs !== null || interval.untilMs !== null) lines.push(`received ${describeInterval(interval)}`, '')
  for (const report of reports) lines.push(colors.bold(report.stream), ...columns(summary(report)), '')
  const findings = reports.flatMap(findingLines)
  if (findings.length === 0) return [...lines, 'Nothing was found.']
  return [...lines, ...findings]
}

function summary({ tape, ledger, position }: StreamReport): string[][] {
  const { segments, lines, bytes } = tape
  const rows = [
    [
      '  tape',
      `${count(segments)} segments · ${count(lines)} lines · ${megabytes(bytes)}`,
      verdict(tape.findings.length),
    ],
  ]
  if (ledger === null) return rows
  const { books, rowCounts, unexplained, tradesMissingFromBooks: trades } = ledger
  const wrongRows = Object.values(rowCounts).reduce((sum, each) => sum + each, 0) + unexplained.length
  rows.push(['  books', bookSummary(ledger), verdict(books.mismatch + trades)])
  rows.push(['  ledger', rowSummary(ledger), verdict(wrongRows + (position === null ? 0 : 1))])
  return rows
}

function bookSummary({ books }: StreamVerification): string {
  const { match, mismatch, unverifiable, skipped } = books
  const checked = `${count(match)} match · ${count(mismatch)} mismatch`
  return `${checked} · ${count(unverifiable)} unverifiable · ${count(skipped)} not checked`
}

function rowSummary({ rowsOnTape, rowsInLedger, refused, notYetStored, rejects }: StreamVerification): string {
  const parts = [`${count(rowsOnTape)} rows on the tape`, `${count(rowsInLedger)} in the ledger`]
  if (notYetStored > 0) parts.push(`${count(notYetStored)} not yet stored`)
  if (refused > 0) parts.push(`${count(refused)} refused (dead letters)`)
  if (rejects > 0) parts.push(`${count(rejects)} unreadable parts`)
  return parts.join(' · ')
}

function findingLines({ stream, tape, ledger, position }: StreamReport): string[] {
  const lines = shown(`${stream}: the tape is not as its manifest says`, tape.findings.length, tapeRowsOf(tape))
  if (position !== null) lines.push(`${stream}: ${position}`, '')
  if (ledger === null) return lines
  const { bookFindings, books, tradesMissingFromBooks } = ledger
  const findingsOf = (kind: string) =>
    bookFindings
      .filter((finding) => finding.kind === kind)
      .map(({ atUs, token, market, venueMs }) => [
        isoUs(atUs),
        `token ${token}`,
        `market ${market}`,
        isoUs(venueMs * 1000),
      ])
  lines.push(...shown(`${stream}: books that are not the venue’s`, books.mismatch, findingsOf('mismatch')))
  lines.push(
    ...shown(`${stream}: books with a trade that never came`, tradesMissingFromBooks, findingsOf('trade_missing')),
  )
  for (const kind of ['missing', 'changed', 'doubled', 'unknown'] as const) {
    const rows = ledger.rowFindings.filter((finding) => finding.kind === kind).map(rowCells)
    lines.push(...shown(`${stream}: ${kind}: ${ROW_WORDS[kind]}`, ledger.rowCounts[kind], rows))
  }
  const hours = ledger.unexplained.map(({ table, hourMs, tapeRows, ledgerRows }) => {
    return [table, isoUs(hourMs * 1000), `${count(tapeRows)} on the tape`, `${count(ledgerRows)} in the ledger`]
  })
  lines.push(...shown(`${stream}: hours that differ, too many to look at row by row`, hours.length, hours))
  return lines
}

function tapeRowsOf(tape: Verification): string[][] {
  return tape.findings.map(({ kind, segment, detail }) => [segment ?? 'manifest.ndjson', kind, detail])
}

function rowCells({ table, subject, venueUs, differences }: RowFinding): string[] {
  const what = differences.map(({ column, tape, ledger }) => `${column}: tape ${cut(tape)}, ledger ${cut(ledger)}`)
  return [table, isoUs(venueUs), `${table === 'market_events' ? 'market' : 'token'} ${subject ?? '?'}`, what.join('; ')]
}

function shown(title: string, total: number, rows: readonly (readonly string[])[]): string[] {
  if (total === 0) return []
  const more =
    total > SHOWN_MAX ? [`  … and ${count(total - SHOWN_MAX)} more (--json lists up to ${count(FINDINGS_MAX)})`] : []
  const body = columns(rows.slice(0, SHOWN_MAX).map(([first = '', ...rest]) => [`  ${first}`, ...rest]))
  return [colors.red(`${title} (${count(total)})`), ...body, ...more, '']
}

/** The result for programs. */
export function verifyJson({ reports, interval }: VerifyResult): unknown {
  return {
    ok: reports.every(isClean),
    since: interval.sinceMs === null ? null : isoUs(interval.sinceMs * 1000),
    until: interval.untilMs === null ? null : isoUs(interval.untilMs * 1000),
    streams: reports.map(({ stream, tape, ledger, position }) => ({
      stream,
      tape,
      position,
      books: ledger === null ? null : booksJson(ledger),
      rows: ledger === null ? null : rowsJson(ledger),
    })),
  }
}

function booksJson({ books, bookFindings, tradesMissingFromBooks, frames }: StreamVerification): unknown {
  const { match, mismatch, unverifiable, skipped, bestDisagreements } = books
  return {
    frames,
    match,
    mismatch,
    unverifiable,
    not_checked: skipped,
    best_disagreements: bestDisagreements ?? 0,
    trades_missing: tradesMissingFromBooks,
    findings: bookFindings.map(({ kind, token, market, venueMs, atUs }) => {
      return { kind, token_id: token, market, venue_time: isoUs(venueMs * 1000), received_at: isoUs(atUs) }
    }),
  }
}

function rowsJson(ledger: StreamVerification): unknown {
  const { rowsOnTape, rowsInLedger, notYetStored, refused, rejects, rowCounts, rowFindings, unexplained } = ledger
  return {
    on_tape: rowsOnTape,
    in_ledger: rowsInLedger,
    not_yet_stored: notYetStored,
    refused,
    unreadable_parts: rejects,
    ...rowCounts,
    findings: rowFindings.map(({ kind, table, subject, venueUs, atUs, contentHash, ordinal, differences }) => {
      const place = { venue_time: isoUs(venueUs), received_at: isoUs(atUs), content_hash: contentHash, ordinal }
      const id = table === 'market_events' ? { condition_id: subject } : { token_id: subject }
      return { kind, table, ...id, ...place, differences }
    }),
    hours_not_explained: unexplained.map(({ table, hourMs, tapeRows, ledgerRows }) => {
      return { table, hour: isoUs(hourMs * 1000), on_tape: tapeRows, in_ledger: ledgerRows }
    }),
  }
}

function describeInterval({ sinceMs, untilMs }: Interval): string {
  const since = sinceMs === null ? '' : `from ${isoUs(sinceMs * 1000)} `
  return `${since}${untilMs === null ? 'on' : `until ${isoUs(untilMs * 1000)}`}`
}

function verdict(problems: number): string {
  return problems === 0 ? colors.green('ok') : colors.red(problems === 1 ? '1 finding' : `${count(problems)} findings`)
}

function count(value: number): string {
  return value.toLocaleString('en')
}

function megabytes(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`
}

function cut(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
