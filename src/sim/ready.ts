import type { Venue, VenueUrls } from './venue.ts'

/** The one line that says that the venue can be used; the only thing it writes on stdout with `--json`. */
export interface ReadyLine {
  readonly ready: true
  readonly urls: VenueUrls
  readonly control: string
}

export function readyLine({ urls, control }: Venue): string {
  return JSON.stringify({ ready: true, urls, control } satisfies ReadyLine)
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
  }
}
