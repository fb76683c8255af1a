import { compareDecimals } from '../../core/decimal.ts'
import type { DetectionMethod, Market, Resolution } from '../../core/market.ts'
import type { ClobMarket } from './clob-market-parser.ts'

/** How a market ended, as far as its own facts tell. */
export type Verdict =
  | { readonly kind: 'winner'; readonly outcomeIndex: number }
  | { readonly kind: 'split' }
  /** `inDoubt`: the market has resolved and its prices do not say how; another source may know. */
  | { readonly kind: 'unknown'; readonly reason: string; readonly inDoubt: boolean }

export type MarketEnd = Pick<Market, 'closed' | 'resolutionStatus' | 'tokens'>

/**
 * A market has resolved when it is closed, its status is `resolved` and one price is exactly 1: that index wins.
 * All prices 0.5 is a split. Anything else is unknown. Pure; a price near 1 is not 1.
 */
export function inferWinner(market: MarketEnd): Verdict {
  if (!market.closed) return unknown('still open')
  if (market.resolutionStatus !== 'resolved') return unknown(`status ${market.resolutionStatus ?? 'absent'}`)
  const prices = market.tokens.map((token) => token.price)
  const ones = prices.filter((price) => price !== null && compareDecimals(price, '1') === 0)
  if (ones.length === 1) {
    return {
      kind: 'winner',
      outcomeIndex: prices.findIndex((price) => price !== null && compareDecimals(price, '1') === 0),
    }
  }
  if (ones.length > 1) return unknown('more than one price is 1', true)
  if (prices.length === 2 && prices.every((price) => price !== null && compareDecimals(price, '0.5') === 0)) {
    return { kind: 'split' }
  }
  return unknown(prices.length === 0 ? 'no outcomes' : 'no price is 1', true)
}

/** The same question to the CLOB's row, which names the winner outright. */
export function winnerOfClob(row: ClobMarket): Verdict {
  if (!row.closed) return unknown('still open at the CLOB')
  const winners = row.tokens.filter((token) => token.winner)
  const [winner] = winners
  if (winners.length === 1 && winner !== undefined && !row.isSplit) {
    return { kind: 'winner', outcomeIndex: row.tokens.indexOf(winner) }
  }
  if (row.isSplit && winners.length !== 1) return { kind: 'split' }
  return unknown(winners.length === 0 ? 'the CLOB names no winner' : 'the CLOB contradicts itself', true)
}

/** True when the CLOB should be asked: prices that say nothing, or a split, which is rare enough to look twice. */
export function needsConfirmation(verdict: Verdict): boolean {
  return verdict.kind === 'split' || (verdict.kind === 'unknown' && verdict.inDoubt)
}

/**
 * The resolution that both sources allow, or null while it is unknown. `row` is null when the CLOB was not asked
 * or could not answer. Where the two contradict each other nobody has won.
 */
export function resolutionOf(market: Market, row: ClobMarket | null, detectedAt: string): Resolution | null {
  const verdict = inferWinner(market)
  if (row === null) return resolution(market, verdict, 'gamma', detectedAt)
  const second = winnerOfClob(row)
  if (verdict.kind === 'unknown') {
    if (!verdict.inDoubt || second.kind === 'unknown') return null
    return resolution(market, translated(market, row, second), 'clob', detectedAt)
  }
  if (second.kind === 'unknown') return resolution(market, verdict, 'gamma', detectedAt)
  const other = translated(market, row, second)
  const agree = verdict.kind === other.kind && (verdict.kind !== 'winner' || verdict.outcomeIndex === indexOf(other))
  return agree ? resolution(market, verdict, 'gamma+clob', detectedAt) : null
}

/** The CLOB's verdict in terms of Gamma's order of outcomes, matched by token id. */
function translated(market: Market, row: ClobMarket, verdict: Verdict): Verdict {
  if (verdict.kind !== 'winner') return verdict
  const tokenId = row.tokens[verdict.outcomeIndex]?.tokenId
  const outcomeIndex = market.tokens.findIndex((token) => token.tokenId === tokenId)
  return outcomeIndex < 0 ? unknown('the CLOB names another token') : { kind: 'winner', outcomeIndex }
}

function indexOf(verdict: Verdict): number {
  return verdict.kind === 'winner' ? verdict.outcomeIndex : -1
}

function resolution(market: Market, verdict: Verdict, method: DetectionMethod, detectedAt: string): Resolution | null {
  const common = {
    conditionId: market.conditionId,
    resolvedAt: market.closedAt ?? detectedAt,
    detectionMethod: method,
  }
  if (verdict.kind === 'split') {
    return { ...common, result: 'split', outcome: null, winnerTokenId: null, payoutPrice: '0.5' }
  }
  const token = verdict.kind === 'winner' ? market.tokens[verdict.outcomeIndex] : undefined
  if (token === undefined) return null
  return { ...common, result: 'winner', outcome: token.outcome, winnerTokenId: token.tokenId, payoutPrice: '1' }
}

function unknown(reason: string, inDoubt = false): Verdict {
  return { kind: 'unknown', reason, inDoubt }
}
