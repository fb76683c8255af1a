import type { Portfolio, Portfolios as PortfoliosAnswer } from '../../../src/api/contract.ts'
import { useNow, useResource } from '../data/hooks.ts'
import { Card } from '../parts/card.tsx'
import { Change } from '../parts/change.tsx'
import { Ago } from '../parts/facts.tsx'
import { StateMark } from '../parts/state-mark.tsx'
import { HeldTable } from '../parts/table.tsx'
import { count, money } from '../words.ts'

const LIMIT = 1_000
const COLUMNS = [
  'Portfolio',
  ...(['Value', 'Profit', 'Day', 'Positions'] as const).map((name) => [name, 'number'] as const),
  'Valued',
]
const EMPTY =
  'There is no portfolio yet. On the command line, “tapekeeper portfolio create NAME” makes one, and ' +
  '“tapekeeper portfolio import NAME FILE” fills it.'

/** Every portfolio with its value. */
export function Portfolios() {
  const portfolios = useResource<PortfoliosAnswer>(`api/portfolios?limit=${LIMIT}`, ['price', 'cycle'])
  return (
    <Card
      title="Portfolios"
      of={portfolios}
      empty={(data) => (data.portfolios.length === 0 ? EMPTY : null)}
      aside={portfolios.data?.portfolios.length === LIMIT && <span className="quiet">the first {count(LIMIT)}</span>}
    >
      {(data) => <PortfolioTable portfolios={data.portfolios} />}
    </Card>
  )
}

const keyOfPortfolio = ({ id }: Portfolio) => String(id)

function PortfolioTable({ portfolios }: { portfolios: readonly Portfolio[] }) {
  const nowMs = useNow()
  return (
    <HeldTable
      name="portfolios stacks"
      columns={COLUMNS}
      newest={portfolios}
      keyOf={keyOfPortfolio}
      what="portfolios"
      words={['portfolio', 'portfolios']}
    >
      {(rows) => rows.map((portfolio) => <PortfolioRow key={portfolio.id} portfolio={portfolio} nowMs={nowMs} />)}
    </HeldTable>
  )
}

function PortfolioRow({ portfolio, nowMs }: { portfolio: Portfolio; nowMs: number }) {
  const { id, name, currency, performance } = portfolio
  const say = (amount: number) => money(amount, currency)
  return (
    <tr>
      <th scope="row">
        <a href={`#/portfolios/${id}`}>
          <bdi>{name}</bdi>
        </a>
        <small>in {currency}</small>
      </th>
      {performance === null ? (
        <td colSpan={5} className="quiet">
          not valued yet
        </td>
      ) : (
        <>
          <td data-label="Value" className="number">
            {money(performance.current_value, currency)}
            {performance.missing_count > 0 && (
              <small>
                <StateMark kind="warn" word="Incomplete" />
              </small>
            )}
          </td>
          <td data-label="Profit" className="number">
            <Change by={Number(performance.profit)} words={say} />
          </td>
          <td data-label="Day" className="number">
            <Change by={performance.day_change === null ? null : Number(performance.day_change.money)} words={say} />
          </td>
          <td data-label="Positions" className="number">
            {count(performance.positions)}
          </td>
          <td data-label="Valued">
            <Ago time={performance.updated_at} nowMs={nowMs} />
          </td>
        </>
      )}
    </tr>
  )
}
