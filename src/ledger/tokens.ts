import { assert } from '../core/errors.ts'
import { nullableArray, textArray } from './array-literal.ts'
import type { Session } from './database.ts'

/** A token as a row names it. */
export interface TokenReference {
  readonly tokenId: string
  readonly conditionId: string | null
}

const KEYS_MAX = 300_000

/** Token keys that are known to be in the database. Bounded; the oldest go first. */
export class TokenKeys {
  #keys = new Map<string, number>()

  get(tokenId: string): number | undefined {
    return this.#keys.get(tokenId)
  }

  /** Call only with keys of committed rows: a key that was rolled back would point nowhere. */
  remember(keys: ReadonlyMap<string, number>): void {
    for (const [tokenId, key] of keys) {
      if (this.#keys.has(tokenId)) continue
      if (this.#keys.size >= KEYS_MAX) this.#keys.delete(this.#keys.keys().next().value as string)
      this.#keys.set(tokenId, key)
    }
  }

  forget(): void {
    this.#keys = new Map()
  }
}

/** The keys of these tokens, inserting those that are new. The caller hands them to the cache after its commit. */
export async function resolveTokens(
  session: Session,
  cache: TokenKeys,
  references: Iterable<TokenReference>,
): Promise<Map<string, number>> {
  const wanted = new Map<string, string | null>()
  const found = new Map<string, number>()
  for (const { tokenId, conditionId } of references) {
    const known = cache.get(tokenId)
    if (known === undefined) wanted.set(tokenId, conditionId)
    else found.set(tokenId, known)
  }
  if (wanted.size === 0) return found
  await selectKeys(session, wanted, found)
  if (wanted.size === 0) return found
  await insertTokens(session, wanted, found)
  // Somebody else inserted the rest at the same moment and has committed: they are visible now.
  if (wanted.size > 0) await selectKeys(session, wanted, found)
  assert(wanted.size === 0, 'a token is neither new nor known')
  return found
}

async function selectKeys(session: Session, wanted: Map<string, string | null>, found: Map<string, number>) {
  const { rows } = await session.query<{ token_id: string; token_key: number }>(
    'SELECT token_id, token_key FROM tokens WHERE token_id = ANY($1::text[])',
    [textArray([...wanted.keys()])],
  )
  take(rows, wanted, found)
}

/**
 * Only tokens that are missing are tried: every try uses up a key, and there are 2^31. Sorted, so that two
 * transactions cannot lock each other's.
 */
async function insertTokens(session: Session, wanted: Map<string, string | null>, found: Map<string, number>) {
  const ids = [...wanted.keys()].sort()
  const { rows } = await session.query<{ token_id: string; token_key: number }>(
    `INSERT INTO tokens (token_id, condition_id)
     SELECT * FROM unnest($1::text[], $2::text[])
     ON CONFLICT DO NOTHING RETURNING token_id, token_key`,
    [textArray(ids), nullableArray(ids.map((id) => wanted.get(id) ?? null))],
  )
  take(rows, wanted, found)
}

function take(
  rows: readonly { token_id: string; token_key: number }[],
  wanted: Map<string, string | null>,
  found: Map<string, number>,
): void {
  for (const row of rows) {
    found.set(row.token_id, row.token_key)
    wanted.delete(row.token_id)
  }
}
