import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { startVenueProcess } from '../../src/sim/process.ts'
import { accountTrades, assertSame, storedTrades, sum } from '../support/compare.ts'
import { Daemon, type HealthBody, removeDirectory, temporaryDirectory, venueEnvironment } from '../support/daemon.ts'
import { startServer } from '../support/database-server.ts'
import { readProcessMemory } from '../support/memory.ts'

/** The feed whose hour is meant, frames a second. */
const FEED_RATE = 1_000
/** An hour of it is 3,600,000; four minutes of it show the same and fit a build. */
const FRAMES = Number(process.env['TAPEKEEPER_TEST_OUTAGE_FRAMES'] ?? 240_000)
/** How fast those frames are produced while the database is away. */
const OUTAGE_RATE = 5_000
const SAMPLE_MS = 250
const RSS_MIB_MAX = 400e6 / 2 ** 20

const skip = readProcessMemory(process.pid) === null ? 'there is no /proc to read memory from' : false
const minutes = Math.round(FRAMES / FEED_RATE / 60)
const title = `${minutes} min of ${FEED_RATE} frames/s without a database: flat memory, quick catch-up, nothing lost`

function accepted(body: HealthBody): number {
  return (body['tape'] as { frames_accepted: number }).frames_accepted
}

function bytesAccepted(body: HealthBody): number {
  return (body['tape'] as { bytes_accepted: number }).bytes_accepted
}

function behind(body: HealthBody): number {
  return (body['recorder'] as { behind_bytes: number | null }).behind_bytes ?? Number.POSITIVE_INFINITY
}

test(title, { skip }, async (t) => {
  const directory = await temporaryDirectory()
  const server = await startServer(join(directory, 'cluster'))
  const venue = await startVenueProcess({ markets: 200, rate: FEED_RATE, levels: 10, batchMax: 8, seed: 36 })
  const environment = { ...venueEnvironment(venue.urls), DATABASE_URL: server.url }
  const daemon = await Daemon.start(join(directory, 'data'), environment)
  t.after(async () => {
    await daemon.end('SIGTERM')
    await venue.stop()
    await server.stop()
    await removeDirectory(directory)
  })
  await daemon.whenHealth('data flows', (body) => body.status === 'healthy' && accepted(body) > 2_000)

  await server.stop()
  const away = await daemon.whenHealth('the database is missed', (body) => body.status === 'degraded', 30_000)
  await venue.control({ rate: OUTAGE_RATE })
  const samples: number[] = []
  const held: number[] = []
  let body = away
  for (; accepted(body) - accepted(away) < FRAMES; body = await daemon.health()) {
    samples.push(readProcessMemory(daemon.running.pid)?.rssMib ?? Number.NaN)
    held.push(await readHeldMib(daemon))
    assert.ok(daemon.running.alive)
    await delay(SAMPLE_MS)
  }
  // The least of a quarter is what is held: what lies above it is garbage, whose size is the collector's affair.
  const quarter = (index: number) => Math.min(...held.slice((held.length * index) / 4, (held.length * (index + 1)) / 4))
  const [early, late] = [quarter(1), quarter(3)]
  const cameMib = (bytesAccepted(body) - bytesAccepted(away)) / 2 / 1_048_576
  t.diagnostic(
    `${accepted(body) - accepted(away)} frames without a database; held ${round(early)}, later ${round(late)} MiB,` +
      ` while ${round(cameMib)} MiB came; RSS at most ${round(Math.max(...samples))} MiB`,
  )
  assert.ok(late - early < cameMib / 4, `memory grows: ${early}, then ${late} MiB, while ${cameMib} MiB came`)
  assert.ok(Math.max(...samples) < RSS_MIB_MAX, `${Math.max(...samples)} MiB`)

  await venue.control({ rate: FEED_RATE })
  await server.start()
  // From here on, so that the pause before the recorder's next attempt counts as well.
  const startedMs = performance.now()
  const back = await daemon.whenHealth(
    'the database is back',
    (now) => (now['ledger'] as { state: string }).state === 'ok',
  )
  const bytesPerFrame = behind(back) / (accepted(back) - accepted(away))
  // What a second of the feed is may always be on its way.
  const level = await daemon.whenHealth('caught up', (now) => behind(now) < bytesPerFrame * FEED_RATE, 1_800_000)
  const seconds = (performance.now() - startedMs) / 1_000
  const rate = (accepted(level) - accepted(away)) / seconds
  t.diagnostic(`caught up in ${seconds.toFixed(1)} s: ${Math.round(rate)} frames/s, while ${FEED_RATE} came in`)
  assert.ok(rate >= 2 * FEED_RATE, `only ${Math.round(rate)} frames/s`)

  await venue.control({ drain: true })
  await daemon.whenHealth('the ledger has all of the tape', (now) => {
    const { queue_depth: depth } = now['trade_listener'] as { queue_depth: number }
    return depth === 0 && behind(now) === 0
  })
  const expected = accountTrades(await venue.trades())
  assertSame('trades', await storedTrades(daemon), expected)
  t.diagnostic(`${sum(expected)} trades`)
})

/** What the daemon's JavaScript holds at this moment, garbage included. */
async function readHeldMib(daemon: Daemon): Promise<number> {
  const text = await (await fetch(`${daemon.apiUrl}/metrics`)).text()
  const bytes = ['nodejs_heap_size_used_bytes', 'nodejs_external_memory_bytes'].map((name) =>
    Number(new RegExp(`^tapekeeper_${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN),
  )
  return bytes.reduce((total, value) => total + value, 0) / 1_048_576
}

function round(value: number): number {
  return Math.round(value)
}
