import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startVenueProcess } from '../../src/sim/process.ts'
import { framesOf } from '../support/compare.ts'
import { Daemon, readTapeLines, removeDirectory, temporaryDirectory, venueEnvironment } from '../support/daemon.ts'
import { ROOT } from '../support/processes.ts'

const SAMPLES = join(ROOT, '../shared/polymarket/samples')
const skip = existsSync(SAMPLES) ? false : 'the recordings are not beside this checkout'

test('a recorded session goes through the whole path: both trades, all 31 hash checks', { skip }, async (t) => {
  const file = join(SAMPLES, 'market-channel/frames-2026-09-30.jsonl')
  const directory = await temporaryDirectory()
  const venue = await startVenueProcess({ play: file, playSpeed: 0 })
  const daemon = await Daemon.start(join(directory, 'data'), venueEnvironment(venue.urls))
  t.after(async () => {
    await daemon.end('SIGTERM')
    await venue.stop()
    await removeDirectory(directory)
  })
  const body = await daemon.whenHealth('31 checks and 2 trades', (seen) => {
    const { trades_inserted: stored } = seen['trade_listener'] as { trades_inserted: number }
    return (seen['book_checks'] as { match: number }).match >= 31 && stored >= 2
  })
  const { match, mismatch, unverifiable, skipped } = body['book_checks'] as Record<string, number>
  assert.deepEqual({ match, mismatch, unverifiable, skipped }, { match: 31, mismatch: 0, unverifiable: 0, skipped: 0 })
  const trades = await daemon.query<{ price: number; size: number; side: string }>(
    'SELECT price, size, side FROM v_trades ORDER BY ts',
  )
  assert.deepEqual(
    trades.map(({ price, size }) => [price, size]),
    [
      [0.51, 20],
      [0.5, 50],
    ],
  )

  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '')
  const payloads = lines.map((line) => (JSON.parse(line) as { payloadUtf8: string }).payloadUtf8)
  const expected = payloads.filter((text) => text !== 'PONG').map((text) => text.replace(/\n$/, ''))
  const kept = [...framesOf(await readTapeLines(daemon.dataDir)).values()]
  assert.deepEqual(kept, [expected])
})

test('146 recorded closed markets get their winners, the legacy non-binary one stays unknown', { skip }, async (t) => {
  const directory = await temporaryDirectory()
  const legacy = join(directory, 'legacy.jsonl')
  const text = await readFile(join(SAMPLES, 'gamma/gamma_market_closed_nonbinary_legacy.json'), 'utf8')
  await writeFile(legacy, `${JSON.stringify(JSON.parse(text))}\n`)
  const recorded = join(SAMPLES, 'gamma/closed-markets-2026-07-24.jsonl')
  const venue = await startVenueProcess({ markets: 2, playGamma: [recorded, legacy] })
  const daemon = await Daemon.start(join(directory, 'data'), venueEnvironment(venue.urls))
  t.after(async () => {
    await daemon.end('SIGTERM')
    await venue.stop()
    await removeDirectory(directory)
  })
  await daemon.whenHealth('146 resolutions', (body) => {
    const collectors = body['collectors'] as Record<string, { total_items: number }>
    return (collectors['polymarket.resolutions']?.total_items ?? 0) >= 146
  })
  const rows = await daemon.query<{ condition_id: string; winner_token_id: string; outcome: string }>(
    'SELECT condition_id, winner_token_id, outcome FROM resolutions',
  )
  const winners = new Map(rows.map((row) => [row.condition_id, row]))
  assert.equal(rows.length, 146)
  for (const line of (await readFile(recorded, 'utf8')).split('\n').filter((one) => one !== '')) {
    const market = JSON.parse(line) as Record<string, string>
    const prices = JSON.parse(String(market['outcomePrices'])) as string[]
    const index = prices.indexOf('1')
    const row = winners.get(String(market['conditionId']))
    assert.equal(row?.winner_token_id, (JSON.parse(String(market['clobTokenIds'])) as string[])[index])
    assert.equal(row?.outcome, (JSON.parse(String(market['outcomes'])) as string[])[index])
  }
  const unknown = (JSON.parse(text) as { conditionId: string }).conditionId
  assert.equal(winners.has(unknown), false)
  const [known] = await daemon.query<{ count: string }>('SELECT count(*) FROM markets WHERE condition_id = $1', [
    unknown,
  ])
  assert.equal(known?.count, '1', 'the market itself is recorded')
})
