import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatedClock } from '../sim/clock.ts'
import { collectorContext } from '../sources/polymarket/support.test.ts'
import { storeOnceMore } from './store-once-more.ts'

function setUp(failures: number) {
  const clock = new SimulatedClock()
  const calls: number[] = []
  const operation = async () => {
    calls.push(clock.monotonicMs())
    if (calls.length <= failures) throw new Error(`failure ${calls.length}`)
    return calls.length
  }
  return { clock, calls, operation, ...collectorContext(clock) }
}

test('a failed store operation is tried once more, one second later', async () => {
  const { clock, calls, context, operation, log } = setUp(1)
  const work = storeOnceMore(context, 'things', operation)
  await clock.advance(999)
  assert.deepEqual(calls, [0])
  await clock.advance(1)
  assert.equal(await work, 2)
  assert.deepEqual(calls, [0, 1000])
  assert.deepEqual(
    log.lines.map((line) => line.level),
    ['warn'],
  )
})

test('and never a third time', async () => {
  const { clock, calls, context, operation } = setUp(5)
  const work = assert.rejects(storeOnceMore(context, 'things', operation), /failure 2/)
  await clock.advance(60_000)
  await work
  assert.equal(calls.length, 2)
})

test('nor when the collector is being stopped', async () => {
  const { clock, calls, context, operation, abort } = setUp(5)
  const work = assert.rejects(storeOnceMore(context, 'things', operation), /failure 1/)
  await clock.settle()
  abort()
  await work
  assert.equal(calls.length, 1)
})
