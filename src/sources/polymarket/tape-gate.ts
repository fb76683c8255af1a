import type { Clock } from '../../core/clock.ts'
import type { MarkKind, TapeAppender } from '../../core/tape.ts'

/** The stream's way to the tape: notices when the tape refuses, and brings refused marks later. */
export interface TapeGate {
  /** Hot path. False when the tape does not take the frame; `onRefused` has been called by then. */
  append(connection: string, atUs: number, payload: Buffer): boolean
  mark(connection: string, mark: MarkKind, detail: Readonly<Record<string, unknown>>): void
  /** True from the first refused frame until `ready` has let somebody through. */
  readonly refusing: boolean
  /** Resolves when the tape takes frames and the marks that it owes have been written, or the signal aborts. */
  ready(signal: AbortSignal): Promise<void>
}

interface OwedMark {
  readonly connection: string
  readonly atUs: number
  readonly mark: MarkKind
  readonly detail: Readonly<Record<string, unknown>>
}

const OWED_MAX = 10_000

/** `onRefused` is called once per failure of the tape, synchronously, with the refused frame's connection. */
export function createTapeGate(tape: TapeAppender, clock: Clock, onRefused: () => void): TapeGate {
  let refusing = false
  const owed: OwedMark[] = []

  const payOwed = (): void => {
    while (owed.length > 0) {
      const [next] = owed
      // Its own time, although later lines may be older: it says when the hole began.
      if (next !== undefined && !tape.mark(next.connection, next.atUs, next.mark, next.detail)) return
      owed.shift()
    }
  }

  return {
    append(connection, atUs, payload) {
      if (tape.append(connection, atUs, payload)) return true
      if (!refusing) {
        refusing = true
        onRefused()
      }
      return false
    },
    mark(connection, mark, detail) {
      const atUs = clock.wallUs()
      payOwed()
      if (owed.length === 0 && tape.mark(connection, atUs, mark, detail)) return
      if (owed.length < OWED_MAX) owed.push({ connection, atUs, mark, detail })
    },
    get refusing() {
      return refusing
    },
    async ready(signal) {
      if (!refusing && tape.accepting && owed.length === 0) return
      await tape.untilAccepting(signal)
      if (signal.aborted) return
      payOwed()
      refusing = !tape.accepting
    },
  }
}
