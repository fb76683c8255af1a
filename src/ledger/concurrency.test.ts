import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConditionId, TokenId } from '../core/ids.ts'
import type { Market, Resolution } from '../core/market.ts'
import type { LifecycleRow } from '../core/rows.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { freshLedger } from './test-server.ts'

const MARKETS = 300

function market(number: number, volume: number): Market {
  const id = number.toString(16).padStart(64, '0')
  return {
    conditionId: `0x${id}` as ConditionId,
    venueMarketId: String(number),
    question: `Question ${number}?`,
    slug: `question-${number}`,
    description: null,
    category: null,
    eventId: null,
    eventTitle: null,
    active: true,
    closed: false,
    archived: false,
    acceptingOrders: true,
    negRisk: false,
    tickSize: '0.01',
    minOrderSize: '5',
    version: null,
    startAt: null,
    endAt: null,
    closedAt: null,
    volume: String(volume),
    volume24h: null,
    liquidity: null,
    resolutionStatus: null,
    tokens: [{ tokenId: String(5_000 + number) as TokenId, outcome: 'Yes', outcomeIndex: 0, price: null }],
    raw: {},
  }
}

function resolution({ conditionId, tokens }: Market, resolvedAt: string): Resolution {
  const winnerTokenId = tokens[0]?.tokenId ?? null
  return {
    conditionId,
    result: 'winner',
    outcome: 'Yes',
    winnerTokenId,
    payoutPrice: '1',
    resolvedAt,
    detectionMethod: 'gamma',
  }
}

function announcement(of: Market, venueMs: number, ordinal: number): LifecycleRow {
  return {
    kind: ordinal % 2 === 0 ? 'new_market' : 'market_resolved',
    market: of.conditionId,
    question: of.question,
    slug: of.slug,
    tokens: of.tokens.map((token) => token.tokenId),
    outcomes: ['Yes'],
    tickSize: '0.01',
    winningTokenId: null,
    raw: '{}',
    venueMs,
    contentHash: '0'.repeat(32),
    ordinal,
    atUs: venueMs * 1000,
    payload: Buffer.from('{}'),
  }
}

test('listings, resolutions, checks and announcements of the same markets never lock each other out', async () => {
  const { ledger } = await freshLedger({ poolSize: 6 })
  const nowMs = systemClock().wallMs()
  const at = new Date(nowMs).toISOString()
  const backwards = <T>(items: readonly T[]) => [...items].reverse()
  try {
    for (let round = 0; round < 12; round += 1) {
      const markets = Array.from({ length: MARKETS }, (_, number) => market(number, round))
      const later = Array.from({ length: MARKETS }, (_, number) => market(number, round + 0.5))
      const ids = backwards(markets).map((one) => one.conditionId)
      const batch = {
        recorderId: 'r',
        stream: 's',
        position: { segment: 'a', offset: round, line: round },
        positionAtUs: null,
        trades: [],
        tickSizes: [],
        lifecycle: backwards(markets).map((one) => announcement(one, nowMs, round)),
        deadLetters: [],
        coverage: null,
      }
      const results = await Promise.allSettled([
        ledger.saveMarkets(markets, nowMs),
        ledger.saveResolutions(
          backwards(later).map((one) => resolution(one, at)),
          backwards(later),
          nowMs,
        ),
        ledger.markChecked(ids, nowMs),
        ledger.commitStream(batch),
        ledger.saveMarkets(backwards(later), nowMs),
      ])
      const refused = results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []))
      assert.deepEqual(refused, [], `round ${round}`)
    }
  } finally {
    await ledger.close()
  }
})
