import type { StoredRow, StreamedTable } from '../ledger/inspection.ts'
import { digestOf, type TapeRow } from './verify-rows.ts'

/** Rows of one table, one hour of venue time and one sixteenth of all contents, added up on both sides. */
export interface Bucket {
  readonly table: StreamedTable
  /** Start of the hour, Unix ms. */
  readonly hourMs: number
  /** The first hex digit of the content hash. */
  readonly slice: string
  tapeRows: number
  ledgerRows: number
  /** The first and the last segment with such rows; null when there is none on the tape. */
  firstSegment: string | null
  lastSegment: string | null
  /** Differences of the sums of all digests, modulo 2^32. Equal contents leave nothing. */
  low: number
  high: number
}

const HOUR_US = 3_600_000_000
/** Nonsense times must not make a bucket each. */
const NEAR_US = 10 * 24 * HOUR_US
/** Identities of one generation; two are kept. What a second connection repeats comes within seconds. */
const RECENT_MAX = 100_000

/**
 * Compares two large sets of rows in little memory: each bucket holds two counts and the difference of the sums of
 * 64-bit digests. Only buckets that differ are looked at row by row. The number of buckets is 16 per table and hour.
 */
export class Buckets {
  readonly #buckets = new Map<string, Bucket>()
  #recent = new Set<string>()
  #older = new Set<string>()

  get size(): number {
    return this.#buckets.size
  }

  /** A row as derived from the tape; false for a repeat, which is left out where it is still remembered. */
  addTape(row: TapeRow, segment: string): boolean {
    const key = row.contentHash + row.ordinal
    if (this.#recent.has(key) || this.#older.has(key)) return false
    this.#recent.add(key)
    if (this.#recent.size >= RECENT_MAX) {
      this.#older = this.#recent
      this.#recent = new Set()
    }
    const bucket = this.#bucketOf(row.table, row)
    bucket.tapeRows += 1
    note(bucket, segment)
    add(bucket, digestOf(row.table, row), 1)
    return true
  }

  /** A row that need not be in the ledger, and may be. */
  noteTape(row: TapeRow, segment: string): void {
    if (Math.abs(row.venueUs - row.atUs) < NEAR_US) note(this.#bucketOf(row.table, row), segment)
  }

  addLedger(table: StreamedTable, row: StoredRow): void {
    const bucket = this.#bucketOf(table, row)
    bucket.ledgerRows += 1
    add(bucket, digestOf(table, row), -1)
  }

  /** The buckets whose two sides are not the same, by table and time. */
  differing(): Bucket[] {
    const all = [...this.#buckets.values()]
    const different = all.filter((one) => one.tapeRows !== one.ledgerRows || one.low !== 0 || one.high !== 0)
    return different.sort((a, b) => a.hourMs - b.hourMs || (a.table < b.table ? -1 : a.table > b.table ? 1 : 0))
  }

  #bucketOf(table: StreamedTable, row: StoredRow): Bucket {
    const key = bucketKey(table, row)
    let bucket = this.#buckets.get(key)
    if (bucket === undefined) {
      const hourMs = (Math.floor(row.venueUs / HOUR_US) * HOUR_US) / 1000
      const slice = row.contentHash.slice(0, 1)
      const empty = { tapeRows: 0, ledgerRows: 0, firstSegment: null, lastSegment: null, low: 0, high: 0 }
      bucket = { table, hourMs, slice, ...empty }
      this.#buckets.set(key, bucket)
    }
    return bucket
  }
}

/** The bucket that a row belongs to. */
export function bucketKey(table: StreamedTable, row: StoredRow): string {
  return `${table}|${Math.floor(row.venueUs / HOUR_US)}|${row.contentHash.slice(0, 1)}`
}

/** Splits buckets into groups of at most `rowsMax` rows; a bucket that has more stands alone. */
export function groupBuckets(buckets: readonly Bucket[], rowsMax: number): Bucket[][] {
  const groups: Bucket[][] = []
  let rows = 0
  for (const bucket of buckets) {
    const own = bucket.tapeRows + bucket.ledgerRows
    const group = groups.at(-1)
    if (group === undefined || rows + own > rowsMax) {
      groups.push([bucket])
      rows = own
    } else {
      group.push(bucket)
      rows += own
    }
  }
  return groups
}

function note(bucket: Bucket, segment: string): void {
  bucket.firstSegment ??= segment
  bucket.lastSegment = segment
}

function add(bucket: Bucket, [low, high]: readonly [number, number], sign: 1 | -1): void {
  bucket.low = (bucket.low + sign * low) >>> 0
  bucket.high = (bucket.high + sign * high) >>> 0
}
