import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TransientError } from '../../core/errors.ts'
import type { TradedMarket } from '../../core/trade-backfill.ts'
import { during, MINUTE_MS, NOW_MS, Scene, SECOND_MS, streamed, venueTrade } from './backfill-scene.test.ts'
import type { DataTrade } from './data-trade-parser.ts'
import { conditionId } from './support.test.ts'

describe('when something is in the way', () => {
  test('a failing API leaves the gap waiting with backoff, longer where it asks for that', async () => {
    const scene = new Scene()
    scene.gap()
    scene.failure = new TransientError('answered 500')
    await assert.rejects(scene.cycle(), /answered 500/)
    assert.deepEqual([scene.last.complete, scene.last.error], [null, 'answered 500'])
    assert.equal((scene.last.nextMs ?? 0) - scene.last.nowMs, 30_000)
    scene.failure = new TransientError('limits us', { retryAfterMs: 900_000 })
    await assert.rejects(scene.cycle(), /limits us/)
    assert.equal((scene.last.nextMs ?? 0) - scene.last.nowMs, 900_000)
    scene.failure = null
    scene.shown = [venueTrade(10), venueTrade(during(0))]
    await scene.cycle()
    assert.deepEqual([scene.last.complete, scene.written.length], [true, 1])
  })

  test('after many failures it is given up, in words', async () => {
    const scene = new Scene()
    scene.gap({ attempts: 19 })
    scene.failure = new TransientError('answered 500')
    await assert.rejects(scene.cycle())
    assert.deepEqual([scene.last.complete, scene.last.nextMs, scene.last.error], [false, null, 'answered 500'])
  })

  test('a failure ends the cycle: the next gap is not tried in vain', async () => {
    const scene = new Scene()
    scene.gap()
    scene.gap()
    scene.failure = new TransientError('answered 500')
    await assert.rejects(scene.cycle())
    assert.equal(scene.attempts.length, 1)
  })

  test('nothing is compared before the streamed trades of that time are in the ledger', async () => {
    const scene = new Scene()
    scene.gap()
    scene.shown = [venueTrade(10), venueTrade(during(0))]
    scene.streamBehindMs = 10 * MINUTE_MS
    await assert.rejects(scene.cycle(), /streamed trades of that time are not in the ledger yet/)
    assert.deepEqual([scene.written, scene.last.complete], [[], null])
  })

  test('nothing is compared while what was fetched before is not in the ledger', async () => {
    const scene = new Scene()
    scene.gap()
    scene.shown = [venueTrade(10), venueTrade(during(0))]
    scene.ownTapeStored = false
    await assert.rejects(scene.cycle(), /not in the ledger yet/)
    assert.deepEqual(scene.written, [])
    scene.ownTapeStored = true
    await scene.cycle()
    assert.equal(scene.written.length, 1)
  })

  test('a tape that takes nothing leaves the gap waiting', async () => {
    const scene = new Scene()
    scene.gap()
    scene.shown = [venueTrade(10), venueTrade(during(0))]
    scene.tape.accepting = false
    await assert.rejects(scene.cycle(), /the tape does not take/)
    scene.tape.accepting = true
    await scene.cycle()
    assert.deepEqual([scene.last.complete, scene.written.length], [true, 1])
  })

  test('a cycle ends with its pages, and the next one goes on where it was', async () => {
    const scene = new Scene()
    const conditionIds = Array.from({ length: 20 * 60 }, (_, number) => conditionId(number + 1))
    scene.gap({ conditionIds })
    await scene.cycle()
    assert.deepEqual([scene.queries.length, scene.attempts.length], [50, 0])
    await scene.cycle()
    assert.deepEqual([scene.queries.length, scene.attempts.length], [60, 1])
    const asked = new Set(scene.queries.flatMap((query) => query.conditionIds))
    assert.equal(asked.size, conditionIds.length)
  })

  test('a busy market is compared piece by piece, identical trades across pages included', async () => {
    const scene = new Scene()
    scene.gap({ startedMs: NOW_MS - 60 * MINUTE_MS })
    // 7 a second in two transactions: no page and no piece ends where a second does.
    scene.shown = Array.from({ length: 14_000 }, (_, number) => {
      const second = Math.floor(number / 7)
      return venueTrade(400 + second, { transactionHash: `0x${second}-${(number % 7) >> 2}` })
    })
    const kept = scene.shown.filter((_, number) => number % 5 === 0)
    scene.stored.push(...kept.map(streamed))
    await scene.cycle()
    assert.equal(scene.written.length, scene.shown.length - kept.length)
    scene.gap({ startedMs: NOW_MS - 60 * MINUTE_MS })
    assert.equal((await scene.cycle()).items, 0)
  })
})

