import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { assertSame, sum } from '../support/compare.ts'
import { readTapeLines } from '../support/daemon.ts'
import { MissingScene } from '../support/missed.ts'
import { runProgram, until } from '../support/processes.ts'

// A real daemon that is killed while it fills a gap, and a trade history that is not always what it should be.

let scene: MissingScene
before(async () => {
  scene = await MissingScene.open({ markets: 20, seed: 6 })
})
after(() => scene?.close())

test('killed between its tape and the ledger, it goes on without losing or doubling', async () => {
  await scene.daemon.end('SIGKILL')
  await scene.trade(200)
  await scene.venue.control({ httpFault: { path: '/data/', mode: '500' } })
  await scene.start()
  await scene.whenGap('the gap is there', null, (one) => one.backfill_error !== null)
  const before = (await readTapeLines(scene.daemon.dataDir, 'polymarket.backfill')).length
  // Nothing gets past the lock: what is fetched is on the tape and cannot be committed.
  const lock = await scene.lockTrades()
  await scene.venue.control({ clearHttpFaults: true })
  await scene.hurry()
  const fetched = await until(
    'what was fetched is on the tape',
    async () => {
      const lines = (await readTapeLines(scene.daemon.dataDir, 'polymarket.backfill')).length
      return lines > before ? lines : undefined
    },
    30_000,
  )
  await scene.daemon.running.end('SIGKILL')
  await lock.release()
  await scene.daemon.forgetLedger()
  await scene.start()
  await scene.whenComplete('everything is there after the kill')
  assert.ok(sum(await scene.stored('backfill')) >= fetched)
  await scene.hurry()
  await scene.whenGap('it was tried again', null, (one) => one.backfill_attempts > 1)
  assertSame('once more', await scene.stored(), await scene.traded())
})

test('an API that fails harms nothing: the gap waits and says why', async () => {
  await scene.venue.control({ httpFault: { path: '/data/', mode: 'html' } })
  const fromMs = Date.now()
  await scene.loseTrades(20)
  const gapId = await scene.insertGap(fromMs, Date.now())
  const gap = await scene.whenGap('a failed attempt', gapId, (one) => one.backfill_attempts > 0)
  assert.deepEqual([gap.backfill_complete, gap.recovered_trades], [null, 0])
  assert.match(String(gap.backfill_error), /520/)
  assert.ok((gap.backfill_next_at?.getTime() ?? 0) > Date.now() + 10_000)
  const body = await scene.daemon.health()
  assert.match(JSON.stringify(body['collectors']), /"polymarket.backfill":\{[^}]*520/)
  assert.doesNotMatch(JSON.stringify(body['reasons']), /backfill/, 'it is not critical')
  await scene.venue.control({ clearHttpFaults: true })
  await scene.hurry()
  await scene.whenComplete('everything is there afterwards')
})

test('trades that come late to the API are waited for', async () => {
  await scene.venue.control({ dataLimits: { delayMs: 3_600_000 } })
  const fromMs = Date.now()
  await scene.loseTrades(20)
  const gapId = await scene.insertGap(fromMs, Date.now())
  const gap = await scene.whenGap('a first attempt', gapId, (one) => one.backfill_attempts > 0)
  assert.deepEqual([gap.backfill_complete, gap.recovered_trades], [null, 0])
  assert.match(String(gap.backfill_error), /show no trade after its end yet/)
  await scene.venue.control({ dataLimits: {} })
  await scene.hurry()
  await scene.whenComplete('everything is there afterwards')
})

test('the older version of the API is used where there is no other, and what it does not reach is told', async () => {
  await scene.venue.control({ dataLimits: { v2: false } })
  const fromMs = Date.now()
  await scene.loseTrades(20)
  await scene.insertGap(fromMs, Date.now())
  await scene.whenComplete('everything is there')
  await scene.venue.control({ dataLimits: { pageRows: 2, v1Offset: 2 } })
  const gapId = await scene.insertGap(fromMs - 60_000, Date.now())
  const first = await scene.whenGap('a first attempt', gapId, (one) => one.backfill_attempts > 0)
  assert.match(String(first.backfill_error), /does not reach back to its start for \d+ markets/)
  await scene.daemon.query(
    'UPDATE coverage_gaps SET backfill_attempts = 3, backfill_next_at = NULL WHERE gap_id = $1',
    [gapId],
  )
  const last = await scene.whenGap('the last attempt', gapId, (one) => one.backfill_attempts > 3)
  assert.equal(last.backfill_complete, false)
  await scene.venue.control({ dataLimits: {} })
})

test('after all this every row of either tape is there, once', async () => {
  await scene.whenComplete('everything is there')
  const verified = await runProgram(['verify', '--json'], { env: scene.daemon.env })
  const { streams } = JSON.parse(verified.stdout) as { streams: { stream: string; rows: Record<string, number> }[] }
  for (const { stream, rows } of streams) {
    const { missing, changed, doubled, unknown } = rows
    assert.deepEqual({ missing, changed, doubled, unknown }, { missing: 0, changed: 0, doubled: 0, unknown: 0 }, stream)
  }
  assert.deepEqual(
    streams.map(({ stream }) => stream),
    ['polymarket.backfill', 'polymarket.trades'],
  )
  const rebuilt = await runProgram(['rebuild', '--json'], { env: scene.daemon.env })
  assert.equal(rebuilt.code, 0, rebuilt.stdout + rebuilt.stderr)
})
