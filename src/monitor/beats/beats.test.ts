import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { healthyBoard } from '../../../test/support/board.ts'
import { Receiver } from '../../../test/support/receivers.ts'
import type { PollingCollector } from '../../core/collector.ts'
import { TransientError } from '../../core/errors.ts'
import type { StatusBoard } from '../../core/status.ts'
import { quietLogger } from '../../ledger/test-server.ts'
import { createLogging } from '../../runtime/logging.ts'
import { createPoster } from '../../runtime/post.ts'
import { Supervisor } from '../../runtime/supervisor.ts'
import { SimulatedClock } from '../../sim/clock.ts'
import { type BeatSink, Beats } from './beats.ts'
import { createPings } from './pings.ts'
import { createSentry } from './sentry.ts'

const poster = createPoster()
let receiver: Receiver
before(async () => {
  receiver = await Receiver.start()
})
afterEach(() => {
  Object.assign(receiver, { asked: 0, status: 200 })
  receiver.received.length = 0
})
after(async () => {
  await poster.close()
  await receiver.stop()
})

const log = quietLogger()
const NOTHING_YET = () => Promise.resolve()

/** Two collectors under a real supervisor, a stream beside them, and whoever waits for their signs of life. */
function stage(make: (clock: SimulatedClock, signal: AbortSignal) => readonly BeatSink[]) {
  const clock = new SimulatedClock()
  const stop = new AbortController()
  const state = { fails: false, cycles: 0, streamMs: 0, draining: false }
  const collector = (name: string, intervalMs: number, work: () => Promise<void>): PollingCollector => ({
    name,
    intervalMs,
    critical: true,
    async collectOnce() {
      await clock.sleep(1_500, stop.signal)
      await work()
      state.cycles += 1
      return { items: 1, details: {} }
    },
  })
  const board = (): StatusBoard => {
    const healthy = healthyBoard()
    const stream = healthy.collectors.filter(({ kind }) => kind === 'streaming')
    const streams = stream.map((one) => ({ ...one, lastUsefulMs: state.streamMs }))
    return { ...healthy, draining: state.draining, collectors: [...supervisor.status(), ...streams] }
  }
  const beats = new Beats({ clock, board, sinks: make(clock, stop.signal), signal: stop.signal })
  const supervisor = new Supervisor({ clock, random: () => 0, log, cycles: null, listener: beats })
  supervisor.addPolling(collector('fast.one', 5_000, NOTHING_YET))
  supervisor.addPolling(
    collector('slow.two', 300_000, async () => {
      if (state.fails) throw new TransientError('no answer')
    }),
  )
  supervisor.start()
  const running = beats.run()
  return {
    clock,
    state,
    async end() {
      stop.abort()
      await supervisor.stop(0)
      await running
    },
  }
}

const pathsOf = () => receiver.received.map(({ path }) => path)

test('a dead-man’s switch of each collector hears of starts, successes and failures, once a minute', async () => {
  const url = `${receiver.url}/key/tape-{collector}?create=1`
  const it = stage((clock) => [createPings({ url, poster, clock, log, userAgent: 'tapekeeper/test' })])
  await it.clock.advance(58_000)
  await receiver.untilAsked(4)
  const ok = (name: string) => [`/key/tape-${name}/start?create=1`, `/key/tape-${name}?create=1`]
  assert.deepEqual(pathsOf().sort(), [...ok('fast-one'), ...ok('slow-two')].sort())
  assert.ok(it.state.cycles > 10)

  it.state.fails = true
  await it.clock.advance(245_000)
  await receiver.untilAsked(16)
  const later = pathsOf().slice(4)
  assert.deepEqual(
    later.filter((path) => path.includes('slow')),
    ['/key/tape-slow-two/start?create=1', '/key/tape-slow-two/fail?create=1'],
  )
  assert.deepEqual(
    later.filter((path) => path.includes('trades')),
    [],
    'a stream without an answer says nothing',
  )
  it.state.streamMs = it.clock.wallMs()
  await it.clock.advance(240_000)
  await receiver.untilAsked(16 + 1 + 4 * 2)
  await it.end()
  assert.deepEqual(
    pathsOf().filter((path) => path.includes('trades')),
    ['/key/tape-polymarket-trades?create=1'],
    'once for one answer',
  )
})

test('a dead-man’s switch of the whole is pinged while it is healthy, and never otherwise', async () => {
  const it = stage((clock) => [
    createPings({ url: `${receiver.url}/uuid`, poster, clock, log, userAgent: 'tapekeeper/test' }),
  ])
  await it.clock.advance(120_000)
  await receiver.untilAsked(2)
  it.state.fails = true
  await it.clock.advance(480_000)
  assert.deepEqual(
    pathsOf(),
    Array.from({ length: 5 }, () => '/uuid'),
    'until the cycle of the fifth minute has failed',
  )
  it.state.fails = false
  await it.clock.advance(299_000)
  await receiver.untilAsked(5 + 4)
  const before = receiver.asked
  it.state.draining = true
  await it.clock.advance(300_000)
  await it.end()
  assert.equal(receiver.asked, before)
})

