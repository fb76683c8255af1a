import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TapeRecord } from '../core/tape.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { PolymarketBookChecker } from '../sources/polymarket/book-checker.ts'
import { decodeFrame } from '../sources/polymarket/decode.ts'
import { Pipeline } from './pipeline.ts'
import { emptyRows } from './stream-rows.ts'
import { memoryLog, type SimulatedFrames, simulatedFrames } from './support.test.ts'
import { type BookFinding, BookKeeper } from './verification.ts'

function play({ records, directory }: SimulatedFrames, change: (records: TapeRecord[]) => TapeRecord[] = (all) => all) {
  const findings: BookFinding[] = []
  const checker = new PolymarketBookChecker(directory)
  const onFinding = (finding: BookFinding) => void findings.push(finding)
  const keeper = new BookKeeper({ checker, clock: new SimulatedClock(), log: memoryLog(), onFinding })
  const pipeline = new Pipeline({ stream: 'trades', decode: decodeFrame, keeper, log: memoryLog() })
  const rows = emptyRows()
  change([...records]).forEach((record, index) => {
    pipeline.read(record, rows)
    if (index % 16 === 0) keeper.turn()
  })
  keeper.finish()
  return { keeper, findings, rows, counts: pipeline.counts }
}

for (const seed of [1, 7, 42]) {
  test(`seed ${seed}: every hash of a simulated run matches`, async () => {
    const run = await simulatedFrames({ seed, tradeShare: 0.2, v2Share: 0.3, repeatShare: 0.05 }, 1_500)
    const { keeper, findings, counts } = play(run)
    assert.equal(counts.rejects, 0)
    assert.deepEqual({ ...counts.drift }, {})
    const { match, mismatch, unverifiable, skipped } = keeper.checks
    assert.deepEqual({ mismatch, unverifiable, skipped }, { mismatch: 0, unverifiable: 0, skipped: 0 })
    assert.ok(match > 500, `${match} matches`)
    assert.equal(keeper.bestDisagreements, 0)
    assert.ok(keeper.counts.repeats > 0)
    assert.deepEqual(findings, [])
  })
}

test('markets that come and end, on two overlapping connections: all that is checked matches', async () => {
  const given = { seed: 5, tradeShare: 0.2, newMarketEveryMs: 300, resolveEveryMs: 700 }
  const { keeper, counts } = play(await simulatedFrames(given, 1_500, ['one', 'two']))
  assert.equal(counts.rejects, 0)
  const { match, mismatch, unverifiable } = keeper.checks
  assert.deepEqual({ mismatch, unverifiable }, { mismatch: 0, unverifiable: 0 })
  assert.ok(match > 500, `${match} matches`)
  assert.ok(keeper.counts.foreign > 500, 'the first connection’s changes are ignored once the second has dumped')
})

for (const seed of [3, 11]) {
  test(`seed ${seed}: a lost price change is found, and the next snapshot mends the book`, async () => {
    const run = await simulatedFrames({ seed, tradeShare: 0.2, repeatShare: 0, tradeDelayMs: [34, 88] }, 3_500)
    const isChange = (record: TapeRecord) =>
      record.kind === 'frame' && record.payload.includes('"event_type":"price_change"')
    const lost = run.records.findIndex((record, index) => index > 500 && isChange(record))
    const { keeper, findings } = play(run, (records) => records.toSpliced(lost, 1))
    assert.ok(keeper.checks.mismatch > 0)
    const mismatches = findings.filter(({ kind }) => kind === 'mismatch')
    const [first] = mismatches
    assert.ok(first)
    assert.ok(mismatches.every(({ market }) => market === first.market))
    assert.ok(keeper.checks.match > 1_000)
    assert.equal(findings.filter(({ kind }) => kind === 'trade_missing').length, 0)
  })
}
