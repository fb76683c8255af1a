import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { startVenueProcess } from '../../src/sim/process.ts'
import { assertSame, expectedTrades, storedTrades, sum, tradesOnTape } from '../support/compare.ts'
import {
  Daemon,
  readTapeLines,
  removeDirectory,
  serverProcesses,
  signalServer,
  temporaryDirectory,
  venueEnvironment,
} from '../support/daemon.ts'

async function running(t: { after(work: () => Promise<void>): void }, seed: number) {
  const directory = await temporaryDirectory()
  const venue = await startVenueProcess({ markets: 200, rate: 1_000, seed, tradeShare: 0.3 })
  const environment = venueEnvironment(venue.urls)
  const dataDir = join(directory, 'data')
  const daemon = await Daemon.start(dataDir, environment)
  t.after(async () => {
    await daemon.end('SIGKILL')
    await signalServer(dataDir, 'SIGQUIT')
    await venue.stop()
    await removeDirectory(directory)
  })
  await daemon.whenHealth('data flows', (body) => {
    return (body['trade_listener'] as { trades_inserted: number }).trades_inserted > 300
  })
  return { daemon, dataDir, environment }
}

test('SIGTERM drains within 25 s, exits 0 and loses nothing accepted', async (t) => {
  const { daemon, dataDir, environment } = await running(t, 3)
  const started = performance.now()
  const result = await daemon.end('SIGTERM')
  const tookMs = performance.now() - started
  assert.equal(result.code, 0, result.stderr.slice(-2_000))
  assert.ok(tookMs < 25_000, `took ${tookMs} ms`)
  assert.match(result.stderr, /rows flushed to the ledger, nothing is left/)
  assert.equal(await signalServer(dataDir, 'SIGCONT'), false, 'the built-in server still runs')
  t.diagnostic(`drained in ${Math.round(tookMs)} ms`)

  const lines = await readTapeLines(dataDir)
  // Whatever the drain said: a second daemon, pointed at nothing, finds every accepted trade in the ledger once.
  const nowhere = { ...environment, TAPEKEEPER_POLYMARKET_ENABLED: 'false' }
  const again = await Daemon.start(dataDir, nowhere)
  t.after(() => again.end('SIGTERM').then(() => undefined))
  await again.whenHealth('the ledger is back', (body) => (body['ledger'] as { state: string }).state === 'ok')
  const accepted = expectedTrades(tradesOnTape(lines))
  assertSame('after the drain', await storedTrades(again), accepted)
  assert.ok(sum(accepted) > 300)
})

test('SIGTERM ends within 25 s while the ledger hangs, and the next start stores what it had not taken', async (t) => {
  const { daemon, dataDir, environment } = await running(t, 5)
  const server = await serverProcesses(dataDir)
  assert.ok(server.length > 3, 'the server and its sessions')
  for (const pid of server) process.kill(pid, 'SIGSTOP')
  t.after(() => server.forEach(wake))
  await daemon.whenHealth(
    'frames wait',
    (body) => (body['trade_listener'] as { queue_depth: number }).queue_depth > 500,
  )
  const started = performance.now()
  const result = await daemon.end('SIGTERM')
  const tookMs = performance.now() - started
  server.forEach(wake)
  assert.equal(result.code, 0, result.stderr.slice(-2_000))
  assert.ok(tookMs < 25_000, `took ${tookMs} ms`)
  assert.match(result.stderr, /\d+ frames stay on the tape for the next start/)
  t.diagnostic(`drained in ${Math.round(tookMs)} ms`)

  const accepted = expectedTrades(tradesOnTape(await readTapeLines(dataDir)))
  const again = await Daemon.start(dataDir, { ...environment, TAPEKEEPER_POLYMARKET_ENABLED: 'false' })
  t.after(() => again.end('SIGTERM').then(() => undefined))
  await again.whenHealth('all is stored', ({ ledger, recorder }) => {
    return (ledger as { state: string }).state === 'ok' && (recorder as { caught_up: boolean }).caught_up
  })
  assertSame('after the drain', await storedTrades(again), accepted)
})

function wake(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT')
  } catch {
    // it has ended
  }
}

test('a second SIGTERM ends at once', async (t) => {
  const { daemon } = await running(t, 4)
  daemon.running.child.kill('SIGSTOP') // both signals are there before it can act on the first
  daemon.running.child.kill('SIGTERM')
  daemon.running.child.kill('SIGCONT')
  await daemon.whenHealth('draining', (body) => body.status === 'stopped', 5_000).catch(() => undefined)
  const started = performance.now()
  const result = await daemon.end('SIGTERM')
  assert.ok(performance.now() - started < 1_000)
  assert.equal(result.code, 143)
})
