import type { ComponentChildren } from 'preact'
import { useContext } from 'preact/compat'
import type { Cycle } from '../../../src/api/contract.ts'
import { useLive, useNow } from '../data/hooks.ts'
import type { Snapshot } from '../data/resource.ts'
import { count, duration, durationInWords, percent, plural } from '../words.ts'
import { Beats } from './beats.tsx'
import { Card } from './card.tsx'
import { Fact, Facts } from './facts.tsx'
import { StaleContext } from './state-mark.tsx'

/** The numbers of a StatisticsCard, whether of one collector or of all. */
export interface Statistics {
  readonly uptime_seconds: number
  readonly total_cycles: number
  readonly successful_cycles: number
  readonly failed_cycles: number
  readonly success_rate: number | null
  readonly average_cycle_duration_seconds: number | null
  readonly last_cycle_duration_seconds: number | null
}

interface StatisticsCardProps<T> {
  readonly of: Snapshot<T>
  readonly read: (data: T) => Statistics
  /** Newest first. */
  readonly cycles: readonly Cycle[]
  /** Words for when there has been no cycle. */
  readonly noCycles: string
  readonly title?: string
  readonly aside?: ComponentChildren
}

const BEATS = 100

export function StatisticsCard<T>(props: StatisticsCardProps<T>) {
  const { of, read, cycles, noCycles, title = 'Statistics', aside } = props
  const empty = (data: T) => (read(data).total_cycles === 0 && cycles.length === 0 ? noCycles : null)
  return (
    <Card title={title} of={of} aside={aside} empty={empty} className="card-statistics">
      {(data) => <StatisticsBody numbers={read(data)} cycles={cycles} loadedMs={of.loadedMs ?? 0} />}
    </Card>
  )
}

interface BodyProps {
  readonly numbers: Statistics
  readonly cycles: readonly Cycle[]
  readonly loadedMs: number
}

function StatisticsBody({ numbers, cycles, loadedMs }: BodyProps) {
  const live = useLive()
  useNow() // uptime counts up
  const stale = useContext(StaleContext)
  const sinceSeconds = stale ? 0 : Math.max(0, (live.clock.nowMs() - loadedMs) / 1_000)
  const { total_cycles, successful_cycles, failed_cycles, success_rate } = numbers
  return (
    <>
      <SuccessRate rate={success_rate} good={successful_cycles} all={total_cycles} />
      <Facts>
        <Fact name="Total cycles">{count(total_cycles)}</Fact>
        <Fact name="Failed">{count(failed_cycles)}</Fact>
        <Fact name="Average duration" note="last 100 cycles">
          {seconds(numbers.average_cycle_duration_seconds)}
        </Fact>
        <Fact name="Last duration">{seconds(numbers.last_cycle_duration_seconds)}</Fact>
        <Fact name="Uptime">{durationInWords(numbers.uptime_seconds + sinceSeconds)}</Fact>
      </Facts>
      <figure className="beat-bar">
        <Beats cycles={cycles} slots={BEATS} />
        <figcaption>Last {plural(Math.min(BEATS, cycles.length), 'cycle')}, newest on the right</figcaption>
      </figure>
    </>
  )
}

function seconds(value: number | null) {
  return value === null ? <span className="quiet">none yet</span> : duration(value)
}

interface RateProps {
  readonly rate: number | null
  readonly good: number
  readonly all: number
}

/** The share with its numerator and denominator, and as a bar. */
export function SuccessRate({ rate, good, all }: RateProps) {
  return (
    <div className="rate">
      <p>
        <strong>{rate === null ? '–' : percent(rate, 2)}</strong>{' '}
        <span>
          {count(good)} of {plural(all, 'cycle')} succeeded
        </span>
      </p>
      <RateBar share={rate === null ? null : rate / 100} />
    </div>
  )
}

export function RateBar({ share }: { share: number | null }) {
  return (
    <svg className="rate-bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
      <rect className="rate-rest" width={100} height={4} />
      {share !== null && <rect className="rate-good" width={100 * share} height={4} />}
    </svg>
  )
}
