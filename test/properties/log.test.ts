import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { cleanJson, cleanText } from '../../src/ledger/clean.ts'
import { type FreshLedger, freshLedger, quietLogger } from '../../src/ledger/test-server.ts'
import { LogStore } from '../../src/monitor/log-store.ts'
import { createLogging, type LogEntry } from '../../src/runtime/logging.ts'
import { SimulatedClock } from '../../src/sim/clock.ts'
import { ask, startTestApi, type TestApi } from '../support/api.ts'
import { collector, healthyBoard, NOW_MS } from '../support/board.ts'
import { RUNS } from '../support/cycles.ts'

const DAY_MS = 86_400_000
const ENTRIES = 400
const LEVELS = ['info', 'warn', 'error', 'fatal'] as const
/** What each is called in the ledger. */
const NAMES = { debug: 'DEBUG', info: 'INFO', warn: 'WARNING', error: 'ERROR', fatal: 'CRITICAL' } as const

let fresh: FreshLedger
let other: FreshLedger
let it: TestApi
before(async () => {
  fresh = await freshLedger()
  other = await freshLedger()
  const logs = storeOf(other, new SimulatedClock())
  for (let n = 0; n < ENTRIES; n += 1) {
    logs.log({ atMs: NOW_MS + n, level: levelOf(n), message: `entry ${n}`, context: {} })
  }
  await logs.flush()
  it = await startTestApi({ logs, ledger: other.ledger })
})
after(async () => {
  await it.api.close()
  await fresh.ledger.close()
  await other.ledger.close()
})

const levelOf = (n: number) => LEVELS[(n * 7) % 4] ?? 'info'

function storeOf({ ledger }: FreshLedger, clock: SimulatedClock): LogStore {
  return new LogStore({ clock, ledger, log: quietLogger(), retentionMs: 30 * DAY_MS })
}

test('property 8: the status answer always has its state, its last update and its uptime', async () => {
  const maybeMs = fc.option(fc.integer({ min: 0, max: 4e12 }), { nil: null })
  const boards = fc.record({
    state: fc.constantFrom('starting', 'running', 'backing_off', 'cooling', 'failed', 'stopped'),
    lastUsefulMs: maybeMs,
    nextAttemptMs: maybeMs,
    lastCycleOk: fc.constantFrom(true, false, null),
    lastError: fc.option(fc.string({ unit: 'binary' }), { nil: null }),
    name: fc.constantFrom('assets.prices', 'something.else'),
    uptimeMs: fc.nat(1e12),
    draining: fc.boolean(),
    ledger: fc.constantFrom('ok', 'connecting', 'unavailable', 'stopped'),
  })
  const property = fc.asyncProperty(boards, async ({ uptimeMs, draining, ledger, ...changes }) => {
    const board = healthyBoard()
    const collectors = [collector(changes as never)]
    it.board = () => ({ ...board, uptimeMs, draining, collectors, ledger: { ...board.ledger, state: ledger as never } })
    const { status, body } = await ask(it.api.port, '/api/fetcher/status')
    assert.equal(status, 200)
    const isThere = changes.name === 'assets.prices'
    const isWell = changes.lastCycleOk !== false && ['starting', 'running'].includes(changes.state)
    const expected = draining || !isThere || changes.state === 'stopped' ? 'stopped' : isWell ? 'running' : 'error'
    assert.deepEqual([body['status'], body['uptime_seconds']], [expected, Math.round(uptimeMs) / 1000])
    const lastMs = isThere ? changes.lastUsefulMs : null
    assert.equal(body['last_update'], lastMs === null ? null : new Date(lastMs).toISOString())
  })
  // The first to ask waits for the number of assets; from then on it is known.
  it.board = healthyBoard
  await ask(it.api.port, '/api/fetcher/status')
  await fc.assert(property, RUNS)
  it.board = healthyBoard
})