describe('reconciling hours', () => {
  const hourMs = Date.UTC(2026, 9, 1, 11)
  const market = (number: number, change: Partial<TradedMarket> = {}): TradedMarket => {
    return { conditionId: conditionId(number), sinceMs: 0, trades: 1, ...change }
  }

  test('hours in a row are compared in one go, and remembered', async () => {
    const scene = new Scene()
    scene.hours = [9, 10, 11].map((hour) => ({ hourMs: Date.UTC(2026, 9, 1, hour), attempts: 0 }))
    scene.traded = [market(1), market(2)]
    scene.shown = [venueTrade(700), venueTrade(7_000), venueTrade(9_000, { market: 2 }), venueTrade(20_000)]
    scene.stored.push(streamed(scene.shown[0] as DataTrade))
    const { details } = await scene.cycle()
    assert.deepEqual(scene.written.sort(), ['0x1-7000', '0x2-9000'])
    assert.deepEqual(details['hours'], 3)
    const [saved] = scene.hourAttempts
    assert.deepEqual(saved?.hours.length, 3)
    assert.deepEqual([saved?.attempt.complete, saved?.attempt.markets], [true, 2])
  })

  test('trades from before a market was followed are not missing', async () => {
    const scene = new Scene()
    scene.hours = [{ hourMs, attempts: 0 }]
    scene.traded = [market(1, { sinceMs: NOW_MS - 1_000 * SECOND_MS })]
    scene.shown = [venueTrade(1_001), venueTrade(999)]
    await scene.cycle()
    assert.deepEqual(scene.written, ['0x1-999'])
  })

  test('an API that shows nothing of a market that traded is not believed', async () => {
    const scene = new Scene()
    scene.hours = [{ hourMs, attempts: 0 }]
    scene.traded = [market(1), market(2, { trades: 0 })]
    await scene.cycle()
    const first = scene.hourAttempts[0]?.attempt
    assert.deepEqual([first?.complete, first?.error], [null, 'the API shows nothing of 1 markets that have traded'])
    scene.hours = [{ hourMs, attempts: 3 }]
    await scene.cycle()
    assert.equal(scene.hourAttempts[1]?.attempt.complete, false)
  })

  test('a failing API leaves the hours waiting', async () => {
    const scene = new Scene()
    scene.hours = [{ hourMs, attempts: 0 }]
    scene.traded = [market(1)]
    scene.failure = new TransientError('answered 500')
    await assert.rejects(scene.cycle(), /answered 500/)
    const [saved] = scene.hourAttempts
    assert.deepEqual([saved?.attempt.complete, saved?.attempt.error], [null, 'answered 500'])
  })
})

test('a closed gap wakes the collector, also when nobody was listening', async () => {
  const { collector } = new Scene()
  const stop = new AbortController()
  collector.wake()
  await collector.untilWanted?.(stop.signal)
  let woken = false
  const waiting = collector.untilWanted?.(stop.signal).then(() => {
    woken = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(woken, false, 'one ring is heard once')
  collector.wake()
  await waiting
  stop.abort()
  await collector.untilWanted?.(stop.signal)
})
