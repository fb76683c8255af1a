import type { Machine } from './machine.ts'

/** One line of the table. */
export interface Outcome {
  readonly id: number
  readonly what: string
  /** What was reached, for people: `1.42×`, `28,000/s`. */
  readonly reached: string
  readonly target: string
  /** null when the circumstances did not allow a judgement. */
  readonly met: boolean | null
  /** Rates and whatever else explains the figure, for people. */
  readonly details: readonly string[]
  /** The same and more, for programs. */
  readonly numbers: Readonly<Record<string, unknown>>
}

export interface Report {
  readonly date: string
  readonly machine: Machine
  readonly quick: boolean
  readonly loadAfter: number
  readonly outcomes: readonly Outcome[]
}

export function renderReport(report: Report): string {
  const { machine, outcomes } = report
  const rows = [
    ['', 'measured', 'reached', 'target', ''],
    ...outcomes.map(({ id, what, reached, target, met }) => [String(id), what, reached, target, verdict(met)]),
  ]
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  const pinning = machine.pinned ? 'receiving process on one core' : 'NOT PINNED: no taskset, or one core only'
  return [
    ...lines,
    '',
    ...outcomes.flatMap(({ id, details }) => details.map((detail) => `${id}  ${detail}`)),
    '',
    `${report.date}${report.quick ? ', a quick run: shorter and fewer rounds' : ''}`,
    `${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}; ${pinning}`,
    `Node ${machine.node}, PostgreSQL ${machine.postgres}`,
    `load ${machine.loadBefore} before, ${report.loadAfter} after`,
  ].join('\n')
}

function verdict(met: boolean | null): string {
  return met === null ? 'no verdict' : met ? 'met' : 'MISSED'
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

export function times(ratio: number): string {
  return `${ratio.toFixed(2)}×`
}

/** `253,114/s` */
export function rate(perSecond: number): string {
  return `${Math.round(perSecond).toLocaleString('en-US')}/s`
}

/** `240k–261k/s`: what the single rounds gave. */
export function spread(perSecond: readonly number[]): string {
  const thousands = (value: number) => `${Math.round(value / 1000)}k`
  return `${thousands(Math.min(...perSecond))}–${thousands(Math.max(...perSecond))}/s`
}
