import { useEffect, useState } from 'preact/compat'
import type { Market, Markets as MarketsAnswer, MarketsQuery } from '../../../src/api/contract.ts'
import { useLive, useResource } from '../data/hooks.ts'
import { Card } from '../parts/card.tsx'
import { HeldTable } from '../parts/table.tsx'
import { cents, count, dollars } from '../words.ts'
import { CoverageMark } from './coverage-mark.tsx'

type State = NonNullable<MarketsQuery['state']>

interface Wish {
  readonly search: string
  readonly state: State
}

const STATES: readonly (readonly [State, string])[] = [
  ['open', 'Open'],
  ['closed', 'Closed'],
  ['all', 'All'],
]
const LIMIT_FIRST = 50
const LIMIT_MAX = 200
const TYPING_MS = 250

/** Markets by 24 h volume, searched by words. */
export function Markets() {
  const [wish, setWish] = useState<Wish>({ search: '', state: 'open' })
  const [limit, setLimit] = useState(LIMIT_FIRST)
  const query = new URLSearchParams({ state: wish.state, limit: String(limit) })
  if (wish.search !== '') query.set('search', wish.search)
  const markets = useResource<MarketsAnswer>(`api/markets?${query}`)
  const isMore = markets.data?.next_cursor !== null && limit < LIMIT_MAX
  return (
    <>
      <MarketFilter wish={wish} onWish={setWish} />
      <Card
        title="Markets"
        of={markets}
        empty={(data) => (data.markets.length === 0 ? emptyWords(wish) : null)}
        aside={<span className="quiet">by 24 h volume</span>}
      >
        {(data) => (
          <>
            <MarketTable markets={data.markets} what={`${query}`} />
            {data.next_cursor !== null && (
              <p className="more">
                {isMore ? (
                  <button type="button" className="chip" onClick={() => setLimit(LIMIT_MAX)}>
                    Show up to {LIMIT_MAX}
                  </button>
                ) : (
                  <span className="quiet">The busiest {count(data.markets.length)}. Search finds the others.</span>
                )}
              </p>
            )}
          </>
        )}
      </Card>
    </>
  )
}

function emptyWords({ search, state }: Wish): string {
  if (search !== '') return 'No market has all of these words.'
  return state === 'closed' ? 'No market has closed yet.' : 'No market is known yet: the first list is being read.'
}

function MarketFilter({ wish, onWish }: { wish: Wish; onWish(wish: Wish): void }) {
  const live = useLive()
  const [typed, setTyped] = useState(wish.search)
  useEffect(() => {
    const search = typed.trim()
    if (search === wish.search) return
    return live.clock.after(TYPING_MS, () => onWish({ ...wish, search }))
  }, [typed, wish, onWish, live])
  return (
    <search className="filters">
      <label className="search">
        <span>Search</span>
        <input
          type="search"
          data-search
          value={typed}
          maxLength={200}
          placeholder="words of the question"
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
      </label>
      <label>
        <span>State</span>
        <select value={wish.state} onChange={(event) => onWish({ ...wish, state: event.currentTarget.value as State })}>
          {STATES.map(([state, name]) => (
            <option key={state} value={state}>
              {name}
            </option>
          ))}
        </select>
      </label>
    </search>
  )
}

const keyOfMarket = ({ condition_id }: Market) => condition_id
const COLUMNS = ['Market', 'Last price', ['Spread', 'number'], ['24 h volume', 'number'], 'Coverage 24 h'] as const

function MarketTable({ markets, what }: { markets: readonly Market[]; what: string }) {
  return (
    <HeldTable
      name="markets stacks"
      columns={COLUMNS}
      newest={markets}
      keyOf={keyOfMarket}
      what={what}
      words={['market', 'markets']}
    >
      {(rows) => rows.map((market) => <MarketRow key={market.condition_id} market={market} />)}
    </HeldTable>
  )
}

function MarketRow({ market }: { market: Market }) {
  const { condition_id, question, category, event_title, tokens, volume_24h, closed, winning_outcome } = market
  const [first] = tokens
  return (
    <tr>
      <th scope="row">
        <a href={`#/markets/${condition_id}`}>
          <bdi>{question === '' ? '(a market without a question)' : question}</bdi>
        </a>
        <small>
          <bdi>{[category, event_title === question ? null : event_title].filter(Boolean).join(' · ')}</bdi>
          {closed && ` · closed${winning_outcome === null ? '' : `: ${winning_outcome} won`}`}
        </small>
      </th>
      <td data-label="Last price">
        <ul className="prices">
          {tokens.map((token) => (
            <li key={token.token_id}>
              <span>
                <bdi>{token.outcome ?? 'unnamed'}</bdi>
              </span>{' '}
              {cents(token.price)}
            </li>
          ))}
        </ul>
      </td>
      <td data-label="Spread" className="number">
        {cents(first?.spread ?? null)}
      </td>
      <td data-label="24 h volume" className="number">
        {dollars(volume_24h)}
      </td>
      <td data-label="Coverage 24 h">
        {first === undefined ? <span className="quiet">no tokens</span> : <CoverageMark coverage={first.coverage} />}
      </td>
    </tr>
  )
}
