import type { CoverageChanges, CoverageState, GapCause, GapRow, OpenSpan, SpanChange } from '../core/coverage.ts'
import { isTokenId, type TokenId } from '../core/ids.ts'
import { nullableArray, numberArray, textArray } from './array-literal.ts'
import { cleanJson, cleanText } from './clean.ts'
import type { Session } from './database.ts'
import type { KeyOf } from './stream-rows.ts'

/** Exact to the microsecond, which `to_timestamp` of a quotient is not: spans are found again by their start. */
const FROM_US = (us: string) => `('epoch'::timestamptz + ${us} * interval '1 microsecond')`
const TO_US = (at: string) => `(extract(epoch FROM ${at}) * 1000000)::bigint`

interface Owner {
  readonly recorderId: string
  readonly stream: string
}

/** The tokens that these changes speak of. */
export function* tokensOfCoverage(changes: CoverageChanges): Generator<TokenId> {
  for (const { token } of changes.spansStarted) yield token
  for (const { token } of changes.spans) yield token
  for (const { tokens } of changes.gaps) yield* tokens
}

/** Stores what changed about coverage, in the transaction of the position that it belongs to. */
export async function storeCoverage(
  session: Session,
  owner: Owner,
  changes: CoverageChanges,
  keyOf: KeyOf,
): Promise<void> {
  if (changes.spansStarted.length > 0) await insertSpans(session, owner, changes, keyOf)
  if (changes.spans.length > 0) await updateSpans(session, owner, changes.spans, keyOf)
  for (const gap of changes.gaps) await upsertGap(session, owner, gap, keyOf)
  if (changes.gapsRemoved.length > 0) {
    await session.query(
      'DELETE FROM coverage_gaps WHERE recorder_id = $1 AND stream = $2 AND gap_no = ANY($3::integer[])',
      [owner.recorderId, owner.stream, numberArray(changes.gapsRemoved)],
    )
  }
}

async function insertSpans(session: Session, owner: Owner, { spansStarted }: CoverageChanges, keyOf: KeyOf) {
  await session.query(
    `INSERT INTO coverage_spans (recorder_id, stream, token_key, started_at, connection)
     SELECT $1, $2, token_key, ${FROM_US('us')}, connection
     FROM unnest($3::integer[], $4::bigint[], $5::text[]) AS t (token_key, us, connection)
     ON CONFLICT DO NOTHING`,
    [
      owner.recorderId,
      owner.stream,
      numberArray(spansStarted.map(({ token }) => keyOf(token))),
      numberArray(spansStarted.map(({ startedUs }) => startedUs)),
      textArray(spansStarted.map(({ connection }) => cleanText(connection))),
    ],
  )
}

async function updateSpans(session: Session, owner: Owner, spans: readonly SpanChange[], keyOf: KeyOf): Promise<void> {
  const orNull = (read: (span: SpanChange) => number | undefined) =>
    nullableArray(spans.map((span) => read(span)?.toString() ?? null))
  await session.query(
    `UPDATE coverage_spans s SET
       ended_at = coalesce(${FROM_US('n.ended')}, s.ended_at),
       connection = coalesce(n.connection, s.connection),
       verified_at = coalesce(${FROM_US('n.verified')}, s.verified_at),
       known_at = coalesce(${FROM_US('n.known')}, s.known_at),
       known_hash = coalesce(n.hash, s.known_hash),
       hash_mismatches = s.hash_mismatches + coalesce(n.mismatches, 0),
       best_disagreements = s.best_disagreements + coalesce(n.disagreements, 0),
       missing_trades = s.missing_trades + coalesce(n.missing, 0)
     FROM unnest($3::integer[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[], $8::bigint[], $9::text[],
                 $10::integer[], $11::integer[], $12::integer[])
       AS n (token_key, us, ended, connection, verified, known, hash, mismatches, disagreements, missing)
     WHERE s.recorder_id = $1 AND s.stream = $2 AND s.token_key = n.token_key AND s.started_at = ${FROM_US('n.us')}`,
    [
      owner.recorderId,
      owner.stream,
      numberArray(spans.map(({ token }) => keyOf(token))),
      numberArray(spans.map(({ startedUs }) => startedUs)),
      orNull(({ endedUs }) => endedUs),
      nullableArray(spans.map(({ connection }) => (connection === undefined ? null : cleanText(connection)))),
      orNull(({ verifiedUs }) => verifiedUs),
      orNull(({ known }) => known?.atUs),
      nullableArray(spans.map(({ known }) => (known === undefined ? null : cleanText(known.hash)))),
      orNull(({ verdicts }) => verdicts?.hashMismatches),
      orNull(({ verdicts }) => verdicts?.bestDisagreements),
      orNull(({ verdicts }) => verdicts?.missingTrades),
    ],
  )
}

