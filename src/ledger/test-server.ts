import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/log.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { EmbeddedServer } from './embedded.ts'
import { readPostmasterFile, signalProcess } from './embedded-process.ts'
import { type Ledger, type LedgerOptions, openLedger } from './ledger.ts'

/** A kind of PostgreSQL server that tests can have a database on. */
export interface TestServerKind {
  readonly name: string
  /** A folder laid out like the package of the built-in server; null for that package itself. */
  readonly programs: string | null
}

export interface FreshLedger {
  readonly ledger: Ledger
  /** The connection string of this ledger's own database. */
  readonly url: string
}

export const EMBEDDED: TestServerKind = { name: 'built-in PostgreSQL', programs: null }

const DEBIAN = '/usr/lib/postgresql'

/** The built-in server and one that the system has, if it has any. */
export function testServerKinds(): TestServerKind[] {
  const installed = existsSync(DEBIAN) ? readdirSync(DEBIAN).filter((version) => Number(version) >= 14) : []
  const others = installed.filter((version) => existsSync(join(DEBIAN, version, 'bin', 'initdb')))
  return [
    EMBEDDED,
    ...others.map((version) => ({ name: `PostgreSQL ${version}`, programs: join(DEBIAN, version, 'bin') })),
  ]
}

/** A logger that keeps its lines in `lines` instead of writing them. */
export function quietLogger(lines: string[] = []): Logger {
  const keep = (_context: unknown, message: string) => void lines.push(message)
  const logger: Logger = { debug: keep, info: keep, warn: keep, error: keep, fatal: keep, child: () => logger }
  return logger
}

/** A temporary folder that other users may pass through, removed when the process ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tapekeeper-'))
  chmodSync(folder, 0o755)
  atExit(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }))
  return folder
}

/** A package folder with other programs than the built-in ones. */
export function packageFolderWith(programs: string): string {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'native', 'share'), { recursive: true })
  symlinkSync(programs, join(folder, 'native', 'bin'))
  return folder
}

/** An empty ledger of its own: a new database on this process's one server of that kind. Close it after use. */
export async function freshLedger(
  options: Partial<LedgerOptions> & { kind?: TestServerKind } = {},
): Promise<FreshLedger> {
  const url = await freshDatabase(options.kind, true)
  const clock: Clock = options.clock ?? systemClock()
  const ledger = openLedger({ dataDir: '', log: quietLogger(), poolSize: 4, ...options, databaseUrl: url, clock })
  await ledger.connect()
  return { ledger, url }
}

/** The connection string of a new database; a migrated one is copied from a template, which is quicker. */
export async function freshDatabase(kind = EMBEDDED, migrated = false): Promise<string> {
  const shared = SHARED[kind.name]
  const url = shared ?? (await (servers.get(kind.name) ?? startServer(kind)))
  const name = `test_${randomBytes(6).toString('hex')}`
  if (migrated && shared === undefined) await (templates.get(kind.name) ?? makeTemplate(kind, url))
  await administer(url, `CREATE DATABASE ${name}${migrated ? ' TEMPLATE migrated' : ''}`)
  return withDatabase(url, name)
}

/** Runs one statement on a database, outside of any ledger. */
export async function administer(url: string, text: string, values: unknown[] = []): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await client.query(text, values)
  } finally {
    await client.end()
  }
}

/** Servers that a whole run of tests has in common (`test/servers.ts`), with their template; by kind. */
const SHARED = JSON.parse(process.env['TEST_POSTGRES_SERVERS'] ?? '{}') as Readonly<Record<string, string>>
const servers = new Map<string, Promise<string>>()
const templates = new Map<string, Promise<void>>()

const endings: (() => void)[] = []

/** The newest first, so that a server ends before its folder goes. */
function atExit(ending: () => void): void {
  if (endings.length === 0) {
    process.on('exit', () => {
      for (const each of endings.reverse()) each()
    })
  }
  endings.push(ending)
}

function startServer(kind: TestServerKind): Promise<string> {
  const starting = (async () => {
    const dataDir = temporaryFolder()
    const programs = kind.programs === null ? {} : { packageFolder: packageFolderWith(kind.programs) }
    const server = new EmbeddedServer({ dataDir, clock: systemClock(), log: quietLogger(), ...programs })
    atExit(() => {
      const cluster = join(dataDir, 'postgres')
      const pid = readPostmasterFile(cluster)?.pid
      if (pid) signalProcess(pid, 'SIGQUIT')
      // It takes its file away as the last thing it does. Nothing asynchronous happens in a process that ends.
      const nap = new Int32Array(new SharedArrayBuffer(4))
      for (let wait = 0; wait < 150 && readPostmasterFile(cluster) !== null; wait += 1) Atomics.wait(nap, 0, 0, 20)
    })
    await server.ensureRunning()
    return server.connectionString() as string
  })()
  servers.set(kind.name, starting)
  return starting
}

function makeTemplate(kind: TestServerKind, url: string): Promise<void> {
  const making = (async () => {
    await administer(url, 'CREATE DATABASE migrated')
    const databaseUrl = withDatabase(url, 'migrated')
    const ledger = openLedger({ databaseUrl, dataDir: '', clock: systemClock(), log: quietLogger(), poolSize: 1 })
    await ledger.connect()
    await ledger.close()
  })()
  templates.set(kind.name, making)
  return making
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url)
  changed.pathname = name
  return changed.href
}
