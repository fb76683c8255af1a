import type { PageClock } from './clock.ts'
import { type Ask, RequestError } from './request.ts'

/** What is known of one address of the API. */
export interface Snapshot<T> {
  /** The newest good answer; it stays while a newer one is on its way. */
  readonly data: T | null
  /** When that answer came, Unix ms. */
  readonly loadedMs: number | null
  /** Why the newest attempt failed; null when it did not. */
  readonly problem: RequestError | null
  /** Attempts in a row that failed. */
  readonly missed: number
}

/** From the beginning of one attempt to the next: below the 15 s that nobody shall have to wait. */
export const POLL_MS = 10_000
/** An attempt has ended before the next begins. */
const ANSWER_MS_MAX = 8_000
/** However many events say that something changed. */
const GAP_MS_MIN = 1_000

/**
 *  idle ──start──► waiting ◄──answer, error, 8 s── asking
 *    ▲                └──10 s after the last began, or nudge──►┘
 *    └──stop── both
 */
export class Resource<T> {
  readonly #path: string
  readonly #ask: Ask
  readonly #clock: PageClock
  readonly #listeners = new Set<() => void>()
  #snapshot: Snapshot<T> = { data: null, loadedMs: null, problem: null, missed: 0 }
  #running = false
  #begunMs = Number.NEGATIVE_INFINITY
  #attempt: AbortController | null = null
  #nudged = false
  #cancelTimer = () => {}

  constructor(path: string, ask: Ask, clock: PageClock) {
    this.#path = path
    this.#ask = ask
    this.#clock = clock
  }

  get snapshot(): Snapshot<T> {
    return this.#snapshot
  }

  listen(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Asks now, and again and again. */
  start(): void {
    if (this.#running) return
    this.#running = true
    this.#begin()
  }

  stop(): void {
    this.#running = false
    this.#nudged = false
    this.#cancelTimer()
    this.#attempt?.abort()
    this.#attempt = null
  }

  /** Something has changed: asks as soon as that is not too often. */
  nudge(): void {
    if (!this.#running) return
    if (this.#attempt !== null) this.#nudged = true
    else this.#beginAfter(Math.max(0, this.#begunMs + GAP_MS_MIN - this.#clock.nowMs()))
  }

  #beginAfter(delayMs: number): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#clock.after(delayMs, () => this.#begin())
  }

  #begin(): void {
    this.#cancelTimer()
    this.#nudged = false
    this.#begunMs = this.#clock.nowMs()
    const attempt = new AbortController()
    this.#attempt = attempt
    const cancelLimit = this.#clock.after(ANSWER_MS_MAX, () => {
      attempt.abort()
      this.#end(attempt, () => this.#fail(new RequestError(0, 'Tapekeeper took too long to answer')))
    })
    this.#ask<T>(this.#path, { signal: attempt.signal }).then(
      (data) => {
        cancelLimit()
        this.#end(attempt, () => this.#keep({ data, loadedMs: this.#clock.nowMs(), problem: null, missed: 0 }))
      },
      (error: unknown) => {
        cancelLimit()
        const problem = error instanceof RequestError ? error : new RequestError(0, String(error))
        this.#end(attempt, () => this.#fail(problem))
      },
    )
  }

  /** Once per attempt: what comes after its time, or after a stop, is not listened to. */
  #end(attempt: AbortController, then: () => void): void {
    if (this.#attempt !== attempt) return
    this.#attempt = null
    then()
    if (!this.#running) return
    const sinceMs = this.#clock.nowMs() - this.#begunMs
    this.#beginAfter(Math.max(0, (this.#nudged ? GAP_MS_MIN : POLL_MS) - sinceMs))
  }

  #fail(problem: RequestError): void {
    this.#keep({ ...this.#snapshot, problem, missed: this.#snapshot.missed + 1 })
  }

  #keep(snapshot: Snapshot<T>): void {
    this.#snapshot = snapshot
    for (const listener of this.#listeners) listener()
  }
}
