import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { startVenueProcess } from '../../src/sim/process.ts'
import { accountTrades, assertSame, expectedTrades, storedTrades, sum, tradesOnTape } from '../support/compare.ts'
import {
  Daemon,
  readTapeLines,
  removeDirectory,
  signalServer,
  temporaryDirectory,
  venueEnvironment,
} from '../support/daemon.ts'
import { until } from '../support/processes.ts'

const KILLS = 25
const SEED = Number(process.env['TAPEKEEPER_TEST_SEED'] ?? 20_261)

const TITLE = `${KILLS} kills at seeded points of a running feed (seed ${SEED}) leave every accepted trade exactly once`

test(TITLE, async (t) => {
  const random = seededRandom(SEED)
  const directory = await temporaryDirectory()
  const dataDir = join(directory, 'data')
  // Many matches, many of them two identical fills in one millisecond.
  const venue = await startVenueProcess({
    markets: 100,
    rate: 400,
    seed: SEED,
    tradeShare: 0.4,
    identicalFillShare: 0.5,
  })
  t.after(async () => {
    await venue.stop()
    await removeDirectory(directory)
  })
  let serversKilled = 0
  for (let round = 0; round < KILLS; round += 1) {
    const daemon = await Daemon.start(dataDir, venueEnvironment(venue.urls))
    const atFrame = Math.floor(random() * 1_200)
    await daemon.whenHealth(`round ${round}: ${atFrame} frames`, (body) => {
      return (body['trade_listener'] as { frames_received: number }).frames_received >= atFrame
    })
    const alsoServer = random() < 0.4
    await daemon.end('SIGKILL')
    if (alsoServer && (await signalServer(dataDir, 'SIGKILL'))) serversKilled += 1
  }
  const daemon = await Daemon.start(dataDir, venueEnvironment(venue.urls))
  t.after(() => daemon.end('SIGTERM'))
  await daemon.whenHealth('the last start records', (body) => {
    return (body['trade_listener'] as { frames_received: number }).frames_received >= 500
  })
  await venue.control({ drain: true })
  await daemon.whenHealth('everything accepted is in the ledger', (body) => {
    const recorder = body['recorder'] as { behind_bytes: number }
    const listener = body['trade_listener'] as { queue_depth: number }
    return body.status === 'healthy' && recorder.behind_bytes === 0 && listener.queue_depth === 0
  })
  await compareWithTape(daemon, accountTrades(await venue.trades()), t.diagnostic.bind(t), serversKilled)
})

async function compareWithTape(
  daemon: Daemon,
  sent: Map<string, number>,
  say: (text: string) => void,
  serversKilled: number,
): Promise<void> {
  await until(
    'the last sync',
    async () => ((await daemon.health())['recorder'] as { behind_bytes: number }).behind_bytes === 0 || undefined,
    10_000,
  )
  const lines = await readTapeLines(daemon.dataDir)
  const accepted = expectedTrades(tradesOnTape(lines))
  const stored = await storedTrades(daemon)
  assertSame('the ledger against the tape', stored, accepted)
  for (const [key, count] of accepted)
    assert.ok((sent.get(key) ?? 0) >= count, `the tape holds what was never sent: ${key}`)
  const identical = [...accepted.values()].filter((count) => count > 1).length
  assert.ok(sum(accepted) > 1_000, `only ${sum(accepted)} trades were accepted`)
  assert.ok(identical > 50, `only ${identical} identical fills`)
  assert.ok(serversKilled > 0)
  say(`${sum(accepted)} trades accepted, ${identical} pairs of identical fills, ${serversKilled} servers killed too`)
}
