import type { PortfolioDetail } from '../../../src/api/contract.ts'
import { useNow, useResource } from '../data/hooks.ts'
import { Card } from '../parts/card.tsx'
import { Change } from '../parts/change.tsx'
import { Ago, Fact, Facts } from '../parts/facts.tsx'
import { StateMark } from '../parts/state-mark.tsx'
import { money } from '../words.ts'
import { AddTransaction } from './add-transaction.tsx'
import { unknownInWords } from './missing.ts'
import { PositionsCard } from './positions-card.tsx'
import { TransactionsCard } from './transactions-card.tsx'
import { ValueCard } from './value-card.tsx'

/** One portfolio: what it is worth, what it holds, and what was bought and sold. */
export function PortfolioView({ id }: { id: string }) {
  const portfolio = useResource<PortfolioDetail>(`api/portfolios/${id}`, ['price', 'cycle'])
  const { data } = portfolio
  const currency = data?.currency ?? ''
  return (
    <>
      <p className="back">
        <a href="#/portfolios">All portfolios</a>
      </p>
      <div className="grid">
        <Card title="Portfolio" of={portfolio} className="card-wide card-portfolio">
          {(detail) => <PortfolioHead portfolio={detail} />}
        </Card>
        {data !== null && (
          <>
            <ValueCard id={id} currency={currency} />
            <PositionsCard of={portfolio} />
            <TransactionsCard id={id} />
            <AddTransaction id={id} positions={data.positions} />
          </>
        )}
      </div>
    </>
  )
}

const PERIODS = [
  ['day_change', 'Last day'],
  ['week_change', 'Last 7 days'],
  ['month_change', 'Last 30 days'],
  ['year_change', 'Last 365 days'],
] as const

function PortfolioHead({ portfolio: { name, currency, performance } }: { portfolio: PortfolioDetail }) {
  const nowMs = useNow()
  const say = (amount: number) => money(amount, currency)
  return (
    <>
      <h1>
        <bdi>{name}</bdi>
      </h1>
      {performance === null ? (
        <p className="empty">It has not been valued yet. That happens after the next prices.</p>
      ) : (
        <>
          <p className="big-state" title={`${performance.current_value} ${currency}`}>
            {money(performance.current_value, currency)}
          </p>
          {performance.missing.length > 0 && (
            <p className="missing">
              <StateMark kind="warn" word="Incomplete" /> {unknownInWords(performance.missing)}
            </p>
          )}
          <Facts>
            <Fact name="Profit" note={percentNote(performance.profit_percent)}>
              <Change by={Number(performance.profit)} words={say} />
            </Fact>
            <Fact name="Invested">{money(performance.invested, currency)}</Fact>
            <Fact name="Realized by sales">
              <Change by={Number(performance.realized)} words={say} />
            </Fact>
            {PERIODS.map(([period, words]) => {
              const change = performance[period]
              return (
                <Fact key={period} name={words} note={change === null ? undefined : percentNote(change.percent)}>
                  {change === null ? (
                    <span className="quiet">not known</span>
                  ) : (
                    <Change by={Number(change.money)} words={say} />
                  )}
                </Fact>
              )
            })}
            <Fact name="Valued">
              <Ago time={performance.updated_at} nowMs={nowMs} />
            </Fact>
            <Fact name="Oldest price used">
              <Ago time={performance.oldest_price_at} nowMs={nowMs} />
            </Fact>
          </Facts>
        </>
      )}
    </>
  )
}

function percentNote(percent: string | null): string | undefined {
  if (percent === null) return undefined
  const value = Number(percent)
  return `${value > 0 ? '+' : value < 0 ? '−' : ''}${Math.abs(value).toFixed(2)} %`
}
