import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startVenueProcess } from '../../src/sim/process.ts'
import { assertSame, expectedTrades, storedTrades, sum, tradesOnTape } from '../support/compare.ts'
import {
  Daemon,
  type HealthBody,
  readTapeLines,
  removeDirectory,
  temporaryDirectory,
  venueEnvironment,
} from '../support/daemon.ts'
import { startServer } from '../support/database-server.ts'
import { readProcessMemory } from '../support/memory.ts'
import { until } from '../support/processes.ts'

const DISK_MIB = 12
const FULL_MS = 15_000

const isRoot = process.getuid?.() === 0
const skip = isRoot ? false : 'mounting a small disk needs root'

interface Tape {
  readonly state: string
  readonly trouble: string | null
  readonly frames_accepted: number
  readonly frames_refused: number
  readonly pending_bytes: number
}

function tapeOf(body: HealthBody): Tape {
  return body['tape'] as Tape
}

function connectionsOf(body: HealthBody): number {
  return (body['trade_listener'] as { connections_active: number }).connections_active
}

/** A small disk of the test's own; null where it cannot be mounted. */
async function smallDisk(path: string): Promise<string | null> {
  await mkdir(path)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m,mode=755`, 'tmpfs', path])
  if (mounted.status !== 0) return null
  return path
}

test('a disk that fills while the feed runs: acceptance stops, health says so, nothing accepted is lost', {
  skip,
}, async (t) => {
  const directory = await temporaryDirectory()
  const disk = await smallDisk(join(directory, 'disk'))
  if (disk === null) {
    await removeDirectory(directory)
    return t.skip('a tmpfs cannot be mounted here')
  }
  const server = await startServer(join(directory, 'cluster'))
  const venue = await startVenueProcess({ markets: 100, rate: 1_000, seed: 12, tradeShare: 0.3 })
  const ballast = join(disk, 'ballast')
  await writeFile(ballast, Buffer.alloc((DISK_MIB - 8) << 20))
  const daemon = await Daemon.start(join(disk, 'data'), { ...venueEnvironment(venue.urls), DATABASE_URL: server.url })
  t.after(async () => {
    await daemon.end('SIGTERM')
    await venue.stop()
    await server.stop()
    spawnSync('umount', ['-l', disk])
    await removeDirectory(directory)
  })
  await daemon.whenHealth('data flows', (body) => body.status === 'healthy' && tapeOf(body).frames_accepted > 1_000)

  const full = await daemon.whenHealth('the full disk is seen', (body) => tapeOf(body).state === 'failed', 60_000)
  assert.equal(full.status, 'degraded')
  assert.match(tapeOf(full).trouble ?? '', /no space|ENOSPC/i)
  assert.ok(
    (full['reasons'] as string[]).some((reason) => /tape/i.test(reason)),
    JSON.stringify(full['reasons']),
  )
  assert.equal((await fetch(`${daemon.healthUrl}/health`)).status, 503)
  await daemon.whenHealth('nothing is received any more', (body) => connectionsOf(body) === 0, 10_000)

  // Whatever is neither on the disk nor refused would have to be in memory.
  const before = await daemon.health()
  const memoryBefore = readProcessMemory(daemon.running.pid)?.rssMib ?? Number.NaN
  const filled = performance.now()
  await until('a while with a full disk', () => (performance.now() - filled > FULL_MS ? true : undefined), FULL_MS * 2)
  const after = await daemon.health()
  const grownMib = (readProcessMemory(daemon.running.pid)?.rssMib ?? Number.NaN) - memoryBefore
  assert.equal(after.status, 'degraded')
  assert.equal(tapeOf(after).state, 'failed')
  assert.equal(tapeOf(after).frames_accepted, tapeOf(before).frames_accepted)
  assert.equal(tapeOf(after).pending_bytes, tapeOf(before).pending_bytes)
  assert.ok(tapeOf(after).pending_bytes < 8 << 20, `${tapeOf(after).pending_bytes} bytes wait`)
  assert.ok(grownMib < 50, `memory grew by ${grownMib} MiB while nothing could be accepted`)
  const connectionsRefused = await venue.account()
  t.diagnostic(`accepted ${tapeOf(after).frames_accepted}, refused ${tapeOf(after).frames_refused}`)
  t.diagnostic(`${tapeOf(after).pending_bytes} bytes wait; memory grew by ${grownMib.toFixed(1)} MiB`)
  t.diagnostic(JSON.stringify(connectionsRefused.totals))

  await rm(ballast)
  const freed = performance.now()
  const again = await daemon.whenHealth(
    'data flows again',
    (body) => body.status === 'healthy' && tapeOf(body).frames_accepted > tapeOf(after).frames_accepted + 500,
  )
  t.diagnostic(`data flows ${Math.round(performance.now() - freed)} ms after there was space`)
  assert.equal(tapeOf(again).state, 'ok')
  assert.equal(tapeOf(again).trouble, null)

  await venue.control({ drain: true })
  await daemon.whenHealth('the ledger has all of the tape', (body) => {
    const { queue_depth: depth } = body['trade_listener'] as { queue_depth: number }
    return (
      depth === 0 &&
      (body['recorder'] as { behind_bytes: number }).behind_bytes === 0 &&
      tapeOf(body).pending_bytes === 0
    )
  })
  const lines = await readTapeLines(daemon.dataDir)
  const accepted = expectedTrades(tradesOnTape(lines))
  assertSame('accepted trades', await storedTrades(daemon), accepted)
  t.diagnostic(`${sum(accepted)} trades in ${lines.length} lines`)
  assert.equal(tapeOf(await daemon.health()).frames_accepted, lines.filter((line) => !line.includes('"mark":')).length)
  assert.ok(
    lines.some((line) => line.includes('"mark":"refused"')),
    'the tape says where the hole begins',
  )
  const complaints = daemon.running.stderr.split('\n').filter((line) => /"level":"(warn|error)"/.test(line)).length
  assert.ok(complaints < 25, `${complaints} complaints are a flood:\n${daemon.running.stderr.slice(-4_000)}`)
  assert.equal((await daemon.end('SIGTERM')).code, 0)
})
