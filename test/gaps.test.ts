import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type GapsFlags, readGaps } from '../src/cli/gaps.ts'
import { gapsJson, gapsLines } from '../src/cli/gaps-view.ts'
import { loadConfig } from '../src/config/load.ts'
import { quietLogger } from '../src/ledger/test-server.ts'
import { systemClock } from '../src/runtime/system-clock.ts'
import { temporaryDirectory } from './support/daemon.ts'
import { type RunResult, runProgram } from './support/processes.ts'
import { type Recording, record } from './support/recording.ts'

// One recording of a real daemon; then its coverage tables are filled with what a test is about.

const ANSI = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g')

let recording: Recording
let whileRecording: RunResult
let afterwards: RunResult
let recorder: string

before(async () => {
  recording = await record({
    async during(env) {
      whileRecording = await runProgram(['gaps', '--json'], { env })
    },
    async afterwards(env) {
      afterwards = await runProgram(['gaps', '--since', '1h'], { env })
    },
  })
  const { rows } = await recording.pool.query<{ id: string }>('SELECT recorder_id AS id FROM tape_positions')
  recorder = rows[0]?.id ?? ''
})

after(() => recording?.close())

async function gaps(flags: Partial<GapsFlags> = {}) {
  const whole = { limit: 50, markets: 10, ...flags }
  const sources = { flags: {}, env: recording.env, cwd: recording.directory, readFile: () => null }
  const { config, notices } = loadConfig(sources)
  const { signal } = new AbortController()
  const progress = { show() {}, clear() {} }
  const result = await readGaps({ config, notices, clock: systemClock(), log: quietLogger(), progress, signal }, whole)
  return { result, text: gapsLines(result).join('\n').replaceAll(ANSI, ''), json: gapsJson(result) }
}

/** Follows every token since ten hours ago; with `ended`, until an hour ago. */
async function follow({ ended = false } = {}): Promise<void> {
  await recording.pool.query('TRUNCATE coverage_spans, coverage_gaps')
  await recording.pool.query(
    `INSERT INTO coverage_spans (recorder_id, stream, token_key, started_at, ended_at, connection)
     SELECT $1, 'polymarket.trades', token_key, now() - interval '10 hours',
            CASE WHEN $2 THEN now() - interval '1 hour' END, 'c' FROM tokens`,
    [recorder, ended],
  )
}

interface Gap {
  readonly cause: string
  readonly hoursAgo: number
  readonly minutes: number | null
  /** SQL: which tokens. */
  readonly where?: string
  readonly more?: Readonly<Record<string, unknown>>
}

async function open(...all: readonly Gap[]): Promise<void> {
  for (const { cause, hoursAgo, minutes, where = 'true', more = {} } of all) {
    await recording.pool.query(
      `INSERT INTO coverage_gaps
       (recorder_id, stream, started_at, ended_at, cause, tokens, quiet_tokens, recovered_trades, backfill_complete,
        backfill_attempts, backfill_error)
       SELECT $1, 'polymarket.trades', at, at + $4 * interval '1 minute', $2, array_agg(token_key),
              CASE WHEN $5 THEN array_agg(token_key) ELSE '{}' END, $6, $7, $8, $9
       FROM tokens t, (SELECT now() - $3 * interval '1 hour' AS at) AS s WHERE ${where} GROUP BY at`,
      [
        ...[recorder, cause, hoursAgo, minutes, more['quiet'] ?? false, more['recovered'] ?? 0],
        ...[more['complete'] ?? null, more['attempts'] ?? 0, more['error'] ?? null],
      ],
    )
  }
}

describe('a fresh recording', () => {
  test('is told of while the recorder runs', () => {
    assert.equal(whileRecording.code, 0, whileRecording.stderr)
    const { coverage, gaps: listed } = JSON.parse(whileRecording.stdout) as ReturnType<typeof gapsJson>
    assert.ok(Array.isArray(coverage.streams) && Array.isArray(listed))
  })

  test('is told of when none runs, with the built-in database started for it', () => {
    assert.equal(afterwards.code, 0, afterwards.stderr)
    assert.match(afterwards.stdout, /^from \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ until /)
    assert.equal(afterwards.stderr, '')
  })
})

describe('no gaps', () => {
  test('when nothing was to be recorded', async () => {
    await recording.pool.query('TRUNCATE coverage_spans, coverage_gaps')
    const { text } = await gaps()
    assert.match(text, /^from the beginning until [^\n]+\n\nno gaps: nothing was to be recorded in this interval/)
  })

  test('when everything was recorded', async () => {
    await follow({ ended: true })
    const { text, json } = await gaps()
    assert.match(text, /^polymarket\.trades +100 % +– +9h 0m +\d+ +\d+ +–$/m)
    assert.match(text, /no gaps: everything that was to be recorded has been$/)
    assert.equal(json.coverage.streams[0]?.percent, 100)
  })

  test('of the kind that was asked for', async () => {
    await follow({ ended: true })
    await open({ cause: 'stall', hoursAgo: 5, minutes: 1 })
    assert.match((await gaps({ cause: 'disconnect' })).text, /no gaps: none of the kind that was asked for$/)
  })
})

