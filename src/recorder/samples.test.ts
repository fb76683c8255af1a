import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { MarketEvent } from '../core/events.ts'
import { type ConditionId, parseTokenId } from '../core/ids.ts'
import type { TokenDirectory } from '../core/market.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { PolymarketBookChecker } from '../sources/polymarket/book-checker.ts'
import { decodeFrame } from '../sources/polymarket/decode.ts'
import { memoryLog } from './support.test.ts'
import { BookKeeper } from './verification.ts'

const SAMPLES = new URL('../../../shared/polymarket/samples/market-channel/', import.meta.url)
const skip = existsSync(SAMPLES) ? false : 'the recorded samples are not here'

interface Sample {
  readonly atUs: number
  readonly payload: string
}

function frames(): readonly Sample[] {
  const lines = readFileSync(new URL('frames-2026-09-30.jsonl', SAMPLES), 'utf8').trim().split('\n')
  return lines.map((line) => {
    const { receivedAt, payloadUtf8 } = JSON.parse(line) as { receivedAt: string; payloadUtf8: string }
    return { atUs: Date.parse(receivedAt) * 1000, payload: payloadUtf8 }
  })
}

function session(): readonly Sample[] {
  const lines = readFileSync(new URL('session-v2-2026-10-05.jsonl', SAMPLES), 'utf8').trim().split('\n')
  return lines
    .map((line) => JSON.parse(line) as { t: string; dir: string; data: string })
    .filter(({ dir }) => dir === 'recv')
    .map(({ t, data }) => ({ atUs: Date.parse(t) * 1000, payload: data.replace(/\n$/, '') }))
}

const DIRECTORY: TokenDirectory = {
  facts: (tokenId) => ({
    tokenId,
    conditionId: '0x' as ConditionId,
    tickSize: null,
    minOrderSize: '5',
    negRisk: false,
    version: null,
  }),
}

function play(samples: readonly Sample[]) {
  const checker = new PolymarketBookChecker(DIRECTORY)
  const keeper = new BookKeeper({ checker, clock: new SimulatedClock(), log: memoryLog() })
  const events: MarketEvent[] = []
  const problems: string[] = []
  for (const { atUs, payload } of samples) {
    const decoded = decodeFrame(Buffer.from(payload))
    problems.push(...decoded.rejects, ...decoded.drift)
    for (const event of decoded.events) {
      events.push(event)
      keeper.apply(event, 'connection', atUs)
    }
    keeper.turn()
  }
  keeper.finish()
  return { keeper, events, problems }
}

test('the 28 recorded frames: 31 hash checks match, none is left out', { skip }, () => {
  const { keeper, events, problems } = play(frames())
  assert.deepEqual(problems, [])
  assert.deepEqual(keeper.checks, { match: 31, mismatch: 0, unverifiable: 0, skipped: 0 })
  assert.equal(keeper.bestDisagreements, 0)
  assert.equal(events.filter(({ kind }) => kind === 'trade').length, 2)
})

test('the recorded frames with one price change missing: the next batches do not match', { skip }, () => {
  // The batch of frame 13 is a single change per token, and everything after it builds on it.
  const { keeper } = play(frames().filter((_, index) => index !== 12))
  assert.ok(keeper.checks.mismatch > 0)
})

test('the recorded V2 session: the empty book matches', { skip }, () => {
  const { keeper, events, problems } = play(session())
  assert.deepEqual(problems, [])
  assert.deepEqual(keeper.checks, { match: 1, mismatch: 0, unverifiable: 0, skipped: 0 })
  const created = events.find((event) => event.kind === 'new_market')
  assert.equal(created?.kind === 'new_market' && created.tokens.length, 2)
  assert.deepEqual(created?.kind === 'new_market' && created.outcomes, ['Yes', 'No'])
})

test('every shape of the venue is decoded', { skip }, () => {
  const kinds = ['best_bid_ask', 'book', 'last_trade', 'new_market', 'price_change', 'resolved', 'tick_size']
  const decoded = kinds.map((name) => decodeFrame(readFileSync(new URL(`shape-${name}.json`, SAMPLES))))
  assert.deepEqual(
    decoded.flatMap(({ rejects }) => rejects),
    [],
  )
  assert.deepEqual(
    decoded.flatMap(({ drift }) => drift),
    [],
  )
  assert.deepEqual(
    decoded.map(({ events }) => events.map(({ kind }) => kind).join()),
    ['best_bid_ask', 'book', 'trade', 'new_market', 'price_change', 'market_resolved', 'tick_size_change'],
  )
  const resolved = decoded[5]?.events[0]
  assert.equal(
    resolved?.kind === 'market_resolved' && resolved.winningToken,
    parseTokenId('76043073756653678226373981964075571318267289248134717369284518995922789326425'),
  )
})
