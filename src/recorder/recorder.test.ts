import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Clock } from '../core/clock.ts'
import type { MarketEvent } from '../core/events.ts'
import type { StreamLedger } from '../core/rows.ts'
import type { TapeRecord } from '../core/tape.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { decodeFrame } from '../sources/polymarket/decode.ts'
import { createRecorder, type RecorderOptions, type StreamTape } from './recorder.ts'
import {
  frame,
  type MemoryLedger,
  mark,
  memoryLedger,
  memoryLog,
  memoryTape,
  settle,
  simulatedFrames,
  trustingChecker,
  unreachable,
} from './support.test.ts'

const MARKET = `0x${'ab'.repeat(32)}`
const START_US = 1_790_000_000_000_000

function trade(venueMs: number, change: Record<string, string> = {}): string {
  return JSON.stringify({
    event_type: 'last_trade_price',
    market: MARKET,
    asset_id: '11',
    price: '0.5',
    size: '1',
    side: 'BUY',
    timestamp: String(1_790_000_000_000 + venueMs),
    transaction_hash: '0xfeed',
    ...change,
  })
}

function line(atMs: number, payload: string, connection = 'one'): TapeRecord {
  return frame(connection, START_US + atMs * 1000, payload)
}

function start(tape: StreamTape, ledger: StreamLedger, change: Partial<RecorderOptions> = {}) {
  const clock = new SimulatedClock()
  const log = memoryLog()
  const checker = trustingChecker()
  const base = { recorderId: 'here', stream: 'trades', tape, ledger, decode: decodeFrame, checker, clock, log }
  const recorder = createRecorder({ ...base, ...change })
  const abort = new AbortController()
  const done = recorder.run(abort.signal)
  done.catch(() => undefined)
  return { recorder, clock, log, abort, done }
}

/** Everything on a tape that ends. */
async function readAll(records: TapeRecord[], ledger: MemoryLedger = memoryLedger(), batchSize = 7) {
  const tape = memoryTape([...records], batchSize)
  tape.end()
  const run = start(tape, ledger)
  await run.done
  return { ledger, ...run }
}

test('trades, tick sizes and lifecycle become rows; books and prices do not; all with the position', async () => {
  const event = (atMs: number, event_type: string, rest: object = {}) =>
    line(atMs, JSON.stringify({ event_type, market: MARKET, timestamp: String(1_790_000_000_000 + atMs), ...rest }))
  const records = [
    line(1, trade(1)),
    event(2, 'tick_size_change', { asset_id: '11', old_tick_size: '0.01', new_tick_size: '0.001' }),
    event(3, 'new_market', { assets_ids: ['11', '22'] }),
    event(4, 'market_resolved', { assets_ids: ['11'] }),
    event(5, 'best_bid_ask', { asset_id: '11', best_bid: '', best_ask: '' }),
    line(6, '{"event_type":"halo"}'),
    line(7, 'INVALID OPERATION'),
  ]
  const { ledger, recorder } = await readAll(records)
  assert.deepEqual(
    [...ledger.rows].map((key) => key.split(' ').slice(0, 2).join(' ')),
    ['trade 11', 'tick 11', `new_market ${MARKET}`, `market_resolved ${MARKET}`],
  )
  assert.deepEqual(ledger.deadLetters, ['not JSON'])
  const [batch] = ledger.batches
  assert.equal(ledger.batches.length, 1)
  assert.equal(batch?.positionAtUs, START_US + 7_000)
  assert.equal(batch?.position.line, 7)
  assert.deepEqual(batch?.deadLetters, [
    { atMs: 1_790_000_000_007, source: 'trades', reason: 'not JSON', raw: 'INVALID OPERATION' },
  ])
  const status = recorder.status()
  assert.equal(status.tradesReceived, 1)
  assert.equal(status.tradesInserted, 1)
  assert.equal(status.unknownEvents, 1)
  assert.equal(status.rejects, 1)
  assert.equal(status.deadLetters, 1)
  assert.deepEqual({ ...status.drift }, { halo: 1 })
  assert.equal(status.queueDepth, 0)
  assert.equal(status.lastTradeMs, 1_790_000_000_001)
})

