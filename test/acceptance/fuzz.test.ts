import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { startVenueProcess } from '../../src/sim/process.ts'
import { allMarkets, connect, firstFrame, tokensOf } from '../../src/sim/test-client.ts'
import { decodeFrame } from '../../src/sources/polymarket/decode.ts'
import { type Channel, type ChannelConnection, sendFrame, startChannel } from '../support/channel.ts'
import { Daemon, readTapeLines, removeDirectory, temporaryDirectory, venueEnvironment } from '../support/daemon.ts'
import { readProcessMemory } from '../support/memory.ts'
import { mutateFrame } from '../support/mutations.ts'
import { ROOT, until } from '../support/processes.ts'
import { keptFrames, withoutNewline } from '../support/tape-payloads.ts'

const MUTATIONS = 100_000
const SEED = 20_260_930
const MARKETS = 60
/** A well-formed trade stands between so many mutations, every tenth of them twice, as two identical fills are. */
const TRADE_EVERY = 100
/** Unsynced bytes are bounded in the recorder: what is sent faster than a disk takes it would be refused. */
const FRAMES_AHEAD_MAX = 4_000
const BACK_MS_MAX = 5_000
/** A connection that lived shorter was no success, and the next is not tried at once. */
const USEFUL_LIFE_MS = 1_500
/**
 * More than in ordinary service: such a frame is a line of 96 MiB, which stands in memory once, beside the
 * payload's own copies on the way (received, sent to the writing thread, decoded). 360 to 372 MiB were seen.
 */
const RSS_MIB_MAX = 420
const RECORDED = join(ROOT, '../shared/polymarket/samples/market-channel/frames-2026-09-30.jsonl')

interface Fixture {
  readonly daemon: Daemon
  readonly channel: Channel
  readonly seeds: readonly Buffer[]
  readonly tokens: readonly string[]
}

/** A daemon whose metadata and books come from the simulated venue and whose frames come from the test. */
async function start(t: TestContext): Promise<Fixture> {
  const directory = await temporaryDirectory()
  const venue = await startVenueProcess({ markets: MARKETS, rate: 500, seed: 9, tradeShare: 0.3 })
  const channel = await startChannel()
  const tokens = (await allMarkets(venue.urls.gamma)).flatMap(tokensOf)
  const seeds = [...(await simulatedFrames(venue, tokens)), ...(await recordedFrames())]
  await venue.control({ drain: true })
  const daemon = await Daemon.start(join(directory, 'data'), {
    ...venueEnvironment(venue.urls),
    TAPEKEEPER_POLYMARKET_WS_URL: channel.url,
    // Silence between the parts of this test is no fault of the connection.
    TAPEKEEPER_POLYMARKET_STALL_TIMEOUT: '10m',
  })
  t.after(async () => {
    await daemon.end('SIGTERM')
    await channel.close()
    await venue.stop()
    await removeDirectory(directory)
  })
  await daemon.whenHealth('the tokens are subscribed', (body) => listenerOf(body).tokens_subscribed >= tokens.length)
  return { daemon, channel, seeds, tokens }
}

/** Frames of every kind that the simulated venue sends. */
async function simulatedFrames(venue: Awaited<ReturnType<typeof startVenueProcess>>, tokens: readonly string[]) {
  const client = await connect(venue.urls.ws)
  client.send(firstFrame(tokens, { custom_feature_enabled: true }))
  await client.until(() => client.data().length > 1)
  await venue.control({ createMarket: { count: 3 } })
  await venue.control({ resolveMarket: {} })
  await client.until(() => client.data().length > 500)
  await client.close()
  const frames = client.data().filter((frame) => frame.length < 20_000)
  for (const type of ['price_change', 'book', 'last_trade_price', 'best_bid_ask', 'new_market', 'market_resolved']) {
    assert.ok(
      frames.some((frame) => frame.includes(`"${type}"`)),
      `no ${type} among the simulated frames`,
    )
  }
  return frames.map((frame) => Buffer.from(frame))
}

async function recordedFrames(): Promise<Buffer[]> {
  if (!existsSync(RECORDED)) return []
  const lines = (await readFile(RECORDED, 'utf8')).split('\n').filter((line) => line !== '')
  const texts = lines.map((line) => (JSON.parse(line) as { payloadUtf8: string }).payloadUtf8)
  return texts.filter((text) => text !== 'PONG').map((text) => Buffer.from(text))
}

interface Listener {
  readonly tokens_subscribed: number
  readonly frames_received: number
  readonly queue_depth: number
  readonly reconnections: number
  readonly connections_active: number
  readonly trades_inserted: number
}

