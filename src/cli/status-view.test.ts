import assert from 'node:assert/strict'
import { test } from 'node:test'
import { columns } from './columns.ts'
import { statusLines } from './status-view.ts'

const ESCAPE = String.fromCharCode(27)
const NOW_MS = Date.parse('2026-01-02T03:04:05Z')
const plain = (body: Record<string, unknown>) =>
  statusLines(body, NOW_MS).map((line) => line.replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, 'g'), ''))

test('columns are as wide as their widest cell, colour not counted', () => {
  const red = `${ESCAPE}[31mab${ESCAPE}[39m`
  assert.deepEqual(
    columns([
      ['a', 'b'],
      ['abc', red],
      [red, 'x', 'y'],
    ]),
    ['a    b', `abc  ${red}`, `${red}   x   y`],
  )
})

test('a status is a page that people can read', () => {
  const lines = plain({
    status: 'degraded',
    reasons: ['the ledger is unavailable: connect ECONNREFUSED'],
    uptime_seconds: 7512,
    total_restarts: 1,
    collectors: {
      'polymarket.markets': {
        state: 'running',
        last_collect_age_seconds: 12,
        total_items: 20_000,
        error_count: 0,
        consecutive_failures: 0,
        last_error: 'old news',
        next_attempt_ts: '2026-01-02T03:08:53Z',
      },
      'polymarket.prices': {
        state: 'backing_off',
        last_collect_age_seconds: null,
        total_items: 0,
        error_count: 3,
        consecutive_failures: 3,
        last_error: 'gamma answered 503',
        next_attempt_ts: '2026-01-02T03:04:00Z',
      },
    },
    trade_listener: {
      trades_received: 1234,
      trades_inserted: 1230,
      connections_active: 3,
      connections_wanted: 4,
      tokens_subscribed: 1500,
      tokens_wanted: 2000,
      queue_depth: 4,
    },
    tape: { state: 'ok', trouble: null, frames_accepted: 98_765, bytes_accepted: 12_345_678, bytes_on_disk: 950 },
    ledger: { state: 'unavailable', trouble: 'connect ECONNREFUSED', kind: 'server', server_version: '16.2' },
    recorder: {
      books_kept: 2000,
      caught_up: false,
      behind_bytes: 5_000_000,
      trouble: null,
      rejects: 0,
      dead_letters: 3,
    },
    book_checks: { match: 10, mismatch: 0, unverifiable: 1, skipped: 2 },
    coverage: { gaps_opened: 3, tokens_in_doubt: 12, comparisons: { equal: 4_000 } },
  })
  assert.deepEqual(lines, [
    'degraded   up 2h 5m   restarts 1',
    '  ! the ledger is unavailable: connect ECONNREFUSED',
    '',
    'collector           state        newest data  items   errors  next attempt',
    'polymarket.markets  running      12s ago      20,000  0       in 4m 48s',
    'polymarket.prices   backing_off  none yet     0       3       now',
    '  ! polymarket.prices: gamma answered 503',
    '',
    'trades  received 1,234 · inserted 1,230 · connections 3/4 · tokens 1,500/2,000 · queue 4',
    'tape    ok · 98,765 frames · 12.3 MB accepted · 950 B on disk',
    'ledger  unavailable · server · PostgreSQL 16.2 · connect ECONNREFUSED',
    'reader  behind by 5.0 MB · 3 dead letters',
    'books   2,000 kept · 10 match · 0 mismatch · 1 unverifiable · 2 skipped',
    'gaps    3 since start · 12 tokens in doubt · 4,000 fetched books equal',
  ])
})

test('what is missing is shown as missing', () => {
  const lines = plain({ status: 'starting', collectors: { x: 'nonsense' }, tape: [1], reasons: 'none' })
  assert.equal(lines[0], 'starting')
  assert.ok(
    lines.some((line) => /^x +\? +none yet +– +– +–$/.test(line)),
    lines.join('\n'),
  )
  assert.ok(lines.some((line) => line.startsWith('tape    ? · – frames')))
})
