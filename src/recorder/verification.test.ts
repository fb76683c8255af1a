import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BookChecker, SettledClaim } from '../core/books.ts'
import type { Clock } from '../core/clock.ts'
import { parseTokenId } from '../core/ids.ts'
import type { TapeRecord } from '../core/tape.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { PolymarketBookChecker } from '../sources/polymarket/book-checker.ts'
import { decodeFrame } from '../sources/polymarket/decode.ts'
import { Budget } from './budget.ts'
import { Pipeline } from './pipeline.ts'
import { emptyRows } from './stream-rows.ts'
import { memoryLog, type SimulatedFrames, simulatedFrames, trustingChecker } from './support.test.ts'
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

test('after the process stood still nothing is given up before what waited in its sockets was read', async () => {
  const clock = new SimulatedClock()
  const findings: BookFinding[] = []
  const onFinding = (finding: BookFinding) => void findings.push(finding)
  const checker = new PolymarketBookChecker({ facts: () => undefined })
  const keeper = new BookKeeper({ checker, clock, log: memoryLog(), onFinding })
  const pipeline = new Pipeline({ stream: 'trades', decode: decodeFrame, keeper, log: memoryLog() })
  const common = { market: `0x${'ab'.repeat(32)}`, asset_id: '11' }
  const read = (event: object) => {
    const payload = Buffer.from(JSON.stringify({ ...common, ...event }))
    pipeline.read({ kind: 'frame', connection: 'one', atUs: clock.wallUs(), payload }, emptyRows())
  }
  const book = () => read({ event_type: 'book', timestamp: String(clock.wallMs()), hash: '', bids: [], asks: [] })
  const venueMs = clock.wallMs()
  book()
  await clock.advance(20_000)
  keeper.idle()
  const trade = { price: '0.5', size: '1', side: 'BUY', transaction_hash: '0xa' }
  read({ event_type: 'last_trade_price', timestamp: String(venueMs + 50), ...trade })
  for (let tick = 0; tick < 100; tick += 1) {
    await clock.advance(100)
    keeper.idle()
  }
  assert.deepEqual(findings, [])
  await clock.advance(10_000)
  book()
  for (let tick = 0; tick < 30; tick += 1) {
    await clock.advance(100)
    keeper.idle()
  }
  assert.deepEqual(
    findings.map(({ kind }) => kind),
    ['trade_missing'],
    'a trade that does not come is missed all the same',
  )
})

test('a proof is as old as what it proves: silence before the next batch does not count as good', async () => {
  const run = await simulatedFrames({ seed: 3, tradeShare: 0.2, repeatShare: 0, tradeDelayMs: [34, 88] }, 3_500)
  const isChange = (record: TapeRecord) =>
    record.kind === 'frame' && record.payload.includes('"event_type":"price_change"')
  const told = (record: TapeRecord) => (record.kind === 'frame' ? record.payload.toString() : '')
  const marketOf = (record: TapeRecord) => /"market":"(0x[0-9a-f]+)"/.exec(told(record))?.[1] ?? ''
  const timeOf = (record: TapeRecord) => /"timestamp":"(\d+)", "event_type"/.exec(told(record))?.[1]
  // A batch of its own, and a change is the next thing that its market tells.
  const lost = run.records.findIndex((record, index) => {
    if (index <= 500 || !isChange(record)) return false
    const own = (other: TapeRecord) => marketOf(other) === marketOf(record) && !told(other).includes('best_bid_ask')
    const before = run.records.slice(0, index).findLast(own)
    const after = run.records.slice(index + 1).find(own)
    return (
      after !== undefined &&
      isChange(after) &&
      before !== undefined &&
      timeOf(after) !== timeOf(record) &&
      timeOf(before) !== timeOf(record)
    )
  })
  const toldUs = run.records[lost - 1]?.atUs ?? 0
  const silenceUs = 60_000_000
  const { findings } = play(run, (records) =>
    records.flatMap((record, index) => {
      if (index === lost) return []
      return index < lost ? record : { ...record, atUs: record.atUs + silenceUs }
    }),
  )
  const first = findings.find(({ kind }) => kind !== 'trade_missing')
  assert.ok(first)
  assert.ok(first.atUs >= toldUs + silenceUs)
  assert.ok(first.goodUs <= toldUs, `good ${(first.goodUs - toldUs) / 1e6} s after the last line before`)
})

test('a share is a limit, the whole of the time is none', () => {
  let nowMs = 0
  const clock: Clock = {
    ...{ wallMs: () => nowMs, wallUs: () => nowMs * 1000, monotonicMs: () => nowMs },
    sleep: () => Promise.resolve(),
  }
  const budgets = [new Budget(clock, 0.15, 100), new Budget(clock, 1, 100)]
  for (const budget of budgets) {
    budget.spend(() => {
      nowMs += 500 // the machine did something else
    })
  }
  assert.deepEqual(
    budgets.map(({ allows }) => allows),
    [false, true],
  )
})

test('a verdict that comes late begins before what it is about, whatever was proven since', () => {
  const waiting: SettledClaim[] = []
  let outcome: 'match' | 'pending' = 'match'
  const checker: BookChecker = {
    ...trustingChecker(),
    check(claim) {
      if (outcome === 'pending') waiting.push({ claim, outcome: 'mismatch', tradeMissing: false })
      return outcome
    },
    settle: () => waiting.splice(0),
  }
  const clock = new SimulatedClock()
  const findings: BookFinding[] = []
  const onFinding = (finding: BookFinding) => void findings.push(finding)
  const keeper = new BookKeeper({ checker, clock, log: memoryLog(), onFinding })
  const [startUs, token] = [1_790_000_000_000_000, parseTokenId('11')]
  const rest = { tickSize: '0.01', lastTradePrice: '', minOrderSize: null, negRisk: null, version: null }
  const dump = { ...rest, token, market: 'm', venueMs: 1, hash: 'dump', bids: [], asks: [], afterTrade: false }
  keeper.apply({ kind: 'book', ...dump }, 'one', startUs)
  const change = (second: number) => {
    const one = {
      token,
      side: 'BUY',
      price: '0.5',
      size: '1',
      hash: `h${second}`,
      bestBid: null,
      bestAsk: null,
    } as const
    keeper.apply({ kind: 'price_change', market: 'm', venueMs: second, changes: [one] }, 'one', startUs + second * 1e6)
  }
  change(10)
  change(20) // completes the batch of 10: it matches
  outcome = 'pending'
  change(30) // completes that of 20, which waits
  outcome = 'match'
  change(40) // completes that of 30, which matches
  change(50)
  keeper.turn()
  assert.deepEqual(
    findings.map(({ kind, goodUs }) => [kind, (goodUs - startUs) / 1e6]),
    [['mismatch', 10]],
  )
})