interface Reader {
  readonly rejects: number
  readonly dead_letters: number
  readonly behind_bytes: number
  readonly trouble: string | null
}

function listenerOf(body: Record<string, unknown>): Listener {
  return body['trade_listener'] as Listener
}

function readerOf(body: Record<string, unknown>): Reader {
  return body['recorder'] as Reader
}

function tradeFrame(token: string, number: number): Buffer {
  const fields = {
    market: `0x${'ab'.repeat(32)}`,
    asset_id: token,
    price: '0.51',
    size: '7',
    fee_rate_bps: '0',
    side: 'BUY',
    timestamp: String(Date.now()),
    event_type: 'last_trade_price',
    transaction_hash: neighbourHash(number),
  }
  return Buffer.from(JSON.stringify(fields))
}

function neighbourHash(number: number): string {
  return `0xfeed${number.toString(16).padStart(60, '0')}`
}

function received(channel: Channel): number {
  return channel.connections.reduce((sum, connection) => sum + connection.sent.length, 0)
}

/** Answers to heartbeats are not recorded, and an INVALID OPERATION is the venue's request to come again. */
function isControl(payload: Buffer): boolean {
  return payload.length < 64 && /^\s*(PONG|INVALID OPERATION)\s*$/.test(payload.toString('latin1'))
}

/** Sends everything on one connection and returns how often each neighbour was sent. */
async function sendMutations({ daemon, channel, seeds, tokens }: Fixture): Promise<Map<string, number>> {
  const random = seededRandom(SEED)
  const connection = channel.connections[0] as ChannelConnection
  const neighbours = new Map<string, number>()
  for (let sent = 0; sent < MUTATIONS; ) {
    const payload = mutateFrame(seeds, random)
    if (isControl(payload)) continue
    const sending = sendFrame(connection, payload, !isUtf8(payload))
    sent += 1
    if (sent % TRADE_EVERY === 0) {
      const number = sent / TRADE_EVERY
      const trade = tradeFrame(tokens[number % tokens.length] as string, number)
      const times = number % 10 === 0 ? 2 : 1
      for (let time = 0; time < times; time += 1) await sendFrame(connection, trade, false)
      neighbours.set(neighbourHash(number), times)
    }
    if (sent % 50 === 0) await sending
    if (sent % 1_000 === 0) await waitFor(daemon, received(channel) - FRAMES_AHEAD_MAX)
  }
  return neighbours
}

async function waitFor(daemon: Daemon, frames: number): Promise<void> {
  await daemon.whenHealth(`${frames} frames`, (body) => listenerOf(body).frames_received >= frames)
}

async function settled({ daemon, channel }: Fixture) {
  return await daemon.whenHealth(
    'everything is in the ledger',
    (body) => {
      const { frames_received, queue_depth } = listenerOf(body)
      const { pending_bytes } = body['tape'] as { pending_bytes: number }
      if (frames_received < received(channel) || pending_bytes > 0) return false
      return queue_depth === 0 && readerOf(body).behind_bytes === 0
    },
    120_000,
  )
}

/** Every connection's frames, byte for byte and in order; the form of each is the plainest that can hold it. */
async function assertOnTape({ daemon, channel }: Fixture): Promise<Record<string, number>> {
  const kept = new Map<string, { form: string; payload: Buffer }[]>()
  const forms: Record<string, number> = { frame: 0, text: 0, base64: 0 }
  for (const { connection, form, payload } of keptFrames(await readTapeLines(daemon.dataDir))) {
    const list = kept.get(connection) ?? []
    list.push({ form, payload })
    kept.set(connection, list)
    forms[form] = (forms[form] ?? 0) + 1
  }
  const names = [...kept.keys()].sort((a, b) => Number(a.split('-').at(-1)) - Number(b.split('-').at(-1)))
  const sent = channel.connections.filter((connection) => connection.sent.length > 0)
  assert.equal(names.length, sent.length)
  for (const [index, name] of names.entries()) {
    const lines = kept.get(name) ?? []
    const frames = sent[index]?.sent ?? []
    for (const [at, payload] of frames.entries()) {
      const line = lines[at]
      assert.ok(line !== undefined, `frame ${at} of ${frames.length} is not on the tape`)
      const expected = withoutNewline({ form: line.form, payload })
      assert.ok(line.payload.equals(expected), `frame ${at} is not what was sent: ${excerpt(payload)}`)
      assert.equal(line.form === 'base64', !isUtf8(payload), excerpt(payload))
      if (isPlainJson(payload)) assert.equal(line.form, 'frame', excerpt(payload))
    }
    assert.equal(lines.length, frames.length)
  }
  return forms
}

