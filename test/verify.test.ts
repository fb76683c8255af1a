import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type VerifyFlags, verifyRecording } from '../src/cli/verify.ts'
import { verifyJson, verifyLines } from '../src/cli/verify-view.ts'
import { loadConfig } from '../src/config/load.ts'
import { quietLogger } from '../src/ledger/test-server.ts'
import { systemClock } from '../src/runtime/system-clock.ts'
import { freePort } from './support/daemon.ts'
import { type RunResult, runProgram } from './support/processes.ts'
import { type Recording, record, tradeLine } from './support/recording.ts'

// One recording of a real daemon; then every kind of damage is done to it, found, and undone.

const ANSI = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g')

let recording: Recording
let whileRecording: RunResult
let afterwards: RunResult

before(async () => {
  recording = await record({
    async during(env) {
      whileRecording = await runProgram(['verify', '--json'], { env })
    },
    async afterwards(env) {
      afterwards = await runProgram(['verify'], { env })
    },
  })
})

after(() => recording?.close())

interface Report {
  ok: boolean
  streams: {
    stream: string
    position: string | null
    tape: { lines: number; findings: { kind: string; segment: string; detail: string }[] }
    books: { match: number; mismatch: number; findings: Record<string, string>[] }
    rows: Record<
      'on_tape' | 'in_ledger' | 'missing' | 'changed' | 'doubled' | 'unknown' | 'not_yet_stored' | 'refused',
      number
    > & {
      findings: { kind: string; table: string; token_id: string; differences: Record<string, string>[] }[]
    }
  }[]
}

/** The command in this process, as it is: a process each would take minutes. */
async function verify(flags: VerifyFlags = {}) {
  const { config, notices } = loadConfig({ flags, env: recording.env, cwd: recording.directory, readFile: () => null })
  const signal = new AbortController().signal
  const clock = systemClock()
  const progress = { show() {}, clear() {} }
  const result = await verifyRecording({ config, notices, clock, log: quietLogger(), progress, signal }, flags)
  const report = JSON.parse(JSON.stringify(verifyJson(result))) as Report
  const stream = report.streams.find((one) => one.stream === 'polymarket.trades')
  assert.ok(stream !== undefined)
  return { report, stream, text: verifyLines(result).join('\n').replaceAll(ANSI, '') }
}

function countsOf({ rows }: Report['streams'][0]) {
  const { missing, changed, doubled, unknown } = rows
  return { missing, changed, doubled, unknown }
}

const NONE = { missing: 0, changed: 0, doubled: 0, unknown: 0 }

describe('a clean recording', () => {
  test('has no findings while the recorder runs', () => {
    assert.equal(whileRecording.code, 0, whileRecording.stdout + whileRecording.stderr)
    const report = JSON.parse(whileRecording.stdout) as Report
    assert.equal(report.ok, true)
    const stream = report.streams.find((one) => one.stream === 'polymarket.trades')
    assert.ok(stream !== undefined && stream.rows.on_tape > 50 && stream.books.match > 100, whileRecording.stdout)
  })

  test('has no findings afterwards, and the built-in database is stopped again', () => {
    assert.equal(afterwards.code, 0, afterwards.stdout + afterwards.stderr)
    assert.equal(afterwards.stderr, '')
    assert.match(afterwards.stdout, /Nothing was found/)
    assert.match(afterwards.stdout, /^ {2}tape +\d+ segments/m)
  })

  test('is whole: every row of the tape is compared, every book is checked', async () => {
    const { report, stream } = await verify()
    assert.deepEqual([report.ok, countsOf(stream)], [true, NONE])
    const count = await recording.countStored()
    assert.equal(stream.rows.in_ledger, count)
    assert.equal(stream.rows.on_tape, count)
    assert.equal(stream.rows.not_yet_stored, 0)
    assert.ok(stream.books.match > 500 && stream.books.mismatch === 0)
  })

  test('an interval is compared alone', async () => {
    const { rows } = await recording.pool.query<{ middle: Date; since: number; until: number }>(
      `WITH m AS (SELECT date_trunc('second', min(received_at) + (max(received_at) - min(received_at)) / 2) AS middle
                  FROM trades)
       SELECT middle, (SELECT count(*) FROM trades, m WHERE received_at >= middle)::integer AS since,
              (SELECT count(*) FROM trades, m WHERE received_at < middle)::integer AS until FROM m`,
    )
    const { middle, since, until } = rows[0] as { middle: Date; since: number; until: number }
    const later = await verify({ since: middle.toISOString() })
    const earlier = await verify({ until: middle.toISOString() })
    assert.deepEqual([later.report.ok, earlier.report.ok], [true, true])
    assert.ok(since > 0 && until > 0)
    assert.ok(later.stream.rows.on_tape >= since && earlier.stream.rows.on_tape >= until)
    assert.equal(later.stream.rows.on_tape + earlier.stream.rows.on_tape, await recording.countStored())
  })
})

