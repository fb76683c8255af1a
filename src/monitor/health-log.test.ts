import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Logger } from '../core/log.ts'
import type { StatusBoard } from '../core/status.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { runHealthLog } from './health-log.ts'

function setUp(board: () => StatusBoard) {
  const clock = new SimulatedClock()
  const lines: string[] = []
  const note = (_context: unknown, message: string) => {
    lines.push(`${Math.round(clock.monotonicMs() / 1000)} ${message}`)
  }
  const log: Logger = { debug: note, info: note, warn: note, error: note, fatal: note, child: () => log }
  const abort = new AbortController()
  const done = runHealthLog({ clock, log, signal: abort.signal, board, intervalMs: 60_000 })
  return { clock, lines, abort, done }
}

function emptyBoard(): StatusBoard {
  return {
    collectors: [],
    uptimeMs: 60_000,
    restarts: 0,
    recorder: { lastTradeMs: null, lastInsertMs: null },
  } as unknown as StatusBoard
}

test('the health lines come every interval and end with the signal', async () => {
  const { clock, lines, abort, done } = setUp(() => ({ ...emptyBoard(), startedMs: 0 }))
  await clock.advance(59_999)
  assert.deepEqual(lines, [])
  await clock.advance(120_001)
  const text = '=== Daemon Health === uptime: 1m 0s | tasks: 0 alive, 0 dead | restarts: 0'
  assert.deepEqual(lines, [`60 ${text}`, `120 ${text}`, `180 ${text}`])
  abort.abort()
  await done
  assert.deepEqual(clock.pending(), [])
})

test('when it dies it says so once and harms nobody', async () => {
  const { clock, lines, done } = setUp(() => {
    throw new Error('no board')
  })
  await clock.advance(300_000)
  await done
  assert.deepEqual(lines, ['60 the health log has died; everything else goes on'])
})