test('the same trade on two connections is one row; two identical fills on one connection are two', async () => {
  const both = await readAll([line(1, trade(1), 'one'), line(2, trade(1), 'two')])
  assert.equal(both.ledger.rows.size, 1)
  assert.equal(both.recorder.status().duplicates, 1)
  const twice = await readAll([
    line(1, trade(1)),
    line(1, trade(1)),
    line(2, trade(1), 'two'),
    line(3, trade(1), 'two'),
  ])
  assert.equal(twice.ledger.rows.size, 2)
  // Each on a connection of its own, where an equal one would be taken for the same trade.
  const fields = [
    {},
    { size: '2' },
    { price: '0.4' },
    { side: 'SELL' },
    { transaction_hash: '0x1' },
    { fee_rate_bps: '5' },
  ]
  const ways = await readAll(fields.map((change, index) => line(1, trade(1, change), `connection ${index}`)))
  assert.equal(ways.ledger.rows.size, 6)
})

test('live rows are in the ledger within 250 ms, and one batch holds what came together', async () => {
  const tape = memoryTape()
  const ledger = memoryLedger()
  const { clock, abort, done } = start(tape, ledger)
  await settle()
  for (let index = 0; index < 20; index += 1) tape.append(line(index, trade(index)))
  await clock.advance(250)
  assert.equal(ledger.rows.size, 20)
  assert.ok(ledger.batches.length <= 2)
  abort.abort()
  await done
})

test('without rows the position alone is stored every few seconds, and not when nothing came', async () => {
  const tape = memoryTape()
  const ledger = memoryLedger()
  const { clock, abort, done } = start(tape, ledger)
  await settle()
  for (let second = 0; second < 20; second += 1) {
    tape.append(line(second * 1000, 'PONG'))
    await clock.advance(1_000)
  }
  assert.ok(ledger.batches.length >= 4 && ledger.batches.length <= 8, `${ledger.batches.length} positions`)
  await clock.advance(5_000)
  const stored = ledger.batches.length
  assert.equal(ledger.position?.line, 20)
  await clock.advance(60_000)
  assert.equal(ledger.batches.length, stored)
  abort.abort()
  await done
})

test('an absent ledger is asked again after 1, 2, 4 … 30 s; meanwhile reading stops; nothing is lost', async () => {
  const tape = memoryTape([], 500)
  const ledger = memoryLedger()
  const { recorder, clock, log, abort, done } = start(tape, ledger)
  await settle()
  ledger.failure = unreachable()
  tape.append(line(1, trade(1)))
  await clock.advance(300)
  assert.equal(ledger.attempts, 1)
  const seen: number[] = []
  for (const seconds of [1, 2, 4, 8, 16, 30, 30, 30]) {
    await clock.advance(seconds * 1000 - 200)
    const before = ledger.attempts
    await clock.advance(200)
    seen.push(ledger.attempts - before)
  }
  assert.deepEqual(seen, [1, 1, 1, 1, 1, 1, 1, 1])
  assert.equal(log.lines.filter((text) => text.includes('takes no rows')).length, 3, 'at once, then once a minute')
  assert.match(recorder.status().trouble ?? '', /the ledger is away/)
  // A flood while the ledger is away: what one transaction takes is read ahead, and no more.
  for (let index = 0; index < 200; index += 1) {
    tape.append(...Array.from({ length: 100 }, (_, item) => line(10_000 + index, trade(10_000 + index * 100 + item))))
  }
  await clock.advance(29_000)
  assert.ok(recorder.status().queueDepth <= 6_000, `${recorder.status().queueDepth} frames in memory`)
  ledger.failure = null
  for (let turn = 0; turn < 20; turn += 1) await clock.advance(5_000)
  assert.equal(ledger.rows.size, 20_001)
  assert.equal(recorder.status().trouble, null)
  assert.equal(recorder.status().queueDepth, 0)
  assert.ok(log.lines.some((text) => text.includes('takes rows again')))
  assert.ok(ledger.batches.every(({ trades }) => trades.length <= 5_000))
  abort.abort()
  await done
})

