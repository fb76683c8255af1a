const REPEATS_PER_LINE = 10
const REMINDER_MS = 600_000

/** Decides which of a collector's failures are worth a line: each new one, then every 10th or one in 10 minutes. */
export class FailureLog {
  #text = ''
  #repeats = 0
  #loggedMs = 0
  #failures = 0

  /** Notes a failure; true when it should be logged. `nowMs` is monotonic. */
  note(text: string, nowMs: number): boolean {
    this.#failures += 1
    // Long numbers are ids, addresses and durations: the same failure with others is still the same failure.
    const kind = text.replaceAll(/\d{4,}/g, '#')
    const isNew = kind !== this.#text
    this.#text = kind
    this.#repeats = isNew ? 1 : this.#repeats + 1
    const isDue = isNew || this.#repeats % REPEATS_PER_LINE === 0 || nowMs - this.#loggedMs >= REMINDER_MS
    if (isDue) this.#loggedMs = nowMs
    return isDue
  }

  /** Notes a success; returns how many failures in a row came before it. */
  clear(): number {
    const failures = this.#failures
    this.#failures = 0
    this.#repeats = 0
    this.#text = ''
    return failures
  }
}
