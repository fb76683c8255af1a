import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ConnectionAccount } from '../../src/sim/account.ts'
import { startVenueProcess } from '../../src/sim/process.ts'
import { startProxyProcess } from '../../src/sim/proxy-process.ts'
import { Daemon, type HealthBody, removeDirectory, temporaryDirectory, venueEnvironment } from '../support/daemon.ts'
import { until } from '../support/processes.ts'

const CONNECTIONS = 40
const TOKENS_PER_CONNECTION = 10
/** The budget of one host: so many at once, then so many a second. */
const CONNECTS_PER_SECOND = 10
const REFUSED_MS = 8_000

function connectionsOf(body: HealthBody): number {
  return (body['trade_listener'] as { connections_active: number }).connections_active
}

/** The most of these times (ms) that lie within any one second. */
function mostInOneSecond(times: readonly number[]): number {
  return Math.max(...times.map((from) => times.filter((time) => time >= from && time < from + 1_000).length))
}

test(`${CONNECTIONS} connections dropped at once come back apart, within the budget of one host`, async (t) => {
  const directory = await temporaryDirectory()
  const markets = (CONNECTIONS * TOKENS_PER_CONNECTION) / 2
  const venue = await startVenueProcess({ markets, rate: 400, seed: 40 })
  const proxy = await startProxyProcess(venue.urls, 40)
  const daemon = await Daemon.start(join(directory, 'data'), {
    ...venueEnvironment(proxy.urls),
    TAPEKEEPER_POLYMARKET_MAX_TOKENS_PER_CONNECTION: String(TOKENS_PER_CONNECTION),
  })
  t.after(async () => {
    await daemon.end('SIGTERM')
    await proxy.stop()
    await venue.stop()
    await removeDirectory(directory)
  })
  await daemon.whenHealth('everything is connected', (body) => {
    return body.status === 'healthy' && connectionsOf(body) === CONNECTIONS
  })
  const opened = async (since: number) => {
    const { connections } = await venue.account()
    return connections.filter((one: ConnectionAccount) => one.conn > since).map((one) => one.openedMs)
  }

  const before = (await venue.account()).connections.length
  assert.equal((await venue.control({ closeConnections: { code: 1012, reason: 'restart' } }))['ended'], CONNECTIONS)
  const times = await until(
    'every connection is back',
    async () => {
      const found = await opened(before)
      return found.length >= CONNECTIONS ? found : undefined
    },
    60_000,
  )
  const spreadMs = Math.max(...times) - Math.min(...times)
  // The burst and what a second adds to it.
  assert.ok(mostInOneSecond(times) <= 2 * CONNECTS_PER_SECOND, `${mostInOneSecond(times)} in one second`)
  assert.ok(spreadMs >= ((CONNECTIONS - CONNECTS_PER_SECOND) / CONNECTS_PER_SECOND) * 1_000 * 0.9, `${spreadMs} ms`)
  t.diagnostic(`${times.length} were back within ${spreadMs} ms, at most ${mostInOneSecond(times)} in one second`)
  await daemon.whenHealth('everything is connected again', (body) => {
    return body.status === 'healthy' && connectionsOf(body) === CONNECTIONS
  })

  // A venue that is away for longer: the pauses grow, so that it is asked less and less, and never by all at once.
  const { counts } = await proxy.account()
  const refusedMs: number[] = []
  await proxy.control({ refuse: true, reset: { kind: 'websocket' } })
  const endMs = performance.now() + REFUSED_MS
  let seen = counts.refused
  await until(
    'the time without a venue is over',
    async () => {
      const now = (await proxy.account()).counts.refused
      for (; seen < now; seen += 1) refusedMs.push(performance.now())
      return performance.now() >= endMs ? true : undefined
    },
    REFUSED_MS * 4,
  )
  // The polling collectors ask as well, a few times each.
  const budget = CONNECTS_PER_SECOND * (REFUSED_MS / 1_000 + 1) + 20
  assert.ok(refusedMs.length <= budget, `${refusedMs.length} attempts in ${REFUSED_MS} ms`)
  assert.ok(refusedMs.length >= CONNECTIONS / 2, `only ${refusedMs.length} attempts`)
  t.diagnostic(`${refusedMs.length} attempts in ${REFUSED_MS} ms without a venue`)
  await proxy.control({ heal: true })
  await daemon.whenHealth('everything is connected once more', (body) => {
    return body.status === 'healthy' && connectionsOf(body) === CONNECTIONS
  })
})
