import { assert } from '../core/errors.ts'
import type { Database, Session } from './database.ts'

/** The tables that are partitioned by UTC day of `ts`. */
const TABLES = ['price_snapshots', 'orderbook_snapshots', 'trades', 'tick_size_changes', 'market_events'] as const

export const DAY_MS = 86_400_000
const DAYS_AHEAD = 3
/** Venue times may be a little ahead of ours; later than this is nonsense. */
const FUTURE_MS = DAY_MS
const LOCK = 7_316_022_919
/** A partition is dropped only when nobody holds on to it; otherwise the next round gets it. */
const DROP_LOCK_TIMEOUT_MS = 2_000
const DROPS_PER_ROUND_MAX = 500

/** Knows which day partitions exist and makes those that are needed, inside the window that is kept. */
export class Partitions {
  readonly #database: Database
  readonly #retentionMs: number
  #known = new Set<number>()

  constructor(database: Database, retentionDays: number) {
    assert(Number.isInteger(retentionDays) && retentionDays >= 1, 'retention is at least one day')
    this.#database = database
    this.#retentionMs = retentionDays * DAY_MS
  }

  /** The first moment that is still kept, Unix ms. */
  oldestMs(nowMs: number): number {
    return startOfDay(nowMs - this.#retentionMs)
  }

  /** True when a row of this time may be stored now. */
  accepts(timeMs: number, nowMs: number): boolean {
    return timeMs >= this.oldestMs(nowMs) && timeMs <= nowMs + FUTURE_MS
  }

  /** Makes today's partitions and those of the next days. */
  async ensureAhead(nowMs: number): Promise<void> {
    const today = startOfDay(nowMs)
    await this.ensure(Array.from({ length: DAYS_AHEAD + 1 }, (_, ahead) => today + ahead * DAY_MS))
  }

  /** Makes the partitions that rows of these times need, in a transaction of its own. */
  async ensure(timesMs: Iterable<number>): Promise<void> {
    const missing = new Set<number>()
    for (const timeMs of timesMs) {
      const day = startOfDay(timeMs)
      if (!this.#known.has(day)) missing.add(day)
    }
    if (missing.size === 0) return
    const days = [...missing].sort((a, b) => a - b)
    await this.#database.transaction(async (session) => {
      await session.query(`SELECT pg_advisory_xact_lock(${LOCK})`)
      const existing = await listPartitions(session, this.#database.schema)
      for (const day of days) for (const table of TABLES) await this.#make(session, existing, table, day)
    })
    for (const day of days) this.#known.add(day)
  }

  /** Drops the partitions of days that are no longer kept; returns how many. */
  async dropOld(nowMs: number): Promise<number> {
    const oldest = this.oldestMs(nowMs)
    const { schema } = this.#database
    const names = await this.#database.transaction((session) => listPartitions(session, schema), { readOnly: true })
    const old = [...names].filter((name) => dayOf(name) < oldest).slice(0, DROPS_PER_ROUND_MAX)
    for (const name of old) {
      const drop = (session: Session) => session.query(`DROP TABLE IF EXISTS "${name}"`)
      await this.#database.transaction(drop, { lockTimeoutMs: DROP_LOCK_TIMEOUT_MS })
      this.#known.delete(dayOf(name))
    }
    return old.length
  }

  /** Forgets what exists: the database may be another one. */
  forget(): void {
    this.#known = new Set()
  }

  /** Attached rather than created in place: that would lock the whole table against readers and writers. */
  async #make(session: Session, existing: Set<string>, table: string, day: number): Promise<void> {
    const name = `${table}_${isoDay(day).replaceAll('-', '')}`
    if (existing.has(name)) return
    await session.query(`
      CREATE TABLE "${name}" (LIKE ${table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
      ALTER TABLE ${table} ATTACH PARTITION "${name}"
        FOR VALUES FROM ('${isoDay(day)} 00:00:00+00') TO ('${isoDay(day + DAY_MS)} 00:00:00+00')`)
  }
}

function startOfDay(timeMs: number): number {
  return Math.floor(timeMs / DAY_MS) * DAY_MS
}

function isoDay(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10)
}

/** The day of a partition by its name, Unix ms. */
export function dayOf(name: string): number {
  const digits = name.slice(-8)
  return Date.UTC(Number(digits.slice(0, 4)), Number(digits.slice(4, 6)) - 1, Number(digits.slice(6)))
}

/** The names of all day partitions of a schema. */
export async function listPartitions(session: Session, schema: string): Promise<Set<string>> {
  const { rows } = await session.query<{ name: string }>(
    `SELECT child.relname AS name
     FROM pg_inherits i
     JOIN pg_class parent ON parent.oid = i.inhparent
     JOIN pg_class child ON child.oid = i.inhrelid
     JOIN pg_namespace n ON n.oid = parent.relnamespace
     WHERE n.nspname = $1 AND parent.relname = ANY($2) AND child.relname ~ '_[0-9]{8}$'`,
    [schema, [...TABLES]],
  )
  return new Set(rows.map((row) => row.name))
}
