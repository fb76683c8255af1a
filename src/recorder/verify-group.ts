import type { DecodeFrame } from '../core/events.ts'
import type { Inspection, StoredLetter, StoredRow, StreamedTable } from '../ledger/inspection.ts'
import { type Bucket, bucketKey } from './verify-buckets.ts'
import { type CheckedTape, deriveRows } from './verify-reader.ts'
import { type Difference, differences, identityOf, normalize, type TapeRow } from './verify-rows.ts'

/** A row of the ledger that is not what the tape says. */
export interface RowFinding {
  /**
   * `missing`: on the tape and not in the ledger. `changed`: a column is not what the tape says. `doubled`: once more
   * than on the tape. `unknown`: the tape does not have it.
   */
  readonly kind: 'missing' | 'changed' | 'doubled' | 'unknown'
  readonly table: StreamedTable
  /** Token id, or condition id of a market event. */
  readonly subject: string | null
  /** Venue time, Unix µs. */
  readonly venueUs: number
  /** Receive time, Unix µs. */
  readonly atUs: number
  readonly contentHash: string
  readonly ordinal: number
  readonly differences: readonly Difference[]
}

/** Receive times that are compared, Unix µs. */
export interface TimeRange {
  readonly fromUs: number
  readonly toUs: number
}

export interface GroupResult {
  readonly findings: readonly RowFinding[]
  /** Not in the ledger's tables, and rightly so. */
  readonly refused: number
  /** Impossible rows that the ledger took all the same. */
  readonly takenAfterAll: number
}

export interface GroupOptions {
  readonly tape: CheckedTape
  readonly ledger: Inspection
  readonly range: TimeRange
  /** Other recorders store the same stream: their rows are not on this tape. */
  readonly shared: boolean
}

const HOUR_MS = 3_600_000
const RAW_COMPARED = 1_000

interface Seen {
  readonly table: StreamedTable
  readonly row: StoredRow
  matched: boolean
}

/** Compares the rows of some buckets one by one. The ledger is read first: whatever it has then, the tape has too. */
export async function compareGroup(group: readonly Bucket[], options: GroupOptions): Promise<GroupResult> {
  const stored = await loadStored(group, options.ledger)
  const findings: RowFinding[] = []
  const missing = new Map<string, TapeRow>()
  const done = new Set<string>()
  const contents = new Set<string>()
  let takenAfterAll = 0
  const wanted = new Set(group.map((bucket) => keyOf(bucket)))
  const take = (row: TapeRow, isBeyond: boolean) => {
    if (!wanted.has(bucketKey(row.table, row))) return
    const identity = identityOf(row.table, row)
    contents.add(contentOf(row.table, row))
    if (done.has(identity)) return
    done.add(identity)
    const found = stored.get(identity)?.[0]
    if (found === undefined) {
      if (isWithin(row.atUs, options.range) && !isBeyond && !row.refusable) missing.set(identity, row)
      return
    }
    found.matched = true
    if (row.refusable) takenAfterAll += 1
    if (!isWithin(row.atUs, options.range)) return
    // Heard of before the compared time began, or by another recorder first.
    const withTime = !options.shared && found.row.atUs >= options.range.fromUs
    const wrong = differences(row.table, row, found.row, withTime)
    if (wrong.length > 0) findings.push(findingOf('changed', row.table, row, wrong))
  }
  await deriveRows({ tape: options.tape, range: segmentsOf(group, options.tape), take })
  const { lost, refused } = await judgeMissing([...missing.values()], options)
  for (const row of lost) findings.push(findingOf('missing', row.table, row, []))
  for (const { table, row, matched } of [...stored.values()].flat()) {
    if (matched || !isWithin(row.atUs, options.range)) continue
    const known = contents.has(contentOf(table, row))
    if (known || !options.shared) findings.push(findingOf(known ? 'doubled' : 'unknown', table, row, []))
  }
  return { findings, refused, takenAfterAll }
}

