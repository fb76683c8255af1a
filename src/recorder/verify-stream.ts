import type { BookCheckCounts } from '../core/status.ts'
import { type Inspection, STREAMED_TABLES, type StreamedTable } from '../ledger/inspection.ts'
import type { BookFinding } from './verification.ts'
import { BookPass, type BookPassOptions } from './verify-books.ts'
import { Buckets, groupBuckets } from './verify-buckets.ts'
import { compareGroup, type RowFinding, type TimeRange } from './verify-group.ts'
import { type CheckedTape, deriveRows, readLines, warmStart } from './verify-reader.ts'
import { normalize, tapeRows } from './verify-rows.ts'

/** How far a check has come; `done` of `total` segments, days or groups. */
export interface StreamProgress {
  readonly step: 'tape' | 'ledger' | 'differences'
  readonly done: number
  readonly total: number
}

export interface VerifyStreamOptions extends Pick<BookPassOptions, 'createChecker'> {
  readonly tape: CheckedTape
  readonly ledger: Inspection
  /** Receive times asked for, Unix µs. */
  readonly sinceUs: number | null
  readonly untilUs: number | null
  /** Rows with an older venue time are not kept any more, Unix ms. */
  readonly keptFromMs: number
  readonly shared: boolean
  readonly onProgress: (progress: StreamProgress) => void
}

export interface StreamVerification {
  readonly books: BookCheckCounts
  /** At most `FINDINGS_MAX`; the counts say how many there are. */
  readonly bookFindings: readonly BookFinding[]
  readonly tradesMissingFromBooks: number
  /** Rows derived from the tape and compared, repeats left out. */
  readonly rowsOnTape: number
  readonly rowsInLedger: number
  /** Rows of the tape that the ledger has not been given yet; repeats count. */
  readonly notYetStored: number
  /** Not in the tables because the ledger refused them. */
  readonly refused: number
  readonly rowFindings: readonly RowFinding[]
  readonly rowCounts: Readonly<Record<RowFinding['kind'], number>>
  /** Hours, by table, that differ and were not looked at row by row because there were too many. */
  readonly unexplained: readonly { table: StreamedTable; hourMs: number; tapeRows: number; ledgerRows: number }[]
  readonly frames: number
  readonly damagedLines: number
  /** Rejected parts of frames; each frame with some is one dead letter. */
  readonly rejects: number
}

/** Findings that are listed; more are only counted. */
export const FINDINGS_MAX = 1_000
/** Rows of both sides that are compared one by one at a time: some 300 bytes each. */
const GROUP_ROWS_MAX = 200_000
const GROUPS_MAX = 20
/** Identical events are numbered over this span; where the tape was cut, the first ones may have other numbers. */
const WARM_US = 60_000_000
const DAY_MS = 86_400_000
/** How far a clock may have been set back on a tape of which only a part is wanted. */
const CLOCK_SLACK_US = 3_600_000_000

/**
 * Derives everything of a stream from its tape once more and compares it with the ledger: every book with the venue's
 * hashes, every row with the stored one. Memory does not grow with the tape (see `Buckets` and `GROUP_ROWS_MAX`).
 */
export async function verifyStream(options: VerifyStreamOptions): Promise<StreamVerification> {
  const { tape } = options
  const range = rangeOf(options)
  const buckets = new Buckets()
  const read = await readWholeTape(options, range, buckets)
  const rowsInLedger = await readWholeLedger(options, range, buckets)
  const differing = buckets.differing()
  const groups = groupBuckets(differing, GROUP_ROWS_MAX)
  const rowFindings: RowFinding[] = []
  const rowCounts = { missing: 0, changed: 0, doubled: 0, unknown: 0 }
  let refused = read.refused
  for (const [done, group] of groups.slice(0, GROUPS_MAX).entries()) {
    tape.signal.throwIfAborted()
    options.onProgress({ step: 'differences', done, total: Math.min(groups.length, GROUPS_MAX) })
    const result = await compareGroup(group, { tape, ledger: options.ledger, range, shared: options.shared })
    refused += result.refused - result.takenAfterAll
    for (const finding of result.findings) {
      if (finding.venueUs < options.keptFromMs * 1000) continue
      rowCounts[finding.kind] += 1
      if (rowFindings.length < FINDINGS_MAX) rowFindings.push(finding)
    }
  }
  const notYetStored = await countAhead(tape, range)
  const unexplained = groups.slice(GROUPS_MAX).flat()
  return {
    ...read.result,
    rowsInLedger,
    notYetStored,
    refused,
    rowFindings,
    rowCounts,
    unexplained: unexplained.map(({ table, hourMs, tapeRows: onTape, ledgerRows }) => {
      return { table, hourMs, tapeRows: onTape, ledgerRows }
    }),
  }
}

