/** What one host cost and gave, since start. */
export interface HttpHostStats {
  /** Requests sent, quick retries and redirects included. */
  requests: number
  /** Calls that failed in the end. */
  errors: number
  /** Quick retries after a connection error. */
  retries: number
  /** Time spent waiting for a turn, ms. */
  throttledMs: number
  /** Body bytes after decompression. */
  bytes: number
  /** Answers by class: `2xx`, `4xx` … */
  status: Record<string, number>
}

export interface HttpCounters {
  request(host: string): void
  retry(host: string): void
  error(host: string): void
  throttled(host: string, waitedMs: number): void
  answer(host: string, status: number, bytes: number): void
  /** A copy. */
  snapshot(): Record<string, HttpHostStats>
}

/** Hosts beyond this many are counted together, as `other`. */
const HOSTS_MAX = 200

export function createHttpCounters(): HttpCounters {
  const hosts = new Map<string, HttpHostStats>()
  const of = (host: string): HttpHostStats => {
    const key = hosts.has(host) || hosts.size < HOSTS_MAX ? host : 'other'
    let stats = hosts.get(key)
    if (stats === undefined) {
      stats = { requests: 0, errors: 0, retries: 0, throttledMs: 0, bytes: 0, status: {} }
      hosts.set(key, stats)
    }
    return stats
  }
  return {
    request: (host) => {
      of(host).requests += 1
    },
    retry: (host) => {
      of(host).retries += 1
    },
    error: (host) => {
      of(host).errors += 1
    },
    throttled: (host, waitedMs) => {
      of(host).throttledMs += waitedMs
    },
    answer: (host, status, bytes) => {
      const stats = of(host)
      const family = `${Math.floor(status / 100)}xx`
      stats.bytes += bytes
      stats.status[family] = (stats.status[family] ?? 0) + 1
    },
    snapshot: () => structuredClone(Object.fromEntries(hosts)),
  }
}
