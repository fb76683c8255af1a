import { setImmediate } from 'node:timers/promises'
import type { DecodeFrame } from '../core/events.ts'
import type { Logger } from '../core/log.ts'
import type { TapeBatch, TapePosition, TapeRecord } from '../core/tape.ts'
import { readTape } from '../tape/read-tape.ts'
import type { TapeIndex } from '../tape/tape-index.ts'
import { ORDINAL_WINDOW_US } from './ordinals.ts'
import { emptyRows, RowBuilder } from './stream-rows.ts'
import { type TapeRow, tapeRows } from './verify-rows.ts'

/** One stream's tape as a check reads it. */
export interface CheckedTape {
  readonly directory: string
  readonly stream: string
  readonly decode: DecodeFrame
  /** How old a venue time may be for the ledger, ms. */
  readonly retentionMs: number
  readonly index: TapeIndex
  /** How far the ledger has taken it; null when it has taken nothing. */
  readonly position: TapePosition | null
  readonly log: Logger
  readonly signal: AbortSignal
}

/** Some consecutive lines and the segment that they are in. */
export interface ReadLines {
  readonly records: readonly TapeRecord[]
  readonly segment: string
  readonly damagedLines: number
}

/** Reads lines; `until` null reads to the last complete one. Lets the event loop turn between batches. */
export async function* readLines(
  tape: CheckedTape,
  from: TapePosition | null,
  until: TapePosition | null,
): AsyncGenerator<ReadLines> {
  const { directory, stream, log, signal } = tape
  for await (const batch of readTape({ directory, stream, from, until, log })) {
    signal.throwIfAborted()
    yield { records: batch.records, segment: segmentOf(batch), damagedLines: batch.damagedLines }
    await setImmediate()
  }
}

/** Where to begin so that the identities of all rows from `segment` on come out as they were: 60 s before it. */
export function warmStart(index: TapeIndex, segment: string): TapePosition | null {
  const { segments } = index
  const at = segments.findIndex(({ name }) => name === segment)
  const first = segments[at]
  if (first === undefined) return null
  let start = at
  while (start > 0 && (segments[start - 1]?.lastAtUs ?? first.firstAtUs) >= first.firstAtUs - ORDINAL_WINDOW_US) {
    start -= 1
  }
  const name = segments[start]?.name
  return name === undefined ? null : { segment: name, offset: 0, line: 0 }
}

export interface RowsRequest {
  readonly tape: CheckedTape
  /** null: only what comes after the ledger's position. */
  readonly range: { readonly first: string; readonly last: string } | null
  /** `isBeyond`: the ledger's position is not that far yet. */
  readonly take: (row: TapeRow, isBeyond: boolean) => void
}

/**
 * Derives the rows of some segments, and of everything after the ledger's position. A row may be handed over more
 * than once.
 */
export async function deriveRows({ tape, range, take }: RowsRequest): Promise<void> {
  const { index, position } = tape
  if (range !== null && position !== null) {
    const builder = new RowBuilder(tape.stream)
    let reached = false
    for await (const lines of readLines(tape, warmStart(index, range.first), position)) {
      if (reached && lines.segment !== range.last) break
      reached ||= lines.segment === range.last
      derive(tape, builder, lines.records, (row) => take(row, false))
    }
  }
  const builder = new RowBuilder(tape.stream)
  if (position !== null && index.knows(position.segment)) {
    for await (const lines of readLines(tape, warmStart(index, position.segment), position)) {
      derive(tape, builder, lines.records, (row) => take(row, false))
    }
  }
  for await (const lines of readLines(tape, position, null)) {
    derive(tape, builder, lines.records, (row) => take(row, true))
  }
}

function derive(
  { decode, retentionMs }: CheckedTape,
  builder: RowBuilder,
  records: readonly TapeRecord[],
  take: (row: TapeRow) => void,
): void {
  const rows = emptyRows()
  for (const record of records) {
    if (record.kind === 'frame') for (const event of decode(record.payload).events) builder.add(event, record, rows)
  }
  for (const row of tapeRows(rows, retentionMs)) take(row)
}

/** A batch never spans two segments. */
function segmentOf(batch: TapeBatch): string {
  return batch.end.segment
}
