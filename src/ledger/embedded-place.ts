import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { describeError, EXIT, PermanentError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { writeFileDurably } from '../runtime/durable-file.ts'
import { type Account, accountOfUid, findAccount, runChild } from './child.ts'

/** Where the cluster is and whom its server runs as. */
export interface Place {
  /** Null: as ourselves. */
  readonly account: Account | null
  /** The folder that holds the cluster, its log and, if needed, the copy of the binaries. */
  readonly base: string
  readonly cluster: string
}

/** Says, inside the data directory, that the cluster is elsewhere. */
const POINTER = 'postgres.location'
const ELSEWHERE = '/var/lib/tapekeeper'
const PROBE_TIMEOUT_MS = 10_000

/**
 * Chooses the cluster's place. PostgreSQL refuses to run as root, and the user it runs as instead must be able to
 * reach its files: where it cannot (a home of root's), they live under /var/lib/tapekeeper and a pointer file says so.
 */
export async function choosePlace(dataDir: string, log: Logger): Promise<Place> {
  makeFolder(dataDir)
  const home = realpathSync(dataDir)
  const inside = join(home, 'postgres')
  if (process.getuid?.() !== 0) return { account: null, base: home, cluster: mustBeOurs(inside) }
  const pointed = readPointer(home)
  const existing = [inside, ...(pointed === null ? [] : [join(pointed, 'postgres')])].find(existsSync)
  const account = existing === undefined ? serverAccount() : ownerOf(existing)
  if (existing !== undefined && (await canEnter(account, existing))) {
    return { account, base: existing === inside ? home : (pointed ?? home), cluster: existing }
  }
  if (existing === undefined && pointed !== null) {
    log.warn({ missing: pointed }, `The database that was at ${pointed} is gone; starting a new one`)
  }
  if (existing === undefined && (await canEnter(account, home))) return { account, base: home, cluster: inside }
  if (existing === inside) throw unreachable(inside, account)
  const base = join(ELSEWHERE, createHash('sha256').update(home).digest('hex').slice(0, 16))
  makeFolder(base)
  if (!(await canEnter(account, base))) throw unreachable(base, account)
  writeFileDurably(join(home, POINTER), `${base}\n`, 0o644)
  log.info({ place: base }, `The user ${account.name} cannot reach ${home}: the database lives in ${base}`)
  return { account, base, cluster: join(base, 'postgres') }
}

/** Where an existing cluster of this data directory is; null when there is none. */
export function findCluster(dataDir: string): string | null {
  if (!existsSync(dataDir)) return null
  const home = realpathSync(dataDir)
  const candidates = [join(home, 'postgres'), join(readPointer(home) ?? home, 'postgres')]
  return candidates.find((path) => existsSync(join(path, 'PG_VERSION'))) ?? null
}

/** True when the account can enter the folder and read it; asked by trying, which also covers ACLs and mounts. */
export async function canEnter(account: Account | null, folder: string): Promise<boolean> {
  const result = await runChild('/bin/sh', ['-c', 'cd "$1" && test -r . && test -x .', 'sh', folder], {
    account,
    timeoutMs: PROBE_TIMEOUT_MS,
  })
  return result.ok
}

/** Makes a folder and its parents that others may pass through. */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 })
  } catch (error) {
    throw new PermanentError(`cannot create ${folder}: ${describeError(error)}`, {
      exitCode: EXIT.cannotCreate,
      cause: error,
    })
  }
}

function readPointer(home: string): string | null {
  const file = join(home, POINTER)
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : null
}

function serverAccount(): Account {
  const account = findAccount('postgres') ?? findAccount('nobody')
  if (account !== null) return account
  throw new PermanentError(
    'PostgreSQL does not run as root, and there is neither a user postgres nor nobody: set DATABASE_URL',
  )
}

/** A cluster made by an ordinary user goes on as that user when the daemon is later started as root. */
function ownerOf(cluster: string): Account {
  const { uid, gid } = lstatSync(cluster)
  return uid === 0 ? serverAccount() : accountOfUid(uid, gid)
}

function mustBeOurs(cluster: string): string {
  const own = process.getuid?.()
  const owner = lstatSync(cluster, { throwIfNoEntry: false })?.uid
  if (own === undefined || owner === undefined || owner === own) return cluster
  const { name } = accountOfUid(owner, -1)
  throw new PermanentError(
    `the database in ${cluster} belongs to ${name}: run as that user or as root, or set DATABASE_URL`,
  )
}

function unreachable(folder: string, account: Account): PermanentError {
  return new PermanentError(`the user ${account.name} cannot enter ${folder}: make its folders passable (chmod a+x)`, {
    exitCode: EXIT.cannotCreate,
  })
}
