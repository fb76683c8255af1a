import { assert } from '../core/errors.ts'
import type { TapeBatch, TapeFollower, TapePosition, TapeRecord } from '../core/tape.ts'
import { isAtOrAfter } from './layout.ts'
import type { TapeWalker } from './walker.ts'

/** A follower that can be put away. Closing ends a `next` that waits. */
export interface LiveFollower extends TapeFollower {
  close(): Promise<void>
}

/** What was accepted just now. `records` is null when memory was too short to keep them. */
export interface Handover {
  readonly records: readonly TapeRecord[] | null
  readonly end: TapePosition
  readonly bytes: number
}

export interface FollowerOptions {
  readonly walker: TapeWalker
  /** The position after the last accepted line. */
  readonly acceptedEnd: () => TapePosition | null
  /** Bytes handed over and not yet taken that are kept in memory. */
  readonly cacheBytes: number
  readonly onClosed: (follower: Follower) => void
}

/**
 *   disk ──reached the accepted end──► live ──fell behind by more than `cacheBytes`──► disk
 */
export class Follower implements LiveFollower {
  readonly #options: FollowerOptions
  #live = false
  #busy = false
  /** The walker stands where the last live stretch began. */
  #mustSeek = false
  #damagedLines = 0
  #closed = false
  #queue: Handover[] = []
  #queuedBytes = 0
  /** After the last batch taken; where reading from disk goes on. */
  #position: TapePosition | null
  #wake: (() => void) | null = null

  constructor(options: FollowerOptions) {
    this.#options = options
    this.#position = options.walker.position
  }

  async next(signal: AbortSignal): Promise<TapeBatch | null> {
    assert(!this.#busy, 'a follower has one reader')
    this.#busy = true
    try {
      while (!signal.aborted && !this.#closed) {
        const batch = this.#live ? this.#take() : await this.#fromDisk()
        if (batch !== null) return batch
        if (this.#live) await this.#woken(signal)
      }
      // Free the file; a later call opens it again.
      await this.#options.walker.close()
      return null
    } finally {
      this.#busy = false
    }
  }

  /** Called by the tape, in order, for everything that is accepted. */
  handOver(handover: Handover): void {
    if (!this.#live) return
    this.#queue.push(handover)
    this.#queuedBytes += handover.bytes
    if (handover.records === null || this.#queuedBytes > this.#options.cacheBytes) this.#fallBack()
    this.#wake?.()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#fallBack()
    this.#wake?.()
    this.#options.onClosed(this)
    if (!this.#busy) await this.#options.walker.close()
  }

  #take(): TapeBatch | null {
    const handover = this.#queue.shift()
    if (handover?.records == null) return null
    this.#queuedBytes -= handover.bytes
    this.#position = handover.end
    const damagedLines = this.#damagedLines
    this.#damagedLines = 0
    return { records: handover.records, end: handover.end, live: true, damagedLines }
  }

  async #fromDisk(): Promise<TapeBatch | null> {
    const { walker, acceptedEnd } = this.#options
    if (this.#mustSeek) await walker.seek(this.#position)
    this.#mustSeek = false
    const batch = await walker.next()
    if (batch !== null) {
      this.#position = batch.end
      return { records: batch.records, end: batch.end, live: false, damagedLines: batch.damagedLines }
    }
    // From here to the end of this turn nothing can be accepted, so nothing falls between disk and memory.
    const end = acceptedEnd()
    if (end === null || (walker.position !== null && isAtOrAfter(walker.position, end))) {
      this.#live = true
      this.#position = walker.position
      this.#damagedLines += walker.takeDamagedLines()
      await walker.close()
    }
    return null
  }

  #fallBack(): void {
    this.#queue = []
    this.#queuedBytes = 0
    this.#live = false
    this.#mustSeek = true
  }

  #woken(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#wake = null
        signal.removeEventListener('abort', wake)
        resolve()
      }
      if (this.#queue.length > 0 || signal.aborted || this.#closed) wake()
      else {
        this.#wake = wake
        signal.addEventListener('abort', wake)
      }
    })
  }
}
