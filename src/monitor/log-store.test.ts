import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { TransientError } from '../core/errors.ts'
import type { Sessions } from '../ledger/ledger.ts'
import { type FreshLedger, freshLedger, quietLogger } from '../ledger/test-server.ts'
import { createAbort } from '../runtime/abort.ts'
import { createLogging, type Logging } from '../runtime/logging.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { LogStore, type LogStoreOptions } from './log-store.ts'

const DAY_MS = 86_400_000

let fresh: FreshLedger
before(async () => {
  fresh = await freshLedger()
})
after(() => fresh.ledger.close())

function create(options: Partial<LogStoreOptions> = {}): { store: LogStore; clock: SimulatedClock; logging: Logging } {
  const clock = new SimulatedClock(Date.UTC(2026, 9, 1))
  const logging = createLogging({ clock, level: 'fatal', format: 'json', write: () => {} })
  const { ledger } = fresh
  const store = new LogStore({ clock, ledger, log: logging.log, retentionMs: 30 * DAY_MS, ...options })
  logging.observe((entry) => store.log(entry))
  return { store, clock, logging }
}

/** A ledger that can be away. */
function fickle(): Sessions & { away: boolean } {
  const gate = async () => {
    if (it.away) throw new TransientError('the database cannot be reached')
  }
  const it: Sessions & { away: boolean } = {
    away: true,
    view: (work) => gate().then(() => fresh.ledger.view(work)),
    write: (work) => gate().then(() => fresh.ledger.write(work)),
  }
  return it
}

describe('what was logged', () => {
  test('is kept with time, level, message and context, from info up', async () => {
    const { store, logging, clock } = create()
    const { log } = logging
    log.debug({}, 'not kept')
    log.info({ markets: 3, password: 'hunter2' }, 'one')
    const cause = new Error('the socket closed')
    log.child({ collector: 'x' }).error({ err: new Error('no answer', { cause }) }, 'two \u0000 postgres://me:pw@db')
    await clock.advance(5)
    log.fatal({}, 'three')
    await store.flush()
    const { logs, total } = await store.getRecentLogs({ limit: 10 })
    assert.equal(total, 3)
    assert.deepEqual(
      logs.map(({ level, message, atMs }) => [level, message, atMs - clock.wallMs()]),
      [
        ['CRITICAL', 'three', 0],
        ['ERROR', 'two \uFFFD postgres://me:***@db', -5],
        ['INFO', 'one', -5],
      ],
    )
    assert.deepEqual(logs[2]?.context, { markets: 3, password: '***' })
    const err = logs[1]?.context['err'] as { stack: string; cause: { message: string; stack: string } }
    assert.match(err.stack, /log-store\.test/)
    assert.deepEqual([err.cause.message, logs[1]?.context['collector']], ['the socket closed', 'x'])
  })

  test('is found by level and by words', async () => {
    const { store, logging } = create()
    const before = (await store.getRecentLogs({ limit: 1 })).logs[0]?.id ?? 0
    for (let n = 0; n < 30; n += 1) logging.log.info({}, `polymarket.prices: Zürich number ${n}`)
    logging.log.warn({}, 'polymarket.prices failed')
    await store.flush()
    const found = async (search: string, more = {}) => {
      const { logs, total } = await store.getRecentLogs({ search, ...more })
      return [logs.filter(({ id }) => id > before).length, total]
    }
    assert.deepEqual(await found('pric züri'), [30, 30])
    assert.deepEqual(await found('prices'), [31, 31])
    assert.deepEqual(await found('prices', { levels: ['WARNING'] }), [1, 1])
    assert.deepEqual(await found('number 7'), [1, 1])
    assert.deepEqual(await found('rices'), [0, 0])
    assert.deepEqual(await found("x' | !:*"), [0, 0])
    const both = await store.getRecentLogs({ levels: ['WARNING', 'CRITICAL'], limit: 2 })
    assert.deepEqual(
      both.logs.map(({ level }) => level),
      ['WARNING', 'CRITICAL'],
    )
    assert.equal(both.total, 2)
  })
})

