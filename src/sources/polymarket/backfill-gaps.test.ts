import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { during, MINUTE_MS, NOW_MS, Scene, SECOND_MS, streamed, venueTrade } from './backfill-scene.test.ts'
import type { DataTrade } from './data-trade-parser.ts'
import { conditionId } from './support.test.ts'

describe('filling a gap', () => {
  test('only what is missing is written, oldest first, and the gap is settled', async () => {
    const scene = new Scene()
    scene.gap()
    const all = [venueTrade(10), venueTrade(during(0)), venueTrade(during(5)), venueTrade(2_000)]
    scene.shown = all
    scene.stored.push(streamed(all[0] as DataTrade))
    const { items, details } = await scene.cycle()
    assert.deepEqual(scene.written, [`0x1-${during(5)}`, `0x1-${during(0)}`], 'nothing from long before')
    assert.deepEqual([items, details['gaps'], details['gaps_waiting']], [2, 1, 0])
    assert.deepEqual([scene.last.complete, scene.last.error, scene.last.nextMs], [true, null, null])
    assert.deepEqual(scene.last.reached, { markets: 1, past_end: 1, quiet: 0, unreached: 0, partly: 0 })
    scene.gap()
    assert.equal((await scene.cycle()).items, 0, 'once more there is nothing to write')
  })

  test('a venue with a wrong clock is asked for its own time', async () => {
    for (const aheadSeconds of [-3_600, 3_600]) {
      const scene = new Scene()
      scene.venueAheadMs = aheadSeconds * SECOND_MS
      scene.gap()
      scene.shown = [venueTrade(10 - aheadSeconds), venueTrade(during(0) - aheadSeconds)]
      await scene.cycle()
      assert.ok(scene.written.includes(`0x1-${during(0) - aheadSeconds}`), `${aheadSeconds} s ahead`)
    }
  })

  test('reading ends with the page that is older than the gap', async () => {
    const scene = new Scene()
    scene.gap()
    scene.pageRows = 10
    scene.shown = Array.from({ length: 500 }, (_, number) => venueTrade(10 + number * 10))
    const { details } = await scene.cycle()
    assert.equal(scene.last.complete, true)
    assert.ok(Number(details['pages']) <= 7, `${details['pages']} pages`)
  })

  test('rows in no order are read to the end', async () => {
    const scene = new Scene()
    scene.gap()
    scene.isSorted = false
    scene.pageRows = 2
    scene.shown = [venueTrade(3_000), venueTrade(10), venueTrade(during(0))]
    await scene.cycle()
    assert.deepEqual(scene.written, [`0x1-${during(0)}`], 'one old row on the first page does not mean the rest is old')
  })

  test('20 markets a question; where the reach ends too early, half of them are asked at a time', async () => {
    const scene = new Scene()
    const conditionIds = Array.from({ length: 45 }, (_, number) => conditionId(number + 1))
    scene.gap({ conditionIds })
    await scene.cycle()
    assert.deepEqual(
      scene.queries.map((query) => query.conditionIds.length),
      [20, 20, 5],
    )
    scene.queries.length = 0
    scene.gaps.clear()
    scene.gap({ conditionIds: [conditionId(1), conditionId(2), conditionId(3)] })
    scene.reach = 3
    scene.shown = [1, 2, 3].flatMap((market) => [venueTrade(10, { market }), venueTrade(during(market), { market })])
    await scene.cycle()
    assert.deepEqual(
      scene.queries.map((query) => query.conditionIds.length),
      [3, 1, 2, 1, 1],
    )
    assert.deepEqual(scene.written.sort(), [1, 2, 3].map((market) => `0x${market}-${during(market)}`).sort())
    assert.equal(scene.last.complete, true)
  })

  test('what the API does not reach is told, after some attempts for good', async () => {
    const scene = new Scene()
    scene.gap()
    scene.reach = 2
    scene.shown = [venueTrade(10), venueTrade(during(0)), venueTrade(during(20))]
    for (const attempt of [1, 2, 3]) {
      await scene.cycle()
      assert.deepEqual([scene.attempts.length, scene.last.complete], [attempt, null])
    }
    await scene.cycle()
    assert.equal(scene.last.complete, false)
    assert.match(String(scene.last.error), /does not reach back to its start for 1 markets/)
    assert.deepEqual(scene.written, [`0x1-${during(0)}`], 'what it does reach is written')
  })

  test('a gap that has just closed is tried at once and after growing pauses, until the API is past it', async () => {
    const scene = new Scene()
    const endedMs = NOW_MS - SECOND_MS
    scene.gap({ startedMs: endedMs - MINUTE_MS, endedMs, endedUs: endedMs * 1000 })
    const pauses: number[] = []
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await scene.cycle()
      assert.match(String(scene.last.error), /1 markets show no trade after its end yet/)
      pauses.push((scene.last.nextMs ?? 0) - scene.last.nowMs)
    }
    assert.deepEqual(pauses, [30_000, 120_000])
    scene.shown = [venueTrade(30), venueTrade(-20)]
    await scene.cycle()
    assert.deepEqual([scene.last.complete, scene.written], [true, ['0x1-30', '0x1--20']])
  })

  test('a market that stays quiet is complete when the attempts end', async () => {
    const scene = new Scene()
    const endedMs = NOW_MS - SECOND_MS
    scene.gap({ startedMs: endedMs - MINUTE_MS, endedMs, endedUs: endedMs * 1000 })
    for (let attempt = 0; attempt < 4; attempt += 1) await scene.cycle()
    assert.deepEqual([scene.attempts.length, scene.last.complete, scene.last.error], [4, true, null])
    assert.deepEqual(scene.last.reached['quiet'], 1)
  })

  test('only markets that are not settled are asked again', async () => {
    const scene = new Scene()
    const endedMs = NOW_MS - 30 * SECOND_MS
    const conditionIds = [conditionId(1), conditionId(2)]
    scene.gap({ startedMs: endedMs - MINUTE_MS, endedMs, endedUs: endedMs * 1000, conditionIds })
    scene.shown = [venueTrade(1, { market: 2 })]
    await scene.cycle()
    await scene.cycle()
    assert.deepEqual(
      scene.queries.map((query) => query.conditionIds),
      [conditionIds, [conditionId(1)]],
    )
  })

  test('tokens without a market and gaps in which nobody missed anything', async () => {
    const scene = new Scene()
    scene.gap({ conditionIds: [] })
    await scene.cycle()
    assert.deepEqual([scene.last.complete, scene.queries.length], [true, 0])
    scene.gap({ conditionIds: [], strangers: 2, attempts: 3 })
    await scene.cycle()
    assert.deepEqual([scene.last.complete, scene.last.error], [false, 'the market of 2 tokens is not known'])
  })

  test('a transaction that is only told as a sum is not doubled; a part of it that is missing is told', async () => {
    const scene = new Scene()
    scene.gap()
    const fill = venueTrade(during(0), { size: '10', price: '0.5' })
    scene.shown = [venueTrade(10), { ...fill, size: '30', price: '0.5166666' }]
    scene.stored.push(streamed(fill), streamed(venueTrade(10)))
    const { details } = await scene.cycle()
    assert.deepEqual([scene.written, details['told_differently'], details['partly_missing']], [[], 1, 1])
    assert.deepEqual(
      [scene.last.complete, scene.last.error],
      [false, '1 transactions hold more than is stored, told as sums only'],
    )
  })

  test('unreadable rows become dead letters and harm nothing', async () => {
    const scene = new Scene()
    scene.gap()
    scene.shown = [venueTrade(10), venueTrade(during(0))]
    scene.unreadable = [{ reason: 'no side', raw: { transaction_hash: '0xbad' } }]
    const { details } = await scene.cycle()
    assert.deepEqual([details['unreadable'], scene.written.length], [1, 1])
    assert.deepEqual(
      scene.letters.deadLetters.map(({ source, reason }) => [source, reason]),
      [['polymarket.backfill', 'no side']],
    )
  })
})