test('a ledger that is absent at the start is waited for', async () => {
  const ledger = memoryLedger()
  ledger.failure = unreachable()
  const tape = memoryTape([line(1, trade(1))])
  const { clock, abort, done } = start(tape, ledger)
  await clock.advance(10_000)
  ledger.failure = null
  await clock.advance(31_000)
  assert.equal(ledger.rows.size, 1)
  abort.abort()
  await done
})

test('what is no passing trouble surfaces', async () => {
  const ledger = memoryLedger()
  ledger.failure = new TypeError('a bug')
  const tape = memoryTape([line(1, trade(1))])
  const { recorder, done } = start(tape, ledger)
  await assert.rejects(done, /a bug/)
  assert.equal(recorder.status().trouble, 'a bug')
})

test('a listener hears every event in order, and its failures do no harm', async () => {
  const heard: string[] = []
  const onEvent = (event: MarketEvent, atUs: number) => {
    heard.push(`${event.kind} ${atUs - START_US}`)
    throw new Error('not mine')
  }
  const tape = memoryTape([line(1, trade(1)), line(2, '{"event_type":"halo"}')])
  tape.end()
  const ledger = memoryLedger()
  const { done, log } = start(tape, ledger, { onEvent })
  await done
  assert.deepEqual(heard, ['trade 1000', 'unknown 2000'])
  assert.equal(ledger.rows.size, 1)
  assert.equal(log.lines.filter((text) => text.includes('listener')).length, 2)
})

test('an oversized frame is stored in transactions of at most 5,000 rows', async () => {
  const big = `[${Array.from({ length: 9_000 }, (_, index) => trade(index)).join()}]`
  const { ledger } = await readAll([line(0, trade(100_000)), line(1, big), line(2, trade(200_000))], memoryLedger(), 1)
  assert.equal(ledger.rows.size, 9_002)
  assert.ok(ledger.batches.every(({ trades }) => trades.length <= 5_000))
  assert.equal(ledger.position?.line, 3)
})

test('a frame of many bad parts is one dead letter', async () => {
  const { ledger, recorder } = await readAll([line(1, `[${'0,'.repeat(999)}0]`)])
  assert.equal(ledger.deadLetters.length, 1)
  assert.match(ledger.deadLetters[0] as string, /; and 995 more$/)
  assert.equal(recorder.status().rejects, 1_000)
})

test('draining stores what is on the tape and ends', async () => {
  const tape = memoryTape()
  const ledger = memoryLedger()
  const { recorder, clock, done } = start(tape, ledger)
  await settle()
  tape.append(...Array.from({ length: 50 }, (_, index) => line(index, trade(index))))
  const drained = recorder.drain(20_000)
  await clock.advance(1_000)
  assert.deepEqual(await drained, { flushed: 50, left: 0, complete: true })
  await done
  assert.equal(ledger.rows.size, 50)
})

test('draining does not wait for an absent ledger, even in the middle of a long pause', async () => {
  const tape = memoryTape()
  const ledger = memoryLedger()
  const { recorder, clock, done } = start(tape, ledger)
  await settle()
  ledger.failure = unreachable()
  tape.append(line(1, trade(1)))
  await clock.advance(40_000)
  const drained = recorder.drain(20_000)
  await clock.advance(1_000)
  assert.deepEqual(await drained, { flushed: 0, left: 1, complete: false })
  await done
})

test('draining ends in time when the ledger hangs', async () => {
  const tape = memoryTape()
  const ledger = memoryLedger()
  const hanging: StreamLedger = {
    loadPosition: ledger.loadPosition,
    loadCoverage: ledger.loadCoverage,
    commitStream: () => new Promise(() => {}),
  }
  const { recorder, clock, done } = start(tape, hanging)
  await settle()
  tape.append(line(1, trade(1)))
  await clock.advance(500)
  const drained = recorder.drain(20_000)
  await clock.advance(20_000)
  assert.deepEqual(await drained, { flushed: 0, left: 1, complete: false })
  await clock.advance(5_000)
  await done
})

