import type { ComponentChildren } from 'preact'
import { useState } from 'preact/compat'
import type { Candles, Prices, Trades } from '../../../src/api/contract.ts'
import { useResource } from '../data/hooks.ts'
import { Card } from '../parts/card.tsx'
import { Drawing } from '../parts/drawing.tsx'
import { candlePoints, linePoints } from './chart-data.ts'

type Kind = 'line' | 'candles'

const POINTS = 1_000

/** Price over time: every stored price with the trades, or hourly candles. */
export function ChartCard({ tokenId }: { tokenId: string }) {
  const [kind, setKind] = useState<Kind>('line')
  const switcher = (
    <fieldset className="outcomes outcomes-small">
      <legend className="unseen">Chart</legend>
      {(['line', 'candles'] as const).map((one) => (
        <label key={one}>
          <input type="radio" name="chart" checked={kind === one} onChange={() => setKind(one)} />
          <span>{one === 'line' ? 'Prices and trades' : 'Hourly candles'}</span>
        </label>
      ))}
    </fieldset>
  )
  return kind === 'line' ? (
    <LineCard tokenId={tokenId} aside={switcher} />
  ) : (
    <CandlesCard tokenId={tokenId} aside={switcher} />
  )
}

interface KindProps {
  readonly tokenId: string
  readonly aside: ComponentChildren
}

function LineCard({ tokenId, aside }: KindProps) {
  const prices = useResource<Prices>(`api/tokens/${tokenId}/prices?limit=${POINTS}`, ['cycle'])
  const trades = useResource<Trades>(`api/tokens/${tokenId}/trades?limit=${POINTS}`, ['cycle'])
  return (
    <Card
      title="Price"
      of={prices}
      aside={aside}
      className="card-wide"
      empty={(data) => (data.prices.length === 0 ? 'No price of this outcome has been stored yet.' : null)}
    >
      {(data) => (
        <Drawing data={linePoints(data.prices, trades.data?.trades ?? [])} words="Price and trades over time" />
      )}
    </Card>
  )
}

function CandlesCard({ tokenId, aside }: KindProps) {
  const candles = useResource<Candles>(`api/tokens/${tokenId}/candles?limit=${POINTS}`, ['cycle'])
  return (
    <Card
      title="Price"
      of={candles}
      aside={aside}
      className="card-wide"
      empty={(data) => (data.candles.length === 0 ? 'No hour has a candle yet.' : null)}
    >
      {(data) => <Drawing data={candlePoints(data.candles)} words="Price by the hour" />}
    </Card>
  )
}
