import { readdir, readFile } from 'node:fs/promises'
import { assert, EXIT, PermanentError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { Database, Session } from './database.ts'

interface Migration {
  readonly number: number
  readonly name: string
}

/** The oldest server that the SQL is written for. */
const SERVER_VERSION_MIN = 14
const FILES = new URL('./sql/', import.meta.url)
const FILE_NAME = /^(\d{6})-[a-z0-9-]+\.sql$/
/** Two programs may migrate at once; the second waits for the first. The number is ours, taken at random. */
const LOCK = 7_316_022_918
const MIGRATION_TIMEOUT_MS = 600_000

/**
 * Brings the schema to this program's version: numbered forward-only files in one transaction under a lock.
 * Returns the server's version. Throws PermanentError when server or schema do not fit this program.
 */
export async function migrate(database: Database, log: Logger): Promise<string> {
  const migrations = await listMigrations()
  const limits = { statementTimeoutMs: MIGRATION_TIMEOUT_MS, lockTimeoutMs: MIGRATION_TIMEOUT_MS }
  return database.transaction(async (session) => {
    const version = await checkServer(session)
    const applied = await prepare(session, database.schema)
    const newest = migrations.at(-1)?.number ?? 0
    if (applied > newest) throw databaseIsNewer(applied, newest)
    const missing = migrations.filter((migration) => migration.number > applied)
    for (const migration of missing) await apply(session, migration)
    if (missing.length > 0) log.info({ schema: database.schema, from: applied, to: newest }, countLine(missing.length))
    return version
  }, limits)
}

/** The number of the newest migration that this program knows. */
export async function newestMigration(): Promise<number> {
  return (await listMigrations()).at(-1)?.number ?? 0
}

async function listMigrations(): Promise<Migration[]> {
  const migrations: Migration[] = []
  for (const name of (await readdir(FILES)).sort()) {
    const match = FILE_NAME.exec(name)
    if (match === null) continue
    const number = Number(match[1])
    assert(number === migrations.length + 1, `migration ${name} is out of order`)
    migrations.push({ number, name })
  }
  return migrations
}

async function checkServer(session: Session): Promise<string> {
  const { rows } = await session.query<{ number: number; text: string }>(
    "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS text",
  )
  const { number, text } = rows[0] ?? { number: 0, text: 'unknown' }
  if (number >= SERVER_VERSION_MIN * 10_000) return text
  throw new PermanentError(`the database is PostgreSQL ${text}; version ${SERVER_VERSION_MIN} or newer is needed`, {
    exitCode: EXIT.configuration,
  })
}

/** Takes the lock, makes schema and list where missing, and returns the newest migration applied. */
async function prepare(session: Session, schema: string): Promise<number> {
  await session.query(`SELECT pg_advisory_xact_lock(${LOCK})`)
  if (schema !== 'public') await session.query(`CREATE SCHEMA IF NOT EXISTS "${schema}"`)
  // Asked first: CREATE TABLE IF NOT EXISTS needs rights that a running program may have lost.
  const { rows: found } = await session.query<{ found: boolean }>(
    `SELECT to_regclass('"${schema}".schema_migrations') IS NOT NULL AS found`,
  )
  if (!found[0]?.found) {
    await session.query(
      `CREATE TABLE schema_migrations
         (number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL)`,
    )
  }
  const { rows } = await session.query<{ newest: number | null }>('SELECT max(number) AS newest FROM schema_migrations')
  return rows[0]?.newest ?? 0
}

async function apply(session: Session, migration: Migration): Promise<void> {
  await session.query('INSERT INTO schema_migrations VALUES ($1, $2, now())', [migration.number, migration.name])
  await session.query(await readFile(new URL(migration.name, FILES), 'utf8'))
}

function databaseIsNewer(applied: number, newest: number): PermanentError {
  const message = `the database is at migration ${applied}, this program knows ${newest}`
  return new PermanentError(`${message}: a newer version has used it; install that version`, {
    exitCode: EXIT.configuration,
  })
}

function countLine(count: number): string {
  return `Applied ${count} migrations`
}