describe('while the database is away', () => {
  test('entries wait, what does not fit is counted and told of afterwards', async () => {
    const ledger = fickle()
    const { store, logging, clock } = create({ ledger, limits: { entriesMax: 5, batchEntriesMax: 2 } })
    const stop = createAbort()
    const running = store.run(stop.signal)
    for (let n = 0; n < 8; n += 1) logging.log.info({}, `outage ${n}`)
    await clock.advance(60_000)
    assert.deepEqual(store.status(), { queued: 5, stored: 0, dropped: 3, trouble: 'the database cannot be reached' })
    ledger.away = false
    const stored = new Promise<void>((resolve) => {
      const look = () => (store.status().stored >= 6 ? resolve() : setImmediate(look))
      look()
    })
    await clock.advance(30_000)
    await stored
    const { logs } = await store.getRecentLogs({ limit: 6 })
    assert.deepEqual(
      logs.map(({ message }) => message),
      ['3 log entries could not be stored and are not in the ledger', ...[4, 3, 2, 1, 0].map((n) => `outage ${n}`)],
    )
    assert.equal(logs[0]?.context['dropped'], 3)
    stop.abort()
    await running
    assert.deepEqual(clock.pending(), [])
  })

  test('the size of entries counts too, and closing does not wait for ever', async () => {
    const { store, logging, clock } = create({ ledger: fickle(), limits: { bytesMax: 1_000 } })
    for (let n = 0; n < 3; n += 1) logging.log.info({ text: 'x'.repeat(600) }, 'large')
    assert.deepEqual([store.status().queued, store.status().dropped], [1, 2])
    const hanging: Sessions = { view: () => new Promise(() => {}), write: () => new Promise(() => {}) }
    const stuck = create({ ledger: hanging })
    stuck.logging.log.info({}, 'never')
    const closing = stuck.store.close(1_000)
    await stuck.clock.advance(1_000)
    await closing
    await store.close(1_000)
    assert.deepEqual(clock.pending(), [])
  })

  test('an entry that is refused costs only itself, and its refusal is told once', async () => {
    const refused = Object.assign(new Error('value too long'), { code: '22001', severity: 'ERROR' })
    let poison = 0
    const ledger: Sessions = {
      view: (work) => fresh.ledger.view(work),
      write: (work) =>
        fresh.ledger.write(async (session) => {
          const query: typeof session.query = async (text, values) => {
            if (!JSON.stringify(values).includes('poison')) return session.query(text, values)
            poison += 1
            throw refused
          }
          return work({ query })
        }),
    }
    const { store, logging } = create({ ledger })
    for (const word of ['a', 'poison', 'b']) logging.log.info({}, word)
    await store.flush()
    assert.deepEqual(
      (await store.getRecentLogs({ limit: 3 })).logs.map(({ message }) => message),
      ['1 log entries could not be stored and are not in the ledger', 'b', 'a'],
    )
    assert.deepEqual([store.status().dropped, poison], [1, 2])
  })
})

test('old entries go in small batches, younger ones stay, and the counts stay right', async () => {
  const own = await freshLedger()
  try {
    const clock = new SimulatedClock(Date.UTC(2026, 9, 1))
    const log = quietLogger()
    const limits = { purgeBatchMax: 3 }
    const store = new LogStore({ clock, ledger: own.ledger, log, retentionMs: 30 * DAY_MS, limits })
    for (let day = 0; day < 40; day += 1) {
      const atMs = clock.wallMs() - (40 - day) * DAY_MS
      store.log({ atMs, level: day % 2 === 0 ? 'info' : 'error', message: `day ${day}`, context: {} })
    }
    await store.flush()
    assert.equal(await store.purgeOldLogs(), 10)
    const { logs, total } = await store.getRecentLogs({ limit: 100 })
    assert.deepEqual([logs.length, total, logs.at(-1)?.message], [30, 30, 'day 10'])
    assert.equal((await store.getRecentLogs({ levels: ['ERROR'], limit: 1 })).total, 15)
    assert.equal(await store.purgeOldLogs(), 0)
  } finally {
    await own.ledger.close()
  }
})