/** What is compared: where retention cut the tape, its first minute only gives the rows after it their numbers. */
function rangeOf({ tape, sinceUs, untilUs }: VerifyStreamOptions): TimeRange {
  const first = tape.index.segments[0]
  const cutUs = tape.index.truncated && first !== undefined ? first.firstAtUs + WARM_US : Number.NEGATIVE_INFINITY
  return {
    fromUs: Math.max(sinceUs ?? Number.NEGATIVE_INFINITY, cutUs),
    toUs: untilUs ?? Number.POSITIVE_INFINITY,
  }
}

async function readWholeTape(options: VerifyStreamOptions, range: TimeRange, buckets: Buckets) {
  const { tape, ledger, createChecker, onProgress } = options
  const { segments } = tape.index
  const places = new Map(segments.map(({ name }, place) => [name, place]))
  const bookFindings: BookFinding[] = []
  let [missingTrades, rowsOnTape, refused, damagedLines] = [0, 0, 0, 0]
  const onFinding = (finding: BookFinding) => {
    // What the venue did not say is a gap, not a fault of the recording.
    if (finding.atUs < range.fromUs || finding.kind === 'unexplained') return
    if (finding.kind === 'trade_missing') missingTrades += 1
    if (bookFindings.length < FINDINGS_MAX) bookFindings.push(finding)
  }
  const pass = new BookPass({ ...tape, createChecker, onFinding, loadFacts: (tokens) => ledger.tokenFacts(tokens) })
  if (tape.position !== null) {
    for await (const lines of readLines(tape, startOf(options, range), tape.position)) {
      const place = places.get(lines.segment) ?? segments.length
      if ((segments[place]?.firstAtUs ?? 0) >= range.toUs + CLOCK_SLACK_US) break
      onProgress({ step: 'tape', done: place, total: segments.length })
      if (lines.records.some(({ atUs }) => atUs >= range.fromUs)) pass.begin()
      const rows = await pass.read(lines.records.filter(({ atUs }) => atUs < range.toUs))
      damagedLines += lines.damagedLines
      for (const row of tapeRows(rows, tape.retentionMs)) {
        if (row.atUs < range.fromUs || row.venueUs < options.keptFromMs * 1000) continue
        if (row.refusable) {
          refused += 1
          buckets.noteTape(row, lines.segment)
        } else {
          rowsOnTape += buckets.addTape(row, lines.segment) ? 1 : 0
        }
      }
    }
  }
  const books = pass.finish()
  const { frames, rejects } = pass
  const result = {
    books,
    bookFindings,
    tradesMissingFromBooks: missingTrades,
    rowsOnTape,
    frames,
    damagedLines,
    rejects,
  }
  return { result, refused }
}

/** null: from the first line. */
function startOf({ tape, sinceUs }: VerifyStreamOptions, range: TimeRange) {
  if (sinceUs === null) return null
  const { segments } = tape.index
  const first = segments.find(({ lastAtUs }) => lastAtUs === null || lastAtUs >= range.fromUs) ?? segments.at(-1)
  return first === undefined ? null : warmStart(tape.index, first.name)
}

async function readWholeLedger(options: VerifyStreamOptions, range: TimeRange, buckets: Buckets): Promise<number> {
  const { ledger, keptFromMs, tape, onProgress } = options
  let count = 0
  for (const table of STREAMED_TABLES) {
    const days = await ledger.days(table)
    for (const [done, day] of days.entries()) {
      tape.signal.throwIfAborted()
      onProgress({ step: 'ledger', done, total: days.length })
      if (day < keptFromMs) continue
      await ledger.scan(table, day, day + DAY_MS, (rows) => {
        for (const row of rows) {
          if (row.atUs < range.fromUs || row.atUs >= range.toUs) continue
          buckets.addLedger(table, normalize(table, row))
          count += 1
        }
      })
    }
  }
  return count
}

async function countAhead(tape: CheckedTape, range: TimeRange): Promise<number> {
  let count = 0
  await deriveRows({
    tape,
    range: null,
    take(row, isBeyond) {
      if (isBeyond && row.atUs >= range.fromUs && row.atUs < range.toUs) count += 1
    },
  })
  return count
}
