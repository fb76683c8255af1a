import type { DocumentState, Signal, SignalKey, StoredSignals } from '../core/signals.ts'
import { nullableArray, numberArray, textArray } from './array-literal.ts'
import { cleanJson, cleanOrNull, cleanText } from './clean.ts'
import type { Session } from './database.ts'
import { DAY_MS } from './partitions.ts'

/** The same words within this time are the same story. */
const CONTENT_AGE_MS = 30 * DAY_MS
/** Whoever stores signals waits for whoever does: what is new is decided by one at a time. Taken at random. */
const LOCK = 7_316_022_921
const KINDS = { url: 'u', id: 'i', content: 'c' } as const

/** Stores each signal that shares no key with one before it, and every key of all of them. Keeps the first version. */
export async function insertSignals(session: Session, signals: readonly Signal[]): Promise<StoredSignals> {
  if (signals.length === 0) return { stored: 0, repeated: 0 }
  await session.query(`SELECT pg_advisory_xact_lock(${LOCK})`)
  const groups = groupByKeys(signals, await selectOwners(session, signals))
  const fresh = groups.filter((group) => group.owner === null)
  const ids = await insertRows(
    session,
    fresh.map(({ first }) => first),
  )
  const stored = groups.filter((group) => group.owner !== null)
  for (const [n, group] of fresh.entries()) group.owner = ids[n] ?? null
  await fillIn(session, stored)
  await upsertKeys(session, groups)
  return { stored: fresh.length, repeated: signals.length - fresh.length }
}

/** Signals that are one: the first of them is what is stored, unless one from before is there. */
interface Group {
  readonly first: Signal
  readonly keys: Map<string, { readonly key: SignalKey; readonly seenMs: number }>
  owner: number | null
}

/** In their order: a signal joins the group of the first of its keys that has one, and brings its other keys along. */
function groupByKeys(signals: readonly Signal[], owners: ReadonlyMap<string, number>): readonly Group[] {
  const groups: Group[] = []
  const byHash = new Map<string, Group>()
  const byOwner = new Map<number, Group>()
  for (const signal of signals) {
    const known = signal.keys.map(({ hash }) => byHash.get(hash)).find((group) => group !== undefined)
    const owner = signal.keys.map(({ hash }) => owners.get(hash)).find((id) => id !== undefined) ?? null
    const group = known ??
      (owner === null ? undefined : byOwner.get(owner)) ?? { first: signal, keys: new Map(), owner }
    if (group.first === signal) groups.push(group)
    if (owner !== null) byOwner.set(owner, group)
    for (const key of signal.keys) {
      if (!byHash.has(key.hash)) byHash.set(key.hash, group)
      if (byHash.get(key.hash) === group) group.keys.set(key.hash, { key, seenMs: signal.seenMs })
    }
  }
  return groups
}

/** Which stored signal each key belongs to, as far as it still counts. */
async function selectOwners(session: Session, signals: readonly Signal[]): Promise<ReadonlyMap<string, number>> {
  const hashes = [...new Set(signals.flatMap(({ keys }) => keys.map(({ hash }) => hash)))]
  const seenMs = Math.max(...signals.map((signal) => signal.seenMs))
  const { rows } = await session.query<{ hash: string; signal_id: string }>(
    `SELECT replace(key::text, '-', '') AS hash, signal_id FROM signal_keys
     WHERE key = ANY ($1::uuid[]) AND (kind <> 'c' OR seen_at > to_timestamp($2 / 1000.0))`,
    [textArray(hashes), seenMs - CONTENT_AGE_MS],
  )
  return new Map(rows.map((row) => [row.hash, Number(row.signal_id)]))
}

async function insertRows(session: Session, signals: readonly Signal[]): Promise<readonly number[]> {
  if (signals.length === 0) return []
  const column = (read: (signal: Signal) => string | null) =>
    nullableArray(signals.map((one) => cleanOrNull(read(one))))
  const json = (read: (signal: Signal) => unknown) => textArray(signals.map((one) => cleanJson(read(one))))
  const { rows } = await session.query<{ signal_id: string }>(
    `INSERT INTO signals (seen_at, published_at, source, external_id, url, title, summary, keywords, companies, raw)
     SELECT to_timestamp(s.seen / 1000.0), to_timestamp(s.published / 1000.0), s.source, s.external_id, s.url, s.title,
            s.summary, ARRAY(SELECT jsonb_array_elements_text(s.keywords)),
            ARRAY(SELECT jsonb_array_elements_text(s.companies)), s.raw
     FROM unnest($1::float8[], $2::float8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[],
                 $9::jsonb[], $10::jsonb[])
       WITH ORDINALITY AS s (seen, published, source, external_id, url, title, summary, keywords, companies, raw, n)
     ORDER BY s.n RETURNING signal_id`,
    [
      numberArray(signals.map(({ seenMs }) => seenMs)),
      column(({ publishedMs }) => (publishedMs === null ? null : String(publishedMs))),
      column(({ source }) => source),
      column(({ externalId }) => externalId),
      column(({ url }) => url),
      column(({ title }) => title),
      column(({ summary }) => summary),
      json(({ keywords }) => keywords),
      json(({ companies }) => companies),
      json(({ raw }) => raw),
    ],
  )
  return rows.map((row) => Number(row.signal_id))
}

