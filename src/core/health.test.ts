import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { emptyStreamStatus, type StreamStatus } from './collector.ts'
import { computeHealth, getHealth, healthLines } from './health.ts'
import type { CollectorStatus, StatusBoard } from './status.ts'

const NOW_MS = Date.UTC(2026, 9, 1, 12, 0, 0)

/** A polling collector that works well; `changes` make it otherwise. */
function polling(name: string, changes: Partial<CollectorStatus> = {}): CollectorStatus {
  return {
    name,
    kind: 'polling',
    critical: true,
    state: 'running',
    intervalMs: 60_000,
    cycles: 10,
    failedCycles: 0,
    consecutiveFailures: 0,
    skippedCycles: 0,
    items: 1000,
    lastCycleOk: true,
    lastStartedMs: NOW_MS - 11_000,
    lastFinishedMs: NOW_MS - 10_000,
    lastDurationMs: 1000,
    averageDurationMs: 900,
    lastUsefulMs: NOW_MS - 10_000,
    usefulAgeMs: 10_000,
    lastError: null,
    lastErrorMs: null,
    restarts: 0,
    nextAttemptMs: NOW_MS + 50_000,
    stream: null,
    ...changes,
  }
}

function streaming(stream: Partial<StreamStatus> = {}, changes: Partial<CollectorStatus> = {}): CollectorStatus {
  const live = { ...emptyStreamStatus(), connectionsWanted: 3, connectionsActive: 3, tokensWanted: 900, ...stream }
  return polling('polymarket.trades', { kind: 'streaming', intervalMs: 30_000, cycles: 1, stream: live, ...changes })
}

function board(collectors: readonly CollectorStatus[], changes: Partial<StatusBoard> = {}): StatusBoard {
  return {
    recorderId: 'r',
    version: '0.1.0',
    startedMs: NOW_MS - 7_500_000,
    uptimeMs: 7_500_000,
    draining: false,
    collectors,
    restarts: 1,
    tape: {
      state: 'ok',
      trouble: null,
      framesAccepted: 5,
      bytesAccepted: 500,
      framesRefused: 0,
      pendingBytes: 0,
      lastSyncMs: null,
      lastSyncDurationMs: null,
      segments: 1,
      bytesOnDisk: 500,
      damagedLines: 0,
    },
    ledger: { state: 'ok', trouble: null, kind: 'embedded', serverVersion: '18.4', sinceMs: NOW_MS },
    recorder: {
      tradesReceived: 1234,
      tradesInserted: 1230,
      batchesInserted: 12,
      duplicates: 3,
      queueDepth: 4,
      behindBytes: 0,
      caughtUp: true,
      lastTradeMs: NOW_MS - 200,
      lastInsertMs: NOW_MS - 100,
      booksKept: 900,
      checks: { match: 31, mismatch: 0, unverifiable: 0, skipped: 1 },
      rejects: 0,
      deadLetters: 0,
      unknownEvents: 0,
      drift: {},
      damagedLines: 0,
      gapsOpened: 0,
      tokensInDoubt: 0,
      comparisons: { equal: 0, older: 0, ahead: 0, skipped: 0 },
      trouble: null,
    },
    ...changes,
  }
}

function withDoubt(tokensInDoubt: number, collectors: readonly CollectorStatus[]): StatusBoard {
  const whole = board(collectors)
  return { ...whole, recorder: { ...whole.recorder, tokensInDoubt } }
}

const UNFINISHED: Partial<CollectorStatus> = {
  state: 'starting',
  cycles: 0,
  lastCycleOk: null,
  lastFinishedMs: null,
  lastUsefulMs: null,
  usefulAgeMs: null,
  items: 0,
}
const FRESH = { uptimeMs: 5_000, startedMs: NOW_MS - 5_000 }
const ok = polling('prices')
const live = streaming()
const failed = polling('prices', { lastCycleOk: false, failedCycles: 1, lastError: 'no route', usefulAgeMs: 70_000 })

