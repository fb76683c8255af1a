import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { balance, type Interval, type Obligation, readObligations, readTape } from './evidence.ts'

const ALWAYS: Interval = { token: '1', startMs: 0, endMs: Number.POSITIVE_INFINITY }

function happened(...times: number[]): Obligation[] {
  return times.map((atMs) => ({ key: `change|1|${atMs}`, token: '1', atMs }))
}

function weigh(obligations: Obligation[], received: string[], gaps: Interval[], spans = [ALWAYS]) {
  const counts = new Map<string, number>()
  for (const key of received) counts.set(key, (counts.get(key) ?? 0) + 1)
  const { owed, recorded, covered, silent } = balance({
    obligations,
    received: counts,
    spans,
    gaps,
    toleranceMs: 1_000,
  })
  return { owed, recorded, covered, silent: silent.map(({ atMs }) => atMs) }
}

test('what is on the tape is recorded, what is not must lie inside a gap of its token', () => {
  const gap = { token: '1', startMs: 20_000, endMs: 30_000 }
  const all = happened(10_000, 25_000, 40_000)
  assert.deepEqual(weigh(all, ['change|1|10000', 'change|1|40000'], [gap]), {
    ...{ owed: 3, recorded: 2, covered: 1, silent: [] },
  })
  assert.deepEqual(weigh(all, ['change|1|10000'], [gap]).silent, [40_000])
  assert.deepEqual(weigh(all, [], [{ ...gap, token: '2' }]).silent, [10_000, 25_000, 40_000])
})

test('a gap may be off by one second and no more, an open one never ends', () => {
  const gap = { token: '1', startMs: 20_000, endMs: 30_000 }
  assert.deepEqual(weigh(happened(18_999, 19_000, 31_000, 31_001), [], [gap]).silent, [18_999, 31_001])
  assert.deepEqual(weigh(happened(18_999, 9e12), [], [{ ...gap, endMs: Number.POSITIVE_INFINITY }]).silent, [18_999])
})

test('nothing is owed for a token that was not followed, nor in the second in which it is asked for', () => {
  const spans = [
    { token: '1', startMs: 10_000, endMs: 20_000 },
    { token: '1', startMs: 30_000, endMs: 40_000 },
  ]
  const times = [9_999, 10_999, 11_000, 20_000, 20_001, 30_999, 31_000]
  assert.deepEqual(weigh(happened(...times), [], [], spans).silent, [11_000, 20_000, 31_000])
})

test('of equal events each must be recorded or covered', () => {
  const twice = [...happened(10_000), ...happened(10_000)]
  assert.deepEqual(weigh(twice, ['change|1|10000'], []).silent, [10_000])
  assert.deepEqual(weigh(twice, ['change|1|10000', 'change|1|10000'], []).silent, [])
})

test('a tape counts per connection: the same fill on two is one, two on one are two', () => {
  const detail = '"price":"0.5","size":"1","side":"BUY","transaction_hash":"0x1"'
  const trade = `{"event_type":"last_trade_price","asset_id":"7","timestamp":"5",${detail}}`
  const line = (conn: string, at: number) => `{"at":${at},"conn":"${conn}","crc":"0","frame":${trade}}`
  const mark = '{"at":1000000,"conn":"a","crc":"0","mark":"subscribe","detail":{"assets_ids":["7","8"]}}'
  const facts = readTape([mark, line('a', 2_000_000), line('b', 3_000_000), line('b', 4_000_000)])
  assert.deepEqual([...facts.received], [['trade|7|5|0.5|1|BUY|0x1', 2]])
  assert.equal(facts.newest.get('7'), 4_000)
  assert.deepEqual(facts.subscribed.get('8'), 1_000)
  assert.throws(() => readTape([`${mark.slice(0, 40)}`]), SyntaxError)
})

test('a journal line and the frame that tells it have the same key', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'tapekeeper-journal-'))
  t.after(() => rm(directory, { recursive: true }))
  const base = { atUs: 5_000_000, venueMs: 4_990, token: '7' }
  const detail = { price: '0.46', size: '918.34', side: 'BUY' }
  const lines = [
    { ...base, kind: 'change', ...detail },
    { ...base, kind: 'book' },
    { ...base, kind: 'trade', ...detail, transactionHash: '0x2' },
  ]
  await writeFile(join(directory, 'journal.ndjson'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  const obligations = await readObligations(directory)
  assert.deepEqual([...new Set(obligations.map(({ atMs }) => atMs))], [5_000])
  const own = { asset_id: '7', timestamp: '4990' }
  const frames = [
    { event_type: 'price_change', timestamp: '4990', price_changes: [{ asset_id: '7', ...detail }] },
    [{ ...own, event_type: 'book' }],
    { ...own, ...detail, event_type: 'last_trade_price', transaction_hash: '0x2' },
  ]
  const { received } = readTape(frames.map((frame) => JSON.stringify({ at: 1, conn: 'a', frame })))
  assert.deepEqual(
    [...received.keys()],
    obligations.map(({ key }) => key),
  )
})