/** A row that changes is to be filled again; what was recovered stays. */
async function upsertGap(session: Session, owner: Owner, gap: GapRow, keyOf: KeyOf): Promise<void> {
  await session.query(
    `INSERT INTO coverage_gaps
       (recorder_id, stream, gap_no, cause, started_at, ended_at, tokens, quiet_tokens, evidence)
     VALUES ($1, $2, $3, $4, ${FROM_US('$5::bigint')}, ${FROM_US('$6::bigint')}, $7::integer[], $8::integer[], $9)
     ON CONFLICT (recorder_id, stream, gap_no) DO UPDATE SET
       cause = EXCLUDED.cause, started_at = EXCLUDED.started_at, ended_at = EXCLUDED.ended_at,
       tokens = EXCLUDED.tokens, quiet_tokens = EXCLUDED.quiet_tokens, evidence = EXCLUDED.evidence,
       backfill_complete = NULL, backfill_next_at = NULL`,
    [
      owner.recorderId,
      owner.stream,
      gap.no,
      gap.cause,
      gap.startedUs,
      gap.endedUs === null ? null : Math.max(gap.startedUs, gap.endedUs),
      numberArray(gap.tokens.map(keyOf)),
      numberArray(gap.quietTokens.map(keyOf)),
      cleanJson(gap.evidence),
    ],
  )
}

/** The open spans and gaps of one recorder's stream. */
export async function selectCoverage(session: Session, recorderId: string, stream: string): Promise<CoverageState> {
  const owner = [recorderId, stream]
  const { rows: numbers } = await session.query<{ next: number }>(
    'SELECT coalesce(max(gap_no), 0) + 1 AS next FROM coverage_gaps WHERE recorder_id = $1 AND stream = $2',
    owner,
  )
  const { rows: spans } = await session.query<SpanRecord>(
    `SELECT t.token_id, s.connection, s.known_hash, ${TO_US('s.started_at')} AS started,
            ${TO_US('s.verified_at')} AS verified, ${TO_US('s.known_at')} AS known
     FROM coverage_spans s JOIN tokens t USING (token_key)
     WHERE s.recorder_id = $1 AND s.stream = $2 AND s.ended_at IS NULL`,
    owner,
  )
  const { rows: gaps } = await session.query<GapRecord>(
    `SELECT g.gap_no, g.cause, g.evidence, ${TO_US('g.started_at')} AS started,
            (SELECT array_agg(t.token_id) FROM tokens t WHERE t.token_key = ANY (g.tokens)) AS tokens,
            (SELECT array_agg(t.token_id) FROM tokens t WHERE t.token_key = ANY (g.quiet_tokens)) AS quiet
     FROM coverage_gaps g
     WHERE g.recorder_id = $1 AND g.stream = $2 AND g.ended_at IS NULL AND g.gap_no IS NOT NULL ORDER BY g.gap_no`,
    owner,
  )
  return {
    spans: spans.flatMap((span) => (isTokenId(span.token_id) ? [spanOf(span, span.token_id)] : [])),
    gaps: gaps.map(gapOf),
    nextNo: numbers[0]?.next ?? 1,
  }
}

/** Times are text: 64-bit integers do not become numbers by themselves. */
interface SpanRecord {
  readonly token_id: string
  readonly connection: string
  readonly started: string
  readonly verified: string | null
  readonly known: string | null
  readonly known_hash: string | null
}

interface GapRecord {
  readonly gap_no: number
  readonly cause: GapCause
  readonly evidence: Record<string, unknown>
  readonly started: string
  readonly tokens: readonly string[] | null
  readonly quiet: readonly string[] | null
}

function spanOf(row: SpanRecord, token: TokenId): OpenSpan {
  const { connection, started, verified, known, known_hash: hash } = row
  return {
    token,
    startedUs: Number(started),
    connection,
    verifiedUs: verified === null ? null : Number(verified),
    known: known === null || hash === null ? null : { atUs: Number(known), hash },
  }
}

function gapOf({ gap_no: no, cause, evidence, started, tokens, quiet }: GapRecord): GapRow {
  const ids = (list: readonly string[] | null) => (list ?? []).filter(isTokenId)
  const times = { startedUs: Number(started), endedUs: null }
  return { no, cause, ...times, tokens: ids(tokens), quietTokens: ids(quiet), evidence }
}
