import { EXIT, PermanentError } from '../core/errors.ts'

/** Where a PostgreSQL server is and how to log in. */
export interface DatabaseTarget {
  /** Host name, address, or the folder of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string | null
  readonly database: string
  /** Set for DATABASE_URL: handed to the client whole, because it may carry TLS options. Secret. */
  readonly url: string | null
}

const NO_HOST = 'no-host.invalid'
const EXAMPLE = 'expected postgresql://user:password@host:5432/database'

/** Reads a DATABASE_URL. Throws PermanentError, never with the text of the URL: it holds a password. */
export function parseDatabaseUrl(text: string): DatabaseTarget {
  const url = readUrl(text.trim())
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') throw malformed('its scheme is not postgresql')
  const user = decode(url.username, 'user name') || url.searchParams.get('user') || ''
  const password = decode(url.password, 'password') || url.searchParams.get('password')
  const named = url.hostname === NO_HOST ? '' : decode(url.hostname, 'host name')
  const host = named || url.searchParams.get('host') || ''
  const path = decode(url.pathname, 'database name').replace(/^\//, '')
  const port = url.port || url.searchParams.get('port') || '5432'
  if (host === '') throw malformed('it names no host')
  if (user === '') throw malformed('it names no user')
  if (path.includes('/')) throw malformed('its database name holds a slash')
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535 || Number(port) === 0)
    throw malformed('its port is not a number')
  return {
    host: host.replace(/^\[(.*)\]$/, '$1'),
    port: Number(port),
    user,
    password: password || null,
    database: path || user,
    url: text.trim(),
  }
}

/** The target without its password, for people: `user@host:port/database`. */
export function describeTarget(target: DatabaseTarget): string {
  return `${target.user}@${target.host}:${target.port}/${target.database}`
}

/** A connection string with its password, for psql and other tools. Secret. */
export function connectionStringOf(target: DatabaseTarget): string {
  if (target.url !== null) return target.url
  const login = `${encodeURIComponent(target.user)}:${encodeURIComponent(target.password ?? '')}`
  return `postgresql://${login}@${target.host}:${target.port}/${encodeURIComponent(target.database)}`
}

function readUrl(text: string): URL {
  try {
    // A login without a host, as with a socket's folder in `?host=`, is fine for PostgreSQL and not for URL.
    return new URL(text.replace('@/', `@${NO_HOST}/`))
  } catch {
    throw malformed('it is not a URL')
  }
}

function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw malformed(`its ${what} has a broken percent sign`)
  }
}

function malformed(reason: string): PermanentError {
  return new PermanentError(`DATABASE_URL is malformed: ${reason}; ${EXAMPLE}`, { exitCode: EXIT.configuration })
}
