import { type Asset, type DayRange, type History, type Quote, UnknownAssetError } from '../../core/assets.ts'
import { TransientError } from '../../core/errors.ts'
import { type HttpClient, HttpStatusError } from '../../runtime/http.ts'
import { type Parsed, parseHistory, parseQuote, rangeSeconds } from './decode.ts'

export type HttpJson = Pick<HttpClient, 'getJson'>

/** Yahoo's chart API, one symbol a request. */
export interface YahooClient {
  /** Throws TransientError, or UnknownAssetError when there is no such symbol. */
  quote(asset: Asset, seenMs: () => number, signal: AbortSignal): Promise<Quote>
  history(asset: Asset, range: DayRange, signal: AbortSignal): Promise<History>
}

const DEADLINE_MS = 15_000
const BODY_BYTES_MAX = 8 * 1024 * 1024
/** The gateway is said to turn programs away that do not look like a browser at all. */
const HEADERS = { 'user-agent': 'Mozilla/5.0 (compatible; tapekeeper)' }

export function createYahooClient(http: HttpJson, baseUrl: string): YahooClient {
  const base = baseUrl.replace(/\/+$/, '')
  const ask = async (asset: Asset, query: Readonly<Record<string, string | number>>, signal: AbortSignal) => {
    const url = `${base}/v8/finance/chart/${encodeURIComponent(asset.symbol)}`
    try {
      return await http.getJson(url, {
        signal,
        query,
        headers: HEADERS,
        deadlineMs: DEADLINE_MS,
        bodyBytesMax: BODY_BYTES_MAX,
      })
    } catch (error) {
      throw clearError(error, asset)
    }
  }
  return {
    async quote(asset, seenMs, signal) {
      const answer = await ask(asset, { interval: '1d', range: '1d' }, signal)
      return required(parseQuote(answer, asset.symbol, seenMs()))
    },
    async history(asset, { fromDay, toDay }, signal) {
      const answer = await ask(asset, { interval: '1d', ...rangeSeconds(fromDay, toDay) }, signal)
      return required(parseHistory(answer, asset.symbol))
    },
  }
}

/** A symbol that is not there is told with 404 and a chart that holds the error. */
function clearError(error: unknown, { symbol }: Asset): unknown {
  if (!(error instanceof HttpStatusError)) return error
  const told = parseQuote(error.body, symbol, 0)
  const words = told.ok ? error.message : told.reason
  if (error.status === 404) return new UnknownAssetError(words, { cause: error })
  return new TransientError(`${error.message}`, { cause: error })
}

function required<T>(parsed: Parsed<T>): T {
  if (parsed.ok) return parsed.value
  throw new TransientError(parsed.reason)
}