/** JSON on one line that is nested no deeper than any reader of the tape can be expected to follow. */
function isPlainJson(payload: Buffer): boolean {
  if (!isUtf8(payload) || !isJson(payload)) return false
  const text = payload.toString('utf8').replace(/\n$/, '')
  return !/[\r\n]/.test(text) && text.split(/[[{]/).length < 512
}

function isJson(payload: Buffer): boolean {
  try {
    JSON.parse(payload.toString('utf8'))
    return true
  } catch {
    return false
  }
}

function excerpt(payload: Buffer): string {
  return JSON.stringify(payload.toString('latin1', 0, 300))
}

/** What the decoder refuses of what was sent; whatever is not JSON must be among it. */
function expectedRejects(channel: Channel): { frames: number; parts: number; raws: Set<string> } {
  const found = { frames: 0, parts: 0, raws: new Set<string>() }
  for (const payload of channel.connections.flatMap((connection) => connection.sent)) {
    const { rejects } = decodeFrame(payload)
    if (rejects.length === 0) {
      assert.ok(isJson(payload) || payload.toString() === 'PING', `not JSON and not refused: ${excerpt(payload)}`)
      continue
    }
    found.frames += 1
    found.parts += rejects.length
    const raw = payload.toString('utf8').replaceAll('\0', '\ufffd')
    // What is handed over in memory comes without its final newline, what is read from disk may have it.
    for (const text of [raw, raw.replace(/\n$/, '')]) found.raws.add(text.slice(0, 1_000))
  }
  return found
}

test('100,000 mutated frames: all on the tape, all counted, the connection lives on, neighbours stored', async (t) => {
  const fixture = await start(t)
  const { daemon, channel } = fixture
  const started = performance.now()
  const neighbours = await sendMutations(fixture)
  const sentMs = performance.now() - started
  const body = await settled(fixture)
  t.diagnostic(`${received(channel)} frames from ${fixture.seeds.length} seeds in ${Math.round(sentMs)} ms`)

  assert.equal(listenerOf(body).reconnections, 0)
  assert.equal(channel.connections[0]?.isOpen, true)
  assert.equal((body['tape'] as { frames_refused: number }).frames_refused, 0)
  assert.equal(body.status, 'healthy', JSON.stringify(body['reasons']))
  assert.doesNotMatch(daemon.running.stderr, /fell over|internal error|"level":"(error|fatal)"/)
  // A token in doubt asks for its book at any moment: what it is answered may be on its way.
  const forms = await until('everything sent to be on the tape', () => assertOnTape(fixture), 60_000)
  t.diagnostic(JSON.stringify(forms))

  const expected = expectedRejects(channel)
  const { rejects, dead_letters: letters, trouble } = readerOf(body)
  t.diagnostic(`${expected.frames} malformed frames; ${JSON.stringify(readerOf(body))}`)
  assert.equal(trouble, null)
  assert.equal(rejects, expected.parts)
  assert.ok(expected.frames > MUTATIONS / 2, 'mutations that are mostly well-formed prove little')
  assert.ok(letters >= expected.frames, 'rows that the ledger refuses come on top of frames that the decoder refuses')

  // The ledger keeps so many an hour, and says what that limit cost.
  const [hours] = await daemon.query<{ offered: string; kept: string; limit_reached: boolean }>(
    `SELECT sum(offered) AS offered, sum(kept) AS kept, bool_or(kept < offered) AS limit_reached
     FROM dead_letter_hours`,
  )
  assert.equal(Number(hours?.offered), letters)
  assert.equal(hours?.limit_reached, true)
  const kept = await daemon.query<{ raw: string; reason: string; source: string }>('SELECT * FROM dead_letters')
  assert.equal(kept.length, Number(hours?.kept))
  assert.ok(kept.length >= 1_000)
  for (const { raw, reason, source } of kept) {
    assert.equal(source, 'polymarket.trades')
    assert.notEqual(reason, '')
    if (/outside the window|not a token id/.test(reason)) continue
    // What only the ledger refuses, such as an escaped NUL, was fine for the decoder.
    assert.ok(
      expected.raws.has(raw.slice(0, 1_000)) || wasSent(channel, raw.slice(0, 1_000)),
      `a dead letter that was never sent: ${reason}: ${raw.slice(0, 300)}`,
    )
  }

  const rows = await daemon.query<{ transaction_hash: string; count: number }>(
    `SELECT transaction_hash, count(*)::int AS count FROM v_trades WHERE transaction_hash LIKE '0xfeed%' GROUP BY 1`,
  )
  assert.deepEqual(new Map(rows.map((row) => [row.transaction_hash, row.count])), neighbours)
  const [all] = await daemon.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM v_trades WHERE origin = 'stream'`,
  )
  assert.equal(all?.count, listenerOf(body).trades_inserted)
})

function wasSent(channel: Channel, start: string): boolean {
  return channel.connections.some(({ sent }) =>
    sent.some((payload) => payload.toString('utf8').replaceAll('\0', '\ufffd').startsWith(start)),
  )
}

interface Forbidden {
  readonly what: string
  /** What the tape's mark says of it. */
  readonly why: RegExp
  readonly send: (connection: ChannelConnection) => void
}

const FORBIDDEN: readonly Forbidden[] = [
  { what: 'a frame of 17 MiB', why: /payload size/, send: ({ socket }) => socket.send('x'.repeat(17 << 20)) },
  { what: 'text that is not UTF-8', why: /UTF-8/, send: ({ socket }) => socket.send(NOT_UTF8, { binary: false }) },
  { what: 'an opcode that does not exist', why: /opcode/, send: (to) => rawSocket(to).write(Buffer.from([0x83, 0])) },
  { what: 'a masked frame', why: /MASK/, send: (to) => rawSocket(to).write(Buffer.from([0x81, 0x81, 1, 2, 3, 4, 5])) },
  { what: 'the end of no message', why: /opcode/, send: (to) => rawSocket(to).write(Buffer.from([0x80, 1, 0x41])) },
  { what: 'half a frame and no more', why: /^$|end/i, send: (to) => rawSocket(to).end(Buffer.from([0x81, 0x7e, 1])) },
]
const NOT_UTF8 = Buffer.from([0x7b, 0xc0, 0x80, 0x7d])

function rawSocket({ socket }: ChannelConnection): NodeJS.WritableStream {
  return (socket as unknown as { _socket: NodeJS.WritableStream })._socket
}

test('frames that the protocol forbids end the connection, which is back within seconds and records', async (t) => {
  const fixture = await start(t)
  const { daemon, channel, tokens } = fixture
  const token = tokens[0] as string
  // The largest frame that is allowed, in the form that needs the most room on the tape.
  await sendFrame(channel.connections[0] as ChannelConnection, Buffer.alloc(16 << 20, 0x01), false)
  const large = await daemon.whenHealth('the large frame is refused', (body) => readerOf(body).rejects === 1)
  assert.equal(listenerOf(large).reconnections, 0)
  const memory = readProcessMemory(daemon.running.pid)
  t.diagnostic(`after a frame of 16 MiB: ${JSON.stringify(memory)}`)
  if (memory !== null) assert.ok(memory.peakMib < RSS_MIB_MAX, `memory went up to ${memory.peakMib} MiB`)
  let number = 1_000_000
  for (const { what, why, send } of FORBIDDEN) {
    const before = channel.connections.at(-1) as ChannelConnection
    const open = channel.connections.length
    const opened = performance.now()
    const livedMs = () => performance.now() - opened
    await until('a useful life', () => (livedMs() > USEFUL_LIFE_MS ? true : undefined), USEFUL_LIFE_MS * 2)
    const started = performance.now()
    send(before)
    await before.closed
    const next = await until(`a connection after ${what}`, () => channel.connections[open], BACK_MS_MAX)
    await until('its subscription', () => (next.sent.length > 0 ? true : undefined), BACK_MS_MAX)
    const tookMs = performance.now() - started
    assert.ok(tookMs < BACK_MS_MAX, `back after ${tookMs} ms`)
    number += 1
    await sendFrame(next, tradeFrame(token, number), false)
    await until(
      'the next trade is stored',
      async () => ((await neighbourCount(daemon, number)) === 1 ? true : undefined),
      10_000,
    )
    const close = (await readTapeLines(daemon.dataDir)).filter((line) => line.includes('"mark":"close"')).at(-1) ?? '{}'
    assert.match((JSON.parse(close) as { detail: { reason: string } }).detail.reason, why)
    t.diagnostic(`${what}: back after ${Math.round(tookMs)} ms`)
  }
  const body = await settled(fixture)
  assert.equal(listenerOf(body).reconnections, FORBIDDEN.length)
  await daemon.whenHealth('healthy again', (seen) => seen.status === 'healthy', 20_000)
  await assertOnTape(fixture)
})

async function neighbourCount(daemon: Daemon, number: number): Promise<number> {
  const sql = 'SELECT count(*)::int AS count FROM v_trades WHERE transaction_hash = $1'
  const [row] = await daemon.query<{ count: number }>(sql, [neighbourHash(number)])
  return row?.count ?? 0
}
