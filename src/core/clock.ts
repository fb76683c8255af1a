/** Time is a parameter. Wall time labels records and may jump; monotonic time measures and never goes back. */
export interface Clock {
  /** Unix milliseconds. */
  wallMs(): number
  /** Unix microseconds, an integer below 2^53. */
  wallUs(): number
  /** Milliseconds since an arbitrary start. */
  monotonicMs(): number
  /** Resolves after `delayMs`, or at once when the signal aborts. Never rejects and leaves no timer behind. */
  sleep(delayMs: number, signal: AbortSignal): Promise<void>
}
