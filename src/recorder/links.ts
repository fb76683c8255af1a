import type { Link } from './followed.ts'

const CLOSED_MAX = 1_000

/** The connections of one stream in the order in which they were first heard of. Bounded: closed ones are forgotten. */
export class Links {
  readonly #byName = new Map<string, Link>()
  #closed: string[] = []
  #latest: Link | null = null
  #count = 0

  of(name: string, atUs: number): Link {
    // Frames come in runs of one connection.
    if (this.#latest !== null && this.#latest.name === name) return this.#latest
    let link = this.#byName.get(name)
    if (link === undefined) {
      this.#count += 1
      const fresh = { open: true, stalled: false, goodUs: atUs, lagUs: 0, unreadable: null }
      link = { name, order: this.#count, ...fresh, tokens: new Set() }
      this.#byName.set(name, link)
    }
    this.#latest = link
    return link
  }

  closed(link: Link): void {
    this.#closed.push(link.name)
    if (this.#closed.length <= CLOSED_MAX) return
    const half = this.#closed.length >>> 1
    for (const name of this.#closed.slice(0, half)) this.#byName.delete(name)
    this.#closed = this.#closed.slice(half)
    this.#latest = null
  }

  /** Ends all that are open and returns the longest time that a message was under way on them, µs. */
  closeAll(end: (link: Link) => void): number {
    let lagUs = 0
    for (const link of [...this.#byName.values()]) {
      if (!link.open) continue
      link.open = false
      lagUs = Math.max(lagUs, link.lagUs)
      end(link)
      this.closed(link)
    }
    return lagUs
  }
}
