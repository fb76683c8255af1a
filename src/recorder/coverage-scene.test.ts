/** What the tests of coverage share: a coverage that is told of lines by second. No tests here. */
import type { GapRow } from '../core/coverage.ts'
import type { BookSnapshot } from '../core/events.ts'
import { parseTokenId, type TokenId } from '../core/ids.ts'
import type { MarkKind, TapeMark } from '../core/tape.ts'
import { Coverage, type CoverageOptions } from './coverage.ts'
import type { KnownBook } from './known-books.ts'

export const [A, B, C] = ['11', '22', '33'].map(parseTokenId) as [TokenId, TokenId, TokenId]
/** Seconds of a test are seconds after this. */
const START_US = 1_790_000_000_000_000
export const us = (second: number) => START_US + Math.round(second * 1_000_000)

/** A coverage with a store behind it, told of lines by second. `options`: what a test wants otherwise. */
export function harness(options: Partial<CoverageOptions> = {}) {
  const books = new Map<TokenId, KnownBook>()
  const coverage = new Coverage({ bookOf: (token) => books.get(token) ?? null, ...options })
  const stored = new Map<number, GapRow>()
  const spans: string[] = []
  const mark = (second: number, connection: string, kind: MarkKind, detail: TapeMark['detail'] = {}) =>
    coverage.mark({ kind: 'mark', atUs: us(second), connection, mark: kind, detail })
  const store = () => {
    const changes = coverage.take()
    for (const gap of changes?.gaps ?? []) stored.set(gap.no, gap)
    for (const no of changes?.gapsRemoved ?? []) stored.delete(no)
    for (const { token } of changes?.spansStarted ?? []) spans.push(`+${token}`)
    for (const { token, endedUs } of changes?.spans ?? []) if (endedUs !== undefined) spans.push(`-${token}`)
  }
  const book = (second: number, connection: string, token: TokenId, hash = `book ${token} at ${second}`) => {
    coverage.frame(connection, us(second))
    coverage.book(snapshot(token, hash), connection, us(second))
    books.set(token, { atUs: us(second), hash })
  }
  return {
    coverage,
    spans,
    mark,
    store,
    frame: (second: number, connection: string) => coverage.frame(connection, us(second)),
    book,
    /** A connection that has subscribed to the tokens and got their books. */
    connect(second: number, connection: string, ...tokens: TokenId[]) {
      mark(second, connection, 'open')
      mark(second, connection, 'subscribe', { assets_ids: tokens })
      for (const token of tokens) book(second, connection, token)
    },
    /** Rows as `cause tokens from–to`, quiet tokens with a star. */
    gaps(): string[] {
      store()
      return [...stored.values()].map(({ cause, tokens, quietTokens, startedUs, endedUs }) => {
        const names = tokens.map((token) => (quietTokens.includes(token) ? `${token}*` : token)).sort()
        const seconds = (at: number | null) => (at === null ? '' : String((at - START_US) / 1_000_000))
        return `${cause} ${names.join(',')} ${seconds(startedUs)}–${seconds(endedUs)}`
      })
    },
    evidence: () => [...stored.values()].map(({ evidence }) => evidence),
  }
}

export function snapshot(token: TokenId, hash: string): BookSnapshot {
  const nothing = { tickSize: null, lastTradePrice: null, minOrderSize: null, negRisk: null, version: null }
  return { kind: 'book', token, market: '0x1', venueMs: 1, hash, bids: [], asks: [], afterTrade: false, ...nothing }
}