test('a lost change whose level the next batch sets anew is told apart: no hash could have shown it', () => {
  const at = (atMs: number, key: string) => ({ key, token: '1', atMs })
  const obligations = [
    at(5_000, 'change|1|5000|0.5|10|BUY'),
    at(6_000, 'change|1|6000|0.6|7|SELL'),
    at(6_000, 'change|1|6000|0.5|11|BUY'),
    at(7_000, 'change|1|7000|0.4|1|BUY'),
    at(8_000, 'change|1|8000|0.3|1|BUY'),
    at(9_000, 'change|1|9000|0.4|2|BUY'),
  ]
  const lost = ['change|1|5000|0.5|10|BUY', 'change|1|7000|0.4|1|BUY']
  const heard = obligations.filter(({ key }) => !lost.includes(key)).map(({ key }) => [key, 1] as const)
  const spans = [{ token: '1', startMs: 0, endMs: Number.POSITIVE_INFINITY }]
  const result = balance({ obligations, received: new Map(heard), spans, gaps: [], toleranceMs: 1_000 })
  assert.deepEqual(
    result.overwritten.map(({ atMs }) => atMs),
    [5_000],
  )
  assert.deepEqual(
    result.silent.map(({ atMs }) => atMs),
    [7_000],
  )
})

test('a lost change is told apart when the next match took from its level, and no other', () => {
  const at = (atMs: number, key: string) => ({ key, token: key.split('|')[1] ?? '', atMs })
  // Whoever buys outcome 2 at 0.46 takes from the bids of outcome 1 down to 0.54.
  const obligations = [
    at(5_000, 'change|1|5000|0.54|10|BUY'),
    at(5_001, 'change|1|5001|0.55|0|BUY'),
    at(5_002, 'change|1|5002|0.53|10|BUY'),
    at(5_003, 'change|1|5003|0.56|10|SELL'),
    at(6_000, 'book|1|6000'),
    at(6_000, 'book|2|6000'),
    at(6_000.2, 'book|3|6000'), // another market in the same millisecond
    at(6_060, 'trade|2|6060|0.46|5|BUY|0xa'),
    at(6_060, 'trade|3|6060|0.5|5|BUY|0xb'),
  ]
  const heard = obligations.filter(({ key }) => !key.startsWith('change')).map(({ key }) => [key, 1] as const)
  const spans = ['1', '2'].map((token) => ({ token, startMs: 0, endMs: Number.POSITIVE_INFINITY }))
  const result = balance({ obligations, received: new Map(heard), spans, gaps: [], toleranceMs: 1_000 })
  assert.deepEqual(
    result.silent.map(({ atMs }) => atMs),
    [5_002, 5_003],
  )
})

test('a lost book is told apart when the next message sets what its match changed', () => {
  const at = (atMs: number, key: string) => ({ key, token: key.split('|')[1] ?? '', atMs })
  const match = (atMs: number, price: string, hash: string) => [
    at(atMs, `book|1|${atMs}`),
    at(atMs, `book|2|${atMs}`),
    at(atMs + 60, `trade|2|${atMs + 60}|${price}|5|BUY|${hash}`),
  ]
  const obligations = [
    ...match(5_000, '0.44', '0xa'),
    at(6_000, 'change|1|6000|0.56|7|SELL'),
    at(6_000, 'change|2|6000|0.44|7|BUY'),
    ...match(7_000, '0.44', '0xb'),
    at(8_000, 'change|1|8000|0.55|7|SELL'),
    at(8_000, 'change|2|8000|0.45|7|BUY'),
    ...match(9_000, '0.44', '0xc'),
    ...match(9_500, '0.44', '0xd'),
    ...match(11_000, '0.44', '0xe'),
    at(12_000, 'change|1|12000|0.56|7|SELL'),
    at(12_000, 'change|2|12000|0.44|7|BUY'),
    ...match(13_000, '0.43', '0xf'),
    at(14_000, 'change|1|14000|0.57|7|SELL'),
    at(14_000, 'change|2|14000|0.43|7|BUY'),
    ...match(15_000, '0.43', '0x1'),
    at(16_000, 'change|1|16000|0.57|7|SELL'),
    at(16_000, 'change|2|16000|0.43|7|BUY'),
  ]
  // Books alone at 5, 7 and 9 s; the whole match at 11 and 13 s; a trade alone at 15 s.
  const lost = /^(?:book\|.\|(?:5000|7000|9000|11000|13000)|trade.*0x[ef1])$/
  const heard = obligations.filter(({ key }) => !lost.test(key)).map(({ key }) => [key, 1] as const)
  const spans = ['1', '2'].map((token) => ({ token, startMs: 0, endMs: Number.POSITIVE_INFINITY }))
  const result = balance({ obligations, received: new Map(heard), spans, gaps: [], toleranceMs: 1_000 })
  const times = (of: readonly { readonly atMs: number }[]) => [...new Set(of.map(({ atMs }) => atMs))]
  assert.deepEqual(times(result.overwritten), [5_000, 9_000, 11_000, 11_060])
  assert.deepEqual(times(result.silent), [7_000, 13_000, 13_060, 15_060], 'the last trade price tells')
})
