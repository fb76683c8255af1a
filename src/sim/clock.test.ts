import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatedClock } from './clock.ts'

const never = new AbortController().signal

test('sleepers wake in time order, each settled before the next, at exactly their time', async () => {
  const clock = new SimulatedClock(1_000_000)
  const history: string[] = []
  const sleeper = async (name: string, delayMs: number) => {
    await clock.sleep(delayMs, never)
    history.push(`${name}@${clock.monotonicMs()}`)
    await Promise.resolve()
    history.push(`${name} settled`)
  }
  const all = [sleeper('late', 30), sleeper('early', 10), sleeper('also early', 10)]
  await clock.advance(29)
  assert.deepEqual(history, ['early@10', 'early settled', 'also early@10', 'also early settled'])
  assert.equal(clock.monotonicMs(), 29)
  assert.equal(clock.wallMs(), 1_000_029)
  assert.equal(clock.wallUs(), 1_000_029_000)
  await clock.advance(1)
  await Promise.all(all)
  assert.deepEqual(history.slice(4), ['late@30', 'late settled'])
})

test('a sleeper that sleeps again within one advance wakes as often as fits', async () => {
  const clock = new SimulatedClock()
  const wakes: number[] = []
  const abort = new AbortController()
  const loop = (async () => {
    while (!abort.signal.aborted) {
      await clock.sleep(7, abort.signal)
      wakes.push(clock.monotonicMs())
    }
  })()
  await clock.advance(30)
  assert.deepEqual(wakes, [7, 14, 21, 28])
  abort.abort()
  await loop
  assert.deepEqual(clock.pending(), [])
})

test('an aborted sleep ends at once and is forgotten', async () => {
  const clock = new SimulatedClock()
  const abort = new AbortController()
  const sleep = clock.sleep(1000, abort.signal)
  assert.deepEqual(clock.pending(), [{ delayMs: 1000, dueMs: 1000 }])
  abort.abort()
  await sleep
  await clock.sleep(1000, abort.signal)
  assert.deepEqual(clock.pending(), [])
  assert.equal(clock.monotonicMs(), 0)
})

test('the wall clock jumps alone', () => {
  const clock = new SimulatedClock(5000)
  clock.jumpWall(-3000)
  assert.equal(clock.wallMs(), 2000)
  assert.equal(clock.monotonicMs(), 0)
})
