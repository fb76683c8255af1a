import type { RunningProxy } from './proxy.ts'
import type { Venue, VenueUrls } from './venue.ts'

/** The one line that says that the venue can be used; the only thing it writes on stdout with `--json`. */
export interface ReadyLine {
  readonly ready: true
  readonly urls: VenueUrls
  readonly control: string
  /** The control endpoint of the proxy through which the addresses lead, where there is one. */
  readonly proxy?: string
}

/** Without `proxy` the addresses are the venue's own. */
export function readyLine({ urls, control }: Venue, proxy?: RunningProxy): string {
  const line: ReadyLine = { ready: true, urls: proxy === undefined ? urls : throughPort(urls, proxy.port), control }
  return JSON.stringify(proxy === undefined ? line : { ...line, proxy: proxy.control })
}

/** The ready line, or null when the text is something else. */
export function parseReadyLine(text: string): ReadyLine | null {
  try {
    const value = JSON.parse(text) as Partial<ReadyLine>
    return value.ready === true && value.urls !== undefined && value.control !== undefined ? (value as ReadyLine) : null
  } catch {
    return null
  }
}

/** What to set so that a recorder records this venue. */
export function environmentOf(urls: VenueUrls): Readonly<Record<string, string>> {
  return {
    TAPEKEEPER_POLYMARKET_GAMMA_URL: urls.gamma,
    TAPEKEEPER_POLYMARKET_CLOB_URL: urls.clob,
    TAPEKEEPER_POLYMARKET_DATA_URL: urls.data,
    TAPEKEEPER_POLYMARKET_WS_URL: urls.ws,
    TAPEKEEPER_ASSETS_YAHOO_URL: urls.yahoo,
    TAPEKEEPER_SIGNALS_HACKERNEWS_URL: `${urls.news}/hn`,
    TAPEKEEPER_SIGNALS_ALLOW_PRIVATE: 'true',
  }
}

/** The same addresses at another port of this machine. */
export function throughPort(urls: VenueUrls, port: number): VenueUrls {
  const moved = (text: string) => {
    const url = new URL(text)
    url.host = `127.0.0.1:${port}`
    return url.href
  }
  const { gamma, clob, data, ws, yahoo, news } = urls
  const shared = { gamma: moved(gamma), clob: moved(clob), data: moved(data), ws: moved(ws) }
  return { ...shared, yahoo: moved(yahoo), news: moved(news) }
}