test('a recorder that was never run drains at once', async () => {
  const { tape, ledger } = { tape: memoryTape(), ledger: memoryLedger() }
  const checker = trustingChecker()
  const clock = new SimulatedClock()
  const recorder = createRecorder({
    recorderId: 'a',
    stream: 's',
    tape,
    ledger,
    decode: decodeFrame,
    checker,
    clock,
    log: memoryLog(),
  })
  assert.equal((await recorder.drain(1_000)).flushed, 0)
})

/** Time that passes whenever somebody looks, so that everything is always due. */
function hurriedClock(stepMs: number): Clock {
  let nowMs = 0
  return {
    monotonicMs: () => {
      nowMs += stepMs
      return nowMs
    },
    wallMs: () => 1_790_000_000_000 + nowMs,
    wallUs: () => (1_790_000_000_000 + nowMs) * 1000,
    sleep: () => new Promise((resolve) => setImmediate(resolve)),
  }
}

test('cut anywhere and started again, as often as you like: the same rows as without a cut', async () => {
  const given = { seed: 9, markets: 3, rate: 400, tradeShare: 0.5, identicalFillShare: 0.6, newMarketEveryMs: 150 }
  const { records } = await simulatedFrames(given, 500, ['one', 'two'])
  const bad = records.map((record, index) =>
    index % 37 === 20 ? frame('one', record.atUs, `broken ${index}`) : record,
  )
  const whole = (await readAll(bad)).ledger
  assert.ok(whole.rows.size > 40, `${whole.rows.size} rows of ${records.length} lines`)
  assert.ok(whole.deadLetters.length > 5)
  let commits = 0
  let identical = 0
  const cut = fc.record({ after: fc.integer({ min: 1, max: 12 }), stored: fc.boolean() })
  const cuts = fc.array(cut, { maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(
      cuts,
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 5, max: 800 }),
      async (kills, size, stepMs) => {
        const ledger = memoryLedger()
        const run = async () => {
          const tape = memoryTape([...bad], size)
          tape.end()
          await start(tape, ledger, { clock: hurriedClock(stepMs) }).done
        }
        for (const { after, stored } of kills) {
          let left = after
          ledger.onCommit = (isStored) => {
            if (isStored !== stored) return
            left -= 1
            if (left <= 0) throw new Error('killed')
          }
          await run().catch((error: unknown) => assert.match(String(error), /killed/))
        }
        ledger.onCommit = () => {}
        await run()
        assert.deepEqual([...ledger.rows].sort(), [...whole.rows].sort())
        assert.deepEqual([...ledger.deadLetters].sort(), [...whole.deadLetters].sort())
        commits += ledger.batches.length
        identical += [...ledger.rows].filter((key) => key.startsWith('trade') && !key.endsWith(' 0')).length
      },
    ),
    { numRuns: 100 },
  )
  assert.ok(commits > 1_000, `${commits} transactions in all`)
  assert.ok(identical > 100, 'identical fills were among them')
})

test('a verdict is in the ledger with the position that passes what it is about, tape or no tape', async () => {
  const common = { event_type: 'book', market: MARKET, asset_id: '11', hash: 'h', bids: [], asks: [] }
  const other = { market: `0x${'cd'.repeat(32)}`, asset_id: '22' }
  const records = [
    mark('one', START_US, 'subscribe', { assets_ids: ['11'] }),
    line(1, JSON.stringify([{ ...common, timestamp: '1790000000001', tick_size: '0.01', last_trade_price: '' }])),
    line(100, JSON.stringify({ ...common, timestamp: '1790000000100' })),
    line(9_000, trade(9_000, other)),
    line(9_001, trade(9_001, other)),
  ]
  const tape = memoryTape([...records], 1)
  tape.end()
  const ledger = memoryLedger()
  const heard: string[] = []
  const onSuspicion = ({ cause }: { cause: string }) => void heard.push(cause)
  await start(tape, ledger, { onSuspicion }).done
  const causes = ledger.batches.flatMap((batch) => batch.coverage?.gaps ?? []).map((gap) => gap.cause)
  assert.deepEqual(causes, ['missing_trade'])
  assert.deepEqual(heard, causes)
})
