import type { BookRefresher } from '../../core/coverage.ts'
import type { TokenId } from '../../core/ids.ts'

/** Tokens that need a fresh book from another connection, at a pace that a broken venue cannot drive up. */
export interface TokenMoves extends BookRefresher {
  /** Tokens to be moved now (monotonic ms); at most `TAKEN_MAX` a call. */
  take(nowMs: number): TokenId[]
  /** Tokens that wait. */
  readonly waiting: number
  /** Tokens that were not noted because too many waited. */
  readonly declined: number
}

export const TAKEN_MAX = 200
/** Between two moves of one token; doubles with each that follows closely. */
const PAUSE_MS_MIN = 10_000
const PAUSE_MS_MAX = 600_000
const TOKENS_MAX = 40_000

interface Moved {
  readonly atMs: number
  readonly pauseMs: number
}

export function createTokenMoves(): TokenMoves {
  const waiting = new Set<TokenId>()
  const moved = new Map<TokenId, Moved>()
  let declined = 0

  const isDue = (token: TokenId, nowMs: number): boolean => {
    const last = moved.get(token)
    return last === undefined || nowMs - last.atMs >= last.pauseMs
  }
  const note = (token: TokenId, nowMs: number): void => {
    const last = moved.get(token)
    const isAgain = last !== undefined && nowMs - last.atMs < 4 * last.pauseMs
    const pauseMs = isAgain ? Math.min(PAUSE_MS_MAX, last.pauseMs * 2) : PAUSE_MS_MIN
    moved.delete(token)
    moved.set(token, { atMs: nowMs, pauseMs })
    if (moved.size > TOKENS_MAX) moved.delete(moved.keys().next().value as TokenId)
  }
  return {
    refresh(tokens) {
      for (const token of tokens) {
        if (waiting.size < TOKENS_MAX) waiting.add(token)
        else declined += 1
      }
    },
    take(nowMs) {
      const taken: TokenId[] = []
      for (const token of waiting) {
        if (taken.length === TAKEN_MAX) break
        if (!isDue(token, nowMs)) continue
        taken.push(token)
        waiting.delete(token)
        note(token, nowMs)
      }
      return taken
    },
    get waiting() {
      return waiting.size
    },
    get declined() {
      return declined
    },
  }
}