/** What was stored without an address, because that was damaged, gets the one that it has now. */
async function fillIn(session: Session, groups: readonly Group[]): Promise<void> {
  const known = groups.filter(({ first }) => first.url !== null)
  if (known.length === 0) return
  await session.query(
    `UPDATE signals s SET url = r.url, external_id = coalesce(s.external_id, r.external_id)
     FROM unnest($1::bigint[], $2::text[], $3::text[]) AS r (signal_id, url, external_id)
     WHERE s.signal_id = r.signal_id AND s.url IS NULL`,
    [
      numberArray(known.map(({ owner }) => owner ?? 0)),
      nullableArray(known.map(({ first }) => cleanOrNull(first.url))),
      nullableArray(known.map(({ first }) => cleanOrNull(first.externalId))),
    ],
  )
}

/** A key stays with whom it has; one of words that had run out goes to the new signal. */
async function upsertKeys(session: Session, groups: readonly Group[]): Promise<void> {
  const rows = groups.flatMap(({ keys, owner }) => [...keys.values()].map((one) => ({ ...one, owner: owner ?? 0 })))
  await session.query(
    `INSERT INTO signal_keys AS k (key, kind, signal_id, seen_at)
     SELECT r.key, r.kind, r.signal_id, to_timestamp(r.seen / 1000.0)
     FROM unnest($1::uuid[], $2::"char"[], $3::bigint[], $4::float8[]) AS r (key, kind, signal_id, seen)
     ORDER BY 1
     ON CONFLICT (key) DO UPDATE SET signal_id = EXCLUDED.signal_id, seen_at = EXCLUDED.seen_at
     WHERE k.kind = 'c' AND k.seen_at <= EXCLUDED.seen_at - $5 * interval '1 ms'`,
    [
      textArray(rows.map(({ key }) => key.hash)),
      textArray(rows.map(({ key }) => KINDS[key.kind])),
      numberArray(rows.map(({ owner }) => owner)),
      numberArray(rows.map(({ seenMs }) => seenMs)),
      CONTENT_AGE_MS,
    ],
  )
}

/** Those of the hashes that are keys of something stored. */
export async function selectKnownKeys(session: Session, hashes: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await session.query<{ hash: string }>(
    `SELECT replace(key::text, '-', '') AS hash FROM signal_keys WHERE key = ANY ($1::uuid[])`,
    [textArray(hashes)],
  )
  return new Set(rows.map(({ hash }) => hash))
}

interface DocumentRow extends Record<string, unknown> {
  readonly url: string
  readonly found_at: string
  readonly etag: string | null
  readonly last_modified: string | null
  readonly body_hash: string
}

export async function selectDocument(session: Session, source: string): Promise<DocumentState | null> {
  const { rows } = await session.query<DocumentRow>(
    `SELECT url, found_at, etag, last_modified, replace(body_hash::text, '-', '') AS body_hash
     FROM scrape_sources WHERE source = $1`,
    [source],
  )
  const row = rows[0]
  if (row === undefined) return null
  const { url, found_at: foundAt, etag, last_modified: lastModified, body_hash: bodyHash } = row
  return { url, foundAt, etag, lastModified, bodyHash }
}

export async function upsertDocument(
  session: Session,
  source: string,
  document: DocumentState,
  nowMs: number,
): Promise<void> {
  await session.query(
    `INSERT INTO scrape_sources (source, url, found_at, etag, last_modified, body_hash, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, to_timestamp($7 / 1000.0))
     ON CONFLICT (source) DO UPDATE SET url = EXCLUDED.url, found_at = EXCLUDED.found_at, etag = EXCLUDED.etag,
       last_modified = EXCLUDED.last_modified, body_hash = EXCLUDED.body_hash, updated_at = EXCLUDED.updated_at`,
    [
      cleanText(source),
      cleanText(document.url),
      cleanText(document.foundAt),
      cleanOrNull(document.etag),
      cleanOrNull(document.lastModified),
      document.bodyHash,
      nowMs,
    ],
  )
}
