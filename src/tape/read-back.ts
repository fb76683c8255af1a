import type { TapePosition, TapeRecord } from '../core/tape.ts'
import type { Catalogue } from './catalogue.ts'
import type { TapeWalker } from './walker.ts'

/** At least this much before the position is read, whatever its times say: a clock may have jumped. */
const LEAST_BYTES = 1 << 20

export interface ReadBackOptions {
  readonly catalogue: Catalogue
  /** A walker from a place that ends at another one. */
  readonly walk: (from: TapePosition, until: TapePosition) => TapeWalker
  readonly spanUs: number
  readonly maxBytes: number
}

/**
 * Yields, oldest first, at least the records received in the last `spanUs` before `position`, unless that would be
 * more than about `maxBytes`. Receive times may jump: what counts is how far back the tape's order stays in the span.
 */
export async function* readBack(
  position: TapePosition,
  options: ReadBackOptions,
): AsyncGenerator<readonly TapeRecord[]> {
  const start = await findStart(position, options)
  if (start === null) return
  const walker = options.walk(start, position)
  try {
    for (let batch = await walker.next(); batch !== null; batch = await walker.next()) yield batch.records
  } finally {
    await walker.close()
  }
}

/** A batch as the first pass saw it. */
interface Seen {
  readonly from: TapePosition
  readonly bytes: number
  readonly newestUs: number
  readonly lastUs: number
}

async function findStart(position: TapePosition, options: ReadBackOptions): Promise<TapePosition | null> {
  const { catalogue, spanUs, maxBytes } = options
  let start: TapePosition | null = null
  let lastUs: number | null = null
  let bytes = 0
  let until: TapePosition | null = position
  while (until !== null) {
    for (const seen of (await scan(until, options)).reverse()) {
      lastUs ??= seen.lastUs
      if (bytes >= maxBytes || (bytes >= LEAST_BYTES && seen.newestUs < lastUs - spanUs)) return start
      bytes += seen.bytes
      start = seen.from
    }
    const before: string | null = catalogue.before(until.segment)
    until = before === null ? null : { segment: before, offset: Number.MAX_SAFE_INTEGER, line: 0 }
  }
  return start
}

async function scan(until: TapePosition, { catalogue, walk }: ReadBackOptions): Promise<Seen[]> {
  if (catalogue.endOf(until.segment) === null) return []
  const all: Seen[] = []
  let from: TapePosition = { segment: until.segment, offset: 0, line: 0 }
  const walker = walk(from, until)
  try {
    for (let batch = await walker.next(); batch !== null; batch = await walker.next()) {
      const times = batch.records.map((record) => record.atUs)
      const newestUs = times.reduce((a, b) => Math.max(a, b), 0)
      all.push({ from, bytes: batch.end.offset - from.offset, newestUs, lastUs: times.at(-1) ?? 0 })
      from = batch.end
    }
  } finally {
    await walker.close()
  }
  return all
}
