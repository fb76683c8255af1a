import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config/config.ts'
import type { BookChecker } from '../core/books.ts'
import { EXIT, PermanentError } from '../core/errors.ts'
import type { DecodeFrame } from '../core/events.ts'
import type { TokenDirectory } from '../core/market.ts'
import type { TradeOrigin } from '../core/rows.ts'
import { noBooks } from '../recorder/no-books.ts'
import { BACKFILL_STREAM, decodeBackfill } from '../sources/polymarket/backfill-envelope.ts'
import { PolymarketBookChecker } from '../sources/polymarket/book-checker.ts'
import { decodeFrame } from '../sources/polymarket/decode.ts'

/** How the frames of a stream are understood. */
export interface StreamKind {
  readonly decode: DecodeFrame
  /** Of its trades. */
  readonly origin: TradeOrigin
  createChecker(directory: TokenDirectory): BookChecker
}

/** What is recorded as it happens. */
export const ROW_STREAM = 'polymarket.trades'

/** The streams whose rows fill the streamed tables, in the order in which they are derived. */
export const ROW_STREAMS: readonly string[] = [ROW_STREAM, BACKFILL_STREAM]

/** The streams whose rows are derived from their tape; of any other tape only the files can be checked. */
const STREAM_KINDS: ReadonlyMap<string, StreamKind> = new Map([
  [
    ROW_STREAM,
    {
      decode: decodeFrame,
      origin: 'stream',
      createChecker: (directory: TokenDirectory) => new PolymarketBookChecker(directory),
    },
  ],
  [BACKFILL_STREAM, { decode: decodeBackfill, origin: 'backfill', createChecker: noBooks }],
])

export function streamKind(stream: string): StreamKind | null {
  return STREAM_KINDS.get(stream) ?? null
}

/** The folder that holds the tapes. */
export function tapeDirectory(config: Config): string {
  return join(config.dataDir, 'tape')
}

/** The streams that have a tape; the one that was asked for must be among them. */
export function chooseStreams(config: Config, wanted: string | undefined): readonly string[] {
  const directory = tapeDirectory(config)
  const all = listFolders(directory).sort()
  if (wanted === undefined) return all
  if (all.includes(wanted)) return [wanted]
  const known = all.length === 0 ? 'there is none' : `there is ${all.join(', ')}`
  throw new PermanentError(`no tape of ${wanted} in ${directory}: ${known}`, { exitCode: EXIT.usage })
}

/** The name under which this data directory's recorder stores its position; null when it never ran. */
export function recorderIdOf(config: Config): string | null {
  if (config.recorderId !== null) return config.recorderId
  try {
    return readFileSync(join(config.dataDir, 'recorder-id'), 'utf8').trim()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}

function listFolders(directory: string): string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}
