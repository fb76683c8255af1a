import type { Trade, Trades } from '../../../src/api/contract.ts'
import { useNow, useResource } from '../data/hooks.ts'
import { Card } from '../parts/card.tsx'
import { Moment } from '../parts/facts.tsx'
import { HeldTable } from '../parts/table.tsx'
import { cents, compact } from '../words.ts'

const LIMIT = 100

/** The newest trades of one outcome. */
export function TradesCard({ tokenId }: { tokenId: string }) {
  const trades = useResource<Trades>(`api/tokens/${tokenId}/trades?limit=${LIMIT}`, ['cycle'])
  return (
    <Card
      title="Trades"
      of={trades}
      empty={(data) => (data.trades.length === 0 ? 'No trade of this outcome has been recorded yet.' : null)}
    >
      {(data) => <TradesTable trades={withKeys(data.trades)} what={tokenId} />}
    </Card>
  )
}

type KeyedTrade = Trade & { readonly key: string }

/** One transaction may hold several equal fills: the how-manyth it is, from the oldest on, tells them apart. */
export function withKeys(trades: readonly Trade[]): readonly KeyedTrade[] {
  const seen = new Map<string, number>()
  return trades
    .toReversed()
    .map((trade) => {
      const what = [trade.timestamp, trade.transaction_hash, trade.side, trade.price, trade.size].join(' ')
      const nth = (seen.get(what) ?? 0) + 1
      seen.set(what, nth)
      return { ...trade, key: `${what} ${nth}` }
    })
    .toReversed()
}

const keyOfTrade = ({ key }: KeyedTrade) => key

const COLUMNS = ['Time', 'Side', ['Price', 'number'], ['Shares', 'number'], 'Origin'] as const

function TradesTable({ trades, what }: { trades: readonly KeyedTrade[]; what: string }) {
  const nowMs = useNow()
  return (
    <HeldTable
      name="trades"
      columns={COLUMNS}
      newest={trades}
      keyOf={keyOfTrade}
      what={what}
      words={['trade', 'trades']}
      scrolls="Trades"
    >
      {(rows) => rows.map((trade) => <TradeRow key={trade.key} trade={trade} nowMs={nowMs} />)}
    </HeldTable>
  )
}

function TradeRow({ trade: { timestamp, side, price, size, origin }, nowMs }: { trade: Trade; nowMs: number }) {
  return (
    <tr>
      <td>
        <Moment time={timestamp} nowMs={nowMs} />
      </td>
      <td className={side === 'BUY' ? 'up' : 'down'}>{side === 'BUY' ? '▲ Buy' : '▼ Sell'}</td>
      <td className="number">{cents(price)}</td>
      <td className="number">{compact(size)}</td>
      <td className="quiet">{origin === 'stream' ? 'live' : 'filled in later'}</td>
    </tr>
  )
}
