import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ReconnectBackoff } from './reconnect-backoff.ts'

/** The longest delays: chance always says the most. */
const longest = () => new ReconnectBackoff(() => 1)

describe('the wait before the next connection', () => {
  test('after a loss it is short, and doubles with each failure of a long absence, to 30 s', () => {
    const backoff = longest()
    assert.equal(backoff.afterLoss(0), 250)
    const delays = Array.from({ length: 9 }, () => backoff.afterFailure(3_600_000))
    assert.deepEqual(delays, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
    assert.equal(backoff.afterLoss(3_700_000), 250, 'a useful connection begins anew')
  })

  test('a short absence with many quick failures does not make a long one', () => {
    const backoff = longest()
    backoff.afterLoss(1_000)
    for (let index = 0; index < 10; index += 1) backoff.afterFailure(2_000)
    assert.equal(backoff.afterFailure(10_000), 9_000)
  })

  test('chance spreads it from nothing to the longest', () => {
    assert.equal(new ReconnectBackoff(() => 0).afterLoss(0), 0)
    const half = new ReconnectBackoff(() => 0.5)
    half.afterLoss(0)
    assert.equal(half.afterFailure(60_000), 250)
  })

  test('is never longer than the absence so far, nor than 30 s, and never negative', () => {
    // Quick ones and hurried chances, so that there are many failures in a short time.
    const tookMs = fc.oneof(fc.nat(20), fc.nat(20_000))
    const chance = fc.oneof(fc.constant(0.01), fc.double({ min: 0, max: 1, noNaN: true }))
    const attempt = fc.record({ tookMs, chance })
    fc.assert(
      fc.property(fc.array(attempt, { minLength: 1, maxLength: 60 }), fc.boolean(), (attempts, wasConnected) => {
        let chance = 0
        const backoff = new ReconnectBackoff(() => chance)
        let nowMs = 5_000
        const lostMs = wasConnected ? nowMs : nowMs + (attempts[0]?.tookMs ?? 0)
        if (wasConnected) backoff.afterLoss(nowMs)
        for (const one of attempts) {
          nowMs += one.tookMs
          chance = one.chance
          const delayMs = backoff.afterFailure(nowMs)
          assert.ok(delayMs >= 0 && delayMs <= Math.min(30_000, Math.max(500, nowMs - lostMs)))
          nowMs += delayMs
        }
        assert.equal(backoff.failures, attempts.length)
      }),
      { numRuns: 200, verbose: true },
    )
  })
})
