import type { FinishedCycle } from '../core/ports.ts'
import type { LogEntry } from '../runtime/logging.ts'

/** Something that changed, for those who watch. */
export type MonitorEvent =
  | { readonly kind: 'cycle'; readonly cycle: FinishedCycle }
  | { readonly kind: 'log'; readonly entry: LogEntry }
  /** Made elsewhere and passed on as they are: the name of the event and its data. */
  | { readonly kind: 'told'; readonly name: 'status' | 'gap' | 'price'; readonly data: unknown }

/** Hands events to whoever listens at that moment; keeps none. A listener must not wait. */
export class EventHub {
  readonly #listeners = new Set<(event: MonitorEvent) => void>()
  readonly #waiting: (() => void)[] = []
  #failures = 0

  get listeners(): number {
    return this.#listeners.size
  }

  /** Events that a listener threw at. */
  get failures(): number {
    return this.#failures
  }

  /** Resolves when somebody listens, or the signal aborts. */
  untilHeard(signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#listeners.size > 0) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = () => {
        signal.removeEventListener('abort', wake)
        resolve()
      }
      signal.addEventListener('abort', wake)
      this.#waiting.push(wake)
    })
  }

  publish(event: MonitorEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event)
      } catch {
        this.#failures += 1 // who watches must not harm what is watched
      }
    }
  }

  /** Returns how to stop listening. */
  subscribe(listener: (event: MonitorEvent) => void): () => void {
    this.#listeners.add(listener)
    for (const wake of this.#waiting.splice(0)) wake()
    return () => {
      this.#listeners.delete(listener)
    }
  }
}
