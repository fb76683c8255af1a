import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { TransientError } from '../core/errors.ts'
import { seededRandom } from '../core/random.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { createAbort, withDeadline } from './abort.ts'
import { backoffMs } from './backoff.ts'
import { FailureLog } from './failure-log.ts'
import { parseRetryAfter } from './retry-after.ts'
import { Scope } from './scope.ts'
import { systemClock } from './system-clock.ts'

const never = new AbortController().signal

describe('the system clock', () => {
  test('agrees with the system, in µs, and does not go back', () => {
    const clock = systemClock()
    let lastUs = 0
    const seen = new Set<number>()
    for (let n = 0; n < 20_000; n += 1) {
      const beforeMs = Date.now()
      const nowUs = clock.wallUs()
      const afterMs = Date.now()
      assert.ok(Number.isSafeInteger(nowUs))
      assert.ok(nowUs >= lastUs, 'it went back')
      assert.ok(nowUs / 1000 >= beforeMs - 2 && nowUs / 1000 <= afterMs + 3, `${nowUs / 1000 - afterMs} ms off`)
      lastUs = nowUs
      seen.add(nowUs % 1000)
    }
    assert.ok(seen.size > 100, 'it has µs resolution')
  })

  test('follows the wall clock when that is set, forwards and back', (t) => {
    const clock = systemClock()
    const realMs = Date.now()
    clock.wallUs()
    const wall = t.mock.method(Date, 'now', () => realMs + 3_600_000)
    assert.ok(Math.abs(clock.wallUs() / 1000 - (realMs + 3_600_000)) < 5)
    wall.mock.mockImplementation(() => realMs - 3_600_000)
    assert.ok(Math.abs(clock.wallUs() / 1000 - (realMs - 3_600_000)) < 5)
    const set = clock.wallUs()
    wall.mock.mockImplementation(() => realMs - 3_600_000 - 500)
    assert.equal(clock.wallUs(), set, 'a small step back is held')
  })

  test('sleeps no less than asked, and wakes at once when aborted', async () => {
    const clock = systemClock()
    const startMs = clock.monotonicMs()
    await clock.sleep(12, never)
    assert.ok(clock.monotonicMs() - startMs >= 12)
    const abort = new AbortController()
    const forever = clock.sleep(1e12, abort.signal)
    abort.abort()
    await forever
    await clock.sleep(1e12, abort.signal)
  })
})

describe('a scope', () => {
  test('releases last in, first out, once, and collects errors', async () => {
    const released: string[] = []
    const scope = new Scope()
    scope.onRelease(async () => {
      await Promise.resolve()
      released.push('first')
    })
    scope.onRelease(() => {
      released.push('second')
      throw new Error('stuck')
    })
    scope.onRelease(() => {
      released.push('third')
    })
    await Promise.all([assert.rejects(scope.close(), /stuck/), assert.rejects(scope.close(), /stuck/)])
    assert.deepEqual(released, ['third', 'second', 'first'])
    assert.throws(() => scope.onRelease(() => {}), /closed scope/)
  })

  test('reports several errors together, and works with `await using`', async () => {
    const work = async () => {
      await using scope = new Scope()
      for (const text of ['a', 'b']) {
        scope.onRelease(() => {
          throw new Error(text)
        })
      }
    }
    const error = await work().catch((caught: unknown) => caught)
    assert.ok(error instanceof AggregateError)
    assert.deepEqual(
      error.errors.map((one) => one.message),
      ['b', 'a'],
    )
  })
})

describe('a linked abort', () => {
  test('follows its parent until it is released', () => {
    const parent = createAbort()
    const child = createAbort(parent.signal)
    const free = createAbort(parent.signal)
    free.release()
    parent.abort('why')
    assert.deepEqual([child.signal.aborted, child.signal.reason, free.signal.aborted], [true, 'why', false])
    assert.equal(createAbort(parent.signal).signal.aborted, true)
  })
})

describe('a deadline', () => {
  test('lets work finish, hands on its error, and ends what takes too long', async () => {
    const clock = new SimulatedClock()
    const deadline = { clock, timeoutMs: 5_000, signal: never, what: 'the work' }
    assert.equal(await withDeadline(deadline, async () => 7), 7)
    const failing = withDeadline(deadline, async () => {
      throw new Error('own')
    })
    await assert.rejects(failing, /own/)
    const inner: AbortSignal[] = []
    const late = withDeadline(deadline, (signal) => {
      inner.push(signal)
      return new Promise(() => {})
    })
    const outcome = assert.rejects(late, (error: unknown) => {
      assert.ok(error instanceof TransientError)
      assert.equal(error.message, 'the work took longer than 5 s')
      return true
    })
    await clock.advance(5_000)
    await outcome
    assert.equal(inner[0]?.aborted, true)
    assert.deepEqual(clock.pending(), [])
  })
})

test('backoff doubles up to its cap; jitter only adds, at most its share', () => {
  const policy = { baseMs: 1_000, capMs: 30_000, jitter: 0.2 }
  const plain = [1, 2, 3, 4, 5, 6, 7, 1_000].map((failures) => backoffMs(failures, policy, () => 0))
  assert.deepEqual(plain, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), fc.integer(), (failures, seed) => {
      const withoutMs = backoffMs(failures, policy, () => 0)
      const withMs = backoffMs(failures, policy, seededRandom(seed))
      assert.ok(withMs >= withoutMs && withMs < withoutMs * 1.2)
    }),
    { numRuns: 200, verbose: 1 },
  )
})

test('Retry-After: seconds, dates, nonsense, and a cap', () => {
  const nowMs = Date.UTC(2026, 9, 1)
  const read = (text: string | undefined) => parseRetryAfter(text, nowMs)
  assert.deepEqual(['3', ' 0 ', '1.5', '99999', '-1', '1e9', 'soon', '', undefined].map(read), [
    3_000,
    0,
    1_500,
    600_000,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ])
  assert.equal(read(new Date(nowMs + 20_000).toUTCString()), 20_000)
  assert.equal(read(new Date(nowMs - 20_000).toUTCString()), 0)
  assert.equal(read('999999999999'), 600_000)
})

test('a failure is logged when it is new, then every tenth time or once in 10 minutes', () => {
  const log = new FailureLog()
  const minute = 60_000
  assert.equal(log.note('refused', 0), true)
  const repeats = Array.from({ length: 19 }, (_, n) => log.note('refused', n))
  assert.deepEqual(
    repeats.flatMap((logged, n) => (logged ? [n + 2] : [])),
    [10, 20],
  )
  assert.equal(log.note('timed out', minute), true, 'another failure')
  assert.equal(log.note('timed out', 10 * minute), false)
  assert.equal(log.note('timed out', 11 * minute), true, 'a reminder')
  assert.equal(log.note('order 123456789 refused', 12 * minute), true)
  assert.equal(log.note('order 987654321 refused', 12 * minute), false, 'the same with another number')
  assert.equal(log.note('answered 502', 12 * minute), true)
  assert.equal(log.note('answered 503', 12 * minute), true)
  assert.equal(log.clear(), 27)
  assert.equal(log.clear(), 0)
  assert.equal(log.note('answered 503', 12 * minute), true)
})
