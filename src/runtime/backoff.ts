import { assert } from '../core/errors.ts'
import type { Random } from '../core/random.ts'

export interface BackoffPolicy {
  /** Delay after the first failure, ms. */
  readonly baseMs: number
  /** The longest delay before jitter, ms. */
  readonly capMs: number
  /** Share of the delay that chance may add: 0.1 adds up to 10 %. */
  readonly jitter: number
}

/** Exponential delay in ms after `failures` consecutive failures (1 or more). */
export function backoffMs(failures: number, policy: BackoffPolicy, random: Random): number {
  assert(failures >= 1, 'a backoff needs at least one failure')
  const plainMs = Math.min(policy.capMs, policy.baseMs * 2 ** Math.min(failures - 1, 50))
  return plainMs * (1 + policy.jitter * random())
}
