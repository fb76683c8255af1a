import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collector, healthyBoard, NOW_MS } from '../../test/support/board.ts'
import { StandstillWatch } from './standstill.ts'
import type { CollectorStatus, StatusBoard } from './status.ts'

/** What is found by looking every second for so long. */
function found(board: (atMs: number) => StatusBoard, seconds: number): string | null {
  const watch = new StandstillWatch(60_000)
  for (let second = 0; second < seconds; second += 1) {
    const nowMs = NOW_MS + second * 1000
    const text = watch.look(board(nowMs), nowMs, 1000)
    if (text !== null) return `${second} ${text}`
  }
  return null
}

const having = (changes: (atMs: number) => Partial<CollectorStatus>) => (atMs: number) => ({
  ...healthyBoard(),
  collectors: [collector(changes(atMs))],
})

test('what works, fails in time or waits for its turn moves', () => {
  assert.equal(
    found(
      having((atMs) => ({ nextAttemptMs: atMs + 5_000 })),
      5_000,
    ),
    null,
  )
  const failing = having((atMs) => ({
    lastCycleOk: false,
    consecutiveFailures: 99,
    state: 'cooling',
    nextAttemptMs: atMs + 1,
  }))
  assert.equal(found(failing, 5_000), null)
  assert.equal(
    found(
      having(() => ({ state: 'failed', nextAttemptMs: NOW_MS - 1 })),
      5_000,
    ),
    null,
  )
  const slow = having((atMs) => ({
    lastStartedMs: NOW_MS + Math.floor((atMs - NOW_MS) / 600_000) * 600_000,
    lastFinishedMs: 0,
  }))
  assert.equal(found(slow, 5_000), null)
})

test('an attempt that does not come stands still', () => {
  const overdue = having(() => ({ nextAttemptMs: NOW_MS }))
  assert.equal(found(overdue, 200), '61 polymarket.prices should have begun 1m 1s ago')
  assert.equal(
    found((atMs) => ({ ...overdue(atMs), draining: true }), 200),
    null,
  )
})

test('a cycle that never ends stands still, and a machine that slept does not', () => {
  const endless = having(() => ({ lastStartedMs: NOW_MS, lastFinishedMs: NOW_MS - 1 }))
  assert.equal(found(endless, 1_000), '671 polymarket.prices has been in one cycle for 11m 11s')
  const watch = new StandstillWatch(60_000)
  const board = endless(NOW_MS)
  assert.equal(watch.look(board, NOW_MS, 1_000), null)
  assert.equal(watch.look(board, NOW_MS + 8 * 3_600_000, 1_000), null)
})

test('a tape that is not synced stands still, and one that syncs again and again does not', () => {
  const tape = (lastSyncMs: number) => ({
    ...healthyBoard(),
    tape: { ...healthyBoard().tape, pendingBytes: 9, lastSyncMs },
  })
  assert.equal(
    found(() => tape(NOW_MS), 200),
    '121 the tape has not been synced for 2m 1s',
  )
  assert.equal(
    found((atMs) => tape(atMs), 200),
    null,
  )
})