describe('damage to the ledger', () => {
  const trade = 'SELECT tableoid, ctid FROM trades ORDER BY ts, token_key, content_hash, ordinal OFFSET 20 LIMIT 1'
  for (const [name, damage, expected, words] of [
    [
      'a deleted row',
      `DELETE FROM trades WHERE (tableoid, ctid) = (${trade})`,
      'missing 1',
      /missing: on the tape, not in the ledger \(1\)\n +trades +\d{4}-\S+ +token \d+/,
    ],
    [
      'a doubled row',
      `INSERT INTO trades SELECT (jsonb_populate_record(t, '{"ordinal": 7}')).* FROM trades t
       WHERE (tableoid, ctid) = (${trade})`,
      'doubled 1',
      /doubled: more often than on the tape \(1\)/,
    ],
    [
      'a changed price',
      `UPDATE trades SET price = price / 2 WHERE (tableoid, ctid) = (${trade})`,
      'changed 1',
      /changed: not what the tape says \(1\)\n.*price: tape [\d.]+, ledger [\d.]+/,
    ],
    [
      'a changed time of receipt',
      `UPDATE trades SET received_at = received_at + interval '1 microsecond' WHERE (tableoid, ctid) = (${trade})`,
      'changed 1',
      /received_at: tape 2\S+, ledger 2\S+/,
    ],
    [
      'a row that is made up',
      `INSERT INTO trades SELECT (jsonb_populate_record(t, '{
         "content_hash": "0123456789abcdef0123456789abcdef", "price": 0.123, "size": 4.5}')).*
       FROM trades t WHERE (tableoid, ctid) = (${trade})`,
      'unknown 1',
      /unknown: in the ledger, not on the tape \(1\)/,
    ],
    [
      'a changed market event',
      `UPDATE market_events SET raw = raw || '{"question": "another one"}'
       WHERE ctid = (SELECT ctid FROM market_events LIMIT 1)`,
      'changed 1',
      /changed: [^\n]+\n +market_events .* raw: tape/,
    ],
    [
      'a token with another name',
      `UPDATE tokens SET token_id = '1'
       WHERE token_key = (SELECT token_key FROM trades GROUP BY 1 ORDER BY count(*), 1 LIMIT 1)`,
      null,
      /missing: on the tape/,
    ],
  ] as const) {
    test(`${name} is found`, async () => {
      const undo = await recording.damageLedger(damage)
      try {
        const { report, text } = await verify()
        assert.equal(report.ok, false)
        assert.match(text, words)
        assert.match(text, /^ {2}tape .* ok$/m)
        const kinds = [...text.matchAll(/^polymarket\.trades: (\w+): .* \((\d+)\)$/gm)].map(
          ([, kind, count]) => `${kind} ${count}`,
        )
        if (expected !== null) assert.deepEqual(kinds, [expected])
      } finally {
        await undo()
      }
    })
  }

  test('a letter about a row explains that it is not there, one row each', async () => {
    const undo = await recording.damageLedger(`DELETE FROM trades WHERE (tableoid, ctid) = (${trade})`)
    try {
      const { rows } = await recording.pool.query<{ at: Date; token: string; hash: string }>(
        `SELECT received_at AS at, token_id AS token, transaction_hash AS hash
         FROM verify_lost JOIN tokens USING (token_key)`,
      )
      const { at, token, hash } = rows[0] as { at: Date; token: string; hash: string }
      const raw = await recording.payloadOf(at.getTime(), token, hash)
      await recording.pool.query(
        `INSERT INTO dead_letters (at, source, reason, raw)
         VALUES (date_trunc('milliseconds', $1::timestamptz), 'polymarket.trades', 'refused', $2)`,
        [at, raw],
      )
      const again = await verify()
      assert.deepEqual([again.report.ok, countsOf(again.stream), again.stream.rows.refused], [true, NONE, 1])
    } finally {
      await recording.pool.query("DELETE FROM dead_letters WHERE reason = 'refused'")
      await undo()
    }
  })

  test('what the ledger has not been given yet is not missing', async () => {
    const { rows } = await recording.pool.query('SELECT * FROM tape_positions')
    const undo = await recording.damageLedger('DELETE FROM trades')
    try {
      await recording.pool.query('UPDATE tape_positions SET segment_offset = 0, line = 0')
      const { stream } = await verify()
      assert.equal(stream.rows.missing, 0)
      assert.ok(stream.rows.not_yet_stored > 100)
    } finally {
      await undo()
      await recording.pool.query('UPDATE tape_positions SET segment_offset = $1, line = $2', [
        rows[0]?.['segment_offset'],
        rows[0]?.['line'],
      ])
    }
  })

  test('a position that is not on the tape is found', async () => {
    await recording.pool.query("UPDATE tape_positions SET segment = '19990101T000000Z-000099-000001' || segment")
    try {
      const { report, stream } = await verify()
      assert.equal(report.ok, false)
      assert.match(String(stream.position), /which is not on this tape/)
    } finally {
      await recording.pool.query('UPDATE tape_positions SET segment = substr(segment, 31)')
    }
  })
})

