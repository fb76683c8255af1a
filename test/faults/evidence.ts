import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { JOURNAL_FILE, type JournalLine } from '../../src/sim/journal.ts'
import { findOverwritten } from './overwritten.ts'

/** Something that happened at the venue and that a recorder owes. */
export interface Obligation {
  readonly key: string
  readonly token: string
  /** When it happened, by this machine's clock, Unix ms. */
  readonly atMs: number
}

/** From when to when, Unix ms; `endMs` is infinite while it goes on. */
export interface Interval {
  readonly token: string
  readonly startMs: number
  readonly endMs: number
}

/** What a tape says, read by this code alone. */
export interface TapeFacts {
  /** How often each key was received on the connection that received it most often. */
  readonly received: ReadonlyMap<string, number>
  /** Receive time of the newest frame that tells of a token, Unix ms. */
  readonly newest: ReadonlyMap<string, number>
  /** When each token was first asked for, Unix ms. */
  readonly subscribed: ReadonlyMap<string, number>
  readonly lines: number
}

function keyOf(kind: string, token: string, venueMs: string | number, rest: readonly unknown[] = []): string {
  return [kind, token, venueMs, ...rest].join('|')
}

/** Every change, book and fill that the venue produced, heard or not. */
export async function readObligations(accountDir: string): Promise<Obligation[]> {
  const text = await readFile(join(accountDir, JOURNAL_FILE), 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { atUs, kind, token, venueMs, price, size, side, transactionHash } = JSON.parse(line) as JournalLine
      const rest = kind === 'book' ? [] : [price, size, side, ...(kind === 'trade' ? [transactionHash] : [])]
      return { key: keyOf(kind, token, venueMs, rest), token, atMs: atUs / 1_000 }
    })
}

interface TapeLine {
  readonly at: number
  readonly conn: string
  readonly mark?: string
  readonly frame?: unknown
  readonly detail?: { readonly assets_ids?: readonly string[] }
}

/** Goes through a tape once. Throws on a line that is not whole. */
export function readTape(lines: readonly string[]): TapeFacts {
  const perConnection = new Map<string, Map<string, number>>()
  const newest = new Map<string, number>()
  const subscribed = new Map<string, number>()
  for (const line of lines) {
    const parsed = JSON.parse(line) as TapeLine
    const atMs = parsed.at / 1_000
    if (parsed.mark === 'subscribe') {
      for (const token of parsed.detail?.assets_ids ?? []) {
        if (!subscribed.has(token)) subscribed.set(token, atMs)
      }
    }
    if (parsed.frame === undefined) continue
    const counts = perConnection.get(parsed.conn) ?? new Map<string, number>()
    perConnection.set(parsed.conn, counts)
    for (const event of [parsed.frame].flat() as Record<string, unknown>[]) {
      for (const { key, token } of toldBy(event)) {
        if (key !== null) counts.set(key, (counts.get(key) ?? 0) + 1)
        newest.set(token, atMs)
      }
    }
  }
  const received = new Map<string, number>()
  for (const counts of perConnection.values()) {
    for (const [key, count] of counts) received.set(key, Math.max(received.get(key) ?? 0, count))
  }
  return { received, newest, subscribed, lines: lines.length }
}

function* toldBy(event: Record<string, unknown>): Generator<{ key: string | null; token: string }> {
  const token = String(event['asset_id'] ?? '')
  const venueMs = String(event['timestamp'])
  switch (event['event_type']) {
    case 'book':
      yield { key: keyOf('book', token, venueMs), token }
      return
    case 'last_trade_price': {
      const { price, size, side, transaction_hash: hash } = event
      yield { key: keyOf('trade', token, venueMs, [price, size, side, hash]), token }
      return
    }
    case 'price_change':
      for (const item of event['price_changes'] as Record<string, string>[]) {
        const own = String(item['asset_id'])
        yield { key: keyOf('change', own, venueMs, [item['price'], item['size'], item['side']]), token: own }
      }
      return
    default:
      if (token !== '') yield { key: null, token }
  }
}

export interface Balance {
  /** What happened while its token was followed. */
  readonly owed: number
  readonly recorded: number
  /** Not recorded, and inside a gap of its token. */
  readonly covered: number
  /**
   * Not recorded, in no gap, and the next message of its token set the same levels anew: the book was right again
   * before a hash could tell (`overwritten.ts`). No recorder can know of those from this venue's stream alone.
   */
  readonly overwritten: readonly Obligation[]
  /** Not recorded, and no gap says so. */
  readonly silent: readonly Obligation[]
}

/**
 * Holds what happened against what was recorded and what was admitted. `toleranceMs` at both ends of a gap, and at the
 * beginning of a span: until the venue has read a subscription it owes nothing.
 */
export function balance(parts: {
  readonly obligations: readonly Obligation[]
  readonly received: ReadonlyMap<string, number>
  /** When each token was followed. */
  readonly spans: readonly Interval[]
  readonly gaps: readonly Interval[]
  readonly toleranceMs: number
}): Balance {
  const { received, toleranceMs } = parts
  const spans = byToken(parts.spans.map((span) => ({ ...span, startMs: span.startMs + toleranceMs })))
  const gaps = byToken(parts.gaps)
  const used = new Map<string, number>()
  const silent: Obligation[] = []
  let [owed, recorded, covered] = [0, 0, 0]
  // Of several equal events the recorded ones are taken for those that no gap covers.
  const open = parts.obligations.filter(({ token, atMs }) => within(spans.get(token), atMs, 0))
  const uncovered = open.filter(({ token, atMs }) => !within(gaps.get(token), atMs, toleranceMs))
  const inGap = open.filter(({ token, atMs }) => within(gaps.get(token), atMs, toleranceMs))
  for (const obligation of [...uncovered, ...inGap]) {
    owed += 1
    const count = used.get(obligation.key) ?? 0
    if (count < (received.get(obligation.key) ?? 0)) {
      used.set(obligation.key, count + 1)
      recorded += 1
    } else if (within(gaps.get(obligation.token), obligation.atMs, toleranceMs)) covered += 1
    else silent.push(obligation)
  }
  silent.sort((one, other) => one.atMs - other.atMs)
  const overwritten = findOverwritten(silent, parts.obligations, received)
  return { owed, recorded, covered, overwritten, silent: silent.filter((lost) => !overwritten.includes(lost)) }
}

function byToken(intervals: readonly Interval[]): Map<string, Interval[]> {
  const map = new Map<string, Interval[]>()
  for (const interval of intervals) {
    const list = map.get(interval.token)
    if (list) list.push(interval)
    else map.set(interval.token, [interval])
  }
  return map
}

function within(intervals: readonly Interval[] | undefined, atMs: number, toleranceMs: number): boolean {
  return (intervals ?? []).some(({ startMs, endMs }) => atMs >= startMs - toleranceMs && atMs <= endMs + toleranceMs)
}