const TABLE: readonly [name: string, board: StatusBoard, status: string, firstReason: RegExp | null][] = [
  ['everything works', board([ok, live]), 'healthy', null],
  ['nothing is collected', board([]), 'healthy', null],
  ['a first cycle is under way', board([ok, polling('books', UNFINISHED), live], FRESH), 'starting', null],
  [
    'a first cycle is under way beside a failure',
    board([failed, polling('books', UNFINISHED)], FRESH),
    'starting',
    /no route/,
  ],
  [
    'every first cycle has ended, one badly',
    board([failed, live], FRESH),
    'degraded',
    /^prices failed in its last cycle: no route$/,
  ],
  [
    'a stream waits for its first data',
    board([ok, streaming({ connectionsActive: 0 }, UNFINISHED)], FRESH),
    'starting',
    null,
  ],
  [
    'a stream waits for something broken',
    board([failed, streaming({ connectionsActive: 0 }, UNFINISHED)], FRESH),
    'degraded',
    /no route/,
  ],
  [
    'a first cycle takes too long',
    board([polling('books', UNFINISHED)], { uptimeMs: 120_001 }),
    'degraded',
    /no answer since start, 2m 0s ago/,
  ],
  ['a first cycle has some time left', board([polling('books', UNFINISHED)], { uptimeMs: 120_000 }), 'starting', null],
  ['the newest answer is just young enough', board([polling('prices', { usefulAgeMs: 120_000 })]), 'healthy', null],
  [
    'the newest answer is too old',
    board([polling('prices', { usefulAgeMs: 120_001 })]),
    'degraded',
    /newest useful answer 2m 0s ago \(expected every 1m 0s\)/,
  ],
  [
    'a stream has delivered nothing at all',
    board([streaming({}, { usefulAgeMs: null })]),
    'degraded',
    /no answer since start/,
  ],
  [
    'no connection is live',
    board([ok, streaming({ connectionsActive: 0, trouble: 'refused' })]),
    'degraded',
    /no live connection: refused/,
  ],
  [
    'one connection is stalled',
    board([ok, streaming({ connectionsStalled: 1 })]),
    'degraded',
    /has 1 stalled of 3 connections/,
  ],
  [
    'every connection is new, silent, and its tokens are in doubt',
    withDoubt(900, [ok, streaming({ tokensSubscribed: 900 }, { usefulAgeMs: 61_000 })]),
    'degraded',
    /^polymarket\.trades has been silent for .*, and 900 tokens are in doubt$/,
  ],
  [
    'a quiet market: silence without a doubt',
    withDoubt(0, [ok, streaming({ tokensSubscribed: 900 }, { usefulAgeMs: 3_600_000 })]),
    'healthy',
    null,
  ],
  [
    'tokens in doubt while data flows',
    withDoubt(900, [ok, streaming({ tokensSubscribed: 900 }, { usefulAgeMs: 1_000 })]),
    'healthy',
    null,
  ],
  [
    'a stream is not fully connected',
    board([ok, streaming({ trouble: '2 of 3 connected' })]),
    'degraded',
    /2 of 3 connected/,
  ],
  [
    'a collector waits for its restart',
    board([polling('prices', { state: 'backing_off', lastError: 'x' })]),
    'degraded',
    /will be restarted: x/,
  ],
  ['a collector cools', board([polling('prices', { state: 'cooling' })]), 'degraded', /cooling down/],
  [
    'a collector has failed',
    board([polling('prices', { state: 'failed', lastError: 'bad key' })]),
    'degraded',
    /has failed: bad key/,
  ],
  [
    'one that does not matter has failed',
    board([ok, polling('backfill', { critical: false, state: 'failed' })]),
    'healthy',
    null,
  ],
  [
    'one that does not matter is slow to start',
    board([ok, polling('backfill', { critical: false, ...UNFINISHED })]),
    'healthy',
    null,
  ],
  ['draining', board([failed], { draining: true }), 'stopped', /prices/],
]

