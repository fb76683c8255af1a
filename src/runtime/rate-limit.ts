import type { Clock } from '../core/clock.ts'
import { TransientError } from '../core/errors.ts'
import { TokenBucket, Turnstile } from './turnstile.ts'

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

/** Keeps every rule at once: a request passes when all of its buckets have a token. */
export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  const { clock, share = SHARE, waitingMax = WAITING_MAX } = options
  const rules = options.rules.map((rule) => ({ rule, bucket: bucketOf(clock, rule, share) }))
  const turnstile = new Turnstile(clock)
  return {
    async take(url, signal) {
      if (turnstile.waiting >= waitingMax) throw new TransientError(`${turnstile.waiting} requests are waiting already`)
      const mine = rules.filter(({ rule }) => applies(rule, url))
      const key = mine.map((one) => rules.indexOf(one)).join(' ')
      return turnstile.pass(
        key,
        mine.map(({ bucket }) => bucket),
        signal,
      )
    },
  }
}

/** In any window, burst plus refill stay within the share of the limit. */
function bucketOf(clock: Clock, rule: RateRule, share: number): TokenBucket {
  const allowed = rule.limit * share
  const burst = Math.max(1, Math.floor(allowed / 5))
  const refilled = Math.max(allowed - burst, allowed / 2)
  return new TokenBucket(clock, (refilled / rule.windowMs) * 1000, burst)
}

function applies(rule: RateRule, url: URL): boolean {
  if (rule.host !== url.host) return false
  if (rule.paths.length === 0) return true
  return rule.paths.some((path) => url.pathname === path || url.pathname.startsWith(`${path}/`))
}
