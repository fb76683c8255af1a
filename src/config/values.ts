/** Values that people write as text: durations, sizes, addresses. Each reader throws a message made for people. */

const DURATION_UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const SIZE_UNITS = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
} as const

/** Reads `500ms`, `60s`, `10m`, `1.5h` or `30d` as milliseconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(text.trim())
  if (!match) {
    const hint = /^\d+(\.\d+)?$/.test(text.trim()) ? `: a unit is missing, for example ${text.trim()}s` : ''
    throw new TypeError(`is not a duration like 60s, 10m or 30d${hint}`)
  }
  return Math.round(Number(match[1]) * DURATION_UNITS[match[2] as keyof typeof DURATION_UNITS])
}

/** Writes milliseconds in the largest unit that needs no fraction. */
export function formatDuration(durationMs: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const size = DURATION_UNITS[unit]
    // 90s reads better than 1.5m, and 60s is what people call a minute's cadence
    if (durationMs >= size && durationMs % size === 0 && (unit !== 'm' || durationMs >= 10 * size)) {
      return `${durationMs / size}${unit}`
    }
  }
  return `${durationMs}ms`
}

/** Reads `50GB`, `512MiB` or `1.5TB` as bytes; GB counts in thousands, GiB in 1024s. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]i?B|B)$/i.exec(text.trim())
  const unit = Object.keys(SIZE_UNITS).find((name) => name.toLowerCase() === match?.[2]?.toLowerCase())
  if (!match || !unit) {
    const hint = /^\d+(\.\d+)?$/.test(text.trim()) ? `: a unit is missing, for example ${text.trim()}GB` : ''
    throw new TypeError(`is not a size like 50GB or 512MiB${hint}`)
  }
  return Math.round(Number(match[1]) * SIZE_UNITS[unit as keyof typeof SIZE_UNITS])
}

/** Writes bytes in the largest unit that needs no fraction. */
export function formatSize(bytes: number): string {
  for (const unit of ['TB', 'TiB', 'GB', 'GiB', 'MB', 'MiB', 'KB', 'KiB'] as const) {
    if (bytes >= SIZE_UNITS[unit] && bytes % SIZE_UNITS[unit] === 0) return `${bytes / SIZE_UNITS[unit]}${unit}`
  }
  return `${bytes}B`
}

export interface Address {
  readonly host: string
  readonly port: number
}

/** Reads `127.0.0.1:8090` or `[::1]:8090`. */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(text.trim())
  const port = Number(match?.[3])
  if (!match || port > 65_535) throw new TypeError('is not an address like 127.0.0.1:8090')
  return { host: match[1] ?? match[2] ?? '', port }
}

export function formatAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/** Checks a URL of one of the given schemes and returns it without a trailing slash. Never repeats the value. */
export function parseUrl(text: string, schemes: readonly string[]): string {
  const expected = `is not a URL that starts with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`
  let url: URL
  try {
    url = new URL(text.trim())
  } catch {
    throw new TypeError(expected)
  }
  if (!schemes.includes(url.protocol.slice(0, -1))) throw new TypeError(expected)
  if (url.username || url.password) throw new TypeError('must not hold a user name or a password')
  return text.trim().replace(/\/+$/, '')
}

/** Checks a PostgreSQL connection string. The message never repeats it, because it holds a password. */
export function parseDatabaseUrl(text: string): string {
  const expected = 'is not a connection string like postgres://user:password@host:5432/database'
  const trimmed = text.trim()
  if (!/^postgres(ql)?:\/\//.test(trimmed)) throw new TypeError(expected)
  try {
    const url = new URL(withHost(trimmed))
    for (const part of [url.username, url.password, url.pathname]) decodeURIComponent(part)
  } catch {
    throw new TypeError(`${expected} (special characters in a password must be percent-encoded)`)
  }
  return trimmed
}

/** The same connection string with every password in it replaced by `***`. */
export function maskDatabaseUrl(text: string): string {
  return text.replace(/^([^:]+:\/\/[^:@/?#]*):[^@]*@/, '$1:***@').replaceAll(/([?&](?:ssl)?password=)[^&]*/gi, '$1***')
}

/** `postgres://user@/db?host=/tmp` is a Unix socket; the URL class wants a host there. */
function withHost(text: string): string {
  return text.replace('@/', '@localhost/')
}
