import type { Clock } from '../../core/clock.ts'
import { describeError, TransientError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { Random } from '../../core/random.ts'
import type { StatusBoard } from '../../core/status.ts'
import { createAbort } from '../../runtime/abort.ts'
import { backoffMs } from '../../runtime/backoff.ts'
import { RefusedMessage } from '../../runtime/post.ts'
import { redactText } from '../../runtime/redact.ts'
import type { Channel } from './channels.ts'
import { type AlertPolicy, type AlertState, type Notice, step } from './machine.ts'
import { toMessage } from './message.ts'
import { observe } from './observe.ts'
import { type Letter, Outbox } from './outbox.ts'
import { openAlerts, writeAlerts } from './store.ts'

export interface AlertsOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly dataDir: string
  readonly board: () => StatusBoard
  readonly policy: AlertPolicy
  /** How often the board is looked at, ms. */
  readonly intervalMs: number
  readonly channels: readonly Channel[]
}

/** Watches the board and tells people. */
export interface Alerts {
  status(): AlertsStatus
  /** Stops looking and sending; what is not delivered is kept. Never rejects. */
  close(): Promise<void>
}

export interface AlertsStatus {
  /** Open incidents. */
  readonly open: number
  /** Messages not delivered yet. */
  readonly queued: number
  readonly dropped: number
  /** Why the file of alerts cannot be written; null when it can. */
  readonly trouble: string | null
}

const RETRY = { baseMs: 5_000, capMs: 300_000, jitter: 0.1 }
const WAIT_MS_MAX = 3_600_000
const CLOSE_MS_MAX = 1_000
/** A message that was refused so often for what it holds must not keep those behind it. */
const REFUSALS_MAX = 3

/** Starts looking, and goes on with what an earlier start left. */
export function startAlerts(options: AlertsOptions): Alerts {
  return new Watchman(options)
}

class Watchman implements Alerts {
  readonly #options: AlertsOptions
  readonly #outbox: Outbox
  readonly #stop = createAbort()
  readonly #running: Promise<unknown>
  #state: AlertState
  #saved = ''
  #trouble: string | null = null
  /** Wakes the senders; replaced each time. */
  #bell = createAbort()

  constructor(options: AlertsOptions) {
    this.#options = options
    const { log, dataDir, channels } = options
    const kept = openAlerts(dataDir, (error) =>
      log.error({ err: error }, `alerts of an earlier start are lost: ${describeError(error)}`),
    )
    this.#state = kept.alerts
    this.#outbox = new Outbox(kept.outbox)
    this.#outbox.keepOnly(channels.map(({ name }) => name))
    this.#saved = this.#fingerprint()
    this.#running = Promise.all([this.#look(), ...channels.map((channel) => this.#deliver(channel))])
  }

  status(): AlertsStatus {
    const { letters, counts } = this.#outbox.snapshot()
    const dropped = Object.values(counts).reduce((sum, one) => sum + one.dropped, 0)
    return { open: this.#state.open.length, queued: letters.length, dropped, trouble: this.#trouble }
  }

  async close(): Promise<void> {
    this.#stop.abort(new TransientError('alerts end'))
    this.#bell.abort()
    // A mail server that hangs must not hold up the end; what it may have taken comes again.
    const timer = createAbort()
    await Promise.race([this.#running, this.#options.clock.sleep(CLOSE_MS_MAX, timer.signal)])
    timer.abort()
  }

  async #look(): Promise<void> {
    const { clock, board, intervalMs, log } = this.#options
    const { signal } = this.#stop
    for (;;) {
      await clock.sleep(intervalMs, signal)
      if (signal.aborted) return
      try {
        const seen = board()
        if (seen.draining) return // what stops on purpose is no trouble
        const openKeys = this.#state.open.map(({ key }) => key)
        this.#take(step(this.#state, observe(seen, openKeys), clock.wallMs(), this.#options.policy))
      } catch (error) {
        log.error({ err: error }, `alerts could not be judged: ${describeError(error)}`)
      }
    }
  }

  #take({ state, notices }: { readonly state: AlertState; readonly notices: readonly Notice[] }): void {
    const { clock, channels } = this.#options
    this.#state = state
    for (const notice of notices) {
      this.#log(notice)
      for (const { name } of channels) this.#outbox.add(name, notice, clock.wallMs())
    }
    this.#save()
    if (notices.length === 0) return
    this.#bell.abort()
    this.#bell = createAbort()
  }

  #log({ kind, incident }: Notice): void {
    const { log } = this.#options
    const context = { incident: incident.id, cause: incident.key }
    if (kind === 'recovered') log.info(context, `alert over: ${incident.title}`)
    else if (kind === 'down') log.warn(context, `alert: ${incident.title}: ${incident.detail}`)
    else log.warn(context, `alert still open: ${incident.title}: ${incident.detail}`)
  }

  /** Every channel by itself: one that is down holds nobody up. */
  async #deliver(channel: Channel): Promise<void> {
    const { clock } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      const bell = this.#bell.signal
      const letter = this.#outbox.next(channel.name, clock.wallMs())
      const waitMs = letter === null ? WAIT_MS_MAX : letter.nextMs - clock.wallMs()
      // No wait is longer than that: the clock was set back.
      if (letter === null || (waitMs > 0 && waitMs <= WAIT_MS_MAX)) await clock.sleep(waitMs, bell)
      else await this.#send(channel, letter)
    }
  }

  async #send(channel: Channel, letter: Letter): Promise<void> {
    const { clock, random, log } = this.#options
    const { signal } = this.#stop
    try {
      const { recorderId } = this.#options.board()
      await channel.send(toMessage(letter, recorderId), clock.wallMs(), signal)
      this.#outbox.delivered(letter)
    } catch (error) {
      if (signal.aborted) return
      const text = redactText(describeError(error))
      const asked = error instanceof TransientError ? (error.retryAfterMs ?? 0) : 0
      const waitMs = Math.max(backoffMs(letter.attempts + 1, RETRY, random), Math.min(asked, WAIT_MS_MAX))
      if (error instanceof RefusedMessage && letter.attempts + 1 >= REFUSALS_MAX) {
        this.#outbox.refused(letter)
        log.error({}, `an alert is given up, ${channel.name} does not take it: ${text}`)
      } else this.#outbox.failed(letter, text, clock.wallMs() + waitMs)
      if (letter.attempts === 0) log.warn({}, `an alert is not delivered yet by ${channel.name}: ${text}`)
    }
    this.#save()
  }

  /** Only what changed is written: while all is well, nothing is. */
  #save(): void {
    const { log, dataDir } = this.#options
    const print = this.#fingerprint()
    if (print === this.#saved) return
    try {
      writeAlerts(dataDir, { alerts: this.#state, outbox: this.#outbox.snapshot() })
      this.#saved = print
      this.#trouble = null
    } catch (error) {
      // Told all the same, from memory; a full disk is a reason to.
      if (this.#trouble === null) log.error({ err: error }, `alerts cannot be kept: ${describeError(error)}`)
      this.#trouble = describeError(error)
    }
  }

  #fingerprint(): string {
    const watches = Object.entries(this.#state.watches).map(([key, { badSinceMs, goodSinceMs, suppressedBy }]) => {
      return [key, badSinceMs === null, goodSinceMs === null, suppressedBy]
    })
    const { open, closed } = this.#state
    return JSON.stringify([watches, open, closed.length, closed.at(-1)?.id, this.#outbox.snapshot()])
  }
}
