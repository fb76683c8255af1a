import type { LogEntry, LogLevel } from '../../../src/api/contract.ts'
import { clockTime, plural, timeMs } from '../words.ts'
import { nameOfLevel } from './log-filter.tsx'

const BUCKETS = 60
const HEIGHT = 40
/** From the ground up: what is bad is on top, and never hidden by what is not. */
const STACK: readonly LogLevel[] = ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL']

export interface Bucket {
  readonly counts: ReadonlyMap<LogLevel, number>
  readonly total: number
}

/** The levels of entries over their time, in slices of equal length, oldest first. */
export function bucketsOf(entries: readonly LogEntry[], slices = BUCKETS) {
  const times = entries.map(({ timestamp }) => timeMs(timestamp)).filter((ms) => ms !== null)
  const fromMs = times.reduce((least, ms) => Math.min(least, ms), Number.POSITIVE_INFINITY)
  const toMs = times.reduce((most, ms) => Math.max(most, ms), Number.NEGATIVE_INFINITY)
  const lengthMs = Math.max(1, toMs - fromMs)
  const counts = Array.from({ length: slices }, () => new Map<LogLevel, number>())
  for (const { timestamp, level } of entries) {
    const ms = timeMs(timestamp)
    if (ms === null) continue
    const slice = counts[Math.min(slices - 1, Math.floor(((ms - fromMs) / lengthMs) * slices))]
    slice?.set(level, (slice.get(level) ?? 0) + 1)
  }
  const buckets: Bucket[] = counts.map((one) => ({ counts: one, total: [...one.values()].reduce((a, b) => a + b, 0) }))
  return { fromMs, toMs, buckets }
}

/** How the entries that are listed spread over time. */
export function LogHistogram({ entries }: { entries: readonly LogEntry[] }) {
  if (entries.length < 2) return null
  const { fromMs, toMs, buckets } = bucketsOf(entries)
  const most = Math.max(1, ...buckets.map(({ total }) => total))
  const span = `${clockTime(fromMs, toMs)} to ${clockTime(toMs, toMs)}`
  return (
    <figure className="histogram">
      <svg
        viewBox={`0 0 ${BUCKETS * 10} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Levels over time, ${span}: ${summary(entries)}`}
      >
        {buckets.map((bucket, at) => (
          <g key={at}>{bars(bucket, at * 10, most)}</g>
        ))}
      </svg>
      <figcaption>
        <span>{clockTime(fromMs, toMs)}</span>
        <span>{summary(entries)}</span>
        <span>{clockTime(toMs, toMs)}</span>
      </figcaption>
    </figure>
  )
}

function bars({ counts }: Bucket, x: number, most: number) {
  let top = HEIGHT
  return STACK.flatMap((level) => {
    const number = counts.get(level) ?? 0
    if (number === 0) return []
    // one error among a thousand lines must still be seen
    const height = Math.max(level === 'ERROR' || level === 'CRITICAL' ? 4 : 1, (number / most) * (HEIGHT - 4))
    top = Math.max(0, top - height)
    return [<rect key={level} className={`bar-${level.toLowerCase()}`} x={x} y={top} width={8} height={height} />]
  })
}

function summary(entries: readonly LogEntry[]): string {
  return STACK.toReversed()
    .map((level) => [level, entries.filter((entry) => entry.level === level).length] as const)
    .filter(([, number]) => number > 0)
    .map(([level, number]) => plural(number, nameOfLevel(level).toLowerCase(), nameOfLevel(level).toLowerCase()))
    .join(', ')
}