test('property 9: for any limit and offset the log is the right slice, newest first', async () => {
  const pages = fc.record({
    limit: fc.integer({ min: 1, max: 1_000 }),
    offset: fc.oneof(fc.nat(ENTRIES + 50), fc.nat(1_000_000_000)),
    level: fc.option(fc.constantFrom(...LEVELS), { nil: null }),
  })
  const property = fc.asyncProperty(pages, async ({ limit, offset, level }) => {
    const all = Array.from({ length: ENTRIES }, (_, at) => ENTRIES - 1 - at)
    const chosen = all.filter((n) => level === null || levelOf(n) === level)
    const filter = level === null ? '' : `&level=${NAMES[level]}`
    const { status, body } = await ask(it.api.port, `/api/fetcher/logs?limit=${limit}&offset=${offset}${filter}`)
    assert.equal(status, 200)
    const { logs, total } = body as { logs: { message: string; timestamp: string }[]; total: number }
    assert.deepEqual(
      logs.map(({ message }) => message),
      chosen.slice(offset, offset + limit).map((n) => `entry ${n}`),
    )
    assert.equal(total, chosen.length)
  })
  await fc.assert(property, RUNS)
})

test('property 11: everything that is logged is persisted with time, level, message and context', async () => {
  const entries = fc.array(
    fc.record({
      level: fc.constantFrom(...LEVELS),
      message: fc.string({ unit: 'binary', maxLength: 300 }),
      context: fc.dictionary(fc.string({ unit: 'binary', maxLength: 20 }), fc.jsonValue({ maxDepth: 3 }), {
        maxKeys: 5,
      }),
      laterMs: fc.nat(1_000_000),
    }),
    { minLength: 1, maxLength: 8 },
  )
  const property = fc.asyncProperty(entries, async (given) => {
    const clock = new SimulatedClock()
    const logging = createLogging({ clock, level: 'fatal', format: 'json', write: () => {} })
    const store = storeOf(fresh, clock)
    const observed: LogEntry[] = []
    logging.observe((entry) => {
      observed.push(entry)
      store.log(entry)
    })
    for (const { level, message, context, laterMs } of given) {
      await clock.advance(laterMs)
      logging.log[level](context, message)
    }
    await store.flush()
    const { logs } = await store.getRecentLogs({ limit: given.length })
    const found = [...logs].reverse()
    assert.deepEqual(
      found.map(({ atMs, level, message }) => [atMs, level, message]),
      observed.map(({ atMs, level, message }) => [atMs, NAMES[level], cleanText(message)]),
    )
    assert.deepEqual(
      found.map(({ context }) => context),
      observed.map(({ context }) => JSON.parse(cleanJson(context))),
    )
    assert.deepEqual(
      found.map(({ level }) => level),
      given.map(({ level }) => NAMES[level]),
    )
  })
  await fc.assert(property, RUNS)
})

test('property 12: entries younger than 30 days are kept, older ones are purged', async () => {
  // A time of its own, so that what other tests stored is younger.
  const clock = new SimulatedClock(Date.UTC(2001, 0, 1))
  const store = storeOf(fresh, clock)
  const edge = 30 * DAY_MS
  const age = fc.oneof(fc.integer({ min: edge - 2, max: edge + 2 }), fc.integer({ min: 0, max: 90 * DAY_MS }))
  let run = 0
  const property = fc.asyncProperty(fc.array(age, { maxLength: 12 }), async (agesMs) => {
    run += 1
    const marker = `purge${run}x`
    for (const ageMs of agesMs) {
      store.log({ atMs: clock.wallMs() - ageMs, level: 'info', message: `${marker} ${ageMs}`, context: {} })
    }
    await store.flush()
    await store.purgeOldLogs()
    const { logs } = await store.getRecentLogs({ search: marker, limit: 100 })
    assert.deepEqual(
      logs.map(({ message }) => message).reverse(),
      agesMs.filter((ageMs) => ageMs <= edge).map((ageMs) => `${marker} ${ageMs}`),
    )
    const { rows } = await fresh.ledger.view((session) =>
      session.query('SELECT count(*)::integer AS n FROM fetcher_logs'),
    )
    assert.equal((await store.getRecentLogs({ limit: 1 })).total, rows[0]?.['n'])
  })
  await fc.assert(property, RUNS)
})
