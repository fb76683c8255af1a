import type { ServerEvents } from '../../../src/api/contract.ts'
import type { PageClock } from './clock.ts'
import type { Ask } from './request.ts'
import { Resource } from './resource.ts'

export type Topic = keyof ServerEvents

/** The event stream, as much of it as is needed. */
export interface EventStream {
  close(): void
}
/** Opens the stream; `heard` is called with every event, `ended` when it has ended for good. */
export type OpenEvents = (heard: (topic: Topic, data: unknown) => void, ended: () => void) => EventStream

export interface LiveOptions {
  readonly ask: Ask
  readonly clock: PageClock
  readonly openEvents: OpenEvents
}

export interface LiveState {
  readonly paused: boolean
  readonly hidden: boolean
  readonly signedOut: boolean
}

interface Entry {
  readonly resource: Resource<unknown>
  readonly topics: readonly Topic[]
  users: number
}

/** Answers of views that were left, so that coming back shows something at once. */
const KEPT_MAX = 60
const REOPEN_MS = 10_000

/** Everything the page knows of the recorder: one place to pause it, to refresh it and to hear of changes. */
export class Live {
  readonly ask: Ask
  readonly clock: PageClock
  readonly #openEvents: OpenEvents
  readonly #entries = new Map<string, Entry>()
  readonly #listeners = new Set<() => void>()
  #state: LiveState = { paused: false, hidden: false, signedOut: false }
  #events: EventStream | null = null
  #cancelReopen = () => {}
  /** What the recorder's clock is ahead of ours, ms. */
  #skewMs = 0

  constructor({ ask, clock, openEvents }: LiveOptions) {
    this.ask = ask
    this.clock = clock
    this.#openEvents = openEvents
    this.#apply()
  }

  get state(): LiveState {
    return this.#state
  }

  get running(): boolean {
    const { paused, hidden, signedOut } = this.#state
    return !paused && !hidden && !signedOut
  }

  /** Now, on the recorder's clock: ages must not depend on how this machine's is set. Unix ms. */
  recorderNowMs(): number {
    return this.clock.nowMs() + this.#skewMs
  }

  learnTime(recorderMs: number): void {
    if (Number.isFinite(recorderMs)) this.#skewMs = recorderMs - this.clock.nowMs()
  }

  listen(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  set(change: Partial<LiveState>): void {
    this.#state = { ...this.#state, ...change }
    this.#apply()
    for (const listener of this.#listeners) listener()
  }

  /** The address, polled as long as somebody uses it. Give it back with `release`. */
  acquire<T>(path: string, topics: readonly Topic[]): Resource<T> {
    let entry = this.#entries.get(path)
    if (entry === undefined) {
      entry = { resource: new Resource<unknown>(path, this.ask, this.clock), topics, users: 0 }
      entry.resource.listen(() => this.#notice(path))
    }
    // the most recently used is the last to be forgotten
    this.#entries.delete(path)
    this.#entries.set(path, entry)
    entry.users += 1
    if (this.running) entry.resource.start()
    return entry.resource as Resource<T>
  }

  release(path: string): void {
    const entry = this.#entries.get(path)
    if (entry === undefined) return
    entry.users -= 1
    if (entry.users > 0) return
    entry.resource.stop()
    for (const [key, { users }] of this.#entries) {
      if (this.#entries.size <= KEPT_MAX) break
      if (users === 0) this.#entries.delete(key)
    }
  }

  /** Asks for everything that is shown, at once. */
  refresh(): void {
    for (const { resource, users } of this.#entries.values()) if (users > 0) resource.nudge()
  }

  #notice(path: string): void {
    const { problem } = this.#entries.get(path)?.resource.snapshot ?? {}
    if (problem?.status === 401 && !this.#state.signedOut) this.set({ signedOut: true })
  }

  #apply(): void {
    const running = this.running
    for (const { resource, users } of this.#entries.values()) {
      if (running && users > 0) resource.start()
      else resource.stop()
    }
    if (running && this.#events === null) this.#listenToEvents()
    if (!running) this.#closeEvents()
  }

  #listenToEvents(): void {
    this.#cancelReopen()
    this.#events = this.#openEvents(
      (topic) => this.#hear(topic),
      () => {
        this.#closeEvents()
        this.#cancelReopen = this.clock.after(REOPEN_MS, () => this.running && this.#listenToEvents())
      },
    )
  }

  #closeEvents(): void {
    this.#cancelReopen()
    this.#events?.close()
    this.#events = null
  }

  #hear(topic: Topic): void {
    for (const { resource, topics, users } of this.#entries.values()) {
      // what was dropped may have been about anything
      if (users > 0 && (topic === 'dropped' || topics.includes(topic))) resource.nudge()
    }
  }
}
