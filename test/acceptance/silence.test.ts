import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startVenueProcess, type VenueProcess } from '../../src/sim/process.ts'
import { readTape } from '../faults/evidence.ts'
import { describeSilent, readGaps, readSettledCoverage } from '../support/coverage.ts'
import { Daemon, readTapeLines, removeDirectory, temporaryDirectory, venueEnvironment } from '../support/daemon.ts'
import { until } from '../support/processes.ts'

const STALL_TIMEOUT_MS = 5_000
const ORDERBOOK_INTERVAL_MS = 5_000
const MARKETS = 10
const NOTICE_MS_MAX = STALL_TIMEOUT_MS + 5_000
const FLOW_MS_MAX = 15_000

interface Scene {
  readonly venue: VenueProcess
  readonly daemon: Daemon
  readonly accountDir: string
}

/** A daemon that records a busy venue on a single connection. */
async function openScene(t: TestContext, seed: number): Promise<Scene> {
  const directory = await temporaryDirectory()
  const accountDir = join(directory, 'account')
  const venue = await startVenueProcess({ markets: MARKETS, rate: 100, seed, accountDir })
  const daemon = await Daemon.start(join(directory, 'data'), {
    ...venueEnvironment(venue.urls),
    TAPEKEEPER_POLYMARKET_STALL_TIMEOUT: `${STALL_TIMEOUT_MS}ms`,
    TAPEKEEPER_POLYMARKET_ORDERBOOK_INTERVAL: `${ORDERBOOK_INTERVAL_MS}ms`,
    TAPEKEEPER_POLYMARKET_PING_INTERVAL: '1s',
  })
  t.after(async () => {
    await daemon.end('SIGTERM')
    await venue.stop()
    await removeDirectory(directory)
  })
  await daemon.whenHealth('data flows', (body) => {
    const listener = body['trade_listener'] as { frames_received: number; connections_active: number }
    return body.status === 'healthy' && listener.frames_received > 800 && listener.connections_active === 1
  })
  return { venue, daemon, accountDir }
}

interface Mark {
  readonly at: number
  readonly mark?: string
  readonly detail: { readonly tokens?: readonly string[]; readonly cause?: string }
}

async function untilMark(daemon: Daemon, what: string, fits: (mark: Mark) => boolean): Promise<number> {
  return await until(
    what,
    async () => {
      const lines = await readTapeLines(daemon.dataDir)
      const marks = lines.filter((line) => line.includes('"mark":"') && line.endsWith('}'))
      const found = marks.map((line) => JSON.parse(line) as Mark).find(fits)
      return found === undefined ? undefined : found.at / 1_000
    },
    60_000,
  )
}

/** Waits until each of these tokens has frames that are newer; returns when the last of them came. */
async function untilFlowing(daemon: Daemon, tokens: readonly string[], sinceMs: number): Promise<number> {
  return await until(
    'data of every token',
    async () => {
      const lines = await readTapeLines(daemon.dataDir)
      const { newest } = readTape(lines.filter((line) => line.endsWith('}')))
      const times = tokens.map((token) => newest.get(token) ?? 0)
      return times.every((time) => time > sinceMs) ? Date.now() : undefined
    },
    60_000,
  )
}

async function settle({ venue, daemon }: Scene): Promise<void> {
  await venue.control({ drain: true })
  await daemon.whenHealth('everything is in the ledger', (body) => {
    const { queue_depth: depth } = body['trade_listener'] as { queue_depth: number }
    return depth === 0 && (body['recorder'] as { behind_bytes: number }).behind_bytes === 0
  })
}

async function allTokens(venue: VenueProcess): Promise<string[]> {
  const { markets } = (await venue.get('state')) as { markets: { tokens: string[] }[] }
  return markets.flatMap((market) => market.tokens)
}

