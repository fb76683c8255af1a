import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Ledger } from '../ledger/ledger.ts'
import { freshLedger } from '../ledger/test-server.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { PolymarketBookChecker } from '../sources/polymarket/book-checker.ts'
import { decodeFrame } from '../sources/polymarket/decode.ts'
import { openTape, type Tape } from '../tape/tape.ts'
import { rebuildStream } from './rebuild.ts'
import { createRecorder } from './recorder.ts'
import { memoryLog, type SimulatedFrames, simulatedFrames } from './support.test.ts'

const clock = systemClock()
const STREAM = 'polymarket.trades'

let directory: string
let tape: Tape
let ledger: Ledger
let other: Ledger
let run: SimulatedFrames

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tapekeeper-recorder-'))
  tape = await openTape({ directory, stream: STREAM, clock, log: memoryLog(), limits: { segmentBytes: 200_000 } })
  ledger = (await freshLedger()).ledger
  other = (await freshLedger()).ledger
  const given = { seed: 21, tradeShare: 0.3, identicalFillShare: 0.5, newMarketEveryMs: 400 }
  run = await simulatedFrames(given, 1_500, ['one', 'two'], clock.wallMs() - 60_000)
})

after(async () => {
  await tape.close()
  await Promise.all([ledger.close(), other.close()])
  await rm(directory, { recursive: true, force: true })
})

function append(from: number, to: number): void {
  for (const record of run.records.slice(from, to)) {
    const { appender } = tape
    const { connection, atUs } = record
    const taken =
      record.kind === 'frame'
        ? appender.append(connection, atUs, record.payload)
        : appender.mark(connection, atUs, record.mark, record.detail)
    assert.ok(taken)
  }
}

function recorder() {
  const checker = new PolymarketBookChecker(run.directory)
  const base = { recorderId: 'here', stream: STREAM, decode: decodeFrame, clock, log: memoryLog() }
  return createRecorder({ ...base, tape, ledger, checker })
}

/** What the venue says it traded: one line a fill. */
function sold(): string[] {
  return run.world
    .fills()
    .map((fill) => {
      const price = fill.units / 10_000
      return [fill.market.tokens[fill.outcome], fill.venueMs, price, fill.hundredths / 100, fill.side].join(' ')
    })
    .sort()
}

async function stored(from: Ledger): Promise<string[]> {
  const rows = await from.read<Record<string, string>>(
    `SELECT concat_ws(' ', token_id, (extract(epoch FROM ts) * 1000)::bigint, price, size, side) AS line FROM v_trades`,
  )
  return rows.map((row) => row['line'] as string).sort()
}

test('a live run, a drain and a resume leave every trade of the venue in the ledger once', async () => {
  const half = Math.floor(run.records.length / 2)
  const first = recorder()
  const done = first.run(new AbortController().signal)
  append(0, half)
  await tape.appender.flushed()
  const report = await first.drain(20_000)
  await done
  assert.equal(report.left, 0)
  assert.equal(report.complete, true)
  const before = first.status()
  assert.ok(before.tradesInserted > 20)

  const second = recorder()
  const resumed = second.run(new AbortController().signal)
  append(half, run.records.length)
  await tape.appender.flushed()
  assert.equal((await second.drain(20_000)).complete, true)
  await resumed

  const expected = sold()
  assert.ok(expected.length > 60)
  assert.ok(new Set(expected).size < expected.length, 'identical fills are among them')
  assert.deepEqual(await stored(ledger), expected)
  const status = second.status()
  assert.equal(before.tradesInserted + status.tradesInserted, expected.length)
  assert.equal(status.queueDepth, 0)
  assert.equal(status.behindBytes, 0)
  assert.equal(status.trouble, null)
  assert.equal(before.checks.mismatch + status.checks.mismatch, 0)
  assert.equal(before.checks.unverifiable, 0)
  assert.ok(before.checks.match > 100)
})

test('a rebuild derives the same rows from the tape, and a recorder can go on from where it ended', async () => {
  const checker = new PolymarketBookChecker(run.directory)
  const base = { stream: STREAM, recorderId: 'here', decode: decodeFrame, checker, clock, log: memoryLog() }
  const status = await rebuildStream({ ...base, tapeDirectory: directory, ledger: other }, new AbortController().signal)
  assert.deepEqual(await stored(other), sold())
  assert.deepEqual(await stored(other), await stored(ledger))
  assert.equal(status.checks.mismatch, 0)
  assert.ok(status.checks.match > 100)
  assert.ok(status.checks.match + status.checks.skipped > 1_000)
  const events = 'SELECT condition_id, ts, kind, content_hash FROM market_events ORDER BY 1, 2'
  assert.deepEqual(await other.read(events), await ledger.read(events))
  assert.deepEqual(
    (await other.loadPosition('here', STREAM))?.position,
    (await ledger.loadPosition('here', STREAM))?.position,
  )
})

test('a rebuild that is repeated adds nothing', async () => {
  const before = await stored(other)
  const checker = new PolymarketBookChecker(run.directory)
  const base = { stream: STREAM, recorderId: 'again', decode: decodeFrame, checker, clock, log: memoryLog() }
  const status = await rebuildStream({ ...base, tapeDirectory: directory, ledger: other }, new AbortController().signal)
  assert.equal(status.tradesInserted, 0)
  assert.deepEqual(await stored(other), before)
})
