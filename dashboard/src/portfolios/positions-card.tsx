import type { Performance, PortfolioDetail, Position } from '../../../src/api/contract.ts'
import { useNow } from '../data/hooks.ts'
import type { Snapshot } from '../data/resource.ts'
import { Card } from '../parts/card.tsx'
import { Change } from '../parts/change.tsx'
import { Ago } from '../parts/facts.tsx'
import { HeldTable } from '../parts/table.tsx'
import { amount, money, price, shortSymbol } from '../words.ts'
import { whyMissing } from './missing.ts'

const COLUMNS = [
  'Asset',
  ['Quantity', 'number'],
  ['Price', 'number'],
  'Age of the price',
  ...(['Cost', 'Value', 'Profit'] as const).map((name) => [name, 'number'] as const),
] as const

/** What is held: what it cost, what it is worth, and how old the price is that says so. */
export function PositionsCard({ of }: { of: Snapshot<PortfolioDetail> }) {
  return (
    <Card
      title="Positions"
      of={of}
      className="card-wide"
      empty={({ positions }) => (positions.length === 0 ? 'Nothing is held.' : null)}
    >
      {(portfolio) => <PositionTable portfolio={portfolio} />}
    </Card>
  )
}

const keyOfPosition = ({ symbol }: Position) => symbol

function PositionTable({ portfolio }: { portfolio: PortfolioDetail }) {
  const nowMs = useNow()
  const { id, positions, currency, performance } = portfolio
  return (
    <HeldTable
      name="positions stacks"
      columns={COLUMNS}
      newest={positions}
      keyOf={keyOfPosition}
      what={String(id)}
      words={['position', 'positions']}
    >
      {(rows) =>
        rows.map((position) => (
          <PositionRow
            key={position.symbol}
            position={position}
            currency={currency}
            missing={(performance?.missing ?? []).filter(({ symbol }) => symbol === position.symbol)}
            nowMs={nowMs}
          />
        ))
      }
    </HeldTable>
  )
}

interface RowProps {
  readonly position: Position
  /** Of the portfolio. */
  readonly currency: string
  readonly missing: Performance['missing']
  readonly nowMs: number
}

function PositionRow({ position, currency, missing, nowMs }: RowProps) {
  const { symbol, name, quantity, average_cost, invested, price_at, value, profit } = position
  const ofValue = missing.find(({ what }) => what !== 'purchase_rate')
  const ofCost = missing.find(({ what }) => what === 'purchase_rate')
  const share = profit === null || Number(invested) <= 0 ? null : Number(profit) / Number(invested)
  return (
    <tr>
      <th scope="row">
        <bdi>{name === '' ? shortSymbol(symbol) : name === symbol ? shortSymbol(name) : name}</bdi>
        <small title={symbol}>
          {shortSymbol(symbol)} · {position.type}
        </small>
      </th>
      <td data-label="Quantity" className="number" title={quantity}>
        {amount(quantity)}
      </td>
      <td data-label="Price" className="number" title={position.price ?? undefined}>
        {position.price === null ? <Unknown why="not known" /> : price(position.price, position.currency)}
      </td>
      <td data-label="Age of the price">
        {price_at === null ? <Unknown why="never priced" /> : <Ago time={price_at} nowMs={nowMs} />}
      </td>
      <td data-label="Cost" className="number" title={invested ?? undefined}>
        {invested === null ? (
          <Unknown why={ofCost === undefined ? 'not known' : whyMissing(ofCost)} />
        ) : (
          money(invested, currency)
        )}
        <small>{price(average_cost, position.currency)} each</small>
      </td>
      <td data-label="Value" className="number" title={value ?? undefined}>
        {value === null ? (
          <Unknown why={ofValue === undefined ? 'not known' : whyMissing(ofValue)} />
        ) : (
          money(value, currency)
        )}
      </td>
      <td data-label="Profit" className="number" title={profit ?? undefined}>
        {profit === null ? (
          <Unknown why="not known" />
        ) : (
          <Change by={Number(profit)} words={(size) => money(size, currency)} />
        )}
        {share !== null && (
          <small>
            {share < 0 ? '−' : '+'}
            {(100 * Math.abs(share)).toFixed(2)} %
          </small>
        )}
      </td>
    </tr>
  )
}

/** In place of a number that nobody knows. */
function Unknown({ why }: { why: string }) {
  return <span className="unknown">{why}</span>
}