test('a frozen connection is noticed in time, data flows again in time, and a gap says what was missed', async (t) => {
  const scene = await openScene(t, 31)
  const { venue, daemon, accountDir } = scene
  const tokens = await allTokens(venue)
  const frozenMs = Date.now()
  await venue.control({ freeze: { connections: 'current' } })
  const noticedMs = await untilMark(daemon, 'the stall on the tape', ({ mark, at }) => {
    return mark === 'stall' && at / 1_000 > frozenMs
  })
  const flowingMs = await untilFlowing(daemon, tokens, noticedMs)
  t.diagnostic(
    `noticed after ${Math.round(noticedMs - frozenMs)} ms, flowing ${Math.round(flowingMs - noticedMs)} ms later`,
  )
  assert.ok(noticedMs - frozenMs <= NOTICE_MS_MAX)
  assert.ok(flowingMs - noticedMs <= FLOW_MS_MAX)
  await settle(scene)
  const coverage = await readSettledCoverage(daemon, accountDir)
  assert.deepEqual(describeSilent(coverage), [])
  assert.ok(coverage.balance.covered > 100, `${coverage.balance.covered} missed`)
  for (const token of tokens) {
    assert.ok(
      coverage.gaps.some((gap) => gap.token === token && gap.cause === 'stall'),
      `no gap of ${token}`,
    )
  }
  assert.ok(coverage.gaps.every((gap) => Number.isFinite(gap.endMs)))
})

test('when new connections are frozen as well, health says so until data flows again', async (t) => {
  const { venue, daemon } = await openScene(t, 33)
  await venue.control({ freeze: { connections: 'all' } })
  const silent = await daemon.whenHealth(
    'health speaks of silence and doubt',
    ({ reasons }) => /silent for .* in doubt/.test(String(reasons)),
    60_000,
  )
  assert.equal(silent.status, 'degraded')
  const [token] = await allTokens(venue)
  const isLive = async () => {
    const answer = await fetch(`${daemon.apiUrl}/api/tokens/${token}/book`)
    return ((await answer.json()) as { live: boolean }).live
  }
  assert.equal(await isLive(), false, 'a book in doubt is not shown as it is now')
  await venue.control({ unfreeze: true })
  await daemon.whenHealth('data flows again', ({ status }) => status === 'healthy', 60_000)
  await until('the book is live again', async () => (await isLive()) || undefined, 30_000)
})

test('a single frozen token is noticed within two order-book cycles and moved to another connection', async (t) => {
  const scene = await openScene(t, 32)
  const { venue, daemon, accountDir } = scene
  const { markets } = (await venue.get('state')) as { markets: { tokens: string[] }[] }
  const silenced = markets[0]?.tokens ?? []
  const frozenMs = Date.now()
  await venue.control({ freeze: { token: silenced[0] ?? '', connections: 'current' } })
  const noticedMs = await until(
    'a gap of the silent token',
    async () => {
      const gaps = await readGaps((sql) => daemon.query(sql))
      return silenced.every((token) => gaps.some((gap) => gap.token === token)) ? Date.now() : undefined
    },
    60_000,
  )
  const flowingMs = await untilFlowing(daemon, silenced, noticedMs)
  t.diagnostic(`noticed after ${noticedMs - frozenMs} ms, flowing ${flowingMs - noticedMs} ms later`)
  assert.ok(noticedMs - frozenMs <= 2 * ORDERBOOK_INTERVAL_MS + 1_000)
  assert.ok(flowingMs - noticedMs <= FLOW_MS_MAX)
  await until(
    'its gap is closed',
    async () =>
      (await readGaps((sql) => daemon.query(sql))).every((gap) => Number.isFinite(gap.endMs)) ? true : undefined,
    FLOW_MS_MAX,
  )
  await settle(scene)
  const coverage = await readSettledCoverage(daemon, accountDir)
  assert.deepEqual(describeSilent(coverage), [])
  assert.ok(coverage.balance.covered > 5, `${coverage.balance.covered} missed`)
  const others = coverage.gaps.filter((gap) => !silenced.includes(gap.token))
  assert.deepEqual(others, [], 'the tokens that were not silent have no gap')
})