describe('damage to the tape', () => {
  test('one flipped byte is found', async () => {
    const undo = await recording.damageTape((lines) => {
      const index = tradeLine(lines)
      const line = lines[index] as string
      const at = line.indexOf('"price":"') + 9
      lines[index] = `${line.slice(0, at)}${line[at] === '0' ? '1' : '0'}${line.slice(at + 1)}`
    })
    try {
      const { report, stream } = await verify()
      assert.equal(report.ok, false)
      const kinds = stream.tape.findings.map(({ kind }) => kind)
      assert.ok(kinds.includes('content') && kinds.includes('damaged lines'), kinds.join())
      const { code, stdout } = await runProgram(['verify'], { env: recording.env })
      assert.equal(code, 1)
      assert.match(stdout, /the tape is not as its manifest says/)
      assert.match(stdout, /SHA-256 differs from the manifest/)
    } finally {
      await undo()
    }
  })

  test('one deleted line is found, and so is the row that it held', async () => {
    const undo = await recording.damageTape((lines) => void lines.splice(tradeLine(lines), 1))
    try {
      const { report, stream } = await verify()
      assert.equal(report.ok, false)
      assert.deepEqual(stream.tape.findings.map(({ kind }) => kind).sort(), ['bytes', 'content', 'lines'])
      // One of two identical fills leaves the other, which then is one too many.
      assert.ok(stream.rows.unknown + stream.rows.doubled >= 1, JSON.stringify(countsOf(stream)))
    } finally {
      await undo()
    }
    assert.equal((await verify()).report.ok, true)
  })

  test('lost messages make books that are not the venue’s', async () => {
    const undo = await recording.damageTape((lines) => {
      const changes = lines.flatMap((line, at) => (at > 300 && line.includes('"price_change"') ? [at] : []))
      for (const at of changes.filter((_, index) => index % 20 === 0).reverse()) lines.splice(at, 1)
    })
    try {
      const { report, stream } = await verify()
      assert.equal(report.ok, false)
      assert.deepEqual(countsOf(stream), NONE)
      assert.ok(stream.books.mismatch >= 1)
      assert.match(String(stream.books.findings[0]?.['token_id']), /^\d+$/)
    } finally {
      await undo()
    }
  })
})

describe('when it cannot', () => {
  test('a ledger that cannot be reached ends it with 69', async () => {
    const port = await freePort()
    const away = { TAPEKEEPER_DATA_DIR: recording.dataDir, DATABASE_URL: `postgres://me:hush@127.0.0.1:${port}/tape` }
    const { code, stdout, stderr } = await runProgram(['verify'], { env: away })
    assert.deepEqual([code, stdout], [69, ''])
    assert.match(stderr, /^tapekeeper: the database .* cannot be reached/)
    assert.ok(!stderr.includes('hush'))
    const files = await runProgram(['verify', '--tape-only'], { env: away })
    assert.equal(files.code, 0)
  })

  test('a directory without data ends it with 69 and stays as it is', async () => {
    const nowhere = join(recording.directory, 'nowhere')
    const { code, stderr } = await runProgram(['verify'], { env: { TAPEKEEPER_DATA_DIR: nowhere } })
    assert.equal(code, 69)
    assert.match(stderr, /there is no data directory/)
    await assert.rejects(readdir(nowhere))
  })

  test('a time that is none and a stream that is not there are mistakes of usage', async () => {
    const time = await runProgram(['verify', '--since', 'yesterday'], { env: recording.env })
    assert.deepEqual([time.code, /--since yesterday: it must be a time/.test(time.stderr)], [64, true])
    const stream = await runProgram(['verify', '--stream', 'other'], { env: recording.env })
    assert.deepEqual([stream.code, /no tape of other .* there is .*polymarket\.trades/.test(stream.stderr)], [64, true])
  })
})
