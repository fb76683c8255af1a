import assert from 'node:assert/strict'
import { availableParallelism, loadavg } from 'node:os'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import type { Session } from '../../src/ledger/database.ts'
import type { Sessions } from '../../src/ledger/ledger.ts'
import { administer, type FreshLedger, freshLedger, quietLogger } from '../../src/ledger/test-server.ts'
import { LogStore } from '../../src/monitor/log-store.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { ask, startTestApi, type TestApi } from '../support/api.ts'
import { healthyBoard } from '../support/board.ts'
import { RUNS } from '../support/cycles.ts'

const ROWS = 1_000_000
/** Of a machine of one's own. Where four want each core, each gets a fourth of it, and four times as long. */
const limitMs = () => 500 * Math.max(1, (loadavg()[0] ?? 0) / availableParallelism())

/** Of 8 KiB. The table has some 20,000 of them. */
const BLOCKS_MAX = 8_000

let fresh: FreshLedger
let it: TestApi
/** Blocks that the answer asked for last needed. */
let blocks = 0
before(async () => {
  fresh = await freshLedger()
  const { rows } = await administer(fresh.url, "SELECT pg_get_indexdef('fetcher_logs_words'::regclass) AS words")
  // An index over rows that are there is made several times faster than it grows with them.
  await administer(
    fresh.url,
    `DROP INDEX fetcher_logs_words;
     ALTER TABLE fetcher_logs SET UNLOGGED;
     INSERT INTO fetcher_logs (at, level, message, context)
     SELECT '2026-01-01'::timestamptz + n * interval '2 seconds',
            CASE WHEN n % 1000 = 0 THEN 'ERROR' WHEN n % 50 = 0 THEN 'WARNING' ELSE 'INFO' END,
            CASE WHEN n = 7 THEN 'a needle' ELSE 'prices: ' || n % 977 END,
            '{}'
     FROM generate_series(1, ${ROWS}) n;
     ${rows[0]['words']};
     INSERT INTO assets (symbol, name, type) SELECT 'S' || n, 'Share', 'stock' FROM generate_series(1, 500) n;
     INSERT INTO price_update_log (at, duration_ms, asset_id, success, price, source)
     SELECT '2026-01-01'::timestamptz + n * interval '1 second', 5, asset_id, true, 1, 'x'
     FROM assets, generate_series(1, 20) n;`,
  )
  await administer(fresh.url, 'VACUUM ANALYZE')
  const clock = systemClock()
  const ledger = counting(fresh.ledger)
  const logs = new LogStore({ clock, ledger, log: quietLogger(), retentionMs: 1 })
  it = await startTestApi({ logs, ledger, clock })
  it.board = () => ({ ...healthyBoard(), ledger: fresh.ledger.status })
})
after(async () => {
  await it.api.close()
  await fresh.ledger.close()
})

/** The same ledger; every question is also asked for what it costs, which no other load changes. */
function counting(ledger: Sessions): Sessions {
  return {
    ...ledger,
    view: (work, timeoutMs) =>
      ledger.view((session) => {
        const counted: Session = {
          async query(text, values) {
            const { rows } = await session.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`, values)
            const [plan] = rows[0]?.['QUERY PLAN'] ?? []
            blocks += plan.Plan['Shared Hit Blocks'] + plan.Plan['Shared Read Blocks']
            return session.query(text, values)
          },
        }
        return work(counted)
      }, timeoutMs),
  }
}

test('property 10: every fetcher endpoint answers within 500 ms, also with a million log rows', async (t) => {
  let most = 0
  const limit = fc.integer({ min: 1, max: 1_000 })
  const level = fc.constantFrom('', '&level=ERROR', '&level=WARNING', '&level=INFO', '&level=CRITICAL')
  const search = fc.constantFrom('', '&search=prices', '&search=needle', '&search=prices%20976', '&search=absent')
  const logs = fc
    .tuple(limit, fc.oneof(fc.nat(10_000), fc.nat(ROWS)), level)
    .map(([most, offset, more]) => `logs?limit=${most}&offset=${offset}${more}`)
  const searches = fc
    .tuple(limit, level, search, fc.integer({ min: 1, max: ROWS }))
    .map(([most, one, words, before]) => `logs?limit=${most}&before=${before}${one}${words}`)
  const paths = fc.oneof(
    { weight: 4, arbitrary: logs },
    { weight: 4, arbitrary: searches },
    { weight: 1, arbitrary: limit.map((most) => `recent-updates?limit=${most}`) },
    { weight: 1, arbitrary: fc.constantFrom('status', 'statistics') },
  )
  const property = fc.asyncProperty(paths, async (path) => {
    blocks = 0
    const startMs = performance.now()
    const { status } = await ask(it.api.port, `/api/fetcher/${path}`)
    const [tookMs, allowedMs] = [performance.now() - startMs, limitMs()]
    assert.equal(status, 200)
    most = Math.max(most, blocks)
    assert.ok(blocks < BLOCKS_MAX, `${path} needed ${blocks} blocks`)
    assert.ok(tookMs < allowedMs, `${path} took ${Math.round(tookMs)} of ${Math.round(allowedMs)} ms`)
  })
  // A rare word and a short page: where passing all rows looks cheap.
  const examples: [string][] = [['logs?limit=1&before=1000000&search=needle'], ['logs?limit=1&search=needle']]
  await fc.assert(property, { ...RUNS, examples })
  t.diagnostic(`${most} blocks at most`)
})
