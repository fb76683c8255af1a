import type { Notice } from './machine.ts'

/** One message on its way to one channel. Plain data, to be kept over restarts. Times are Unix ms. */
export interface Letter {
  readonly id: string
  readonly channel: string
  readonly notice: Notice
  readonly createdMs: number
  readonly attempts: number
  /** Not to be tried before. */
  readonly nextMs: number
  readonly trouble: string | null
}

export interface ChannelCounts {
  delivered: number
  failedAttempts: number
  /** Letters given up: too old, no room, or refused for what they hold. */
  dropped: number
}

/** What is waiting, what was told to whom, and what the limits cost. */
export interface OutboxState {
  readonly letters: readonly Letter[]
  readonly counts: Readonly<Record<string, ChannelCounts>>
  /** Open incidents whose `down` was delivered, by channel. */
  readonly told: Readonly<Record<string, readonly string[]>>
}

export const EMPTY_OUTBOX: OutboxState = { letters: [], counts: {}, told: {} }

/** Letters that may wait for one channel. */
export const LETTERS_MAX = 200
/** A letter that could not be delivered for this long is given up, ms. */
export const LETTER_AGE_MS_MAX = 3 * 86_400_000
const TOLD_MAX = 300

/** The messages of each channel in their order. Every channel is behind or ahead by itself. */
export class Outbox {
  #letters: Letter[]
  readonly #counts: Record<string, ChannelCounts>
  readonly #told: Record<string, string[]>

  constructor(state: OutboxState) {
    // Who was told to wait before a restart is asked again at once.
    this.#letters = state.letters.map((letter) => ({ ...letter, nextMs: 0 }))
    this.#counts = structuredClone(state.counts) as Record<string, ChannelCounts>
    this.#told = structuredClone(state.told) as Record<string, string[]>
  }

  snapshot(): OutboxState {
    return structuredClone({ letters: this.#letters, counts: this.#counts, told: this.#told })
  }

  /** Puts a notice in line for a channel; false when it has nothing to tell there. */
  add(channel: string, notice: Notice, nowMs: number): boolean {
    const { id } = notice.incident
    const all = this.#letters.filter((letter) => letter.channel === channel)
    const oldest = all.length < LETTERS_MAX ? undefined : all[0]
    const waiting = oldest === undefined ? all : all.filter((letter) => !goesWith(letter, oldest))
    const isOnItsWay = waiting.some((letter) => letter.notice.incident.id === id && letter.notice.kind === 'down')
    if (notice.kind !== 'down') {
      // Over or still there is news only for who knows, or will know, that it began.
      if (!isOnItsWay && !this.#told[channel]?.includes(id)) return false
      if (notice.kind === 'still_down' && waiting.some((letter) => letter.notice.incident.id === id)) return false
    }
    if (oldest !== undefined) this.#drop(oldest)
    const letter = { id: `${id}/${notice.kind}/${nowMs}`, channel, notice, createdMs: nowMs }
    this.#letters.push({ ...letter, attempts: 0, nextMs: 0, trouble: null })
    return true
  }

  /** The letter whose turn it is; what is too old is given up first. */
  next(channel: string, nowMs: number): Letter | null {
    for (;;) {
      const letter = this.#letters.find((one) => one.channel === channel)
      if (letter === undefined) return null
      if (nowMs - letter.createdMs <= LETTER_AGE_MS_MAX) return letter
      this.#drop(letter)
    }
  }

  delivered(letter: Letter): void {
    this.#remove(letter)
    this.#countsOf(letter.channel).delivered += 1
    const { kind, incident } = letter.notice
    const told = this.#told[letter.channel] ?? []
    this.#told[letter.channel] = told
    if (kind === 'down') told.push(incident.id)
    if (kind === 'recovered') this.#told[letter.channel] = told.filter((id) => id !== incident.id)
    if (told.length > TOLD_MAX) told.splice(0, told.length - TOLD_MAX)
  }

  failed(letter: Letter, trouble: string, nextMs: number): void {
    this.#countsOf(letter.channel).failedAttempts += 1
    this.#letters = this.#letters.map((one) =>
      one.id === letter.id && one.channel === letter.channel
        ? { ...one, attempts: one.attempts + 1, trouble, nextMs }
        : one,
    )
  }

  /** The channel will never take it. */
  refused(letter: Letter): void {
    const waiting = this.#letters.find((one) => one.id === letter.id && one.channel === letter.channel)
    if (waiting !== undefined) this.#drop(waiting)
  }

  /** Forgets channels that are not configured any more. */
  keepOnly(channels: readonly string[]): void {
    for (const letter of this.#letters) if (!channels.includes(letter.channel)) this.#drop(letter)
  }

  #drop(dropped: Letter): void {
    const left = this.#letters.filter((letter) => !goesWith(letter, dropped))
    this.#countsOf(dropped.channel).dropped += this.#letters.length - left.length
    this.#letters = left
  }

  #remove(letter: Letter): void {
    this.#letters = this.#letters.filter((one) => one.id !== letter.id || one.channel !== letter.channel)
  }

  #countsOf(channel: string): ChannelCounts {
    this.#counts[channel] ??= { delivered: 0, failedAttempts: 0, dropped: 0 }
    return this.#counts[channel]
  }
}

/** Whether a letter has no use without the other one: who was not told that it began is not told that it is over. */
function goesWith(letter: Letter, other: Letter): boolean {
  if (letter === other) return true
  const isSame = letter.channel === other.channel && letter.notice.incident.id === other.notice.incident.id
  return isSame && other.notice.kind === 'down'
}
