import type { Snapshots } from '../../../src/api/contract.ts'
import { useResource } from '../data/hooks.ts'
import { Card } from '../parts/card.tsx'
import { Drawing } from '../parts/drawing.tsx'
import { money, plural } from '../words.ts'
import { valueInWords, valuePoints } from './value-data.ts'

/** Value over time: the last one of each day that was kept. */
export function ValueCard({ id, currency }: { id: string; currency: string }) {
  const snapshots = useResource<Snapshots>(`api/portfolios/${id}/snapshots`, ['price', 'cycle'])
  return (
    <Card
      title="Value over time"
      of={snapshots}
      className="card-wide"
      aside={<span className="quiet">the last value of each day, UTC</span>}
      empty={(data) => tooFew(data, currency)}
    >
      {(data) => <ValueChart snapshots={data.snapshots} currency={currency} />}
    </Card>
  )
}

function tooFew({ snapshots: [first, second] }: Snapshots, currency: string): string | null {
  if (first === undefined) return 'It has not been valued on any day yet.'
  if (second !== undefined) return null
  return (
    `There is one day so far: ${money(first.current_value, currency)} on ${first.day}. ` +
    'The line begins with the second; values of earlier days are not made up.'
  )
}

function ValueChart({ snapshots, currency }: Snapshots & { currency: string }) {
  const incomplete = snapshots.filter(({ missing_count }) => missing_count > 0).length
  return (
    <>
      <Drawing data={valuePoints(snapshots, currency)} words={valueInWords(snapshots, currency)} />
      {incomplete > 0 && (
        <p className="note">
          On {plural(incomplete, 'day')} something was not known and is left out of the value: there the line has a
          mark.
        </p>
      )}
    </>
  )
}
