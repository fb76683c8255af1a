import { type Asset, type Quote, type QuoteAttempt, type QuoteContext, UnknownAssetError } from '../../core/assets.ts'
import type { Clock } from '../../core/clock.ts'
import { describeError, TransientError } from '../../core/errors.ts'

export interface Manners {
  readonly clock: Clock
  /** Requests under way at once. */
  readonly atOnce: number
  /** From the start of one request to the start of the next, ms. */
  readonly delayMs: number
}

/** How long a source is left alone that says "too many requests" and not for how long, ms. */
export const PAUSE_MS = 60_000
/** A source that limits us again right after so many waits is given up for this cycle. */
const ROUNDS_MAX = 3

/**
 * Asks for one asset after the other, with manners: bounded, with a delay, and waiting as told where the source says
 * that it was asked too often; what could not be asked for in time has an attempt that says so.
 */
export async function askPolitely(
  assets: readonly Asset[],
  manners: Manners,
  context: QuoteContext,
  ask: (asset: Asset) => Promise<Quote>,
): Promise<readonly QuoteAttempt[]> {
  const round = new Round(assets, manners, context, ask)
  await Promise.all(Array.from({ length: Math.min(manners.atOnce, assets.length) }, () => round.work()))
  return round.attempts
}

class Round {
  readonly attempts: QuoteAttempt[] = []
  readonly #queue: Asset[]
  readonly #manners: Manners
  readonly #context: QuoteContext
  readonly #ask: (asset: Asset) => Promise<Quote>
  #nextMs = Number.NEGATIVE_INFINITY
  #pausedUntilMs = Number.NEGATIVE_INFINITY
  /** Waits in a row without an answer in between. */
  #pauses = 0
  #limitedBy = ''

  constructor(
    assets: readonly Asset[],
    manners: Manners,
    context: QuoteContext,
    ask: (asset: Asset) => Promise<Quote>,
  ) {
    this.#queue = [...assets]
    this.#manners = manners
    this.#context = context
    this.#ask = ask
  }

  async work(): Promise<void> {
    for (let asset = this.#queue.shift(); asset !== undefined; asset = this.#queue.shift()) {
      while (await this.#attempt(asset)) {
        // It was limited: once more after the pause.
      }
      if (this.#context.signal.aborted) return
    }
  }

  /** One request, or the note that there was none. True when the asset is to be asked for again. */
  async #attempt(asset: Asset): Promise<boolean> {
    const { clock } = this.#manners
    const { signal } = this.#context
    const refusal = await this.#untilTurn()
    if (signal.aborted) return false
    const startedMs = clock.wallMs()
    const startMs = clock.monotonicMs()
    const note = (answer: QuoteAttempt['answer']) => {
      this.attempts.push({ asset, startedMs, durationMs: clock.monotonicMs() - startMs, answer })
    }
    if (refusal !== null) {
      note({ ok: false, error: refusal })
      return false
    }
    try {
      note({ ok: true, quote: await this.#ask(asset) })
      this.#pauses = 0
      return false
    } catch (error) {
      if (signal.aborted) return false
      note({ ok: false, error: describeError(error) })
      // An answer in words is one, too: the source serves us.
      if (error instanceof UnknownAssetError) this.#pauses = 0
      if (!(error instanceof TransientError) || !isAskedToWait(error)) return false
      this.#pause(error, startMs)
      return true
    }
  }

  /** Waits for this request's turn; returns why there will be none. */
  async #untilTurn(): Promise<string | null> {
    const { clock, delayMs } = this.#manners
    const { signal, deadlineMs } = this.#context
    for (;;) {
      const nowMs = clock.monotonicMs()
      const dueMs = Math.max(this.#nextMs, this.#pausedUntilMs)
      if (this.#pauses >= ROUNDS_MAX) return `not asked: ${this.#limitedBy}`
      if (Math.max(dueMs, nowMs) > deadlineMs) {
        return this.#pausedUntilMs > deadlineMs
          ? `not asked: ${this.#limitedBy}`
          : 'not asked: the cycle had no time left'
      }
      if (signal.aborted) return null
      if (dueMs <= nowMs) {
        this.#nextMs = nowMs + delayMs // taken here, before another one looks
        return null
      }
      await clock.sleep(dueMs - nowMs, signal)
    }
  }

  /** Several requests that were under way together are limited together: that is one pause. */
  #pause(error: TransientError, startMs: number): void {
    const waitMs = error.retryAfterMs ?? PAUSE_MS
    if (startMs >= this.#pausedUntilMs) this.#pauses += 1
    this.#limitedBy = describeError(error)
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#manners.clock.monotonicMs() + waitMs)
  }
}

/** Too many requests, or not now but at a time that the source names. */
export function isAskedToWait(error: TransientError): boolean {
  return error.rateLimited || error.retryAfterMs !== undefined
}
