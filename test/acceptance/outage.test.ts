import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { startVenueProcess } from '../../src/sim/process.ts'
import { accountTrades, assertSame, storedTrades } from '../support/compare.ts'
import { Daemon, removeDirectory, temporaryDirectory, venueEnvironment } from '../support/daemon.ts'
import { startServer } from '../support/database-server.ts'
import { until } from '../support/processes.ts'

test('a database that is absent at start and stopped for 30 s later loses and doubles nothing', async (t) => {
  const directory = await temporaryDirectory()
  const server = await startServer(join(directory, 'cluster'))
  const venue = await startVenueProcess({ markets: 100, rate: 500, seed: 5, tradeShare: 0.3 })
  t.after(async () => {
    await venue.stop()
    await server.stop()
    await removeDirectory(directory)
  })
  await server.stop()
  const environment = { ...venueEnvironment(venue.urls), DATABASE_URL: server.url }
  const daemon = await Daemon.start(join(directory, 'data'), environment)
  t.after(() => daemon.end('SIGTERM').then(() => undefined))

  await daemon.whenHealth('the tape records although there is no database', (body) => {
    return body.status === 'degraded' && (body['tape'] as { frames_accepted: number }).frames_accepted > 1_000
  })
  await server.start()
  await daemon.whenHealth('healthy once the database is there', (body) => body.status === 'healthy')
  assert.match(daemon.running.stderr, /Applied \d+ migrations/)

  await server.stop()
  const stopped = performance.now()
  await daemon.whenHealth('degraded while the database is away', (body) => body.status === 'degraded', 20_000)
  assert.equal((await fetch(`${daemon.healthUrl}/health`)).status, 503)
  await until('30 s without a database', () => (performance.now() - stopped > 30_000 ? true : undefined), 40_000)
  await server.start()
  await daemon.whenHealth('healthy again', (body) => body.status === 'healthy', 90_000)

  await venue.control({ drain: true })
  const { totals } = await venue.account()
  await daemon.whenHealth('everything sent is in the ledger', (body) => {
    const listener = body['trade_listener'] as { frames_received: number; queue_depth: number }
    const recorder = body['recorder'] as { behind_bytes: number }
    return listener.frames_received >= totals.frames && listener.queue_depth === 0 && recorder.behind_bytes === 0
  })
  await daemon.forgetLedger()
  const expected = accountTrades(await venue.trades())
  assertSame('trades', await storedTrades(daemon), expected)
  t.diagnostic(`${expected.size} trades`)
  const complaints = daemon.running.stderr.split('\n').filter((line) => /"level":"(warn|error)"/.test(line))
  assert.ok(complaints.length < 40, `${complaints.length} complaints are a flood:\n${complaints.join('\n')}`)
})
