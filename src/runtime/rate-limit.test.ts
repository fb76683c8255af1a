import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TransientError } from '../core/errors.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { createAbort } from './abort.ts'
import { createRateLimiter, type RateRule } from './rate-limit.ts'

const never = createAbort().signal
const rule = (limit: number, paths: readonly string[] = [], host = 'venue.test'): RateRule => {
  return { host, paths, limit, windowMs: 10_000 }
}
const url = (path: string, host = 'venue.test') => new URL(`https://${host}${path}`)

test('in no window are there more requests than the share of any limit, and the limit is nearly used', async () => {
  const cases = fc.record({ all: fc.integer({ min: 20, max: 200 }), books: fc.integer({ min: 10, max: 100 }) })
  await fc.assert(
    fc.asyncProperty(
      cases,
      fc.array(fc.boolean(), { minLength: 200, maxLength: 300 }),
      async ({ all, books }, kinds) => {
        const clock = new SimulatedClock()
        const limiter = createRateLimiter({ clock, rules: [rule(all), rule(books, ['/books'])] })
        const grants: { atMs: number; isBook: boolean }[] = []
        const takes = kinds.map(async (isBook) => {
          await limiter.take(url(isBook ? '/books' : '/price'), never)
          grants.push({ atMs: clock.monotonicMs(), isBook })
        })
        await clock.advance(3_600_000)
        await Promise.all(takes)
        const within = (list: readonly { atMs: number }[], startMs: number) =>
          list.filter(({ atMs }) => atMs >= startMs && atMs < startMs + 10_000).length
        const bookGrants = grants.filter(({ isBook }) => isBook)
        for (const { atMs } of grants) {
          assert.ok(within(grants, atMs) <= all * 0.7 + 1, `${within(grants, atMs)} of ${all}`)
          assert.ok(within(bookGrants, atMs) <= books * 0.7 + 1, `${within(bookGrants, atMs)} of ${books} books`)
        }
        const wantedMs = Math.max(kinds.length / (all * 0.7), bookGrants.length / (books * 0.7)) * 10_000
        assert.ok((grants.at(-1)?.atMs ?? 0) <= wantedMs * 1.5 + 10_000)
      },
    ),
    { numRuns: 100, verbose: 0 },
  )
})

test('a rule counts its own paths and hosts only', async () => {
  const clock = new SimulatedClock()
  const limiter = createRateLimiter({ clock, rules: [rule(2, ['/book', '/markets'])] })
  assert.equal(await limiter.take(url('/book?token_id=1'), never), 0)
  for (let n = 0; n < 50; n += 1) {
    assert.equal(await limiter.take(url('/books'), never), 0)
    assert.equal(await limiter.take(url('/'), never), 0)
    assert.equal(await limiter.take(url('/book', 'other.test'), never), 0)
    assert.equal(await limiter.take(url('/book', 'venue.test:8443'), never), 0)
  }
  const waiting = limiter.take(url('/markets/keyset'), never)
  assert.equal(clock.pending().length, 1)
  await clock.advance(60_000)
  assert.ok((await waiting) > 0)
})

test('first come, first served; an aborted wait gives its turn back', async () => {
  const clock = new SimulatedClock()
  const limiter = createRateLimiter({ clock, rules: [rule(10)], share: 1 })
  const order: number[] = []
  const aborts = Array.from({ length: 12 }, () => new AbortController())
  const takes = aborts.map(async (abort, index) => {
    await limiter.take(url('/'), abort.signal)
    if (!abort.signal.aborted) order.push(index)
  })
  aborts[3]?.abort()
  await clock.advance(60_000)
  await Promise.all(takes)
  assert.deepEqual(order, [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11])
  assert.deepEqual(clock.pending(), [])
})

test('too many waiting requests are refused', async () => {
  const clock = new SimulatedClock()
  const limiter = createRateLimiter({ clock, rules: [rule(2)], share: 0.5, waitingMax: 3 })
  await limiter.take(url('/'), never)
  const waiting = [1, 2, 3].map(() => limiter.take(url('/'), never))
  await assert.rejects(limiter.take(url('/'), never), TransientError)
  await clock.advance(600_000)
  await Promise.all(waiting)
  assert.equal(await limiter.take(url('/'), never), 0)
})
