import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type RebuildFlags, rebuildRecording } from '../src/cli/rebuild.ts'
import { rebuildJson, rebuildLines } from '../src/cli/rebuild-view.ts'
import { loadConfig } from '../src/config/load.ts'
import { quietLogger } from '../src/ledger/test-server.ts'
import { systemClock } from '../src/runtime/system-clock.ts'
import { type RunResult, runProgram } from './support/processes.ts'
import { type Recording, record } from './support/recording.ts'

const ANSI = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g')

let recording: Recording
let whileRecording: RunResult
let afterwards: RunResult

before(async () => {
  recording = await record({
    async during(env) {
      whileRecording = await runProgram(['rebuild', '--json'], { env })
    },
    async afterwards(env) {
      afterwards = await runProgram(['rebuild'], { env })
    },
  })
})

after(() => recording?.close())

interface Report {
  ok: boolean
  schema: string | null
  tables: {
    table: string
    rebuilt: number
    in_ledger: number
    differing: number
    differences: { kind: string; token_id?: string; columns: Record<string, { rebuilt: string; ledger: string }> }[]
  }[]
}

async function rebuild(flags: RebuildFlags = {}) {
  const { config, notices } = loadConfig({ flags, env: recording.env, cwd: recording.directory, readFile: () => null })
  const signal = new AbortController().signal
  const progress = { show() {}, clear() {} }
  const run = { config, notices, clock: systemClock(), log: quietLogger(), progress, signal }
  const result = await rebuildRecording(run, flags)
  const report = JSON.parse(JSON.stringify(rebuildJson(result))) as Report
  return { report, text: rebuildLines(result).join('\n').replaceAll(ANSI, '') }
}

function differing({ tables }: Report): Record<string, number> {
  return Object.fromEntries(tables.filter((one) => one.differing > 0).map((one) => [one.table, one.differing]))
}

async function schemas(): Promise<string[]> {
  const { rows } = await recording.pool.query<{ name: string }>(
    "SELECT nspname AS name FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)' ORDER BY 1",
  )
  return rows.map(({ name }) => name)
}

test('a rebuild while the recorder runs is equal as far as it goes', () => {
  assert.equal(whileRecording.code, 0, whileRecording.stdout + whileRecording.stderr)
  const { ok, tables } = JSON.parse(whileRecording.stdout) as Report
  assert.equal(ok, true)
  assert.ok((tables[0]?.rebuilt ?? 0) >= 200)
})

test('a rebuild afterwards is equal, candles and volumes included, and leaves nothing behind', async () => {
  assert.equal(afterwards.code, 0, afterwards.stdout + afterwards.stderr)
  assert.match(afterwards.stdout, /The ledger holds what the tape says/)
  const { rows } = await recording.pool.query<{ trades: string; events: string; candles: string }>(
    `SELECT (SELECT count(*) FROM trades) AS trades, (SELECT count(*) FROM market_events) AS events,
            (SELECT count(*) FROM price_candles_1h WHERE source = 'trade') AS candles`,
  )
  const { trades, events, candles } = rows[0] as { trades: string; events: string; candles: string }
  for (const [table, count] of Object.entries({ trades, market_events: events, price_candles_1h: candles })) {
    const shown = Number(count).toLocaleString('en')
    assert.match(afterwards.stdout, new RegExp(`^${table} +${shown} +${shown} +none$`, 'm'))
  }
  assert.ok(Number(events) > 0 && Number(candles) > 0)
  assert.deepEqual(await schemas(), ['public'])
})

test('planted differences are shown, and none is left after they are mended', async () => {
  const some = (offset: number) =>
    `SELECT tableoid, ctid FROM trades ORDER BY ts, token_key, content_hash, ordinal OFFSET ${offset} LIMIT 1`
  const undo = await recording.damageLedger(`WITH changed AS (
      UPDATE trades SET price = 0.987654 WHERE (tableoid, ctid) = (${some(5)}) RETURNING 1),
    lost AS (DELETE FROM trades WHERE (tableoid, ctid) = (${some(9)}) RETURNING 1),
    candle AS (UPDATE price_candles_1h SET shares = shares + 1
      WHERE source = 'trade' AND token_key = (SELECT min(token_key) FROM trades) RETURNING 1)
    SELECT * FROM changed, lost, candle`)
  try {
    const { report, text } = await rebuild()
    assert.equal(report.ok, false)
    assert.deepEqual(differing(report), { trades: 2, price_candles_1h: 1 })
    const trades = report.tables[0]?.differences ?? []
    assert.deepEqual(trades.map(({ kind }) => kind).sort(), ['changed', 'only in the rebuilt'])
    const changed = trades.find(({ kind }) => kind === 'changed')
    assert.deepEqual([Object.keys(changed?.columns ?? {}), changed?.columns['price']?.ledger], [['price'], '0.987654'])
    assert.match(text, /price: rebuilt [\d.]+, ledger 0\.987654/)
    assert.match(text, /price_candles_1h .* shares: rebuilt/)
    assert.match(text, /does not hold what the tape says/)
  } finally {
    await undo()
    await recording.pool.query(
      `UPDATE price_candles_1h SET shares = shares - 1
       WHERE source = 'trade' AND token_key = (SELECT min(token_key) FROM trades)`,
    )
  }
  const { report } = await rebuild()
  assert.deepEqual([report.ok, differing(report)], [true, {}])
})

test('the schema is kept when asked for, and never written over', async () => {
  const { report, text } = await rebuild({ into: 'mine', keep: true })
  assert.deepEqual([report.ok, report.schema], [true, 'mine'])
  assert.match(text, /in the schema mine/)
  const { rows } = await recording.pool.query<{ same: boolean }>(
    'SELECT (SELECT count(*) FROM mine.trades) = (SELECT count(*) FROM trades) AS same',
  )
  assert.equal(rows[0]?.same, true)
  await assert.rejects(rebuild({ into: 'mine' }), /there is a schema mine already/)
  await assert.rejects(rebuild({ into: 'public' }), /there is a schema public already/)
  await assert.rejects(rebuild({ into: 'a"b' }), /must be a name like/)
  assert.deepEqual(await schemas(), ['mine', 'public'])
  await recording.pool.query('DROP SCHEMA mine CASCADE')
})