const plumbing = (changes: Partial<StatusBoard>) => board([ok, live], changes)
const base = plumbing({})

const PLUMBING: typeof TABLE = [
  [
    'the tape has failed',
    plumbing({ tape: { ...base.tape, state: 'failed', trouble: 'disk full' } }),
    'degraded',
    /^the tape has failed: disk full$/,
  ],
  [
    'the ledger is away',
    plumbing({ ledger: { ...base.ledger, state: 'unavailable', trouble: 'refused' } }),
    'degraded',
    /^the ledger is unavailable: refused$/,
  ],
  [
    'the ledger was never reached',
    plumbing({ ledger: { ...base.ledger, state: 'connecting' } }),
    'degraded',
    /not been reached yet/,
  ],
  [
    'the ledger connects while all start',
    board([polling('prices', UNFINISHED)], { ...FRESH, ledger: { ...base.ledger, state: 'connecting' } }),
    'starting',
    null,
  ],
  [
    'the reader is stuck',
    plumbing({ recorder: { ...base.recorder, trouble: 'commit failed' } }),
    'degraded',
    /not reaching the ledger: commit failed/,
  ],
]

describe('health', () => {
  for (const [name, given, status, firstReason] of [...TABLE, ...PLUMBING]) {
    test(`${name}: ${status}`, () => {
      const report = computeHealth(given)
      assert.equal(report.status, status, report.reasons.join('; '))
      if (firstReason === null) assert.deepEqual(report.reasons, [])
      else assert.match(report.reasons[0] ?? '', firstReason)
    })
  }

  test('the worst comes first', () => {
    const given = board([polling('stale', { usefulAgeMs: 1e6 }), polling('dead', { state: 'failed' }), failed], {
      ledger: { ...base.ledger, state: 'unavailable' },
      tape: { ...base.tape, state: 'failed' },
    })
    const order = computeHealth(given).reasons.map((reason) => reason.split(' ').slice(0, 2).join(' '))
    assert.deepEqual(order, ['the tape', 'the ledger', 'dead has', 'prices failed', 'stale gave'])
  })

  test('the scrape numbers are over all collectors, critical or not', () => {
    const other = polling('other', {
      critical: false,
      items: 5,
      failedCycles: 2,
      lastCycleOk: false,
      lastFinishedMs: NOW_MS,
    })
    const report = computeHealth(board([ok, other]))
    assert.deepEqual([report.scrapeCount, report.errorCount], [1005, 2])
    assert.deepEqual([report.lastScrapeMs, report.lastScrapeOk], [NOW_MS, false])
    const fresh = computeHealth(board([polling('prices', UNFINISHED)], FRESH))
    assert.deepEqual([fresh.lastScrapeMs, fresh.lastScrapeOk, fresh.scrapeCount], [null, null, 0])
  })
})

const anyCollector = fc
  .record({
    kind: fc.constantFrom('polling' as const, 'streaming' as const),
    critical: fc.boolean(),
    state: fc.constantFrom(
      'starting' as const,
      'running' as const,
      'backing_off' as const,
      'cooling' as const,
      'failed' as const,
    ),
    cycles: fc.nat(3),
    lastCycleOk: fc.constantFrom(true, false, null),
    usefulAgeMs: fc.option(fc.nat(300_000)),
    connectionsActive: fc.nat(2),
    connectionsStalled: fc.nat(1),
  })
  .map(({ kind, connectionsActive, connectionsStalled, ...rest }) =>
    kind === 'polling' ? polling('poll', rest) : streaming({ connectionsActive, connectionsStalled }, rest),
  )
const anyBoard = fc
  .record({ collectors: fc.array(anyCollector, { maxLength: 5 }), uptimeMs: fc.nat(1_000_000), draining: fc.boolean() })
  .map(({ collectors, uptimeMs, draining }) => board(collectors, { uptimeMs, draining }))

