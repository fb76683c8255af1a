import { useContext } from 'preact/compat'
import type { Cycle } from '../../../src/api/contract.ts'
import { duration, plural } from '../words.ts'
import { StaleContext } from './state-mark.tsx'

const HEIGHT = 28
const HEIGHT_MIN = 7

/** The last cycles as bars, oldest first: taller took longer; a failed one is full height, notched, in red. */
export function Beats({ cycles, slots }: { cycles: readonly Cycle[]; slots: number }) {
  const stale = useContext(StaleContext)
  const shown = cycles.slice(0, slots).toReversed()
  const longest = Math.max(0.001, ...shown.map((cycle) => cycle.duration_seconds))
  const failed = shown.filter((cycle) => !cycle.success).length
  const words =
    shown.length === 0
      ? 'No cycle has ended yet'
      : `Last ${plural(shown.length, 'cycle')}: ${count(shown.length, failed)}`
  return (
    <svg
      className={stale ? 'beats beats-stale' : 'beats'}
      viewBox={`0 0 ${slots * 4} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={words}
    >
      {Array.from({ length: slots - shown.length }, (_, at) => (
        <rect key={`empty-${at}`} className="beat-none" x={at * 4} y={HEIGHT - 3} width={3} height={3} />
      ))}
      {shown.map((cycle, at) => {
        const x = (slots - shown.length + at) * 4
        const height = HEIGHT_MIN + (HEIGHT - HEIGHT_MIN) * Math.sqrt(cycle.duration_seconds / longest)
        const what = `${cycle.success ? 'well' : 'failed'}, ${duration(cycle.duration_seconds)}, ${cycle.started_at}`
        return (
          <g key={cycle.id ?? `${cycle.collector} ${cycle.started_at}`} className={cycle.success ? 'beat' : 'beat-bad'}>
            <title>{`${cycle.collector}: ${what}${cycle.error === null ? '' : ` – ${cycle.error}`}`}</title>
            {cycle.success ? (
              <rect x={x} y={HEIGHT - height} width={3} height={height} rx={1} />
            ) : (
              <path d={`M${x} 0h3v10h-3zM${x} 13h3v15h-3z`} />
            )}
          </g>
        )
      })}
    </svg>
  )
}

function count(all: number, failed: number): string {
  return failed === 0 ? 'none failed' : `${failed} of ${all} failed`
}
