import { createHash, randomBytes } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { EXIT, PermanentError, TransientError } from '../core/errors.ts'
import { syncFolderOf, syncPath, writeFileDurably } from '../runtime/durable-file.ts'
import { runChild } from './child.ts'
import type { Binaries } from './embedded-binaries.ts'
import { makeFolder, type Place } from './embedded-place.ts'
import type { DatabaseTarget } from './target.ts'

/** User and database of the built-in server. */
export const EMBEDDED_NAME = 'tapekeeper'

const INIT_TIMEOUT_MS = 120_000
/** Beside the data inside the cluster, so that the two cannot be lost separately. */
const PASSWORD_FILE = 'tapekeeper.password'
const SETTINGS_FILE = 'tapekeeper.conf'
/** The kernel's limit for the path of a Unix socket, without the final zero. */
const SOCKET_PATH_BYTES_MAX = 107
/** Below the range from which systems hand out ports by themselves. */
const PORT_MIN = 15_432
const PORT_COUNT = 10_000
const PORT_TRIES = 50

/** Makes the cluster when there is none. A cluster that was begun and not finished is thrown away first. */
export async function createCluster(place: Place, binaries: Binaries): Promise<void> {
  if (existsSync(join(place.cluster, 'PG_VERSION'))) {
    closeToOthers(place.cluster)
    return checkVersion(place.cluster, binaries)
  }
  if (existsSync(place.cluster)) {
    throw new PermanentError(`${place.cluster} exists and is no database: move it away`, {
      exitCode: EXIT.cannotCreate,
    })
  }
  const unfinished = `${place.cluster}.unfinished`
  const passwordFile = `${place.cluster}.password`
  rmSync(unfinished, { recursive: true, force: true })
  rmSync(passwordFile, { force: true })
  makeFolder(place.base)
  mkdirSync(unfinished, { mode: 0o700 })
  writeFileSync(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 })
  for (const path of [unfinished, passwordFile]) giveTo(place, path)
  const args = ['-D', unfinished, '-U', EMBEDDED_NAME, `--pwfile=${passwordFile}`, '--auth=scram-sha-256']
  args.push('--encoding=UTF8', '--locale=C', '--data-checksums', '--no-instructions')
  const result = await runChild(binaries.initdb, args, { account: place.account, timeoutMs: INIT_TIMEOUT_MS })
  if (!result.ok) {
    rmSync(unfinished, { recursive: true, force: true })
    rmSync(passwordFile, { force: true })
    throw new TransientError(`the database could not be created in ${place.cluster}: ${lastLine(result.output)}`)
  }
  finishCluster(unfinished, passwordFile)
  renameSync(unfinished, place.cluster)
  syncFolderOf(place.cluster)
}

/** Platforms that open a volume's folders to a group when they mount it: the server does not start in an open one. */
function closeToOthers(cluster: string): void {
  const { mode, uid } = statSync(cluster)
  const isOurs = process.getuid === undefined || process.getuid() === 0 || process.getuid() === uid
  if (isOurs && (mode & 0o027) !== 0) chmodSync(cluster, 0o700)
}

/** initdb has synced what it wrote; a power cut must not find what was added to it half done under the final name. */
function finishCluster(unfinished: string, passwordFile: string): void {
  const configuration = join(unfinished, 'postgresql.conf')
  appendFileSync(configuration, `\ninclude_if_exists = '${SETTINGS_FILE}'\n`)
  const password = join(unfinished, PASSWORD_FILE)
  renameSync(passwordFile, password)
  for (const path of [configuration, password, unfinished]) syncPath(path)
}

/** Writes the server's settings for this start; returns true when they differ from what was there. */
export function writeSettings(place: Place, port: number): boolean {
  const file = join(place.cluster, SETTINGS_FILE)
  const text = settings(place.cluster, port)
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return false
  writeFileDurably(file, text, 0o600, (draft) => giveTo(place, draft))
  return true
}

/** The port of the last start, or a first choice that depends on the place alone. */
export function rememberedPort(cluster: string): number {
  const file = join(cluster, SETTINGS_FILE)
  const match = existsSync(file) ? /^port = (\d+)$/m.exec(readFileSync(file, 'utf8')) : null
  return match
    ? Number(match[1])
    : PORT_MIN + (createHash('sha256').update(cluster).digest().readUInt16BE(0) % PORT_COUNT)
}

/** The first loopback port from `first` on that nobody listens on. */
export async function findFreePort(first: number): Promise<number> {
  for (let attempt = 0; attempt < PORT_TRIES; attempt += 1) {
    const port = PORT_MIN + ((first - PORT_MIN + attempt) % PORT_COUNT)
    if (await isFree(port)) return port
  }
  throw new TransientError(`no free loopback port from ${first} on for the database`)
}

/** How this program reaches the server: over its socket where the path is short enough, else over loopback. */
export function targetOf(cluster: string, port: number, database = EMBEDDED_NAME): DatabaseTarget {
  const host = socketFits(cluster) ? cluster : '127.0.0.1'
  return { host, port, user: EMBEDDED_NAME, password: readPassword(cluster), database, url: null }
}

/** How other programs reach it: always over loopback, which every tool understands. */
export function publicTargetOf(cluster: string, port: number): DatabaseTarget {
  return { ...targetOf(cluster, port), host: '127.0.0.1' }
}

export function lastLine(output: string): string {
  return output.trim().split('\n').at(-1)?.trim() ?? ''
}

function readPassword(cluster: string): string {
  const file = join(cluster, PASSWORD_FILE)
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new PermanentError(`the database's password file ${file} cannot be read`, { cause: error })
  }
}

function checkVersion(cluster: string, binaries: Binaries): void {
  const made = readFileSync(join(cluster, 'PG_VERSION'), 'utf8').trim()
  const ours = binaries.version.split('.')[0]
  if (made === ours) return
  throw new PermanentError(
    `the database in ${cluster} was made by PostgreSQL ${made}, this program brings ${ours}: ` +
      'dump it with the older version, or set DATABASE_URL',
  )
}

function socketFits(cluster: string): boolean {
  return process.platform !== 'win32' && Buffer.byteLength(join(cluster, '.s.PGSQL.65535')) <= SOCKET_PATH_BYTES_MAX
}

function giveTo(place: Place, path: string): void {
  if (place.account !== null) chownSync(path, place.account.uid, place.account.gid)
}

function settings(cluster: string, port: number): string {
  const quoted = cluster.replaceAll("'", "''")
  return `# Written by tapekeeper on every start; changes here are lost.
listen_addresses = '127.0.0.1'
port = ${port}
unix_socket_directories = '${socketFits(cluster) ? quoted : ''}'
password_encryption = 'scram-sha-256'
max_connections = 30
shared_buffers = '128MB'
work_mem = '16MB'
maintenance_work_mem = '64MB'
effective_cache_size = '512MB'
fsync = on
full_page_writes = on
synchronous_commit = on
wal_level = minimal
max_wal_senders = 0
wal_compression = on
max_wal_size = '1GB'
min_wal_size = '80MB'
checkpoint_timeout = '15min'
jit = off
max_parallel_workers_per_gather = 1
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
logging_collector = off
log_min_messages = warning
log_min_error_statement = panic
log_error_verbosity = terse
log_line_prefix = '%m [%p] '
`
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)))
  })
}