const DSN_PATH = '/api/42/envelope/'

/** What an envelope holds, without its head. */
const itemsOf = (body: string) =>
  body
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .slice(2)

test('Sentry gets check-ins with the configuration of their monitor, and errors without secrets', async () => {
  const dsn = receiver.url.replace('//', '//public@')
  const clock = new SimulatedClock()
  const settings = { environment: 'attic', recorder: 'r', version: '1.2.3', clock, poster }
  const signal = new AbortController().signal
  const sentry = await createSentry({ ...settings, dsn: `${dsn}/42`, signal })
  const it = stage(() => [sentry])
  await it.clock.advance(2_000)
  await receiver.untilAsked(4)
  it.state.fails = true
  await it.clock.advance(302_000)
  await receiver.untilAsked(4 + 2 + 5 * 2)
  await it.end()
  const checkIns = receiver.received.flatMap(({ body }) => itemsOf(body))
  const slow = checkIns.filter((one) => one['monitor_slug'] === 'tapekeeper-slow-two')
  const monitor = { checkin_margin: 5, max_runtime: 20, failure_issue_threshold: 2, recovery_threshold: 1 }
  const common = {
    monitor_slug: 'tapekeeper-slow-two',
    release: 'tapekeeper@1.2.3',
    environment: 'attic',
    monitor_config: { schedule: { type: 'interval', value: 5, unit: 'minute' }, ...monitor },
  }
  const [first, second] = [slow[0]?.['check_in_id'], slow[2]?.['check_in_id']]
  assert.notEqual(first, second)
  const expected = [
    { ...common, check_in_id: first, status: 'in_progress' },
    { ...common, check_in_id: first, status: 'ok', duration: 1.5 },
    { ...common, check_in_id: second, status: 'in_progress' },
    { ...common, check_in_id: second, status: 'error', duration: 1.5 },
  ]
  assert.deepEqual(
    slow.map(({ contexts: _trace, ...rest }) => rest),
    expected,
  )
  assert.deepEqual(new Set(pathsOf().map((path) => path.split('?')[0])), new Set([DSN_PATH]))

  receiver.received.length = 0
  const logging = createLogging({ clock, level: 'fatal', format: 'json', write: () => {} })
  logging.addSecret('hunter2!')
  logging.observe((entry) => sentry.report(entry))
  const cause = new Error('the socket of hunter2! closed')
  for (let n = 0; n < 3; n += 1) logging.log.error({ err: new Error('no answer', { cause }), n }, `attempt ${n} failed`)
  logging.log.warn({}, 'not worth it')
  for (let n = 0; n < 40; n += 1) logging.log.error({}, `${'x'.repeat(n)} is wrong`)
  await sentry.flush(1_000)
  const [event] = itemsOf(receiver.received[0]?.body ?? '') as Record<string, never>[]
  const values = event?.['exception']?.['values'] as unknown as {
    type: string
    value: string
    stacktrace: { frames: unknown[] }
  }[]
  assert.deepEqual(
    values.map(({ type, value }) => [type, value]),
    [
      ['Error', 'the socket of *** closed'],
      ['Error', 'no answer'],
    ],
  )
  assert.ok((values[1]?.stacktrace.frames.length ?? 0) > 0)
  const { level, message, release, environment, server_name: server } = event ?? {}
  assert.deepEqual(
    [level, message, release, environment, server],
    ['error', 'attempt 0 failed', 'tapekeeper@1.2.3', 'attic', 'r'],
  )
  assert.deepEqual([receiver.received.length, sentry.dropped], [30, 11], 'one of the same kind, 30 an hour')
  assert.doesNotMatch(receiver.received.map(({ body }) => body).join(), /hunter2/)
  await assert.rejects(createSentry({ ...settings, dsn: 'https://nothing.example/', signal }), /sentry\.dsn is no DSN/)
})

test('services that hang or refuse neither delay nor fail a cycle, and what they missed is counted', async () => {
  const hanging = { ...poster, post: () => new Promise<void>(() => {}), exchange: () => new Promise<never>(() => {}) }
  const dsn = `${receiver.url.replace('//', '//public@')}/42`
  const rest = { environment: 'e', recorder: 'r', version: '1', poster: hanging }
  const sentry = await createSentry({ ...rest, dsn, clock: new SimulatedClock(), signal: new AbortController().signal })
  const broken: BeatSink = {
    started: () => assert.fail('a bug'),
    finished: () => assert.fail('a bug'),
    healthy: () => {},
  }
  const url = 'http://127.0.0.1:9/{collector}'
  const it = stage((clock) => [
    sentry,
    createPings({ url, poster: hanging, clock, log, userAgent: 'x' }),
    createPings({ url, poster, clock, log, userAgent: 'x' }),
    broken,
  ])
  await it.clock.advance(600_000)
  assert.equal(it.state.cycles, 120 + 2)
  await it.end()
})
