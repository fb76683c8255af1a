import type { Coverage, CoverageInterval } from '../../../src/api/contract.ts'
import { useResource } from '../data/hooks.ts'
import { Card } from '../parts/card.tsx'
import { clockTime, percent, timeMs, wholeDuration } from '../words.ts'

type Look = 'recorded' | 'quiet' | 'gap' | 'none'

const LEGEND: readonly (readonly [Look, string])[] = [
  ['recorded', 'recorded'],
  ['quiet', 'verified quiet'],
  ['gap', 'gap'],
  ['none', 'not followed'],
]
const WIDTH = 1_000
const HEIGHT = 28
/** However short, a gap is seen. */
const GAP_WIDTH_MIN = 3

/** When this outcome was recorded, and when something may be missing. */
export function CoverageCard({ tokenId }: { tokenId: string }) {
  const coverage = useResource<Coverage>(`api/tokens/${tokenId}/coverage`, ['gap'])
  return (
    <Card
      title="Coverage of the last 24 hours"
      of={coverage}
      className="card-wide"
      empty={(data) => (data.covered_percent === null ? 'This outcome has not been followed in this time.' : null)}
    >
      {(data) => <Strip coverage={data} />}
    </Card>
  )
}

export function lookOf({ state, proven_quiet }: CoverageInterval): Look {
  if (state === 'not_recorded') return 'none'
  if (state === 'recorded') return 'recorded'
  return proven_quiet ? 'quiet' : 'gap'
}

function Strip({ coverage }: { coverage: Coverage }) {
  // a strip of a day in which it was followed for minutes would show nothing of these
  const first = coverage.intervals.findIndex(({ state }) => state !== 'not_recorded')
  const intervals = coverage.intervals.slice(Math.max(0, first))
  const fromMs = timeMs(intervals[0]?.from ?? coverage.from) ?? 0
  const toMs = timeMs(coverage.to) ?? 1
  const { covered_percent, missing_seconds, recorded_seconds } = coverage
  const share = covered_percent === null ? '–' : percent(covered_percent, 3)
  const followed = wholeDuration(recorded_seconds + missing_seconds)
  const words = `${share} of the ${followed} in which it was followed is covered`
  return (
    <>
      <p className="strip-words">
        {words}
        {missing_seconds > 0 && `; of ${wholeDuration(missing_seconds)} something may be missing`}.
      </p>
      <svg
        className="strip"
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={words}
      >
        {intervals.map((interval) => (
          <Piece key={`${interval.from} ${interval.gap_id}`} interval={interval} fromMs={fromMs} toMs={toMs} />
        ))}
      </svg>
      <p className="strip-ends">
        <span>
          {clockTime(fromMs, toMs)}
          {first > 0 && ', not followed before'}
        </span>
        <span>{clockTime(toMs, toMs)}</span>
      </p>
      <ul className="legend">
        {LEGEND.map(([look, name]) => (
          <li key={look}>
            <svg viewBox="0 0 16 12" aria-hidden="true">
              <Shape look={look} x={0} width={16} height={12} />
            </svg>
            {name}
          </li>
        ))}
      </ul>
    </>
  )
}

function Piece({ interval, fromMs, toMs }: { interval: CoverageInterval; fromMs: number; toMs: number }) {
  const lengthMs = Math.max(1, toMs - fromMs)
  const startMs = timeMs(interval.from) ?? fromMs
  const endMs = timeMs(interval.to) ?? toMs
  const look = lookOf(interval)
  const least = look === 'gap' ? GAP_WIDTH_MIN : 0
  const width = Math.max(least, (WIDTH * (endMs - startMs)) / lengthMs)
  const x = Math.min(WIDTH - width, (WIDTH * (startMs - fromMs)) / lengthMs)
  const why = interval.cause === null ? '' : `, ${causeInWords(interval.cause)}`
  return (
    <g>
      <title>{`${LEGEND.find(([one]) => one === look)?.[1]}${why}: ${interval.from} to ${interval.to}`}</title>
      <Shape look={look} x={x} width={width} height={HEIGHT} />
    </g>
  )
}

/** Each look differs in height as well as in colour: a gap fills all of it, what is not followed is a line. */
function Shape({ look, x, width, height }: { look: Look; x: number; width: number; height: number }) {
  const share = { recorded: 0.7, quiet: 0.35, gap: 1, none: 0.1 }[look]
  return <rect className={`strip-${look}`} x={x} y={height * (1 - share)} width={width} height={height * share} />
}

const CAUSES: Readonly<Record<string, string>> = {
  down: 'the recorder was down',
  disconnect: 'the connection was lost',
  stall: 'the connection went silent',
  hash_mismatch: 'the book was not the venue’s',
  missing_trade: 'a trade did not come',
  tape_failure: 'the disk did not take it',
  parse_failure: 'a message could not be read',
  subscribe_refused: 'the subscription was refused',
}

export function causeInWords(cause: string): string {
  return CAUSES[cause] ?? cause
}
