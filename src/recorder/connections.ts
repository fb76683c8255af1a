/** One connection of the stream, as the tape's marks tell of it. */
export interface Connection {
  readonly name: string
  /** Counts connections in the order of their `open` marks, or of first sight where the mark was not read. */
  readonly order: number
  open: boolean
  /** Grows whenever frames of this connection are known to be missing. */
  losses: number
}

const CLOSED_MAX = 1_000

/** The connections of one stream in tape order. Bounded: closed ones are forgotten, the oldest first. */
export class Connections {
  readonly #byName = new Map<string, Connection>()
  #opened = 0
  #closed: string[] = []
  #latest: Connection | null = null

  of(name: string): Connection {
    // Frames come in runs of one connection.
    if (this.#latest !== null && this.#latest.name === name) return this.#latest
    let connection = this.#byName.get(name)
    if (connection === undefined) {
      this.#opened += 1
      connection = { name, order: this.#opened, open: true, losses: 0 }
      this.#byName.set(name, connection)
    }
    this.#latest = connection
    return connection
  }

  close(name: string): void {
    const connection = this.of(name)
    if (!connection.open) return
    connection.open = false
    this.#closed.push(name)
    if (this.#closed.length > CLOSED_MAX) this.#forgetOldest()
  }

  /** A recorder started: whatever was open before it is not any more. */
  closeAll(): void {
    for (const connection of [...this.#byName.values()]) if (connection.open) this.close(connection.name)
  }

  #forgetOldest(): void {
    const half = this.#closed.length >>> 1
    for (const name of this.#closed.slice(0, half)) this.#byName.delete(name)
    this.#closed = this.#closed.slice(half)
    this.#latest = null
  }
}
