import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { seededRandom } from '../../core/random.ts'
import { createSilenceWatch, type SilenceWatch } from './silence.ts'

const TIMEOUT_MS = 30_000

/** One tick a second, `perSecond` frames in each; returns the time. */
function feed(watch: SilenceWatch, fromMs: number, seconds: number, perSecond: number): number {
  for (let second = 1; second <= seconds; second += 1) watch.note(perSecond, fromMs + second * 1000)
  return fromMs + seconds * 1000
}

function watch(options: { inheritedRate?: number; patience?: number } = {}): SilenceWatch {
  return createSilenceWatch({ stallTimeoutMs: TIMEOUT_MS, startMs: 0, ...options })
}

describe('silence', () => {
  test('of a busy connection is suspicious after the timeout and not before', () => {
    const busy = watch()
    const endMs = feed(busy, 0, 60, 20)
    assert.equal(busy.suspicion(endMs + TIMEOUT_MS - 1), null)
    const suspicion = busy.suspicion(endMs + TIMEOUT_MS)
    assert.equal(suspicion?.silentMs, TIMEOUT_MS)
    assert.ok((suspicion?.expectedFrames ?? 0) > 300)
  })

  test('of a quiet connection is believed as long as its rate allows', () => {
    const quiet = watch()
    let nowMs = 0
    for (let minute = 0; minute < 20; minute += 1) nowMs = feed(quiet, nowMs + 59_000, 1, 1)
    assert.equal(quiet.suspicion(nowMs + TIMEOUT_MS), null)
    assert.equal(quiet.suspicion(nowMs + 5 * 60_000), null)
    assert.notEqual(quiet.suspicion(nowMs + 15 * 60_000), null)
  })

  test('after nothing but a dump is believed', () => {
    const dumped = watch()
    dumped.noteAnswer(1_000)
    assert.equal(dumped.suspicion(3_600_000), null)
  })

  test('after no answer to the subscription is suspicious whatever the rate', () => {
    assert.equal(watch().suspicion(TIMEOUT_MS - 1), null)
    assert.deepEqual(watch().suspicion(TIMEOUT_MS), { silentMs: TIMEOUT_MS, expectedFrames: null })
  })

  test('after a burst of a few frames proves nothing', () => {
    const burst = watch()
    burst.note(4, 1_000)
    assert.equal(burst.suspicion(TIMEOUT_MS + 1_000), null)
  })

  test('of a successor is judged by the rate that it inherits, with more patience', () => {
    const successor = watch({ inheritedRate: 10, patience: 2 })
    successor.noteAnswer(500)
    assert.equal(successor.suspicion(TIMEOUT_MS + 1_000), null)
    assert.notEqual(successor.suspicion(2 * TIMEOUT_MS + 1_000), null)
  })

  test('by chance alone is hardly ever suspicious', () => {
    const random = seededRandom(42)
    let suspected = 0
    for (let run = 0; run < 200; run += 1) {
      const subject = watch()
      let nowMs = feed(subject, 0, 120, 1)
      for (let second = 0; second < 600; second += 1) {
        nowMs += 1000
        subject.note(random() < 0.5 ? 1 : 0, nowMs)
        if (subject.suspicion(nowMs) !== null) suspected += 1
      }
    }
    assert.ok(suspected <= 2, `${suspected} suspicions in 120,000 seconds`)
  })
})
