import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SentTrade } from '../../src/sim/account.ts'
import { type Daemon, readTapeLines } from './daemon.ts'

/** How often each key occurs. */
export type Multiset = Map<string, number>

interface TradeFields {
  readonly token: string
  readonly venueMs: number
  readonly price: string | number
  readonly size: string | number
  readonly side: string
  readonly transactionHash: string
}

function tradeKey(trade: TradeFields): string {
  const { token, venueMs, price, size, side, transactionHash } = trade
  return [token, venueMs, Number(price), Number(size), side, transactionHash].join('|')
}

/**
 * What the ledger must hold, given what each connection was given: identical fills on one connection are as many rows,
 * the same fill on two connections is one.
 */
export function expectedTrades(sent: Iterable<TradeFields & { readonly conn: string | number }>): Multiset {
  const perConnection = new Map<string, number>()
  for (const trade of sent) {
    const key = `${trade.conn}#${tradeKey(trade)}`
    perConnection.set(key, (perConnection.get(key) ?? 0) + 1)
  }
  const expected: Multiset = new Map()
  for (const [key, count] of perConnection) {
    const identity = key.slice(key.indexOf('#') + 1)
    expected.set(identity, Math.max(expected.get(identity) ?? 0, count))
  }
  return expected
}

export async function storedTrades(daemon: Daemon): Promise<Multiset> {
  return await storedTradesBy((sql) => daemon.query(sql))
}

/** The trades that came by the stream; `query` asks the ledger. */
export async function storedTradesBy(query: (sql: string) => Promise<Record<string, unknown>[]>): Promise<Multiset> {
  const rows = await query(
    `SELECT token_id, (extract(epoch FROM ts) * 1000)::bigint::text AS ms, price, size, side, transaction_hash,
            count(*)::int AS count FROM v_trades WHERE origin = 'stream' GROUP BY 1, 2, 3, 4, 5, 6`,
  )
  return new Map(
    rows.map((row) => [
      tradeKey({
        token: String(row['token_id']),
        venueMs: Number(row['ms']),
        price: Number(row['price']),
        size: Number(row['size']),
        side: String(row['side']),
        transactionHash: String(row['transaction_hash']),
      }),
      Number(row['count']),
    ]),
  )
}

export function sum(of: Multiset): number {
  return [...of.values()].reduce((total, count) => total + count, 0)
}

/** Says which keys are lost, doubled or made up. */
export function assertSame(what: string, actual: Multiset, expected: Multiset): void {
  const wrong = compareMultisets(actual, expected)
  assert.equal(wrong.length, 0, `${what}: ${wrong.length} differences, such as\n${wrong.slice(0, 5).join('\n')}`)
}

/** The differences in words, one for each key. */
export function compareMultisets(actual: Multiset, expected: Multiset): string[] {
  const wrong: string[] = []
  for (const [key, count] of expected) {
    if (actual.get(key) !== count) wrong.push(`${key}: expected ${count}, found ${actual.get(key) ?? 0}`)
  }
  for (const [key, count] of actual) if (!expected.has(key)) wrong.push(`${key}: expected none, found ${count}`)
  return wrong
}

/** Lines of the tape that hold a frame, by connection in tape order; the frame's text as it was received. */
export function framesOf(lines: readonly string[]): Map<string, string[]> {
  const frames = new Map<string, string[]>()
  for (const line of lines) {
    const parsed = JSON.parse(line) as { conn: string; frame?: unknown; text?: string }
    if (parsed.frame === undefined && parsed.text === undefined) continue
    const text = parsed.text ?? line.slice(line.indexOf('"frame":') + 8, -1)
    const list = frames.get(parsed.conn) ?? []
    list.push(text)
    frames.set(parsed.conn, list)
  }
  return frames
}

/** The trades on a tape, read by nobody's code but this. */
export function* tradesOnTape(lines: readonly string[]): Generator<TradeFields & { conn: string }> {
  for (const [conn, frames] of framesOf(lines)) {
    for (const frame of frames) {
      if (!frame.includes('last_trade_price')) continue
      const events = [JSON.parse(frame) as Record<string, string> | Record<string, string>[]].flat()
      for (const event of events) {
        if (event['event_type'] !== 'last_trade_price') continue
        yield {
          conn,
          token: String(event['asset_id']),
          venueMs: Number(event['timestamp']),
          price: String(event['price']),
          size: String(event['size']),
          side: String(event['side']),
          transactionHash: String(event['transaction_hash']),
        }
      }
    }
  }
}

export function accountTrades(trades: readonly SentTrade[]): Multiset {
  return expectedTrades(trades)
}

/** Every connection's frames, as the venue kept them and as the tape holds them, must be the same sequence of bytes. */
export async function assertFramesEqual(daemon: Daemon, accountDir: string): Promise<number> {
  const sent: string[][] = []
  for (const name of await readdir(accountDir)) {
    if (!name.startsWith('frames-')) continue
    const text = await readFile(join(accountDir, name), 'utf8')
    const lines = text.split('\n').filter((line) => line !== '')
    // The tape leaves out the one final newline of a frame.
    sent.push(lines.map((line) => (JSON.parse(line) as { frame: string }).frame.replace(/\n$/, '')))
  }
  const kept = [...framesOf(await readTapeLines(daemon.dataDir)).values()]
  const digest = (frames: readonly string[]) => createHash('sha256').update(frames.join('\n')).digest('hex')
  const count = (lists: readonly string[][]) => lists.map((list) => `${list.length} ${digest(list)}`).sort()
  assert.deepEqual(count(kept), count(sent.filter((list) => list.length > 0)))
  return sent.reduce((total, list) => total + list.length, 0)
}
