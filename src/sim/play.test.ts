import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startVenueProcess } from './process.ts'
import { checkBooks } from './test-books.ts'
import { allMarkets, connect, firstFrame, tokensOf } from './test-client.ts'

const SAMPLES = fileURLToPath(new URL('../../../shared/polymarket/samples/', import.meta.url))
const FRAMES = join(SAMPLES, 'market-channel/frames-2026-09-30.jsonl')
const CLOSED = join(SAMPLES, 'gamma/closed-markets-2026-07-24.jsonl')
const LEGACY = join(SAMPLES, 'gamma/gamma_market_closed_nonbinary_legacy.json')
const skip = existsSync(SAMPLES) ? false : 'the recordings are not here'
const directory = mkdtempSync(join(tmpdir(), 'tapekeeper-play-'))

after(() => rmSync(directory, { recursive: true, force: true }))

test('plays a recording byte for byte to whoever has subscribed to its tokens', { skip }, async (t) => {
  const recorded = readFileSync(FRAMES, 'utf8')
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { payloadUtf8: string }).payloadUtf8)
    .filter((payload) => payload !== 'PONG')
  const venue = await startVenueProcess({ play: FRAMES, playSpeed: 0 })
  t.after(() => venue.stop())
  const [market, ...others] = await allMarkets(venue.urls.gamma)
  assert.ok(market)
  assert.equal(others.length, 0, 'a recording is played alone')
  assert.equal(market['orderMinSize'], 5)
  assert.equal(market.negRisk, false)
  const tokens = tokensOf(market)
  const client = await connect(venue.urls.ws)
  client.send(firstFrame(tokens.slice(0, 1)))
  client.send('PING')
  await client.until(() => client.frames.length === 1)
  assert.deepEqual(client.frames, ['PONG'], 'nothing is played before the last token is subscribed')
  client.send({ operation: 'subscribe', assets_ids: tokens })
  await client.until(() => client.data().length === recorded.length)
  assert.deepEqual(client.data(), recorded)
  const checked = checkBooks(client.data(), [market])
  assert.deepEqual([checked.dumps, checked.tradedBooks, checked.batches], [2, 3, 26])
  assert.equal((await venue.trades()).length, 2)
  const response = await fetch(`${venue.urls.clob}/book?token_id=${tokens[0]}`)
  const book = (await response.json()) as { bids: unknown; asks: unknown }
  assert.equal(JSON.stringify([book.bids, book.asks]), checked.hashes.get(tokens[0] ?? ''))
  await client.close()
})

test('a recording keeps its pace times the speed', async (t) => {
  const book =
    '{"market":"0xaa","asset_id":"1","timestamp":"1","bids":[],"asks":[],"tick_size":"0.01","event_type":"book"}'
  const lines = [
    { receivedAt: '2026-09-30T00:00:00.000Z', payloadUtf8: `[${book}]\n` },
    { receivedAt: '2026-09-30T00:00:05.000Z', payloadUtf8: 'PONG' },
    { receivedAt: '2026-09-30T00:00:10.000Z', payloadUtf8: '{"event_type":"later"}' },
  ]
  const file = join(directory, 'paced.jsonl')
  writeFileSync(file, lines.map((line) => JSON.stringify(line)).join('\n'))
  const venue = await startVenueProcess({ play: file, playSpeed: 50, accountDir: directory })
  t.after(() => venue.stop())
  const client = await connect(venue.urls.ws)
  client.send(firstFrame(['1']))
  await client.until(() => client.data().length === 2)
  await venue.waitFor((account) => account.played[0]?.done === true)
  const kept = readFileSync(join(directory, 'frames-1.ndjson'), 'utf8').trim().split('\n')
  const [first, second] = kept.map((line) => JSON.parse(line) as { atUs: number; frame: string })
  assert.deepEqual([first?.frame, second?.frame], [`[${book}]\n`, '{"event_type":"later"}'])
  const apartMs = ((second?.atUs ?? 0) - (first?.atUs ?? 0)) / 1_000
  assert.ok(apartMs >= 190, `ten seconds at fifty times the pace took ${apartMs} ms`)
  await client.close()
})

test('serves raw Gamma markets as they are', { skip }, async (t) => {
  const venue = await startVenueProcess({ playGamma: [CLOSED, LEGACY] })
  t.after(() => venue.stop())
  const raw = readFileSync(CLOSED, 'utf8').trim().split('\n')
  const texts: string[] = []
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const query = `limit=100&closed=true&order=closedTime&ascending=false&after_cursor=${cursor}`
    const text: string = await (await fetch(`${venue.urls.gamma}/markets/keyset?${query}`)).text()
    texts.push(text)
    cursor = (JSON.parse(text) as { next_cursor?: string }).next_cursor
  }
  assert.equal(raw.length, 146)
  const served = texts.join('')
  for (const line of raw) assert.ok(served.includes(line), 'byte for byte')
  assert.ok(served.includes(readFileSync(LEGACY, 'utf8').trim()))
  const [one] = raw.map((line) => JSON.parse(line) as { conditionId: string })
  const found = await fetch(`${venue.urls.gamma}/markets/keyset?closed=true&condition_ids=${one?.conditionId}`)
  assert.equal(await found.text(), `{"markets":[${raw[0]}]}`)
  const row = await (await fetch(`${venue.urls.clob}/markets/${one?.conditionId}`)).json()
  assert.equal((row as { tokens: { winner: boolean }[] }).tokens.filter(({ winner }) => winner).length, 1)
  assert.deepEqual(await allMarkets(venue.urls.gamma), [])
})

test('a file that is no recording is refused with its line', async () => {
  const file = join(directory, 'broken.jsonl')
  writeFileSync(file, '{"receivedAt":"2026-09-30T00:00:00.000Z","payloadUtf8":"[]"}\nnonsense\n')
  await assert.rejects(startVenueProcess({ play: file }), /line 2 is not/)
})
