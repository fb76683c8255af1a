import type { Clock } from '../core/clock.ts'
import { assert, TransientError } from '../core/errors.ts'

/** One documented limit of a host. */
export interface RateRule {
  /** As in `URL.host`: name and, when not the default one, port. */
  readonly host: string
  /** A request counts when its path is one of these or lies below one; no paths means every request to the host. */
  readonly paths: readonly string[]
  /** Requests that the host documents as allowed per window. */
  readonly limit: number
  readonly windowMs: number
}

export interface RateLimiterOptions {
  readonly clock: Clock
  readonly rules: readonly RateRule[]
  /** Share of a documented limit that is used; 0.7 unless given. */
  readonly share?: number
  /** Requests that may wait at once; more are refused with a TransientError. 10,000 unless given. */
  readonly waitingMax?: number
}

export interface RateLimiter {
  /** Waits for this request's turn and returns how long it waited, ms. Rejects only when too many wait. */
  take(url: URL, signal: AbortSignal): Promise<number>
}

const SHARE = 0.7
const WAITING_MAX = 10_000

/** Keeps every rule at once: a request waits until all of its buckets have a token. First come, first served. */
export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  const share = options.share ?? SHARE
  const waitingMax = options.waitingMax ?? WAITING_MAX
  const rules = options.rules.map((rule) => ({ rule, bucket: bucketOf(options.clock, rule, share) }))
  let waiting = 0
  return {
    async take(url, signal) {
      if (waiting >= waitingMax) throw new TransientError(`${waiting} requests are waiting for their turn already`)
      const buckets = rules.filter(({ rule }) => applies(rule, url)).map(({ bucket }) => bucket)
      waiting += 1
      try {
        return await takeAll(buckets, options.clock, signal)
      } finally {
        waiting -= 1
      }
    },
  }
}

export interface TokenBucket {
  /** Takes one token, now or in the future, and returns how long to wait for it, ms. */
  reserve(): number
  /** Gives back a token that was not used. */
  refund(): void
}

/** Lets `burst` requests through at once and `perSecond` on average; time comes from the clock's monotonic side. */
export function createTokenBucket(clock: Clock, perSecond: number, burst: number): TokenBucket {
  assert(perSecond > 0, 'a bucket must refill')
  assert(burst >= 1, 'a bucket must hold a token')
  let tokens = burst
  let updatedMs = clock.monotonicMs()
  const refill = () => {
    const nowMs = clock.monotonicMs()
    tokens = Math.min(burst, tokens + ((nowMs - updatedMs) / 1000) * perSecond)
    updatedMs = nowMs
  }
  return {
    reserve() {
      refill()
      tokens -= 1 // below zero means that others wait in front
      return tokens >= 0 ? 0 : Math.ceil((-tokens / perSecond) * 1000)
    },
    refund() {
      refill()
      tokens = Math.min(burst, tokens + 1)
    },
  }
}

/** Waits for one token of every bucket and returns how long that took, ms. An aborted wait gives them back. */
export async function takeAll(buckets: readonly TokenBucket[], clock: Clock, signal: AbortSignal): Promise<number> {
  const waitMs = buckets.reduce((longestMs, bucket) => Math.max(longestMs, bucket.reserve()), 0)
  if (waitMs === 0) return 0
  const startMs = clock.monotonicMs()
  await clock.sleep(waitMs, signal)
  if (signal.aborted) for (const bucket of buckets) bucket.refund()
  return clock.monotonicMs() - startMs
}

/** In any window, burst plus refill stay within the share of the limit. */
function bucketOf(clock: Clock, rule: RateRule, share: number): TokenBucket {
  const allowed = rule.limit * share
  const burst = Math.max(1, Math.floor(allowed / 5))
  const refilled = Math.max(allowed - burst, allowed / 2)
  return createTokenBucket(clock, (refilled / rule.windowMs) * 1000, burst)
}

function applies(rule: RateRule, url: URL): boolean {
  if (rule.host !== url.host) return false
  if (rule.paths.length === 0) return true
  return rule.paths.some((path) => url.pathname === path || url.pathname.startsWith(`${path}/`))
}
