import type { PriceUpdate, RecentUpdates } from '../../../src/api/contract.ts'
import { useNow, useResource } from '../data/hooks.ts'
import { Card } from '../parts/card.tsx'
import { Change } from '../parts/change.tsx'
import { Moment } from '../parts/facts.tsx'
import { StateMark } from '../parts/state-mark.tsx'
import { HeldTable } from '../parts/table.tsx'
import { shortSymbol } from '../words.ts'

const LIMIT = 100

/** The newest attempts to get the price of an asset. */
export function RecentUpdatesCard() {
  const updates = useResource<RecentUpdates>(`api/fetcher/recent-updates?limit=${LIMIT}`, ['price'])
  return (
    <Card
      title="Recent updates"
      of={updates}
      className="card-wide"
      empty={(data) => (data.updates.length === 0 ? 'No price of an asset has been fetched yet.' : null)}
    >
      {(data) => <UpdatesTable updates={data.updates} />}
    </Card>
  )
}

export function keyOfUpdate({ symbol, timestamp }: PriceUpdate): string {
  return `${timestamp} ${symbol}`
}

const COLUMNS = ['Symbol', 'Name', 'Time', ['Price', 'number'], ['Change', 'number'], 'Result'] as const

function UpdatesTable({ updates }: { updates: readonly PriceUpdate[] }) {
  const nowMs = useNow()
  return (
    <HeldTable
      name="updates"
      columns={COLUMNS}
      newest={updates}
      keyOf={keyOfUpdate}
      what="updates"
      words={['update', 'updates']}
      scrolls="Recent updates"
    >
      {(rows) => {
        const changes = changesOf(rows)
        return rows.map((update, at) => (
          <UpdateRow key={keyOfUpdate(update)} update={update} change={changes[at] ?? null} nowMs={nowMs} />
        ))
      }}
    </HeldTable>
  )
}

interface RowProps {
  readonly update: PriceUpdate
  readonly change: number | null
  readonly nowMs: number
}

function UpdateRow({ update: { symbol, name, timestamp, price, success, error }, change, nowMs }: RowProps) {
  return (
    <tr className={success ? '' : 'row-bad'}>
      <th scope="row" title={symbol}>
        {shortSymbol(symbol)}
      </th>
      <td data-label="Name">{name}</td>
      <td data-label="Time">
        <Moment time={timestamp} nowMs={nowMs} />
      </td>
      <td data-label="Price" className="number">
        {price ?? <span className="quiet">–</span>}
      </td>
      <td data-label="Change" className="number">
        <Change by={change} words={(share) => `${(100 * share).toFixed(2)} %`} />
      </td>
      <td data-label="Result">
        <StateMark kind={success ? 'good' : 'bad'} word={success ? 'Success' : 'Failure'} />
        {error !== null && <span className="row-error">{error}</span>}
      </td>
    </tr>
  )
}

/** Of each update against the one before of the same asset, as a share; null when that is not among them. */
export function changesOf(updates: readonly PriceUpdate[]): readonly (number | null)[] {
  const later = new Map<string, number>()
  const changes = updates.map(() => null as number | null)
  updates.forEach(({ symbol, price, success }, at) => {
    const value = success && price !== null ? Number(price) : Number.NaN
    if (!Number.isFinite(value)) return
    const newer = later.get(symbol)
    const newerPrice = newer === undefined ? Number.NaN : Number(updates[newer]?.price)
    if (newer !== undefined && value !== 0) changes[newer] = (newerPrice - value) / value
    later.set(symbol, at)
  })
  return changes
}
