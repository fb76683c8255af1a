import { isoTime } from '../core/health.ts'
import type { TokenDoubt } from '../ledger/coverage-reads.ts'
import type { MarketFacts, MarketSummary, MarketTokenRow } from '../ledger/market-reads.ts'
import type { Market, MarketDetail, MarketToken } from './contract.ts'
import { iso } from './reading.ts'

export type DoubtMap = ReadonlyMap<number, TokenDoubt>

export function marketView(row: MarketSummary, tokens: readonly MarketTokenRow[], doubts: DoubtMap): Market {
  return {
    condition_id: row.conditionId,
    question: row.question,
    slug: row.slug,
    category: row.category,
    event_title: row.eventTitle,
    active: row.active,
    closed: row.closed,
    accepting_orders: row.acceptingOrders,
    end_at: isoTime(row.endMs),
    volume: row.volume,
    volume_24h: row.volume24h,
    liquidity: row.liquidity,
    updated_at: iso(row.updatedMs),
    winning_outcome: row.winningOutcome,
    tokens: tokens.map((token) => tokenView(token, doubts.get(token.tokenKey))),
  }
}

function tokenView(token: MarketTokenRow, doubt: TokenDoubt | undefined): MarketToken {
  return {
    token_id: token.tokenId,
    outcome: token.outcome,
    price: token.price,
    price_time: isoTime(token.priceMs),
    spread: token.spread,
    midpoint: token.midpoint,
    book_time: isoTime(token.bookMs),
    coverage: {
      recording: token.sinceMs !== null,
      since: isoTime(token.sinceMs),
      verified_at: isoTime(token.verifiedMs),
      gap_open: doubt?.isOpen ?? false,
      missing_seconds_24h: Math.round((doubt?.missingSeconds ?? 0) * 1000) / 1000,
    },
  }
}

export function marketDetailView(row: MarketFacts, tokens: readonly MarketTokenRow[], doubts: DoubtMap): MarketDetail {
  const { resolution } = row
  return {
    ...marketView(row, tokens, doubts),
    description: row.description,
    event_id: row.eventId,
    start_at: isoTime(row.startMs),
    closed_at: isoTime(row.closedMs),
    archived: row.archived,
    neg_risk: row.negRisk,
    tick_size: row.tickSize,
    min_order_size: row.minOrderSize,
    resolution:
      resolution === null
        ? null
        : {
            result: resolution.result,
            outcome: resolution.outcome,
            winner_token_id: resolution.winnerTokenId,
            payout_price: resolution.payoutPrice,
            resolved_at: iso(resolution.resolvedMs),
            detection_method: resolution.detectionMethod,
          },
  }
}
