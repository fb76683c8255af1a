import { createHash } from 'node:crypto'
import type { SignalKey } from '../../core/signals.ts'
import { wordsOf } from './words.ts'

/** Fewer words, or shorter ones, are said of different things ("Market update"). */
const CONTENT_WORDS_MIN = 4
const CONTENT_LENGTH_MIN = 24

/** 32 hex digits. */
export function hashOf(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part).update('\0')
  return hash.digest('hex').slice(0, 32)
}

/** The key of an item by the name that its source gave it. */
export function idKey(source: string, externalId: string): SignalKey {
  return { kind: 'id', hash: hashOf('id', source, externalId) }
}

export interface Identified {
  readonly source: string
  readonly externalId: string | null
  /** As `canonicalUrl` writes it. */
  readonly canonical: string | null
  readonly title: string
  readonly summary: string
}

/**
 * What makes an item the same as another: its address, else its name at its source; and its words, whatever their case
 * and punctuation, where there are enough of them.
 */
export function keysOf({ source, externalId, canonical, title, summary }: Identified): readonly SignalKey[] {
  const keys: SignalKey[] = []
  if (canonical !== null) keys.push({ kind: 'url', hash: hashOf('url', canonical) })
  else if (externalId !== null) keys.push(idKey(source, externalId))
  const words = wordsOf(`${title} ${summary}`.toLowerCase())
  const content = words.join(' ')
  const isTelling = words.length >= CONTENT_WORDS_MIN && content.length >= CONTENT_LENGTH_MIN
  if (isTelling || keys.length === 0) keys.push({ kind: 'content', hash: hashOf('content', content) })
  return keys
}
