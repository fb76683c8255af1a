import { describeError } from '../core/errors.ts'
import { isConditionId, isTokenId } from '../core/ids.ts'
import type { DeadLetter } from '../core/ports.ts'
import type { StreamBatch, StreamCommit, StreamRowIdentity } from '../core/rows.ts'
import type { TapePosition } from '../core/tape.ts'
import { storeCoverage, tokensOfCoverage } from './coverage.ts'
import type { Session } from './database.ts'
import { insertDeadLetters } from './dead-letters.ts'
import { classifyError } from './errors.ts'
import { lockMetadata } from './markets.ts'
import { type InsertRows, insertLifecycle, insertTickSizes, insertTrades, type KeyOf } from './stream-rows.ts'
import { resolveTokens, type TokenKeys, type TokenReference } from './tokens.ts'

/** A row that the ledger will not take, and why. */
interface Poison {
  readonly row: StreamRowIdentity
  readonly reason: string
}

/** A batch after everything was put aside that can be seen to be bad without asking the database. */
export interface CheckedBatch {
  readonly batch: StreamBatch
  readonly poison: readonly Poison[]
}

type Accepts = (venueMs: number) => boolean

const SAVEPOINT = 'before_rows'

/** Puts aside rows whose time lies outside the window that is kept, and rows whose token id is none. */
export function checkBatch(batch: StreamBatch, accepts: Accepts): CheckedBatch {
  const poison: Poison[] = []
  const good = <Row extends StreamRowIdentity>(rows: readonly Row[], tokensOf: (row: Row) => readonly string[]) =>
    rows.filter((row) => {
      const reason = !accepts(row.venueMs)
        ? `venue time ${String(row.venueMs)} is outside the window that is kept`
        : tokensOf(row).every(isTokenId)
          ? null
          : 'not a token id'
      if (reason !== null) poison.push({ row, reason })
      return reason === null
    })
  return {
    batch: {
      ...batch,
      trades: good(batch.trades, (row) => [row.tokenId]),
      tickSizes: good(batch.tickSizes, (row) => [row.tokenId]),
      lifecycle: good(batch.lifecycle, (row) => row.tokens),
    },
    poison,
  }
}

/** The times for which there must be partitions. */
export function timesOf(batch: StreamBatch): Set<number> {
  const times = new Set<number>()
  for (const rows of [batch.trades, batch.tickSizes, batch.lifecycle]) for (const row of rows) times.add(row.venueMs)
  return times
}

/** Stores rows, bad input and position; the token keys are for the cache once this is committed. */
export async function storeBatch(
  session: Session,
  checked: CheckedBatch,
  cache: TokenKeys,
  nowMs: number,
): Promise<{ commit: StreamCommit; keys: Map<string, number> }> {
  const { batch } = checked
  if (batch.lifecycle.length > 0) await lockMetadata(session)
  const keys = await resolveTokens(session, cache, referencesOf(batch))
  const keyOf: KeyOf = (tokenId) => keys.get(tokenId) as number
  const poison = [...checked.poison]
  const tradesInserted = await insertIsolated(session, batch.trades, keyOf, insertTrades, poison)
  const tickSizesInserted = await insertIsolated(session, batch.tickSizes, keyOf, insertTickSizes, poison)
  const lifecycleInserted = await insertIsolated(session, batch.lifecycle, keyOf, insertLifecycle, poison)
  if (batch.coverage !== null) await storeCoverage(session, batch, batch.coverage, keyOf)
  await storePosition(session, batch, nowMs)
  const letters = poison.map(({ row, reason }) => letterOf(batch.stream, row, reason))
  await insertDeadLetters(session, [...batch.deadLetters, ...letters], nowMs)
  const offered = batch.trades.length + batch.tickSizes.length + batch.lifecycle.length
  const refused = poison.length - checked.poison.length
  const inserted = tradesInserted + tickSizesInserted + lifecycleInserted
  const commit: StreamCommit = {
    tradesInserted,
    tickSizesInserted,
    lifecycleInserted,
    duplicates: offered - refused - inserted,
    poisoned: poison.length,
  }
  return { commit, keys }
}

export async function selectPosition(
  session: Session,
  recorderId: string,
  stream: string,
): Promise<{ position: TapePosition; atUs: number | null } | null> {
  const { rows } = await session.query<{ segment: string; segment_offset: string; line: string; at_us: string | null }>(
    `SELECT segment, segment_offset, line, (extract(epoch FROM at) * 1000000)::bigint AS at_us
     FROM tape_positions WHERE recorder_id = $1 AND stream = $2`,
    [recorderId, stream],
  )
  const row = rows[0]
  if (row === undefined) return null
  const position = { segment: row.segment, offset: Number(row.segment_offset), line: Number(row.line) }
  return { position, atUs: row.at_us === null ? null : Number(row.at_us) }
}

async function storePosition(session: Session, batch: StreamBatch, nowMs: number): Promise<void> {
  const { segment, offset, line } = batch.position
  await session.query(
    `INSERT INTO tape_positions (recorder_id, stream, segment, segment_offset, line, at, updated_at)
     VALUES ($1, $2, $3, $4, $5, to_timestamp($6 / 1000000.0), to_timestamp($7 / 1000.0))
     ON CONFLICT (recorder_id, stream) DO UPDATE SET
       segment = EXCLUDED.segment, segment_offset = EXCLUDED.segment_offset, line = EXCLUDED.line,
       at = coalesce(EXCLUDED.at, tape_positions.at), updated_at = EXCLUDED.updated_at`,
    [batch.recorderId, batch.stream, segment, offset, line, batch.positionAtUs, nowMs],
  )
}

/**
 * Inserts rows; when the database refuses some for what they hold, halves the group until the bad ones stand alone.
 * Savepoints keep the transaction alive, so their neighbours land and the position can advance.
 */
async function insertIsolated<Row extends StreamRowIdentity>(
  session: Session,
  rows: readonly Row[],
  keyOf: KeyOf,
  insert: InsertRows<Row>,
  poison: Poison[],
): Promise<number> {
  if (rows.length === 0) return 0
  await session.query(`SAVEPOINT ${SAVEPOINT}`)
  try {
    const inserted = await insert(session, rows, keyOf)
    await session.query(`RELEASE ${SAVEPOINT}`)
    return inserted
  } catch (error) {
    if (classifyError(error) !== 'data') throw error
    await session.query(`ROLLBACK TO ${SAVEPOINT}; RELEASE ${SAVEPOINT}`)
    if (rows.length === 1) {
      poison.push({ row: rows[0] as Row, reason: describeError(error) })
      return 0
    }
  }
  const middle = rows.length >> 1
  const first = await insertIsolated(session, rows.slice(0, middle), keyOf, insert, poison)
  return first + (await insertIsolated(session, rows.slice(middle), keyOf, insert, poison))
}

function* referencesOf(batch: StreamBatch): Generator<TokenReference> {
  for (const rows of [batch.trades, batch.tickSizes]) {
    for (const { tokenId, market } of rows) yield { tokenId, conditionId: isConditionId(market) ? market : null }
  }
  for (const { tokens, market } of batch.lifecycle) {
    for (const tokenId of tokens) yield { tokenId, conditionId: isConditionId(market) ? market : null }
  }
  if (batch.coverage === null) return
  for (const tokenId of tokensOfCoverage(batch.coverage)) yield { tokenId, conditionId: null }
}

function letterOf(stream: string, row: StreamRowIdentity, reason: string): DeadLetter {
  return { atMs: Math.floor(row.atUs / 1000), source: stream, reason, raw: row.payload.toString('utf8') }
}