async function loadStored(group: readonly Bucket[], ledger: Inspection): Promise<Map<string, Seen[]>> {
  const stored = new Map<string, Seen[]>()
  const hours = new Map<string, { table: StreamedTable; hourMs: number; slices: Set<string> }>()
  for (const { table, hourMs, slice } of group) {
    const hour = hours.get(`${table} ${hourMs}`) ?? { table, hourMs, slices: new Set() }
    hour.slices.add(slice)
    hours.set(`${table} ${hourMs}`, hour)
  }
  for (const { table, hourMs, slices } of hours.values()) {
    await ledger.scan(table, hourMs, hourMs + HOUR_MS, (rows) => {
      for (const raw of rows) {
        if (!slices.has(raw.contentHash.slice(0, 1))) continue
        const row = normalize(table, raw)
        const identity = identityOf(table, row)
        const list = stored.get(identity)
        if (list === undefined) stored.set(identity, [{ table, row, matched: false }])
        else list.push({ table, row, matched: false })
      }
    })
  }
  return stored
}

/** Rows that the ledger refused for what they hold have left a letter; each letter excuses one row. */
async function judgeMissing(
  missing: readonly TapeRow[],
  { tape, ledger }: GroupOptions,
): Promise<{ lost: TapeRow[]; refused: number }> {
  if (missing.length === 0) return { lost: [], refused: 0 }
  const letters = new Map<number, StoredLetter[]>()
  const times = [...new Set(missing.map(({ atUs }) => Math.floor(atUs / 1000)))]
  for (const letter of await ledger.letters(tape.stream, times)) {
    letters.set(letter.atMs, [...(letters.get(letter.atMs) ?? []), letter])
  }
  const lost = missing.filter((row) => {
    const own = letters.get(Math.floor(row.atUs / 1000)) ?? []
    const index = own.findIndex((letter) => isAbout(letter, row, tape.decode))
    if (index >= 0) own.splice(index, 1)
    return index < 0
  })
  return { lost, refused: missing.length - lost.length }
}

/** True when the letter is about a row of this payload, and not about a part that could not be read. */
function isAbout(letter: StoredLetter, row: TapeRow, decode: DecodeFrame): boolean {
  const text = row.payload.toString('utf8', 0, RAW_COMPARED * 3)
  const same = (raw: string) => raw.replaceAll(/[\0\uFFFD]/g, '').slice(0, RAW_COMPARED / 2)
  if (same(text) !== same(letter.raw)) return false
  const [first] = decode(row.payload).rejects
  return first === undefined || !letter.reason.startsWith(first)
}

function segmentsOf(group: readonly Bucket[], { index }: CheckedTape): { first: string; last: string } | null {
  const places = new Map(index.segments.map(({ name }, place) => [name, place]))
  let first = Number.POSITIVE_INFINITY
  let last = -1
  for (const { firstSegment, lastSegment } of group) {
    if (firstSegment === null || lastSegment === null) continue
    first = Math.min(first, places.get(firstSegment) ?? 0)
    last = Math.max(last, places.get(lastSegment) ?? index.segments.length - 1)
  }
  const [from, to] = [index.segments[first], index.segments[last]]
  return from === undefined || to === undefined ? null : { first: from.name, last: to.name }
}

function keyOf({ table, hourMs, slice }: Bucket): string {
  return `${table}|${hourMs / HOUR_MS}|${slice}`
}

/** The same event under whatever number. */
function contentOf(table: StreamedTable, row: StoredRow): string {
  return `${table}|${row.subject}|${row.venueUs}|${row.content.join('|')}`
}

function findingOf(
  kind: RowFinding['kind'],
  table: StreamedTable,
  row: StoredRow,
  wrong: readonly Difference[],
): RowFinding {
  const { subject, venueUs, atUs, contentHash, ordinal } = row
  return { kind, table, subject, venueUs, atUs, contentHash, ordinal, differences: wrong }
}

function isWithin(atUs: number, { fromUs, toUs }: TimeRange): boolean {
  return atUs >= fromUs && atUs < toUs
}
