import type { Clock } from '../../core/clock.ts'
import { describeError, TransientError } from '../../core/errors.ts'
import type { DocumentState, Signal, SourceOutcome } from '../../core/signals.ts'
import { withDeadline } from '../../runtime/abort.ts'
import type { DocumentClient } from '../../runtime/document-client.ts'
import type { FoundItems } from './found-item.ts'
import type { Interests } from './interests.ts'
import { idKey } from './keys.ts'
import type { Scraper } from './scraper.ts'
import { toSignal } from './to-signal.ts'

/** What one source gave: what is to be stored of it, and how it went. */
export interface SourceResult {
  readonly outcome: SourceOutcome
  readonly signals: readonly Signal[]
  readonly document: DocumentState | null
}

export interface SourceTools {
  readonly clock: Clock
  readonly client: DocumentClient
  readonly interests: Interests
  readonly known: DocumentState | null
  /** Those of the hashes of keys that are stored. */
  readonly storedKeys: (hashes: readonly string[]) => Promise<ReadonlySet<string>>
}

/** A source that has not come to an end by then is given up for this cycle. */
const SOURCE_MS_MAX = 300_000

/** Asks one source. Whatever goes wrong there, bugs included, is its outcome and nobody else's; never throws. */
export async function scrapeSource(scraper: Scraper, tools: SourceTools, signal: AbortSignal): Promise<SourceResult> {
  const { clock, client, interests, known, storedKeys } = tools
  const { name: source, trustsIds } = scraper
  const meter = { requests: 0, bytes: 0 }
  const startedMs = clock.wallMs()
  const startMs = clock.monotonicMs()
  const end = (state: SourceOutcome['state'], error: string | null, found: FoundItems | null, damaged = 0) => ({
    ...{ source, state, error, startedMs, ...meter, damaged },
    durationMs: clock.monotonicMs() - startMs,
    items: (found?.items.length ?? 0) + (found?.damaged ?? 0) + (found?.dropped ?? 0),
    dropped: found?.dropped ?? 0,
  })
  try {
    const deadline = { clock, timeoutMs: SOURCE_MS_MAX, signal, what: source }
    const { found, document } = await withDeadline(deadline, (inner) =>
      scraper.scrape({
        signal: inner,
        known,
        get: (url, asked) => client.get(url, { ...asked, signal: inner, meter }),
        storedIds: async (ids) => {
          const byHash = new Map(ids.map((id) => [idKey(source, id).hash, id]))
          const stored = await storedKeys([...byHash.keys()])
          return new Set([...stored].flatMap((hash) => byHash.get(hash) ?? []))
        },
      }),
    )
    if (found === null) return { outcome: end('unchanged', null, null), signals: [], document: null }
    const frame = { source, seenMs: clock.wallMs(), interests, home: found.home, trustsIds }
    const read = found.items.map((item) => toSignal(item, frame))
    const signals = read.filter((one) => one !== null)
    return { outcome: end('ok', null, found, found.damaged + read.length - signals.length), signals, document }
  } catch (error) {
    const words = error instanceof TransientError ? describeError(error) : `unexpected: ${describeError(error)}`
    return { outcome: end('failed', words, null), signals: [], document: null }
  }
}
