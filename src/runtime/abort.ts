import { setMaxListeners } from 'node:events'
import type { Clock } from '../core/clock.ts'
import { TransientError } from '../core/errors.ts'

/** An AbortController that follows a parent signal until it is let go. */
export interface LinkedAbort {
  readonly signal: AbortSignal
  abort(reason?: unknown): void
  /** Stops following the parent; long-lived parents would otherwise keep every child. */
  release(): void
}

/** A controller whose signal may have any number of listeners, aborted together with `parent` if one is given. */
export function createAbort(parent?: AbortSignal): LinkedAbort {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  const follow = () => controller.abort(parent?.reason)
  if (parent?.aborted) follow()
  else parent?.addEventListener('abort', follow)
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    release: () => parent?.removeEventListener('abort', follow),
  }
}

export interface Deadline {
  readonly clock: Clock
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** Names the work in the error: `<what> took longer than 30 s`. */
  readonly what: string
}

/**
 * Runs `work` with a signal of its own that aborts with the parent or at the deadline. At the deadline the result
 * is a TransientError at once, whether or not the work obeys its signal.
 */
export async function withDeadline<T>(deadline: Deadline, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const inner = createAbort(deadline.signal)
  const timer = createAbort()
  const expired = deadline.clock.sleep(deadline.timeoutMs, timer.signal).then((): never => {
    const error = new TransientError(`${deadline.what} took longer than ${deadline.timeoutMs / 1000} s`)
    inner.abort(error)
    throw error
  })
  const running = work(inner.signal)
  // The loser of the race may reject later, when nobody listens any more.
  expired.catch(() => {})
  running.catch(() => {})
  try {
    return await Promise.race([running, expired])
  } finally {
    inner.release()
    timer.abort()
  }
}
