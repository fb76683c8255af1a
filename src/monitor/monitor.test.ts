import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Drive } from '../../test/support/drive.ts'
import { administer, type FreshLedger, freshLedger } from '../ledger/test-server.ts'
import { createLogging } from '../runtime/logging.ts'
import { startMonitor } from './monitor.ts'

const START_MS = Date.UTC(2026, 4, 15)
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

let fresh: FreshLedger
before(async () => {
  fresh = await freshLedger()
})
after(() => fresh.ledger.close())

test('the numbers of every collector are stored every 5 minutes and at the end, and go with the log', async () => {
  const { ledger, url } = fresh
  const drive = new Drive(START_MS)
  const { clock } = drive
  const { log, observe } = createLogging({ clock, level: 'fatal', format: 'json', write: () => {} })
  const retentionMs = 30 * DAY_MS
  const monitor = startMonitor({ clock, log, observe, ledger: drive.watch(ledger), recorderId: 'r', retentionMs })
  const { statistics } = monitor
  const cycle = (name: string, ok: boolean, durationMs: number) => {
    statistics.recordCycleStart(name)
    statistics.recordCycleEnd(name, ok, durationMs)
  }
  const stored = async () => {
    const rows = await ledger.read<{ minute: number; collector: string; numbers: string }>(
      `SELECT (extract(epoch FROM at) / 60 - $1)::float8 AS minute, collector,
              total_cycles || ' ' || failed_cycles || ' ' || success_rate || ' ' || average_duration_ms AS numbers
       FROM fetcher_statistics ORDER BY id`,
      [START_MS / MINUTE_MS],
    )
    return rows.map(({ minute, collector, numbers }) => `${minute} ${collector} ${numbers}`)
  }
  cycle('a', true, 1_000)
  cycle('b', false, 10)
  await drive.until(MINUTE_MS - 1)
  assert.deepEqual(await stored(), [])
  await drive.until(MINUTE_MS)
  const first = ['1 a 1 0 100 1000', '1 b 1 1 0 10']
  assert.deepEqual(await stored(), first, 'soon after the start')
  cycle('a', false, 3_000)
  await drive.until(6 * MINUTE_MS - 1)
  assert.deepEqual(await stored(), first)
  await drive.until(6 * MINUTE_MS)
  const second = ['6 a 2 1 50 2000', '6 b 1 1 0 10']
  assert.deepEqual(await stored(), [...first, ...second])

  await administer(url, "UPDATE fetcher_statistics SET at = at - interval '31 days' WHERE collector = 'b'")
  await administer(url, "INSERT INTO fetcher_logs (at, level, message) VALUES ('2026-01-01', 'INFO', 'old')")
  await drive.until(61 * MINUTE_MS)
  const kept = await stored()
  assert.ok(kept.includes(first[0] ?? '') && !kept.some((row) => row.startsWith('-')), kept.join('\n'))
  assert.equal((await monitor.logs.getRecentLogs({ search: 'old' })).total, 0)

  cycle('a', true, 5_000)
  log.info({}, 'the last words')
  await drive.until(62 * MINUTE_MS)
  await drive.through(monitor.close())
  assert.equal((await stored()).at(-2), '62 a 3 1 66.67 3000')
  assert.equal((await ledger.read('SELECT id FROM fetcher_logs WHERE message = $1', ['the last words'])).length, 1)
})
