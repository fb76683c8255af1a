import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Database } from './database.ts'
import { findCluster } from './embedded-place.ts'
import { appliedMigration } from './inspection.ts'
import { newestMigration } from './migrate.ts'
import type { DatabaseTarget } from './target.ts'

/** What can be said of a ledger from outside. */
export interface LedgerFacts {
  readonly serverVersion: string
  readonly bytes: number
  /** null: there is no ledger in this database yet. */
  readonly applied: number | null
  /** The newest migration that this program knows. */
  readonly newest: number
  /** What the rows of each UTC day take, Unix ms of its midnight. */
  readonly days: readonly { readonly atMs: number; readonly bytes: number }[]
}

const DAY_SIZES = `
  SELECT right(c.relname, 8) AS day, sum(pg_total_relation_size(c.oid))::float8 AS bytes
  FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relname ~ '_\\d{8}$' GROUP BY 1 ORDER BY 1`

/** Asks a server and changes nothing. Throws what `Database` throws. */
export async function readLedgerFacts(target: DatabaseTarget): Promise<LedgerFacts> {
  const database = new Database({ target, schema: 'public', poolSize: 1, onLost: () => {} })
  try {
    const applied = await appliedMigration(database)
    const facts = await database.transaction(
      async (session) => {
        const { rows } = await session.query<{ version: string; bytes: number }>(
          `SELECT current_setting('server_version') AS version, pg_database_size(current_database())::float8 AS bytes`,
        )
        const { rows: days } = await session.query<{ day: string; bytes: number }>(DAY_SIZES)
        return { serverVersion: rows[0]?.version ?? 'unknown', bytes: rows[0]?.bytes ?? 0, days: days.map(toDay) }
      },
      { readOnly: true },
    )
    return { ...facts, applied, newest: await newestMigration() }
  } finally {
    await database.close()
  }
}

function toDay({ day, bytes }: { day: string; bytes: number }): { atMs: number; bytes: number } {
  return { atMs: Date.parse(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T00:00:00Z`), bytes }
}

/** The files of the built-in database of a data directory that does not run; null when there is none. */
export async function readClusterSize(dataDir: string): Promise<{ path: string; bytes: number } | null> {
  const path = findCluster(dataDir)
  return path === null ? null : { path, bytes: await folderSize(path) }
}

async function folderSize(path: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(path, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    // Files of a running server come and go.
    bytes += await stat(join(entry.parentPath, entry.name)).then(
      ({ size }) => size,
      () => 0,
    )
  }
  return bytes
}
