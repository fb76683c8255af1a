import type { TradeOrigin } from '../core/rows.ts'
import { STREAMED_TABLES, type StreamedTable } from './inspection.ts'

/** A table of the ledger, or what is added up from one. */
export type ComparedTable = StreamedTable | 'price_candles_1h'
export const COMPARED_TABLES: readonly ComparedTable[] = [...STREAMED_TABLES, 'price_candles_1h']

/** One difference between two schemas. */
export interface SchemaDifference {
  readonly table: ComparedTable
  readonly kind: 'only in the rebuilt' | 'only in the ledger' | 'changed'
  /** Token id, or condition id of a market event. */
  readonly subject: string | null
  /** Venue time or hour, ISO 8601. */
  readonly at: string
  /** The columns that differ, each with both values as text. */
  readonly columns: Readonly<Record<string, { readonly rebuilt: string | null; readonly ledger: string | null }>>
}

export interface TableComparison {
  readonly table: ComparedTable
  readonly rebuilt: number
  readonly ledger: number
  readonly differing: number
  /** The first of them. */
  readonly differences: readonly SchemaDifference[]
}

export interface ComparisonRange {
  readonly rebuilt: string
  readonly ledger: string
  /** Rows that were received earlier are left out, Unix µs, by the origin of trades; null: none. */
  readonly fromUs: Readonly<Record<TradeOrigin, number | null>>
  /** From here on the ledger may have more, Unix µs; null: it may not. */
  readonly growsFromUs: Readonly<Record<TradeOrigin, number | null>>
  /** Older venue times are not kept any more, Unix ms. */
  readonly keptFromMs: number
}

/** What answers a statement; values must be of the types that the client library knows. */
type Ask = <Row extends Record<string, unknown>>(text: string) => Promise<readonly Row[]>

interface Shape {
  readonly subject: 'token_id' | 'condition_id'
  readonly key: readonly string[]
  readonly columns: readonly string[]
}

const SHAPES: Readonly<Record<ComparedTable, Shape>> = {
  trades: {
    subject: 'token_id',
    key: ['ts', 'content_hash', 'ordinal'],
    columns: ['received_at', 'price', 'size', 'side', 'fee_rate_bps', 'transaction_hash', 'origin'],
  },
  tick_size_changes: {
    subject: 'token_id',
    key: ['ts', 'content_hash', 'ordinal'],
    columns: ['received_at', 'old_tick_size', 'new_tick_size'],
  },
  market_events: {
    subject: 'condition_id',
    key: ['ts', 'content_hash', 'ordinal'],
    columns: ['received_at', 'kind', 'winning_token_id', 'raw'],
  },
  price_candles_1h: {
    subject: 'token_id',
    key: ['hour'],
    columns: ['open', 'high', 'low', 'close', 'open_at', 'close_at', 'trades', 'buys', 'shares', 'notional'],
  },
}

const LISTED_MAX = 1_000
const HOUR_US = 3_600_000_000

/** Compares one table of two schemas of one database, every column; the database does it, a UTC day at a time. */
export async function compareTable(ask: Ask, table: ComparedTable, range: ComparisonRange): Promise<TableComparison> {
  const days = await ask<{ day: string }>(daysOf(table, range))
  const total = { rebuilt: 0, ledger: 0, differing: 0 }
  const differences: SchemaDifference[] = []
  for (const { day } of days) {
    const [counts] = await ask<{ rebuilt: string; ledger: string; differing: string }>(
      `${joined(table, range, day)} SELECT count(r.there) AS rebuilt, count(l.there) AS ledger,
         count(*) FILTER (WHERE ${differs(table, range)}) AS differing ${both(table)}`,
    )
    total.rebuilt += Number(counts?.rebuilt ?? 0)
    total.ledger += Number(counts?.ledger ?? 0)
    total.differing += Number(counts?.differing ?? 0)
    if (Number(counts?.differing ?? 0) === 0 || differences.length >= LISTED_MAX) continue
    const rows = await ask<Record<string, string | null>>(
      `${joined(table, range, day)} SELECT ${listed(table)} ${both(table)} WHERE ${differs(table, range)}
       ORDER BY 1, 2 LIMIT ${LISTED_MAX - differences.length}`,
    )
    for (const row of rows) differences.push(toDifference(table, row))
  }
  return { table, ...total, differences }
}

function daysOf(table: ComparedTable, { rebuilt, ledger, keptFromMs }: ComparisonRange): string {
  const time = timeColumn(table)
  const of = (schema: string) =>
    `SELECT DISTINCT date_trunc('day', ${time}) AS day FROM "${schema}".${table}
     WHERE ${time} >= ${moment(keptFromMs * 1000)}`
  return `SELECT to_char(day, 'YYYY-MM-DD') AS day FROM (${of(rebuilt)} UNION ${of(ledger)}) AS d ORDER BY 1`
}

