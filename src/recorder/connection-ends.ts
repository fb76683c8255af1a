import { isTokenId, type TokenId } from '../core/ids.ts'
import type { TapeRecord } from '../core/tape.ts'

interface Life {
  /** Of its first and its newest line, Unix µs. */
  readonly firstUs: number
  lastUs: number
  ended: boolean
}

const LIVES_MAX = 10_000
const TOKENS_MAX = 100_000
/** What is judged lies a few connections back at most. */
const LIVES_PER_TOKEN = 4

/**
 * Knows how long each connection was listened to. A trade that had not come when its connection ended was not lost by
 * the venue: the end of a connection, or of the recorder, is a gap anyway.
 */
export class ConnectionEnds {
  readonly #lives = new Map<string, Life>()
  /** The connections on which a token was subscribed, the newest last. */
  readonly #followed = new Map<TokenId, Life[]>()

  read(record: TapeRecord): void {
    const { connection, atUs } = record
    if (record.kind === 'mark' && (record.mark === 'start' || record.mark === 'stop')) {
      for (const life of this.#lives.values()) life.ended = true
      this.#lives.clear()
      return
    }
    const life = this.#lives.get(connection) ?? this.#begin(connection, atUs)
    life.lastUs = atUs
    if (record.kind !== 'mark') return
    if (record.mark === 'close') {
      life.ended = true
      this.#lives.delete(connection)
    }
    if (record.mark === 'subscribe') this.#subscribe(life, record.detail['assets_ids'])
  }

  /** True when what was due within `withinUs` of a line about the token could not have been heard to the end. */
  endedBefore(token: TokenId, atUs: number, withinUs: number): boolean {
    const life = this.#followed.get(token)?.findLast(({ firstUs }) => firstUs <= atUs)
    return life?.ended === true && life.lastUs < atUs + withinUs
  }

  #begin(connection: string, atUs: number): Life {
    const life = { firstUs: atUs, lastUs: atUs, ended: false }
    this.#lives.set(connection, life)
    trim(this.#lives, LIVES_MAX)
    return life
  }

  #subscribe(life: Life, tokens: unknown): void {
    if (!Array.isArray(tokens)) return
    for (const token of tokens.filter(isTokenId)) {
      const lives = this.#followed.get(token) ?? []
      if (lives.at(-1) !== life) lives.push(life)
      if (lives.length > LIVES_PER_TOKEN) lives.shift()
      this.#followed.set(token, lives)
    }
    while (this.#followed.size > TOKENS_MAX) trim(this.#followed, TOKENS_MAX)
  }
}

function trim<Key>(map: Map<Key, unknown>, most: number): void {
  if (map.size > most) map.delete(map.keys().next().value as Key)
}
