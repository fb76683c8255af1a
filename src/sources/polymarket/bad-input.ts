import type { CollectorContext } from '../../core/collector.ts'
import type { DeadLetter, DeadLetterStore } from '../../core/ports.ts'
import { storeOnceMore } from '../../core/store-once-more.ts'
import { clip, rawText } from './json-values.ts'

/** Keeps what could not be read, once per thing and reason: a listing repeats its bad rows in every cycle. */
export interface BadInput {
  /** `identity` names the bad thing as well as it can be named. */
  add(source: string, identity: string, reason: string, raw: unknown): void
  /** Stores what was added since; a failing store costs only these letters, never the cycle. */
  flush(context: CollectorContext): Promise<void>
}

const PENDING_MAX = 1000
const REMEMBERED_MAX = 10_000
const RAW_CHARACTERS_MAX = 16_384
const REASON_CHARACTERS_MAX = 300

export function createBadInput(store: DeadLetterStore): BadInput {
  const remembered = new Set<string>()
  let pending: Omit<DeadLetter, 'atMs'>[] = []
  return {
    add(source, identity, reason, raw) {
      const key = `${identity} ${reason}`.slice(0, REASON_CHARACTERS_MAX)
      if (remembered.has(key) || pending.length >= PENDING_MAX) return
      if (remembered.size >= REMEMBERED_MAX) remembered.clear()
      remembered.add(key)
      const short = clip(reason, REASON_CHARACTERS_MAX)
      pending.push({ source, reason: short, raw: rawText(raw, RAW_CHARACTERS_MAX) })
    },
    async flush(context) {
      if (pending.length === 0) return
      const atMs = context.clock.wallMs()
      const letters = pending.map((letter) => ({ ...letter, atMs }))
      pending = []
      try {
        await storeOnceMore(context, `${letters.length} dead letters`, () => store.saveDeadLetters(letters))
      } catch (error) {
        context.log.error({ err: error, letters: letters.length }, 'dead letters were lost')
      }
    },
  }
}
