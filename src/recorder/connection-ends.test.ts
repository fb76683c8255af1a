import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTokenId } from '../core/ids.ts'
import type { MarkKind } from '../core/tape.ts'
import { ConnectionEnds } from './connection-ends.ts'

const TOKEN = parseTokenId('7')
const WAIT_US = 2_000_000
function frame(ends: ConnectionEnds, connection: string, atUs: number): void {
  ends.read({ kind: 'frame', connection, atUs, payload: Buffer.alloc(0) })
}

function mark(ends: ConnectionEnds, connection: string, atUs: number, name: MarkKind): void {
  const detail = name === 'subscribe' ? { assets_ids: [TOKEN] } : {}
  ends.read({ kind: 'mark', connection, atUs, mark: name, detail })
}

/** Connection a follows the token and tells of a match at 0 s; then what `more` does. */
function heardToTheEnd(more: (ends: ConnectionEnds) => void): boolean {
  const ends = new ConnectionEnds()
  mark(ends, 'a', -1_000_000, 'subscribe')
  frame(ends, 'a', 0)
  more(ends)
  return !ends.endedBefore(TOKEN, 0, WAIT_US)
}

test('a trade that does not come is missing while its connection lives', () => {
  assert.equal(
    heardToTheEnd((ends) => frame(ends, 'a', 1_000_000)),
    true,
  )
  assert.equal(
    heardToTheEnd((ends) => mark(ends, 'b', 1_000_000, 'close')),
    true,
  )
})

test('not when the connection ended before it was due, however late that is known', () => {
  assert.equal(
    heardToTheEnd((ends) => mark(ends, 'a', 1_000_000, 'close')),
    false,
  )
  assert.equal(
    heardToTheEnd((ends) => {
      mark(ends, 'recorder', 60_000_000, 'start')
      mark(ends, 'b', 61_000_000, 'subscribe')
      for (let second = 62; second < 100; second += 1) frame(ends, 'b', second * 1_000_000)
    }),
    false,
  )
})

test('and again when it ended after it was due', () => {
  const late = (ends: ConnectionEnds) => {
    frame(ends, 'a', 3_000_000)
    mark(ends, 'recorder', 60_000_000, 'start')
  }
  assert.equal(heardToTheEnd(late), true)
  assert.equal(
    heardToTheEnd((ends) => mark(ends, 'a', 3_000_000, 'close')),
    true,
  )
})
