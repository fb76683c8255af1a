import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sum } from './support/compare.ts'
import { MissingScene } from './support/missed.ts'
import { until } from './support/processes.ts'

// A real daemon that misses trades of a simulated venue, and what the trade history gives back of them.

let scene: MissingScene
before(async () => {
  scene = await MissingScene.open({ markets: 10, seed: 5 })
})
after(() => scene?.close())

test('trades that happened while the daemon was down are stored, each once', async () => {
  await scene.trade(200)
  await scene.whenComplete('everything is streamed')
  const streamed = sum(await scene.stored())
  await scene.daemon.end('SIGTERM')
  await scene.trade(300)
  await scene.start()
  await scene.trade(200)
  await scene.whenComplete('everything that was missed is there')
  const backfilled = await scene.stored('backfill')
  assert.ok(sum(backfilled) > 50 && streamed > 50, `${sum(backfilled)} backfilled`)
  assert.ok([...backfilled.values()].filter((count) => count > 1).length > 5, 'identical fills are among them')
  await scene.whenGap('the gap is tried', null, (one) => one.cause === 'down' && one.recovered_trades > 0)
  // One stop is a row for all tokens and one for each group of which nothing was certain for longer.
  const recovered = await until(
    'the gaps to say how many',
    async () => {
      const [row] = await scene.daemon.query<{ recovered: number }>(
        `SELECT sum(recovered_trades)::integer AS recovered FROM coverage_gaps WHERE cause = 'down'`,
      )
      return row?.recovered === sum(backfilled) ? row.recovered : undefined
    },
    30_000,
  )
  assert.equal(recovered, sum(backfilled))
})

test('of two identical fills one was streamed: the other one is fetched', async () => {
  const [fromMs, before] = [Date.now(), sum(await scene.stored('backfill'))]
  await scene.loseTrades(20)
  const gapId = await scene.insertGap(fromMs, Date.now())
  await scene.whenComplete('the second of each two is there')
  const streamed = await scene.stored('stream')
  const halves = [...(await scene.traded())].filter(([key, count]) => count === 2 && streamed.get(key) === 1).length
  assert.ok(halves > 3, `${halves} pairs of which one was streamed`)
  const gap = await scene.whenGap('its attempt', gapId, (one) => one.backfill_attempts > 0)
  assert.deepEqual([gap.recovered_trades, sum(await scene.stored('backfill')) - before], [20, 20])
})