describe('for every board', () => {
  const check = (property: (board: StatusBoard) => void) =>
    fc.assert(fc.property(anyBoard, property), { numRuns: 1000 })

  test('it is never healthy while something critical is stale, cut off, stalled or not running', () => {
    check((given) => {
      if (computeHealth(given).status !== 'healthy') return
      for (const collector of given.collectors.filter((one) => one.critical)) {
        assert.ok(collector.usefulAgeMs !== null)
        if (collector.stream === null) assert.ok(collector.usefulAgeMs <= 2 * collector.intervalMs)
        assert.ok(collector.state === 'running' || collector.state === 'starting')
        assert.notEqual(collector.lastCycleOk, false)
        if (collector.stream !== null) assert.ok(collector.stream.connectionsActive > 0)
        if (collector.stream !== null) assert.equal(collector.stream.connectionsStalled, 0)
      }
    })
  })

  test('it says why it is degraded, and has nothing to say when it is healthy', () => {
    check((given) => {
      const { status, reasons } = computeHealth(given)
      if (status === 'degraded') assert.ok(reasons.length > 0)
      if (status === 'healthy') assert.deepEqual(reasons, [])
      assert.equal(status === 'stopped', given.draining)
    })
  })

  test('starting ends', () => {
    check((given) => {
      const late = { ...given, uptimeMs: 1_000_001 }
      assert.notEqual(computeHealth(late).status, 'starting')
    })
  })

  test('it looks and does not touch', () => {
    check((given) => {
      const before = structuredClone(given)
      computeHealth(given)
      getHealth(given)
      healthLines(given)
      assert.deepEqual(given, before)
    })
  })
})

test('the health lines read as documented', () => {
  const never = polling('polymarket.books', { ...UNFINISHED, failedCycles: 2, state: 'failed' })
  const given = board([polling('polymarket.prices', { failedCycles: 1 }), never, live])
  assert.deepEqual(healthLines(given), [
    '=== Daemon Health === uptime: 2h 5m | tasks: 2 alive, 1 dead | restarts: 1',
    '  polymarket.prices | items: 1000 | errors: 1 | last success: 10s ago',
    '  polymarket.books | items: 0 | errors: 2 | last success: never',
    '  trades | received: 1234 | inserted: 1230 | connections: 3/3 | queue depth: 4',
  ])
  const young = healthLines(board([ok], { uptimeMs: 312_900 }))
  assert.equal(young[0], '=== Daemon Health === uptime: 5m 12s | tasks: 1 alive, 0 dead | restarts: 1')
  assert.equal(young.length, 2)
})

test('getHealth is a deep copy with the documented names', () => {
  const given = board([ok, live])
  const health = getHealth(given)
  assert.deepEqual(
    [health.uptime_seconds, health.tasks_alive, health.tasks_dead, health.total_restarts],
    [7500, 2, 0, 1],
  )
  const prices = health.collectors['prices']
  assert.equal(prices?.last_collect_ts, '2026-10-01T11:59:50.000Z')
  assert.deepEqual([prices?.total_items, prices?.error_count, prices?.last_error], [1000, 0, null])
  assert.equal(prices?.state, 'running')
  const trades = health.trade_listener
  assert.deepEqual([trades.trades_received, trades.trades_inserted, trades.batches_inserted], [1234, 1230, 12])
  assert.deepEqual([trades.connections_active, trades.reconnections, trades.queue_depth], [3, 0, 4])
  assert.deepEqual([trades.last_trade_ts, trades.last_reconnect_ts], ['2026-10-01T11:59:59.800Z', null])
  assert.equal(trades.last_insert_ts, '2026-10-01T11:59:59.900Z')
  assert.equal(trades.started_at, '2026-10-01T09:55:00.000Z')
  assert.equal(getHealth(board([polling('odd', { lastUsefulMs: 1e300 })])).collectors['odd']?.last_collect_ts, null)
  if (prices) prices.total_items = -1
  trades.queue_depth = -1
  assert.equal(getHealth(given).collectors['prices']?.total_items, 1000)
  assert.equal(getHealth(given).trade_listener.queue_depth, 4)
})
