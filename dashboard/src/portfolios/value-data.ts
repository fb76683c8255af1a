import type { Snapshots } from '../../../src/api/contract.ts'
import type { ChartData } from '../parts/chart.ts'
import { compact, money, plural, timeMs } from '../words.ts'

type Snapshot = Snapshots['snapshots'][number]

/** The last value of each day as a line, what was paid as another, and a dot where something was left out. */
export function valuePoints(snapshots: readonly Snapshot[], currency: string): ChartData {
  const days = snapshots.filter(({ day }) => timeMs(day) !== null)
  const column = (read: (one: Snapshot) => string) => days.map((one) => Number(read(one)))
  return {
    kind: 'value',
    say: (value) => money(value, currency),
    mark: (value) => (Math.abs(value) < 100 ? money(value, currency) : compact(value)),
    columns: [
      days.map(({ day }) => (timeMs(day) ?? 0) / 1_000),
      column(({ current_value }) => current_value),
      column(({ invested }) => invested),
      days.map(({ current_value, missing_count }) => (missing_count > 0 ? Number(current_value) : null)),
    ],
  }
}

/** What the line says, for those who do not see it. */
export function valueInWords(snapshots: readonly Snapshot[], currency: string): string {
  const [first, last] = [snapshots[0], snapshots.at(-1)]
  if (first === undefined || last === undefined) return 'No value is known'
  const value = ({ current_value, day }: Snapshot) => `${money(current_value, currency)} on ${day}`
  const lowest = snapshots.reduce((least, one) =>
    Number(one.current_value) < Number(least.current_value) ? one : least,
  )
  const highest = snapshots.reduce((most, one) => (Number(one.current_value) > Number(most.current_value) ? one : most))
  const ends = `Value over ${plural(snapshots.length, 'day')}: from ${value(first)} to ${value(last)}`
  return `${ends}; lowest ${value(lowest)}, highest ${value(highest)}`
}
