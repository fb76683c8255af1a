/** How far back an identical event makes the next one another event. Tape time, µs. */
export const ORDINAL_WINDOW_US = 60_000_000

const ENTRIES_MAX = 500_000

interface Entry {
  readonly key: string
  readonly atUs: number
}

/**
 * Numbers identical events of one connection: an event's ordinal is how many identical ones that connection delivered
 * within the 60 s of tape time before it. So it depends on those 60 s only, and reading them back restores the state.
 */
export class Ordinals {
  /** Receive times by connection and content, oldest first. Most contents occur once. */
  readonly #seen = new Map<string, number[]>()
  #entries: Entry[] = []
  #head = 0
  readonly #entriesMax: number
  /** Events forgotten before their time because there were too many. */
  overflow = 0

  constructor(entriesMax = ENTRIES_MAX) {
    this.#entriesMax = entriesMax
  }

  get size(): number {
    return this.#entries.length - this.#head
  }

  /** The ordinal of an event with this content; notes the event. */
  next(connection: string, contentHash: string, atUs: number): number {
    this.#expire(atUs)
    const key = `${contentHash}${connection}`
    const times = this.#seen.get(key)
    if (times === undefined) this.#seen.set(key, [atUs])
    else times.push(atUs)
    this.#entries.push({ key, atUs })
    if (times === undefined) return 0
    // The wall clock may have jumped: what counts is the distance, not the order.
    let ordinal = -1
    for (const time of times) if (isWithin(time, atUs)) ordinal += 1
    return ordinal
  }

  #expire(atUs: number): void {
    for (;;) {
      const oldest = this.#entries[this.#head]
      if (oldest === undefined) break
      const full = this.size >= this.#entriesMax
      if (!full && isWithin(oldest.atUs, atUs)) break
      if (isWithin(oldest.atUs, atUs)) this.overflow += 1
      this.#forget(oldest)
    }
    if (this.#head > 1_024 && this.#head > this.#entries.length / 2) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }

  #forget({ key, atUs }: Entry): void {
    this.#head += 1
    const times = this.#seen.get(key)
    if (times === undefined) return
    const index = times.indexOf(atUs)
    if (index >= 0) times.splice(index, 1)
    if (times.length === 0) this.#seen.delete(key)
  }
}

function isWithin(time: number, atUs: number): boolean {
  return Math.abs(atUs - time) < ORDINAL_WINDOW_US
}