/** Both sides of one day, under the names of tokens: their keys are each schema's own. */
function joined(table: ComparedTable, range: ComparisonRange, day: string): string {
  const time = timeColumn(table)
  const { subject, key, columns } = SHAPES[table]
  const isOfToken = subject === 'token_id'
  const selected = [`${isOfToken ? 't' : 'x'}.${subject}`, ...[...key, ...columns].map((name) => `x.${name}`)]
  const start = `timestamptz '${day} 00:00:00+00'`
  const conditions = [`x.${time} >= ${start}`, `x.${time} < ${start} + interval '1 day'`]
  if (table === 'price_candles_1h') conditions.push("x.source = 'trade'", ...wholeHours(range))
  else conditions.push(`x.received_at >= ${byOrigin(table, 'x', range.fromUs, '-infinity')}`)
  const side = (schema: string) =>
    `SELECT true AS there, ${selected.join(', ')}
     FROM "${schema}".${table} x ${isOfToken ? `LEFT JOIN "${schema}".tokens t USING (token_key)` : ''}
     WHERE ${conditions.join(' AND ')}`
  return `WITH r AS (${side(range.rebuilt)}), l AS (${side(range.ledger)})`
}

/** An hour counts when nothing of it is left out: not cut, not still growing, on either of the tapes. */
function wholeHours({ fromUs, growsFromUs, ledger }: ComparisonRange): string[] {
  const conditions: string[] = []
  // A trade may be received in the hour after its own.
  if (fromUs.stream !== null) {
    conditions.push(`x.hour >= ${moment(Math.ceil(fromUs.stream / HOUR_US) * HOUR_US)}`)
  }
  if (growsFromUs.stream !== null) {
    conditions.push(`x.hour < ${moment((Math.floor(growsFromUs.stream / HOUR_US) - 1) * HOUR_US)}`)
  }
  // One that was fetched later may be of any hour.
  const leftOut = [
    ...(fromUs.backfill === null ? [] : [`b.received_at < ${moment(fromUs.backfill)}`]),
    ...(growsFromUs.backfill === null ? [] : [`b.received_at >= ${moment(growsFromUs.backfill)}`]),
  ]
  if (leftOut.length === 0) return conditions
  return [
    ...conditions,
    `NOT EXISTS (SELECT FROM "${ledger}".trades b JOIN "${ledger}".tokens n USING (token_key)
       WHERE n.token_id = t.token_id AND b.origin = 'b' AND (${leftOut.join(' OR ')})
         AND b.ts >= x.hour AND b.ts < x.hour + interval '1 hour')`,
  ]
}

/** The moment that holds for a row: trades of each origin have a tape of their own. */
function byOrigin(
  table: ComparedTable,
  row: string,
  atUs: Readonly<Record<TradeOrigin, number | null>>,
  none: string,
): string {
  const of = (us: number | null) => (us === null ? `timestamptz '${none}'` : moment(us))
  if (table !== 'trades') return of(atUs.stream)
  return `CASE ${row}.origin WHEN 's' THEN ${of(atUs.stream)} ELSE ${of(atUs.backfill)} END`
}

function both(table: ComparedTable): string {
  return `FROM r FULL JOIN l USING (${[SHAPES[table].subject, ...SHAPES[table].key].join(', ')})`
}

function differs(table: ComparedTable, { growsFromUs }: ComparisonRange): string {
  const unequal = SHAPES[table].columns.map((column) => `r.${column} IS DISTINCT FROM l.${column}`).join(' OR ')
  if (table === 'price_candles_1h') return `(${unequal})`
  // What came after the place up to which the tape was read.
  return `(${unequal}) AND NOT (r.there IS NULL AND l.received_at >= ${byOrigin(table, 'l', growsFromUs, 'infinity')})`
}

function listed(table: ComparedTable): string {
  const { subject, columns } = SHAPES[table]
  const pairs = columns.flatMap((column) => [`r.${column}::text AS r_${column}`, `l.${column}::text AS l_${column}`])
  const at = `to_char(${timeColumn(table)}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at`
  return [at, `${subject} AS subject`, 'r.there::text AS r_there', 'l.there::text AS l_there', ...pairs].join(', ')
}

function toDifference(table: ComparedTable, row: Readonly<Record<string, string | null>>): SchemaDifference {
  const columns: Record<string, { rebuilt: string | null; ledger: string | null }> = {}
  const [inRebuilt, inLedger] = [row['r_there'] != null, row['l_there'] != null]
  for (const column of SHAPES[table].columns) {
    const [rebuilt, ledger] = [row[`r_${column}`] ?? null, row[`l_${column}`] ?? null]
    if (rebuilt !== ledger && inRebuilt && inLedger) columns[column] = { rebuilt, ledger }
  }
  const kind = inRebuilt ? (inLedger ? 'changed' : 'only in the rebuilt') : 'only in the ledger'
  return { table, kind, subject: row['subject'] ?? null, at: String(row['at']), columns }
}

function timeColumn(table: ComparedTable): 'ts' | 'hour' {
  return table === 'price_candles_1h' ? 'hour' : 'ts'
}

function moment(us: number): string {
  return `to_timestamp(${us} / 1000000.0)`
}
