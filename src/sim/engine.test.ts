import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SimulatedClock } from './clock.ts'
import { Engine, type Feed, type FrameKind } from './engine.ts'
import type { SimMarket } from './market.ts'
import { type PartialVenueOptions, venueOptions } from './options.ts'
import { createWorld, type World } from './world.ts'

interface History {
  readonly frames: { readonly kind: FrameKind; readonly frame: string }[]
  readonly world: World
  readonly engine: Engine
  readonly clock: SimulatedClock
}

/** An engine on a clock that only the test moves, with a feed that keeps everything, or that nobody listens to. */
function start(given: PartialVenueOptions, listened = true): History {
  const options = venueOptions({ markets: 6, rate: 1_000, ...given })
  const clock = new SimulatedClock()
  const world = createWorld(options, clock.wallMs())
  const frames: History['frames'] = []
  const feed: Feed = {
    wanted: () => listened,
    toMarket: (_market, kind, frame) => void frames.push({ kind, frame }),
    toToken: (_market, _outcome, kind, frame) => void frames.push({ kind, frame }),
    toTokenCustom: (_market, _outcome, kind, frame) => void frames.push({ kind, frame }),
    broadcast: (kind, frame) => void frames.push({ kind, frame }),
  }
  return { frames, world, clock, engine: new Engine(options, world, feed, clock.monotonicMs()) }
}

async function run(history: History, ms: number, tickMs = 4): Promise<void> {
  const { engine, clock } = history
  for (let elapsedMs = 0; elapsedMs < ms; elapsedMs += tickMs) {
    await clock.advance(tickMs)
    engine.advance(clock.wallMs(), () => clock.monotonicMs())
  }
}

for (const seed of [1, 7, 42]) {
  test(`seed ${seed}: the same seed gives the same history, byte for byte`, async () => {
    const [one, other, different] = [start({ seed }), start({ seed }), start({ seed: seed + 1 })]
    for (const history of [one, other, different]) await run(history, 1_000)
    assert.ok(one.frames.length > 800)
    assert.deepEqual(one.frames, other.frames)
    assert.notDeepEqual(one.frames, different.frames)
  })
}

test('what happens does not depend on whether anybody listens', async () => {
  const [listened, alone] = [start({ seed: 3 }), start({ seed: 3 }, false)]
  for (const history of [listened, alone]) await run(history, 500)
  const books = (history: History) => history.world.markets.map((market) => market.book)
  assert.deepEqual(books(listened), books(alone))
  assert.equal(listened.engine.counts.frames, alone.engine.counts.frames)
})

test('meets the rate, counted in frames', async () => {
  const history = start({ rate: 2_000, markets: 50 })
  await run(history, 2_000)
  const { frames, missed } = history.engine.counts
  assert.ok(Math.abs(frames - 4_000) < 40, `${frames} frames in two seconds`)
  assert.equal(missed, 0)
})

test('counts what the rate asked for and this process could not do', async () => {
  const history = start({ rate: 1_000 })
  await run(history, 8)
  await history.clock.advance(10_000) // the process was busy elsewhere
  history.engine.advance(history.clock.wallMs(), () => history.clock.monotonicMs())
  const { frames, missed } = history.engine.counts
  assert.ok(missed >= 9_400 && missed <= 9_600, `${missed} missed`)
  assert.ok(frames <= 600, `${frames} frames`)
})

test('a trade follows its books by the delay, once for each fill', async () => {
  const history = start({ tradeShare: 1, rate: 100, tradeDelayMs: [34, 88], repeatShare: 0 })
  await run(history, 3_000)
  history.engine.paused = true
  await run(history, 200)
  const told = history.frames.filter(({ kind }) => kind === 'last_trade_price')
  assert.equal(told.length, history.engine.counts.fills)
  assert.ok(told.length > 50)
  const bookTimes = new Map<string, number[]>()
  for (const { kind, frame } of history.frames) {
    const event = JSON.parse(frame) as { market: string; timestamp: string }
    if (kind === 'book') bookTimes.set(event.market, [...(bookTimes.get(event.market) ?? []), Number(event.timestamp)])
    if (kind !== 'last_trade_price') continue
    const after = (bookTimes.get(event.market) ?? []).map((at) => Number(event.timestamp) - at)
    assert.ok(
      after.some((ms) => ms >= 34 && ms <= 88),
      `${after.at(-1)} ms after its books`,
    )
  }
  assert.equal(history.engine.pendingTrades, 0)
})

test('identical fills in one millisecond happen, and one transaction has several fills', async () => {
  const history = start({ tradeShare: 1, rate: 500 })
  await run(history, 4_000)
  const frames = history.frames.filter(({ kind }) => kind === 'last_trade_price').map(({ frame }) => frame)
  const identical = frames.length - new Set(frames).size
  const transactions = new Set(frames.map((frame) => (JSON.parse(frame) as Record<string, string>)['transaction_hash']))
  assert.ok(identical > 10, `${identical} identical fills`)
  assert.ok(transactions.size < new Set(frames).size, 'some transaction has different fills')
})

test('price_change frames are repeated now and then', async () => {
  const history = start({ repeatShare: 0.2, tradeShare: 0 })
  await run(history, 1_000)
  const frames = history.frames.filter(({ kind }) => kind === 'price_change').map(({ frame }) => frame)
  const repeated = frames.filter((frame, index) => frame === frames[index - 1]).length
  assert.ok(repeated > 50 && repeated < 400, `${repeated} of ${frames.length}`)
})

test('several changes of one step share one hash', async () => {
  const history = start({ repeatShare: 0, tradeShare: 0, batchMax: 8 })
  await run(history, 500)
  const hashes = history.frames
    .filter(({ kind }) => kind === 'price_change')
    .map(({ frame }) => /"hash":"(\w{40})"/.exec(frame)?.[1])
  assert.ok(new Set(hashes).size < hashes.length * 0.8)
})

test('any seed: books stay sorted, uncrossed, on the grid, within their depth', () => {
  const parameters = fc.record({
    seed: fc.nat(),
    levels: fc.integer({ min: 2, max: 30 }),
    batchMax: fc.integer({ min: 1, max: 12 }),
    tradeShare: fc.double({ min: 0, max: 0.5, noNaN: true }),
  })
  fc.assert(
    fc.property(parameters, (given) => {
      const { engine, world, clock } = start({ ...given, markets: 2 }, false)
      for (let step = 0; step < 300; step += 1) engine.step(clock.wallMs())
      for (const market of world.markets) checkBook(market, given.levels + given.batchMax)
    }),
    { numRuns: 100 },
  )
})

function checkBook(market: SimMarket, depth: number): void {
  const bids = market.book.bids.map((level) => level.units)
  const asks = market.book.asks.map((level) => level.units)
  assert.deepEqual(
    bids,
    [...new Set(bids)].sort((left, right) => left - right),
  )
  assert.deepEqual(
    asks,
    [...new Set(asks)].sort((left, right) => right - left),
  )
  assert.ok((bids.at(-1) ?? 0) < (asks.at(-1) ?? 10_000), `crossed: ${bids.at(-1)} ${asks.at(-1)}`)
  assert.ok(bids.length <= depth && asks.length <= depth, `${bids.length} and ${asks.length} levels`)
  for (const level of [...market.book.bids, ...market.book.asks]) {
    assert.ok(level.hundredths > 0)
    assert.ok(level.units > 0 && level.units < 10_000 && level.units % 10 === 0, `price ${level.units}`)
  }
}
