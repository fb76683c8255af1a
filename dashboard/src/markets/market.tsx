import { useState } from 'preact/compat'
import type { MarketDetail, MarketToken } from '../../../src/api/contract.ts'
import { useNow, useResource } from '../data/hooks.ts'
import { Card } from '../parts/card.tsx'
import { Fact, Facts } from '../parts/facts.tsx'
import { cents, clockTime, dollars, timeMs } from '../words.ts'
import { BookCard } from './book-card.tsx'
import { ChartCard } from './chart-card.tsx'
import { CoverageCard } from './coverage-card.tsx'
import { CoverageMark } from './coverage-mark.tsx'
import { GapsCard } from './gaps-card.tsx'
import { TradesCard } from './trades-card.tsx'

/** One market: what it is, and everything recorded of one of its outcomes. */
export function MarketView({ conditionId }: { conditionId: string }) {
  const market = useResource<MarketDetail>(`api/markets/${conditionId}`)
  const [chosen, setChosen] = useState<string | null>(null)
  const tokens = market.data?.tokens ?? []
  const token = tokens.find(({ token_id }) => token_id === chosen) ?? tokens[0]
  return (
    <>
      <p className="back">
        <a href="#/markets">All markets</a>
      </p>
      <div className="grid">
        <Card title="Market" of={market} className="card-wide">
          {(data) => <MarketHead market={data} token={token} onChoose={setChosen} />}
        </Card>
        {token !== undefined && (
          <>
            <ChartCard tokenId={token.token_id} />
            <BookCard tokenId={token.token_id} />
            <TradesCard tokenId={token.token_id} />
            <CoverageCard tokenId={token.token_id} />
            <GapsCard tokenId={token.token_id} />
          </>
        )}
      </div>
    </>
  )
}

interface HeadProps {
  readonly market: MarketDetail
  readonly token: MarketToken | undefined
  onChoose(tokenId: string): void
}

function MarketHead({ market, token, onChoose }: HeadProps) {
  const nowMs = useNow()
  const { question, description, tokens, volume, volume_24h, liquidity, end_at } = market
  const endMs = timeMs(end_at)
  return (
    <>
      <h1>
        <bdi>{question === '' ? '(a market without a question)' : question}</bdi>
      </h1>
      <p className="detail market-state">
        <bdi>{stateOf(market)}</bdi>
      </p>
      {tokens.length === 0 ? (
        <p className="empty">It has no tokens, so nothing can be recorded of it.</p>
      ) : (
        <fieldset className="outcomes">
          <legend className="unseen">Outcome</legend>
          {tokens.map(({ token_id, outcome, price }) => (
            <label key={token_id}>
              <input
                type="radio"
                name="outcome"
                checked={token_id === token?.token_id}
                onChange={() => onChoose(token_id)}
              />
              <span>
                <bdi>{outcome ?? 'unnamed'}</bdi> <strong>{cents(price)}</strong>
              </span>
            </label>
          ))}
        </fieldset>
      )}
      <Facts>
        <Fact name="Spread">{cents(token?.spread ?? null)}</Fact>
        <Fact name="24 h volume">{dollars(volume_24h)}</Fact>
        <Fact name="Volume">{dollars(volume)}</Fact>
        <Fact name="Liquidity">{dollars(liquidity)}</Fact>
        <Fact name="Ends">{endMs === null ? '–' : clockTime(endMs, nowMs)}</Fact>
        <Fact name="Recording">{token === undefined ? '–' : <CoverageMark coverage={token.coverage} />}</Fact>
      </Facts>
      {description !== null && description !== '' && (
        <details className="rules">
          <summary>Rules</summary>
          <p>
            <bdi>{description}</bdi>
          </p>
        </details>
      )}
    </>
  )
}

/** How it stands, with the resolution when there is one. */
function stateOf({ resolution, closed, accepting_orders, active }: MarketDetail): string {
  if (resolution !== null) {
    const when = `at ${resolution.resolved_at}, found by ${resolution.detection_method}`
    if (resolution.result === 'split') return `Resolved as a split, paying ${resolution.payout_price} each, ${when}.`
    return `Resolved: ${resolution.outcome ?? 'an unnamed outcome'} won and pays ${resolution.payout_price}, ${when}.`
  }
  if (closed) return 'Closed, and not resolved yet.'
  if (!active) return 'Not active.'
  return accepting_orders ? 'Open.' : 'Open, and not accepting orders.'
}
