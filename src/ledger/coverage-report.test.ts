import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import pg from 'pg'
import { type CoverageQuestion, selectCoverage, selectIncidents } from './coverage-report.ts'
import { type Inspection, openInspection } from './inspection.ts'
import { parseDatabaseUrl } from './target.ts'
import { freshDatabase } from './test-server.ts'

const STREAM = 'polymarket.trades'
/** Second 0 of every test. */
const ZERO_MS = Date.parse('2026-05-01T00:00:00Z')
const END_S = 40

let client: pg.Client
let ledger: Inspection

before(async () => {
  const url = await freshDatabase(undefined, true)
  client = new pg.Client({ connectionString: url })
  await client.connect()
  ledger = await openInspection(parseDatabaseUrl(url))
})

after(async () => {
  await ledger?.close()
  await client?.end()
})

interface Span {
  readonly token: number
  readonly from: number
  readonly to: number | null
}

interface Gap {
  readonly tokens: readonly number[]
  readonly quiet: readonly number[]
  readonly from: number
  readonly to: number | null
  readonly cause?: string
}

/** Token n belongs to market floor(n / 2). */
async function fill(spans: readonly Span[], gaps: readonly Gap[], tokens = 6): Promise<void> {
  await client.query('TRUNCATE coverage_spans, coverage_gaps, tokens RESTART IDENTITY')
  await client.query(
    `INSERT INTO tokens (token_key, token_id, condition_id) OVERRIDING SYSTEM VALUE
     SELECT n, n::text, '0x' || (n / 2) FROM generate_series(0, $1::integer - 1) AS n`,
    [tokens],
  )
  const at = (second: number | null) => (second === null ? null : new Date(ZERO_MS + second * 1000))
  for (const { token, from, to } of spans) {
    await client.query(
      `INSERT INTO coverage_spans (recorder_id, stream, token_key, started_at, ended_at, connection)
       VALUES ('r', $1, $2, $3, $4, 'c') ON CONFLICT DO NOTHING`,
      [STREAM, token, at(from), at(to)],
    )
  }
  for (const gap of gaps) {
    await client.query(
      `INSERT INTO coverage_gaps (recorder_id, stream, started_at, ended_at, cause, tokens, quiet_tokens)
       VALUES ('r', $1, $2, $3, $4, $5, $6)`,
      [STREAM, at(gap.from), at(gap.to), gap.cause ?? 'disconnect', gap.tokens, gap.quiet],
    )
  }
}

function question(more: Partial<CoverageQuestion> = {}): CoverageQuestion {
  return { sinceMs: null, untilMs: ZERO_MS + END_S * 1000, conditionIds: null, down: null, ...more }
}

/** Second by second. */
function countSeconds(spans: readonly Span[], gaps: readonly Gap[], since: number, until: number) {
  const total = { wanted: 0, missing: 0 }
  const holds = (one: { from: number; to: number | null }, second: number) =>
    one.from <= second && (one.to === null || second < one.to)
  for (let token = 0; token < 6; token += 1) {
    for (let second = since; second < until; second += 1) {
      if (!spans.some((span) => span.token === token && holds(span, second))) continue
      total.wanted += 1
      const isMissing = gaps.some(
        (gap) => gap.tokens.includes(token) && !gap.quiet.includes(token) && holds(gap, second),
      )
      if (isMissing) total.missing += 1
    }
  }
  return total
}

test('coverage is what counting second by second gives, whatever overlaps', async () => {
  const second = fc.integer({ min: 0, max: END_S - 1 })
  const interval = fc
    .record({ from: second, length: fc.integer({ min: 0, max: 15 }), open: fc.boolean() })
    .map(({ from, length, open }) => ({ from, to: open ? null : from + length }))
  const tokens = fc.uniqueArray(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 6 })
  const span = fc.tuple(fc.integer({ min: 0, max: 5 }), interval).map(([token, of]) => ({ token, ...of }))
  const gap = fc
    .tuple(tokens, fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 2 }), interval)
    .map(([all, quiet, of]) => ({ tokens: all, quiet: all.filter((one) => quiet.includes(one)), ...of }))
  const onePerStart = (spans: readonly Span[]) =>
    spans.filter((one, at) => spans.findIndex((other) => other.token === one.token && other.from === one.from) === at)
  await fc.assert(
    fc.asyncProperty(
      fc.array(span, { maxLength: 8 }).map(onePerStart),
      fc.array(gap, { maxLength: 6 }),
      fc.option(fc.integer({ min: 0, max: END_S - 1 })),
      async (spans, gaps, since) => {
        await fill(spans, gaps)
        const sinceMs = since === null ? null : ZERO_MS + since * 1000
        const { streams, markets } = await selectCoverage(ledger, question({ sinceMs }), 10)
        const expected = countSeconds(spans, gaps, since ?? 0, END_S)
        const sums = { wanted: streams[0]?.wantedSeconds ?? 0, missing: streams[0]?.missingSeconds ?? 0 }
        assert.deepEqual(sums, expected)
        assert.equal(
          markets.reduce((sum, market) => sum + market.missingSeconds, 0),
          expected.missing,
        )
        const percents = markets.map(({ percent }) => percent ?? 100)
        assert.deepEqual(
          percents,
          [...percents].sort((a, b) => a - b),
        )
      },
    ),
    { numRuns: 100 },
  )
})