describe('gaps', () => {
  test('newest first, with cause, length, what is concerned and what was recovered', async () => {
    await follow({ ended: true })
    const { rows } = await recording.pool.query<{ condition_id: string; question: string }>(
      'SELECT condition_id, question FROM markets JOIN tokens USING (condition_id) ORDER BY token_key LIMIT 1',
    )
    const one = `condition_id = '${rows[0]?.condition_id}'`
    await open(
      { cause: 'disconnect', hoursAgo: 5, minutes: 3, more: { complete: true, recovered: 12, attempts: 1 } },
      { cause: 'hash_mismatch', hoursAgo: 4, minutes: 0.05, where: one, more: { complete: false } },
      { cause: 'stall', hoursAgo: 3, minutes: 60, more: { quiet: true } },
      { cause: 'missing_trade', hoursAgo: 2, minutes: null, where: one },
      { cause: 'tape_failure', hoursAgo: 1.5, minutes: 1, more: { attempts: 2, error: 'it answered 503' } },
    )
    const { text, json } = await gaps()
    const lines = text.split('\n').filter((line) => line.startsWith('20'))
    assert.equal(lines.length, 5)
    const question = String(rows[0]?.question).slice(0, 20)
    const [failure = '', trade = '', stall = '', hash = '', disconnect = ''] = lines
    assert.match(failure, /1m 0s +tape not writable .* pending after 2 attempts: it answered 503$/)
    assert.match(trade, /open, 2h 0m +a trade never came/)
    assert.ok(trade.includes(question) && trade.includes('(2 tokens)'), trade)
    assert.match(stall, /1h 0m +went silent .* tokens of \d+ markets, all proven quiet +– +pending$/)
    assert.match(hash, /3\.0s +book not the venue’s .* not complete$/)
    assert.match(disconnect, /3m 0s +connection lost .*\d+ tokens of \d+ markets +12 +complete$/)
    assert.match(text, /worst markets/)
    assert.deepEqual([json.gaps[0]?.cause, json.gaps[1]?.ended_at, json.gaps_total], ['tape_failure', null, 5])
    // The proven hour counts as covered: of nine hours, three minutes and one are missing for most tokens.
    const percent = json.coverage.streams[0]?.percent ?? 0
    assert.ok(percent > 95 && percent < 99.3, String(percent))
  })

  test('by interval, cause, state, market and number', async () => {
    await follow({ ended: true })
    await open(
      { cause: 'disconnect', hoursAgo: 5, minutes: 3 },
      { cause: 'stall', hoursAgo: 3, minutes: null, where: 'token_key = 1' },
    )
    const { rows } = await recording.pool.query<{ slug: string }>(
      'SELECT slug FROM markets JOIN tokens USING (condition_id) WHERE token_key = 1',
    )
    const causes = async (flags: Partial<GapsFlags>) => (await gaps(flags)).json.gaps.map(({ cause }) => cause)
    assert.deepEqual(await causes({}), ['stall', 'disconnect'])
    assert.deepEqual(await causes({ since: '4h' }), ['stall'])
    assert.deepEqual(await causes({ until: '4h' }), ['disconnect'])
    assert.deepEqual(await causes({ cause: 'stall' }), ['stall'])
    assert.deepEqual(await causes({ open: true }), ['stall'])
    const limited = await gaps({ limit: 1 })
    assert.deepEqual([limited.json.gaps.length, limited.json.gaps_total], [1, 2])
    assert.match(limited.text, /… and 1 older ones \(--limit\)$/)
    const market = await gaps({ market: String(rows[0]?.slug) })
    assert.deepEqual([market.json.gaps.length, market.json.coverage.streams[0]?.tokens], [2, 2])
    assert.ok((market.json.coverage.streams[0]?.percent ?? 0) < 90)
  })

  test('the time without a recorder is one, although no row says so yet', async () => {
    await follow()
    const { text, json } = await gaps()
    const [down] = json.gaps
    assert.deepEqual([down?.cause, down?.ended_at, down?.gap_id], ['down', null, null])
    assert.match(text, /open, [^\n]+ no recorder ran/)
    const missing = json.coverage.streams[0]?.missing_token_seconds ?? 0
    const expected = ((down?.duration_seconds ?? 0) * (json.coverage.streams[0]?.tokens ?? 0)) as number
    assert.ok(missing > 0 && Math.abs(missing - expected) < 1, `${missing} and ${expected}`)
    assert.deepEqual((await gaps({ until: '1h' })).json.gaps, [])
    assert.deepEqual((await gaps({ cause: 'stall' })).json.gaps, [])
  })

  test('text from outside cannot do anything to the terminal', async () => {
    await follow({ ended: true })
    const evil = 'Will \u001b[2Jit\u009b31m rain\u202e?\r\nno'
    await recording.pool.query(
      'UPDATE markets SET question = $1 WHERE condition_id = (SELECT condition_id FROM tokens WHERE token_key = 1)',
      [evil],
    )
    await open({ cause: 'stall', hoursAgo: 3, minutes: 1, where: 'token_key = 1', more: { error: evil } })
    const { text, json } = await gaps()
    assert.match(text, /Will \[2Jit 31m rain \? no/)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: looking for them is the point
    assert.doesNotMatch(text + JSON.stringify(json), /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/)
  })
})

describe('when it cannot', () => {
  test('mistakes of usage end it with 64', async () => {
    for (const [args, message] of [
      [['--cause', 'bad luck'], /--cause bad luck: it must be one of down, disconnect, stall/],
      [['--market', 'nowhere'], /--market nowhere: the ledger knows no market/],
      [['--since', 'yesterday'], /--since yesterday: it must be a time/],
      [['--since', '1h', '--until', '2h'], /--since must be before --until/],
      [['--limit', 'all'], /It must be a whole number/],
    ] as const) {
      const { code, stdout, stderr } = await runProgram(['gaps', ...args], { env: recording.env })
      assert.deepEqual([code, stdout], [64, ''], stderr)
      assert.match(stderr, message)
    }
  })

  test('without a ledger it ends with 69', async () => {
    const { code, stderr } = await runProgram(['gaps'], { env: { TAPEKEEPER_DATA_DIR: await temporaryDirectory() } })
    assert.equal(code, 69)
    assert.match(stderr, /there is no ledger in .* yet/)
  })
})
