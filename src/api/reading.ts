import { isoTime } from '../core/health.ts'
import type { LedgerStatus } from '../core/status.ts'
import type { Sessions } from '../ledger/ledger.ts'
import { Problem } from './problem.ts'

/** Reads of the ledger at once, and those that may wait for their turn: the recorder needs the database as well. */
const AT_ONCE_MAX = 4
const WAITING_MAX = 100

/** The ledger for reading, a few at a time. Too many at once get a Problem (503), as does who asks while it is away. */
export function limitReads(ledger: Pick<Sessions, 'view'>, status: () => LedgerStatus): Pick<Sessions, 'view'> {
  let running = 0
  const waiting: (() => void)[] = []
  return {
    async view(work, timeoutMs) {
      refuseWhileAway(status())
      if (running >= AT_ONCE_MAX) {
        if (waiting.length >= WAITING_MAX) throw new Problem(503, 'too much is asked at once: try again')
        await new Promise<void>((resolve) => waiting.push(resolve))
      } else running += 1
      try {
        return await ledger.view(work, timeoutMs)
      } finally {
        // The place goes on to whoever waits.
        const next = waiting.shift()
        if (next === undefined) running -= 1
        else next()
      }
    },
  }
}

/** Nobody should wait for a database that is known to be away. */
function refuseWhileAway({ state, trouble }: LedgerStatus): void {
  if (state === 'ok') return
  const words = state === 'connecting' ? 'the ledger has not been reached yet' : `the ledger is ${state}`
  throw new Problem(503, trouble === null ? words : `${words}: ${trouble}`)
}

/** A time that is there. */
export function iso(ms: number): string {
  return isoTime(ms) ?? ''
}

/** What is left of a page of one more than was asked for, and whether there is another. */
export function page<Row>(rows: readonly Row[], limit: number): { rows: readonly Row[]; last: Row | null } {
  const shown = rows.slice(0, limit)
  return { rows: shown, last: rows.length > limit ? (shown.at(-1) ?? null) : null }
}
/** A place in an order of several columns, as text that nobody needs to understand. */
export function writeCursor(parts: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(parts)).toString('base64url')
}

/** Throws Problem (400) when it is not one of ours with these parts. */
export function readCursor<Parts extends readonly ('text' | 'number')[]>(
  text: string | undefined,
  parts: Parts,
): readonly (string | number)[] | null {
  if (text === undefined) return null
  try {
    const values: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    if (
      Array.isArray(values) &&
      values.length === parts.length &&
      values.every((value, at) => fits(value, parts[at]))
    ) {
      return values as readonly (string | number)[]
    }
  } catch {
    // the same as any other text that is none
  }
  throw new Problem(400, 'cursor must be the next_cursor of a page', 'cursor')
}

function fits(value: unknown, kind: 'text' | 'number' | undefined): boolean {
  if (kind === 'number') return Number.isFinite(value)
  return typeof value === 'string' && value.length <= 200 && !value.includes('\0')
}
