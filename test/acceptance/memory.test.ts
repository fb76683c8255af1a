import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { startVenueProcess } from '../../src/sim/process.ts'
import { Daemon, removeDirectory, temporaryDirectory, venueEnvironment } from '../support/daemon.ts'
import { readProcessMemory } from '../support/memory.ts'

const MARKETS = 10_000
const RATE = 2_000
const FEED_MS = 60_000
/** 400 MB. */
const RSS_MIB_MAX = 400e6 / 2 ** 20
const SAMPLE_MS = 500

const skip = readProcessMemory(process.pid) === null ? 'there is no /proc to read memory from' : false

test('memory stays under 400 MB with 20,000 tokens subscribed and every book kept', { skip }, async (t) => {
  const directory = await temporaryDirectory()
  const venue = await startVenueProcess({ markets: MARKETS, rate: RATE, levels: 40, seed: 8 })
  const daemon = await Daemon.start(join(directory, 'data'), {
    ...venueEnvironment(venue.urls),
    // Every collector goes over all 20,000 tokens at start and again while the feed runs.
    TAPEKEEPER_POLYMARKET_MARKETS_INTERVAL: '45s',
    TAPEKEEPER_POLYMARKET_PRICE_INTERVAL: '30s',
    TAPEKEEPER_POLYMARKET_ORDERBOOK_INTERVAL: '45s',
    TAPEKEEPER_POLYMARKET_RESOLUTION_INTERVAL: '45s',
  })
  t.after(async () => {
    await daemon.end('SIGTERM')
    await venue.stop()
    await removeDirectory(directory)
  })
  const started = performance.now()
  await daemon.whenHealth(
    'every token is subscribed and has a book',
    (body) => {
      const listener = body['trade_listener'] as { tokens_subscribed: number }
      const recorder = body['recorder'] as { books_kept: number }
      // A market whose volume rises while the listing is read can slip between two pages until the next cycle.
      const nearlyAll = MARKETS * 2 * 0.999
      return listener.tokens_subscribed >= nearlyAll && recorder.books_kept >= nearlyAll
    },
    240_000,
  )
  const subscribed = readProcessMemory(daemon.running.pid)
  t.diagnostic(`subscribed after ${seconds(started)} s: ${describe(subscribed)}`)

  const before = await daemon.health()
  const end = performance.now() + FEED_MS
  const samples: number[] = []
  while (performance.now() < end) {
    samples.push(readProcessMemory(daemon.running.pid)?.rssMib ?? Number.NaN)
    await delay(SAMPLE_MS)
  }
  const body = await daemon.health()
  const memory = readProcessMemory(daemon.running.pid)
  const frames = framesOf(body) - framesOf(before)
  const halves = [samples.slice(0, samples.length / 2), samples.slice(samples.length / 2)].map(mean)
  t.diagnostic(`after the feed: ${describe(memory)}; mean of the halves ${halves.map(Math.round).join(' and ')} MiB`)
  t.diagnostic(`${frames} frames in ${FEED_MS / 1000} s; ${JSON.stringify(body['book_checks'])}`)
  t.diagnostic(JSON.stringify(cyclesOf(body)))
  assert.ok(frames > (RATE * FEED_MS) / 1000 / 2, `only ${frames} frames: too little of a feed to prove anything`)
  for (const [name, { cycles }] of Object.entries(cyclesOf(body)))
    assert.ok(cycles >= 2, `${name} finished only ${cycles} cycles`)
  assert.ok(memory !== null && memory.peakMib < RSS_MIB_MAX, `memory went up to ${memory?.peakMib} MiB`)
  const [first = 0, second = 0] = halves
  assert.ok(second < first * 1.15, `memory grows: ${first} MiB, then ${second} MiB`)
})

function describe(memory: ReturnType<typeof readProcessMemory>): string {
  return memory === null ? 'gone' : `RSS ${Math.round(memory.rssMib)} MiB, at most ${Math.round(memory.peakMib)} MiB`
}

function framesOf(body: Record<string, unknown>): number {
  return (body['trade_listener'] as { frames_received: number }).frames_received
}

function cyclesOf(
  body: Record<string, unknown>,
): Record<string, { cycles: number; failed: number; last_error: string }> {
  const collectors = Object.entries(body['collectors'] as Record<string, Record<string, unknown>>)
  return Object.fromEntries(
    collectors
      .filter(([, one]) => one['kind'] === 'polling')
      .map(([name, one]) => [
        name,
        {
          cycles: Number(one['total_cycles']),
          failed: Number(one['error_count']),
          last_error: String(one['last_error']),
        },
      ]),
  )
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(1)
}
