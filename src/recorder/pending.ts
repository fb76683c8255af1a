import type { CoverageChanges } from '../core/coverage.ts'
import type { StreamBatch } from '../core/rows.ts'
import type { TapeBatch, TapePosition } from '../core/tape.ts'
import { appendRows, countRows, emptyRows, type StreamRows } from './stream-rows.ts'

/** The most rows and payload bytes of one transaction. */
const ROWS_MAX = 5_000
const BYTES_MAX = 4_194_304

interface Place {
  readonly position: TapePosition
  readonly atUs: number | null
}

/** What was read from the tape and not yet handed to the ledger. */
export class Pending {
  #rows = emptyRows()
  #start: Place | null = null
  #end: Place | null = null
  #oldestRowMs: number | null = null

  /** Where reading began: what the ledger has. */
  startAt(position: TapePosition, atUs: number | null): void {
    this.#start = { position, atUs }
  }

  /** True when these rows would make the transaction too large. */
  overflows(rows: StreamRows): boolean {
    if (countRows(this.#rows) === 0) return false
    return countRows(this.#rows) + countRows(rows) > ROWS_MAX || this.#rows.bytes + rows.bytes > BYTES_MAX
  }

  get full(): boolean {
    return countRows(this.#rows) >= ROWS_MAX || this.#rows.bytes >= BYTES_MAX
  }

  /** True when the position moved, with or without rows. */
  get moved(): boolean {
    return this.#end !== null
  }

  /** Where reading stands; null when nothing was ever read. */
  get place(): TapePosition | null {
    return (this.#end ?? this.#start)?.position ?? null
  }

  /** How long the oldest row has waited, ms; −1 without rows. */
  rowsAgeMs(nowMs: number): number {
    return this.#oldestRowMs === null ? -1 : nowMs - this.#oldestRowMs
  }

  add(batch: TapeBatch, rows: StreamRows, nowMs: number): void {
    const last = batch.records.at(-1)
    this.#end = { position: batch.end, atUs: last?.atUs ?? (this.#end ?? this.#start)?.atUs ?? null }
    if (countRows(rows) === 0) return
    this.#oldestRowMs ??= nowMs
    appendRows(this.#rows, rows)
  }

  /**
   * Everything so far as transactions in order, usually one. Rows of an oversized batch go ahead under the position
   * before it: read again after a crash, their identity makes them the same rows. Dead letters have none, so they go
   * with the position, and so does coverage.
   */
  take(recorderId: string, stream: string, coverage: CoverageChanges | null): readonly StreamBatch[] {
    const end = this.#end ?? (coverage === null ? null : this.#start)
    if (end === null) return []
    const { trades, tickSizes, lifecycle, deadLetters } = this.#rows
    const batches: StreamBatch[] = []
    const start = this.#start
    let from = 0
    while (start !== null && trades.length - from > ROWS_MAX) {
      const part = { recorderId, stream, position: start.position, positionAtUs: start.atUs }
      const empty = { tickSizes: [], lifecycle: [], deadLetters: [], coverage: null }
      batches.push({ ...part, ...empty, trades: trades.slice(from, from + ROWS_MAX) })
      from += ROWS_MAX
    }
    const whole = { recorderId, stream, position: end.position, positionAtUs: end.atUs }
    const rest = from === 0 ? trades : trades.slice(from)
    batches.push({ ...whole, trades: rest, tickSizes, lifecycle, deadLetters, coverage })
    this.#start = end
    this.#end = null
    this.#rows = emptyRows()
    this.#oldestRowMs = null
    return batches
  }
}
