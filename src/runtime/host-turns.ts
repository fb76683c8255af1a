import type { Clock } from '../core/clock.ts'
import { TransientError } from '../core/errors.ts'

export interface HostTurnsOptions {
  readonly clock: Clock
  /** From the start of one request to the start of the next, by host, ms. */
  readonly delayMs: number
}

interface Host {
  /** Ends when those who came before have begun. */
  line: Promise<void>
  waiting: number
  /** On the monotonic clock. */
  nextMs: number
  pausedUntilMs: number
}

const HOSTS_MAX = 1_000

/** One request after the other for each host, with a delay between them, and none while it asks to be left alone. */
export class HostTurns {
  readonly #options: HostTurnsOptions
  readonly #hosts = new Map<string, Host>()

  constructor(options: HostTurnsOptions) {
    this.#options = options
  }

  /**
   * Waits for this request's turn, `delayMs` or longer after the one before. Throws TransientError when the host has
   * asked to wait: the caller has other things to do meanwhile.
   */
  async take(host: string, signal: AbortSignal, delayMs = 0): Promise<void> {
    const { clock } = this.#options
    const own = this.#of(host)
    const before = own.line
    let done = () => {}
    own.line = new Promise((resolve) => {
      done = resolve
    })
    own.waiting += 1
    try {
      await before
      this.#refusePaused(host, own)
      const waitMs = own.nextMs - clock.monotonicMs()
      if (waitMs > 0) await clock.sleep(waitMs, signal)
      signal.throwIfAborted()
      // It may have been told meanwhile.
      this.#refusePaused(host, own)
      own.nextMs = clock.monotonicMs() + Math.max(delayMs, this.#options.delayMs)
    } finally {
      own.waiting -= 1
      done()
    }
  }

  /** The host wants to be left alone for so long, ms. */
  pause(host: string, pauseMs: number): void {
    const own = this.#of(host)
    own.pausedUntilMs = Math.max(own.pausedUntilMs, this.#options.clock.monotonicMs() + pauseMs)
  }

  #refusePaused(host: string, { pausedUntilMs }: Host): void {
    const leftMs = pausedUntilMs - this.#options.clock.monotonicMs()
    if (leftMs <= 0) return
    const text = `${host} asked us to wait ${Math.ceil(leftMs / 1000)} s more`
    throw new TransientError(text, { retryAfterMs: leftMs, rateLimited: true })
  }

  #of(host: string): Host {
    let own = this.#hosts.get(host)
    if (own === undefined) {
      if (this.#hosts.size >= HOSTS_MAX) this.#forget()
      const never = Number.NEGATIVE_INFINITY
      own = { line: Promise.resolve(), waiting: 0, nextMs: never, pausedUntilMs: never }
      this.#hosts.set(host, own)
    }
    return own
  }

  /** Hosts whose time is up need not be remembered. */
  #forget(): void {
    const nowMs = this.#options.clock.monotonicMs()
    for (const [host, { waiting, nextMs, pausedUntilMs }] of this.#hosts) {
      if (waiting === 0 && Math.max(nextMs, pausedUntilMs) <= nowMs) this.#hosts.delete(host)
    }
  }
}
