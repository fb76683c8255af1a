import type { TokenId } from '../core/ids.ts'
import { type Followed, type FollowedTokens, UNDECIDED } from './followed.ts'

/** A token's newest book as the venue told it. */
export interface KnownBook {
  /** When it was last heard of, Unix µs, at most a second too early. */
  readonly atUs: number
  readonly hash: string | null
}

export interface KnownBooksOptions {
  /** The book that was rebuilt so far; asked before the next frame is applied. */
  readonly bookOf: (token: TokenId) => KnownBook | null
  /** Until when the token has missed nothing, Unix µs, while verdicts on what came since are still due; else null. */
  readonly undecidedSince?: (token: TokenId) => number | null
}

/** The last certain moment of each token: its book in memory, or what was stored before this start. */
export class KnownBooks {
  readonly #options: KnownBooksOptions
  readonly #tokens: FollowedTokens

  constructor(options: KnownBooksOptions, tokens: FollowedTokens) {
    this.#options = options
    this.#tokens = tokens
  }

  of({ id, known }: Followed): KnownBook | null {
    return this.#options.bookOf(id) ?? known
  }

  /** The token's own last sign of life, Unix µs. */
  goodUs(followed: Followed): number {
    const { verifiedUs, mendedUs } = followed
    return Math.max(this.of(followed)?.atUs ?? 0, verifiedUs ?? 0, mendedUs)
  }

  isDecided({ id }: Followed): boolean {
    return this.#undecidedSince(id) === null
  }

  /** After a stop in good order the next start knows every book, and of which of them a verdict was still due. */
  remember(): void {
    for (const followed of this.#tokens.values()) {
      const book = this.of(followed)
      const sinceUs = this.#undecidedSince(followed.id)
      if (sinceUs !== null) {
        const verifiedUs = Math.min(sinceUs, followed.verifiedUs ?? sinceUs)
        this.#tokens.change(followed, { verifiedUs, known: { atUs: sinceUs, hash: UNDECIDED } })
      } else if (book !== null && book.hash !== null) {
        this.#tokens.change(followed, { known: { atUs: book.atUs, hash: book.hash } })
      }
    }
  }

  #undecidedSince(token: TokenId): number | null {
    return this.#options.undecidedSince?.(token) ?? null
  }
}
