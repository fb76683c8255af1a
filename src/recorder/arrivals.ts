import type { Clock } from '../core/clock.ts'
import type { TapeBatch, TapeFollower } from '../core/tape.ts'

type Arrival = { readonly batch: TapeBatch | null } | { readonly error: unknown }

/** Asks a follower for the next batch and meanwhile lets the reader do what is due. */
export class Arrivals {
  readonly #follower: TapeFollower
  readonly #clock: Clock
  readonly #stop = new AbortController()
  #asked: Promise<void> | null = null
  #arrival: Arrival | null = null
  #wake: (() => void) | null = null

  constructor(follower: TapeFollower, clock: Clock) {
    this.#follower = follower
    this.#clock = clock
  }

  /** The next batch, null at the end of the tape, or `tick` when there was none for `tickMs`. */
  async next(tickMs: number, signal: AbortSignal): Promise<TapeBatch | null | 'tick'> {
    this.#asked ??= this.#ask()
    if (this.#arrival === null) await this.#wait(tickMs, signal)
    const arrival = this.#arrival
    if (arrival === null) return 'tick'
    this.#asked = null
    this.#arrival = null
    if ('error' in arrival) throw arrival.error
    return arrival.batch
  }

  /** Takes back the question that is out. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#asked
  }

  async #ask(): Promise<void> {
    try {
      this.#arrival = { batch: await this.#follower.next(this.#stop.signal) }
    } catch (error) {
      this.#arrival = { error }
    }
    this.#wake?.()
  }

  async #wait(tickMs: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    const end = () => over.abort()
    this.#wake = end
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
    await this.#clock.sleep(tickMs, over.signal)
    signal.removeEventListener('abort', end)
    this.#wake = null
  }
}
