import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Daemon, removeDirectory, temporaryDirectory } from '../support/daemon.ts'
import { until } from '../support/processes.ts'
import { NO_SYSTEMD, NotifySocket } from '../support/systemd.ts'

/** On SIGUSR2: an event loop that does not turn, or timers that never fire any more. */
const LOOP = 'process.on("SIGUSR2", () => { for (;;); })'
const TIMERS = 'process.on("SIGUSR2", () => { globalThis.setTimeout = () => ({ unref() {}, ref() {} }) })'
const preload = (code: string) => ({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` })

/** Nothing answers there: attempts fail at once, again and again, and that is no standstill. */
const NOWHERE = {
  TAPEKEEPER_POLYMARKET_GAMMA_URL: 'http://127.0.0.1:9/gamma',
  TAPEKEEPER_POLYMARKET_CLOB_URL: 'http://127.0.0.1:9/clob',
  TAPEKEEPER_POLYMARKET_DATA_URL: 'http://127.0.0.1:9/data',
  TAPEKEEPER_POLYMARKET_WS_URL: 'ws://127.0.0.1:9/ws',
  TAPEKEEPER_POLYMARKET_PRICE_INTERVAL: '1s',
  TAPEKEEPER_WATCHDOG_ENABLED: 'true',
}
const WATCHDOG_MS = 6_000

let directory = ''
before(async () => {
  directory = await temporaryDirectory()
})
after(() => removeDirectory(directory))

/** Wedges a recorder and returns how it ended, and how long that took, ms. */
async function wedge(code: string) {
  const env = { ...NOWHERE, ...preload(code), TAPEKEEPER_WATCHDOG_TIMEOUT: `${WATCHDOG_MS}ms` }
  const daemon = await Daemon.start(directory, env)
  await daemon.whenHealth('a failed cycle', (body) => (body['error_count'] as number) > 0)
  const startMs = performance.now()
  process.kill(daemon.running.pid, 'SIGUSR2')
  const deadline = setTimeout(() => daemon.running.child.kill('SIGKILL'), 90_000)
  const { code: exitCode, stderr } = await daemon.running.ended
  clearTimeout(deadline)
  return { exitCode, stderr, tookMs: performance.now() - startMs, endedMs: Date.now() }
}

test('an event loop that stands still ends the process with 70, within twice the watchdog time', async () => {
  const { exitCode, stderr, tookMs } = await wedge(LOOP)
  assert.equal(exitCode, 70, stderr)
  assert.match(stderr, /nothing moves any more; ends, to be started anew/)
  assert.ok(tookMs < 2 * WATCHDOG_MS, `${tookMs}`)
})

test('collectors that are never called again end the process with 70, though the event loop turns', async () => {
  const { exitCode, stderr, endedMs } = await wedge(TIMERS)
  assert.equal(exitCode, 70, stderr)
  const line = stderr.split('\n').find((one) => one.includes('"level":"fatal"')) ?? '{}'
  const { message, time } = JSON.parse(line) as { message: string; time: string }
  const lateSeconds = Number(
    /^nothing moves any more: polymarket\.\w+ should have begun (\d+)s ago$/.exec(message)?.[1],
  )
  // Late by half of the time and three looks; the end in order cannot succeed without timers, so the thread does it.
  assert.ok(lateSeconds * 1000 <= WATCHDOG_MS, message)
  assert.ok(endedMs - Date.parse(time) < WATCHDOG_MS, `${endedMs - Date.parse(time)}`)
})

test('a stopped process is not fed any more: systemd starts it anew within twice its time', {
  skip: NO_SYSTEMD,
}, async () => {
  const socket = await NotifySocket.open(directory)
  const usec = { WATCHDOG_USEC: String(WATCHDOG_MS * 1000), NOTIFY_SOCKET: socket.path }
  const fed = () => socket.told('WATCHDOG=1').length
  const first = await Daemon.start(directory, { ...NOWHERE, ...usec })
  try {
    await until('it is ready', () => (socket.told('READY=1').length === 1 ? true : undefined), 30_000)
    await until('it is fed again and again', () => (fed() >= 3 ? true : undefined), 60_000)
    assert.ok(socket.told('STATUS=').length > 0, socket.messages.join())
    first.running.child.kill('SIGSTOP')
    const startMs = performance.now()
    // What systemd does: kill a service that has not been heard of for its time, and start it anew.
    await until(
      'its time is over',
      () => (performance.now() - socket.lastFedMs > WATCHDOG_MS ? true : undefined),
      60_000,
    )
    const { signal } = await first.end('SIGKILL')
    assert.equal(signal, 'SIGKILL')
    const tookMs = performance.now() - startMs
    const before = fed()
    const second = await Daemon.start(directory, { ...NOWHERE, ...usec })
    await until('the next one is ready and fed', () => (fed() > before ? true : undefined), 30_000)
    assert.ok(tookMs < 2 * WATCHDOG_MS, `${tookMs}`)
    const { code } = await second.end('SIGTERM')
    assert.equal(code, 0)
    assert.deepEqual([socket.told('READY=1').length, socket.told('STOPPING=1').length], [2, 1])
  } finally {
    await first.end('SIGKILL')
    await socket.close()
  }
})
