import type { TokenId } from '../core/ids.ts'
import { type Followed, isLive } from './followed.ts'

const LOOK_US = 10_000_000
/** Larger than any dump takes on a line that is of use. */
const OVERDUE_US = 30_000_000
const ASKED_MAX = 100

/**
 * Tokens that stay in doubt although a connection that is well has subscribed to them: the book that would end it was
 * lost, or never sent. Nothing else would bring one before the token's next trade, which may be days away.
 */
export class OverdueBooks {
  #lookedUs = 0
  /** Since when each was seen to wait, or was last asked for; tape time, Unix µs. */
  #waiting = new Map<TokenId, number>()

  /** Those to be asked for now, at most `ASKED_MAX` each `LOOK_US`. Tape time is `atUs`. */
  take(tokens: Iterable<Followed>, atUs: number): TokenId[] {
    if (atUs - this.#lookedUs < LOOK_US) return []
    this.#lookedUs = atUs
    const waiting = new Map<TokenId, number>()
    const overdue: TokenId[] = []
    for (const { id, incident, links } of tokens) {
      if (incident === null || !links.some(isLive)) continue
      const sinceUs = this.#waiting.get(id) ?? atUs
      const asks = atUs - sinceUs >= OVERDUE_US && overdue.length < ASKED_MAX
      if (asks) overdue.push(id)
      waiting.set(id, asks ? atUs : sinceUs)
    }
    this.#waiting = waiting
    return overdue
  }
}