describe('coverage', () => {
  const whole = [0, 1, 2, 3].map((token) => ({ token, from: 0, to: null }))

  test('nothing wanted is no line, nothing missing is 100', async () => {
    await fill([], [])
    assert.deepEqual((await selectCoverage(ledger, question(), 10)).streams, [])
    await fill(whole, [])
    const { streams, markets } = await selectCoverage(ledger, question(), 10)
    assert.deepEqual([streams[0]?.percent, streams[0]?.tokens, streams[0]?.markets, markets], [100, 4, 2, []])
  })

  test('the smallest gap makes it less than 100', async () => {
    await fill(whole, [{ tokens: [0], quiet: [], from: 1, to: 1.001 }])
    const { streams } = await selectCoverage(ledger, question(), 10)
    assert.ok((streams[0]?.percent ?? 100) < 100)
  })

  test('the time since no recorder runs is missing for what was still followed', async () => {
    await fill([...whole.slice(1), { token: 0, from: 0, to: 10 }], [])
    const down = { recorderId: 'r', stream: STREAM, sinceUs: (ZERO_MS + 30_000) * 1000 }
    const { streams } = await selectCoverage(ledger, question({ down }), 10)
    assert.deepEqual([streams[0]?.wantedSeconds, streams[0]?.missingSeconds], [130, 30])
  })

  test('one market alone', async () => {
    await fill(whole, [{ tokens: [0, 2, 3], quiet: [], from: 10, to: 20 }])
    const { streams, markets } = await selectCoverage(ledger, question({ conditionIds: ['0x1'] }), 10)
    assert.deepEqual([streams[0]?.tokens, streams[0]?.missingSeconds, markets.length], [2, 20, 1])
  })

  test('the newest proof of quiet is told', async () => {
    await fill(whole, [])
    await client.query('UPDATE coverage_spans SET verified_at = $1 WHERE token_key IN (1, 2)', [
      new Date(ZERO_MS + 5_000),
    ])
    const { streams } = await selectCoverage(ledger, question(), 10)
    assert.deepEqual([streams[0]?.verifiedTokens, streams[0]?.verifiedAt], [2, '2026-05-01T00:00:05.000000Z'])
  })
})

describe('incidents', () => {
  const ask = { cause: null, openOnly: false, limit: 10 } as const
  const gaps = [
    { tokens: [0, 1], quiet: [], from: 0, to: 10 },
    { tokens: [0, 1, 2, 3], quiet: [2], from: 5, to: 20, cause: 'stall' },
    { tokens: [4], quiet: [], from: 30, to: null },
  ]

  test('newest first, with what they concern', async () => {
    await fill([], gaps)
    const { incidents, total } = await selectIncidents(ledger, { ...question(), ...ask })
    assert.equal(total, 3)
    assert.deepEqual(
      incidents.map((one) => [one.cause, one.tokens, one.quietTokens, one.markets, one.conditionId, one.durationMs]),
      [
        ['disconnect', 1, 0, 1, '0x2', 10_000],
        ['stall', 4, 1, 2, null, 15_000],
        ['disconnect', 2, 0, 1, '0x0', 10_000],
      ],
    )
    assert.deepEqual([incidents[0]?.endedAt, incidents[1]?.endedAt], [null, '2026-05-01T00:00:20.000000Z'])
  })

  test('by interval, cause, market and state; a limit says how many there are', async () => {
    await fill([], gaps)
    const found = async (more: object) => {
      const { incidents, total } = await selectIncidents(ledger, { ...question(), ...ask, ...more })
      return [incidents.map(({ startedAt }) => Number(startedAt.slice(17, 19))), total]
    }
    assert.deepEqual(await found({ sinceMs: ZERO_MS + 15_000 }), [[30, 5], 2])
    assert.deepEqual(await found({ untilMs: ZERO_MS + 5_000 }), [[0], 1])
    assert.deepEqual(await found({ cause: 'stall' }), [[5], 1])
    assert.deepEqual(await found({ openOnly: true }), [[30], 1])
    assert.deepEqual(await found({ conditionIds: ['0x0'] }), [[5, 0], 2])
    assert.deepEqual(await found({ conditionIds: [] }), [[], 0])
    assert.deepEqual(await found({ limit: 1 }), [[30], 3])
  })
})

test('20,000 tokens and 2,000 gaps, 40 of them of every token, are added up in seconds', async (t) => {
  await fill([], [], 20_000)
  await client.query(
    `INSERT INTO coverage_spans (recorder_id, stream, token_key, started_at, connection)
     SELECT 'r', $1, token_key, '2026-04-01', 'c' FROM tokens`,
    [STREAM],
  )
  await client.query(
    `INSERT INTO coverage_gaps (recorder_id, stream, started_at, ended_at, cause, tokens)
     SELECT 'r', $1, timestamptz '2026-04-01' + n * interval '8 minutes',
            timestamptz '2026-04-01' + n * interval '8 minutes' + interval '7 seconds', 'disconnect',
            (SELECT array_agg(token_key) FROM tokens WHERE n % 50 = 0 OR token_key / 500 = n % 40)
     FROM generate_series(0, 1999) AS n`,
    [STREAM],
  )
  const startedMs = performance.now()
  const { streams } = await selectCoverage(ledger, question(), 10)
  const tookMs = performance.now() - startedMs
  t.diagnostic(`${Math.round(tookMs)} ms, ${streams[0]?.percent} %`)
  assert.equal(streams[0]?.tokens, 20_000)
  // 7 s each.
  assert.equal(streams[0]?.missingSeconds, (40 * 20_000 + 1_960 * 500) * 7)
  assert.ok(tookMs < 30_000)
})
