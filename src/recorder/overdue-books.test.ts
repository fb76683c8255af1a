import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTokenId } from '../core/ids.ts'
import type { TapeMark } from '../core/tape.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { decodeFrame } from '../sources/polymarket/decode.ts'
import { Coverage } from './coverage.ts'
import { OverdueBooks } from './overdue-books.ts'
import { createRecorder } from './recorder.ts'
import { mark, memoryLedger, memoryLog, memoryTape, settle, trustingChecker } from './support.test.ts'

const START_US = 1_790_000_000_000_000
const us = (second: number) => START_US + second * 1_000_000
const tokens = (count: number) => Array.from({ length: count }, (_, index) => parseTokenId(String(index + 11)))

/** Tokens that were subscribed on one connection at second 0 and got no book. */
function unanswered(count: number) {
  const coverage = new Coverage({ bookOf: () => null })
  const overdue = new OverdueBooks()
  const detail = { assets_ids: tokens(count) }
  coverage.mark(mark('one', us(0), 'subscribe', detail) as TapeMark)
  return {
    coverage,
    /** Those asked for at the second. */
    ask(second: number) {
      coverage.turn(us(second), false)
      return overdue.take(coverage.tokens.values(), us(second))
    },
  }
}

test('a token whose book does not come is asked for after half a minute, and again when that was of no use', () => {
  const { ask } = unanswered(1)
  assert.deepEqual([ask(5), ask(16), ask(27)], [[], [], []])
  assert.deepEqual(ask(38), tokens(1))
  assert.deepEqual([ask(50), ask(61)], [[], []])
  assert.deepEqual(ask(72), tokens(1))
})

test('a token without a connection that is well is not asked for: its connection is what must come', () => {
  const { coverage, ask } = unanswered(1)
  ask(5)
  coverage.mark(mark('one', us(20), 'stall') as TapeMark)
  assert.deepEqual([ask(40), ask(80)], [[], []])
})

test('of very many some are asked for each time, and each has its turn', () => {
  const { ask } = unanswered(250)
  ask(5)
  const asked = [ask(40), ask(51), ask(62)]
  assert.deepEqual(
    asked.map((taken) => taken.length),
    [100, 100, 50],
  )
  assert.deepEqual(new Set(asked.flat()), new Set(tokens(250)))
})

test('a recorder that has caught up tells of them while no line comes', async () => {
  const clock = new SimulatedClock()
  const tape = memoryTape([mark('one', clock.wallUs(), 'subscribe', { assets_ids: tokens(1) })], 1)
  const heard: string[] = []
  const recorder = createRecorder({
    ...{ recorderId: 'here', stream: 'trades', tape, ledger: memoryLedger(), decode: decodeFrame, clock },
    ...{ checker: trustingChecker(), log: memoryLog(), onOverdue: (ids) => heard.push(...ids) },
  })
  const abort = new AbortController()
  const done = recorder.run(abort.signal)
  for (let second = 0; second < 60; second += 1) {
    await settle()
    await clock.advance(1_000)
  }
  assert.deepEqual(heard, tokens(1))
  abort.abort()
  await done
})
