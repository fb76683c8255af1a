import type { RateRule } from '../../runtime/rate-limit.ts'

/** Base addresses of the venue's APIs; each may carry a path prefix. */
export interface PolymarketUrls {
  readonly gammaUrl: string
  readonly clobUrl: string
  readonly dataUrl: string
  readonly wsUrl: string
}

/** Documented requests per 10 s of the paths that are used here, and of each API as a whole. */
const DOCUMENTED = {
  gammaUrl: [
    { paths: [], limit: 4_000 },
    // Listings of markets and of events share one allowance beside their own.
    { paths: ['/markets', '/events'], limit: 900 },
    { paths: ['/markets'], limit: 300 },
  ],
  clobUrl: [
    { paths: [], limit: 9_000 },
    { paths: ['/books'], limit: 500 },
  ],
  dataUrl: [
    { paths: [], limit: 800 },
    { paths: ['/v2/trades'], limit: 300 },
    { paths: ['/trades'], limit: 200 },
  ],
} as const

const WINDOW_MS = 10_000

/** The documented limits as rules for the shared limiter, which keeps to 70 % of them. */
export function rateRules(urls: Omit<PolymarketUrls, 'wsUrl'>): readonly RateRule[] {
  return Object.entries(DOCUMENTED).flatMap(([api, limits]) => {
    const base = new URL(urls[api as keyof typeof DOCUMENTED])
    const prefix = base.pathname.replace(/\/+$/, '')
    return limits.map(({ paths, limit }) => {
      // A prefix means a gateway or a test server that may hold several APIs under one host.
      const whole = prefix === '' ? [] : [prefix]
      const below = paths.length === 0 ? whole : paths.map((path) => `${prefix}${path}`)
      return { host: base.host, paths: below, limit, windowMs: WINDOW_MS }
    })
  })
}

/** Joins a base address, which may carry a path prefix, and a path. Throws TypeError on a malformed base. */
export function joinPath(base: string, path: string): URL {
  const url = new URL(base)
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/${path.replace(/^\/+/, '')}`
  return url
}
