import { describeError, TransientError } from '../../core/errors.ts'
import type { ConditionId } from '../../core/ids.ts'
import type { HttpClient, QueryValue } from '../../runtime/http.ts'
import { idOrNull, isJsonObject, textOrNull } from './json-values.ts'
import { joinPath } from './limits.ts'

/** What the clients here need of the shared HTTP client. */
export type HttpJson = Pick<HttpClient, 'getJson' | 'postJson'>

export interface GammaClient {
  /**
   * Pages of market objects as the venue sends them, by `after_cursor`. Throws TransientError when a page cannot be
   * had, when the server does not heed the cursor, and when the listing does not end within the page limit.
   */
  listMarkets(query: MarketQuery, signal: AbortSignal): AsyncGenerator<readonly unknown[], void>
  /** Looks markets up whether open or closed. Throws only when no request succeeded. */
  lookupMarkets(conditionIds: readonly ConditionId[], signal: AbortSignal): Promise<MarketLookup>
}

export type MarketQuery = Readonly<Record<string, QueryValue>>

export interface MarketLookup {
  readonly markets: readonly unknown[]
  /** One reason for each request that failed. */
  readonly failures: readonly string[]
}

const PAGE_SIZE = 100
/** Half a million markets; more is a listing that does not end. */
const PAGES_MAX = 5_000
/** The venue refuses addresses above about 8 KB. */
const URL_CHARACTERS_MAX = 7_500
const PAGE_BYTES_MAX = 32 * 1024 * 1024

export function createGammaClient(http: HttpJson, baseUrl: string): GammaClient {
  const url = joinPath(baseUrl, '/markets/keyset')

  async function* listMarkets(query: MarketQuery, signal: AbortSignal): AsyncGenerator<readonly unknown[], void> {
    const cursors = new Set<string>()
    let previous = ''
    let cursor: string | undefined
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const answer = await http.getJson(url, {
        signal,
        query: { limit: PAGE_SIZE, ...query, after_cursor: cursor },
        bodyBytesMax: PAGE_BYTES_MAX,
      })
      const { markets, next } = readPage(answer, url)
      const identity = identityOf(markets)
      if (markets.length > 0 && identity === previous) throw new TransientError(`${url.host} sent one page twice`)
      previous = identity
      if (markets.length > 0) yield markets
      if (next === null || markets.length === 0) return
      if (cursors.has(next)) throw new TransientError(`${url.host} does not heed the cursor`)
      cursors.add(next)
      cursor = next
    }
    throw new TransientError(`the listing of ${url.host} did not end after ${PAGES_MAX} pages`)
  }

  const lookupMarkets = async (ids: readonly ConditionId[], signal: AbortSignal): Promise<MarketLookup> => {
    const markets: unknown[] = []
    const failures: unknown[] = []
    let answered = 0
    for (const chunk of chunksForUrl(ids, url.href.length)) {
      // Without `closed=true` a closed market is not found, and with it an open one is not.
      for (const closed of [true, false]) {
        if (signal.aborted) break
        try {
          for await (const page of listMarkets({ condition_ids: chunk, closed }, signal)) markets.push(...page)
          answered += 1
        } catch (error) {
          failures.push(error)
        }
      }
    }
    if (answered === 0 && failures.length > 0) throw failures[0]
    return { markets, failures: failures.map(describeError) }
  }

  return { listMarkets, lookupMarkets }
}

function readPage(answer: unknown, url: URL): { markets: readonly unknown[]; next: string | null } {
  // The retired listing answers with a bare array and knows no cursor.
  if (Array.isArray(answer)) return { markets: answer, next: null }
  const markets = isJsonObject(answer) ? answer['markets'] : null
  if (!isJsonObject(answer) || !Array.isArray(markets)) {
    throw new TransientError(`GET ${url.host}${url.pathname} answered without a list of markets`)
  }
  return { markets, next: textOrNull(answer['next_cursor']) }
}

function identityOf(markets: readonly unknown[]): string {
  return markets.map((market) => (isJsonObject(market) ? idOrNull(market['id'] ?? market['conditionId']) : '')).join()
}

function chunksForUrl(ids: readonly ConditionId[], baseCharacters: number): readonly (readonly ConditionId[])[] {
  const chunks: ConditionId[][] = []
  let characters = Number.POSITIVE_INFINITY
  for (const id of ids) {
    const needed = '&condition_ids='.length + id.length
    const last = chunks.at(-1)
    if (last === undefined || last.length >= PAGE_SIZE || characters + needed > URL_CHARACTERS_MAX) {
      chunks.push([id])
      characters = baseCharacters + '?limit=100&closed=false'.length + needed
    } else {
      last.push(id)
      characters += needed
    }
  }
  return chunks
}
