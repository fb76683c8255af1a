import type { Clock } from '../../core/clock.ts'
import type { TokenId } from '../../core/ids.ts'

export interface SubscriptionOptions {
  readonly clock: Clock
  /** Ends with the connection. */
  readonly signal: AbortSignal
  /** Pause between two frames, ms. */
  readonly paceMs: number
  /** False when the socket takes nothing at the moment. */
  readonly send: (text: string) => boolean
  readonly onSent: (kind: 'subscribe' | 'unsubscribe', ids: readonly TokenId[]) => void
  /** Called with what should never happen. */
  readonly onError: (error: unknown) => void
}

/** What one connection has asked for; frames go out one by one, at a pace. */
export interface Subscriptions {
  add(tokens: Iterable<TokenId>): void
  remove(tokens: Iterable<TokenId>): void
  /** Tokens whose subscription has been sent. */
  readonly sentCount: number
  /** True once the first frame is out: before that a PING would end the connection. */
  readonly started: boolean
  /** True when nothing waits to be sent. */
  readonly idle: boolean
}

/** Larger frames make the venue end the connection. */
export const IDS_PER_FRAME_MAX = 100

export function createSubscriptions(options: SubscriptionOptions): Subscriptions {
  const { clock, signal } = options
  const sent = new Set<TokenId>()
  const toAdd = new Set<TokenId>()
  const toRemove = new Set<TokenId>()
  let started = false
  let pumping = false

  const pump = async (): Promise<void> => {
    while (!signal.aborted && (toAdd.size > 0 || toRemove.size > 0)) {
      const kind = toAdd.size > 0 ? 'subscribe' : 'unsubscribe'
      const waiting = kind === 'subscribe' ? toAdd : toRemove
      const ids = firstOf(waiting, IDS_PER_FRAME_MAX)
      if (options.send(JSON.stringify(messageOf(kind, ids, !started)))) {
        started = true
        for (const id of ids) {
          waiting.delete(id)
          if (kind === 'subscribe') sent.add(id)
          else sent.delete(id)
        }
        options.onSent(kind, ids)
      }
      await clock.sleep(options.paceMs, signal)
    }
  }
  const start = () => {
    if (pumping) return
    pumping = true
    pump()
      .catch(options.onError)
      .finally(() => {
        pumping = false
        if (!signal.aborted && toAdd.size + toRemove.size > 0) start()
      })
  }

  return {
    add(tokens) {
      for (const token of tokens) {
        toRemove.delete(token)
        if (!sent.has(token)) toAdd.add(token)
      }
      start()
    },
    remove(tokens) {
      for (const token of tokens) {
        toAdd.delete(token)
        if (sent.has(token)) toRemove.add(token)
      }
      start()
    },
    get sentCount() {
      return sent.size
    },
    get started() {
      return started
    },
    get idle() {
      return toAdd.size + toRemove.size === 0
    },
  }
}

/** The initial form may be sent once; a second one is answered with INVALID OPERATION. */
function messageOf(kind: 'subscribe' | 'unsubscribe', ids: readonly TokenId[], first: boolean): object {
  if (kind === 'unsubscribe') return { operation: 'unsubscribe', assets_ids: ids }
  if (first) return { assets_ids: ids, type: 'market', initial_dump: true, level: 2, custom_feature_enabled: true }
  return { operation: 'subscribe', assets_ids: ids, custom_feature_enabled: true }
}

function firstOf<T>(items: Iterable<T>, count: number): T[] {
  const found: T[] = []
  for (const item of items) {
    found.push(item)
    if (found.length === count) break
  }
  return found
}
