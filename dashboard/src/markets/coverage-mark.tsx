import type { TokenCoverage } from '../../../src/api/contract.ts'
import { StateMark } from '../parts/state-mark.tsx'
import { wholeDuration } from '../words.ts'

/** Whether a token is recorded now, and how long something may be missing of its last day. */
export function CoverageMark({ coverage }: { coverage: TokenCoverage }) {
  const { recording, gap_open, missing_seconds_24h: missing } = coverage
  const verdict = gap_open
    ? ({ kind: 'warn', word: 'In doubt' } as const)
    : recording
      ? ({ kind: 'good', word: 'Recorded' } as const)
      : ({ kind: 'off', word: 'Not followed' } as const)
  return (
    <span className="coverage-mark">
      <StateMark {...verdict} />
      {missing > 0 && <small>{wholeDuration(missing)} may be missing</small>}
    </span>
  )
}
