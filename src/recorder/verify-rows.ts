import { hash } from 'node:crypto'
import { isTokenId } from '../core/ids.ts'
import type { StreamRowIdentity } from '../core/rows.ts'
import { CONTENT_COLUMNS, type StoredRow, type StreamedTable } from '../ledger/inspection.ts'
import type { StreamRows } from './stream-rows.ts'

/** A row that the tape says there must be, in the form in which the ledger holds it. */
export interface TapeRow extends StoredRow {
  readonly table: StreamedTable
  readonly subject: string
  readonly payload: Buffer
  /** The ledger may have put it into the dead letters: what it says is impossible. */
  readonly refusable: boolean
}

/** A column that is not as on the tape; values as text. */
export interface Difference {
  readonly column: string
  readonly tape: string
  readonly ledger: string
}

const DAY_MS = 86_400_000
/** The ledger takes no time that is later than this from its own. */
const FUTURE_MS = DAY_MS

/** The rows as the ledger must hold them; `retentionMs` is how old a venue time may be when it is received. */
export function* tapeRows(rows: StreamRows, retentionMs: number): Generator<TapeRow> {
  const isOdd = (row: StreamRowIdentity, tokens: readonly string[]) =>
    isUntimely(row, retentionMs) || !tokens.every(isTokenId)
  for (const row of rows.trades) {
    const { tokenId, price, size, side, feeRateBps, transactionHash } = row
    const [priceValue, sizeValue] = [Number(price), Number(size)]
    const fee = feeRateBps === '' ? null : Number(feeRateBps)
    const possible = priceValue >= 0 && priceValue <= 1 && sizeValue >= 0 && Number.isFinite(sizeValue)
    const content = [priceValue, sizeValue, side === 'BUY' ? 'B' : 'S', fee, transactionHash]
    yield { ...common('trades', row), subject: tokenId, content, refusable: !possible || isOdd(row, [tokenId]) }
  }
  for (const row of rows.tickSizes) {
    const content = [row.oldTickSize, row.newTickSize]
    const refusable = isOdd(row, [row.tokenId])
    yield { ...common('tick_size_changes', row), subject: row.tokenId, content, refusable }
  }
  for (const row of rows.lifecycle) {
    const content = [row.kind, row.winningTokenId, canonicalJson(JSON.parse(row.raw))]
    const refusable = isOdd(row, row.tokens) || /\\u(?:0000|d[89a-f])/i.test(row.raw)
    yield { ...common('market_events', row), subject: row.market, content, refusable }
  }
}

/** What the database made of a row, in the form of `tapeRows`. */
export function normalize(table: StreamedTable, row: StoredRow): StoredRow {
  if (table !== 'market_events') return row
  return { ...row, content: [row.content[0], row.content[1], canonicalJson(row.content[2])] }
}

/** What makes a row that row: never changes, whatever its columns say. */
export function identityOf(table: StreamedTable, row: StoredRow): string {
  return `${table}|${row.subject}|${row.venueUs}|${row.contentHash}|${row.ordinal}`
}

/** 64 bits of everything the row says, as two numbers below 2^32. */
export function digestOf(table: StreamedTable, row: StoredRow): readonly [number, number] {
  const text = `${identityOf(table, row)}|${row.atUs}|${row.content.map(shown).join('|')}`
  const digest = hash('sha1', text, 'buffer')
  return [digest.readUInt32LE(0), digest.readUInt32LE(4)]
}

/** Every column of the ledger's row that is not what the tape says. */
export function differences(table: StreamedTable, tape: StoredRow, ledger: StoredRow, withTime: boolean): Difference[] {
  const found: Difference[] = []
  CONTENT_COLUMNS[table].forEach((column, index) => {
    const [expected, actual] = [tape.content[index], ledger.content[index]]
    if (expected !== actual) found.push({ column, tape: shown(expected), ledger: shown(actual) })
  })
  if (withTime && tape.atUs !== ledger.atUs) {
    found.push({ column: 'received_at', tape: isoUs(tape.atUs), ledger: isoUs(ledger.atUs) })
  }
  return found
}

/** Unix µs as ISO 8601. */
export function isoUs(atUs: number): string {
  const ms = Math.floor(atUs / 1000)
  if (!(Math.abs(ms) <= 8.64e15)) return `${atUs} µs`
  const us = String(atUs - ms * 1000).padStart(3, '0')
  return new Date(ms).toISOString().replace('Z', `${us === '000' ? '' : us}Z`)
}

function common(table: StreamedTable, row: StreamRowIdentity) {
  const { venueMs, contentHash, ordinal, atUs, payload } = row
  return { table, venueUs: venueMs * 1000, contentHash, ordinal, atUs, payload }
}

/** Judged by the time of receipt; a row that waited for days and was refused then has left a letter. */
function isUntimely({ venueMs, atUs }: StreamRowIdentity, retentionMs: number): boolean {
  const atMs = atUs / 1000
  return !(venueMs >= Math.floor((atMs - retentionMs) / DAY_MS) * DAY_MS && venueMs <= atMs + FUTURE_MS)
}

function shown(value: unknown): string {
  return value === null || value === undefined ? 'nothing' : String(value)
}

/** The database keeps neither the order of keys nor the way a number was written. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value)) ?? 'null'
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, part]) => [key, sorted(part)]))
}
