import { useContext } from 'preact/compat'
import type { Collector, Collectors, Cycle } from '../../../src/api/contract.ts'
import { useLive, useNow } from '../data/hooks.ts'
import type { Snapshot } from '../data/resource.ts'
import { explainCollector, isFollowing, judgeCollector, type Kind } from '../judge.ts'
import { Beats } from '../parts/beats.tsx'
import { Card } from '../parts/card.tsx'
import { useHeldRows } from '../parts/held-rows.ts'
import { StaleContext, StateMark } from '../parts/state-mark.tsx'
import { Table } from '../parts/table.tsx'
import { ago, count, duration, percent, timeMs, wholeDuration } from '../words.ts'

interface CollectorsCardProps {
  readonly of: Snapshot<Collectors>
  /** Frames that wait for the ledger; null when unknown. */
  readonly queueDepth: number | null
  readonly cycles: ReadonlyMap<string, readonly Cycle[]>
}

const ORDER: readonly Kind[] = ['bad', 'warn', 'busy', 'off', 'good']
const BEATS = 30

/** One row per collector, the worst first. */
export function CollectorsCard({ of, queueDepth, cycles }: CollectorsCardProps) {
  return (
    <Card
      title="Collectors"
      of={of}
      className="card-wide"
      empty={({ collectors }) =>
        collectors.length === 0 ? 'Nothing is recorded: no source is enabled in the configuration.' : null
      }
    >
      {({ collectors }) => (
        <CollectorTable collectors={collectors} loadedMs={of.loadedMs ?? 0} queueDepth={queueDepth} cycles={cycles} />
      )}
    </Card>
  )
}

interface TableProps extends Omit<CollectorsCardProps, 'of'> {
  readonly collectors: readonly Collector[]
  readonly loadedMs: number
}

const COLUMNS = ['Collector', 'State', 'Newest data', 'Last cycles', 'Success', 'p95', 'Queue', 'Next run']

function CollectorTable({ collectors, loadedMs, queueDepth, cycles }: TableProps) {
  const live = useLive()
  const nowMs = useNow()
  const sinceSeconds = Math.max(0, (live.clock.nowMs() - loadedMs) / 1_000)
  // a collector is not late because the page lost sight of it
  const stale = useContext(StaleContext)
  const judgedMs = stale ? nowMs - 1_000 * sinceSeconds : nowMs
  const judged = collectors
    .map((collector) => ({ collector, verdict: judgeCollector(collector, judgedMs) }))
    .toSorted((a, b) => ORDER.indexOf(a.verdict.kind) - ORDER.indexOf(b.verdict.kind))
  const what = collectors.map(({ name }) => name).join(' ')
  const { rows, guard } = useHeldRows(judged, ({ collector }) => collector.name, { what })
  return (
    <div {...guard}>
      <Table name="collectors" columns={COLUMNS}>
        {rows.map(({ collector, verdict }) => (
          <tbody key={collector.name}>
            <tr>
              <th scope="row">{collector.name}</th>
              <td data-label="State">
                <StateMark {...verdict} />
              </td>
              <td data-label="Newest data">
                <Age collector={collector} nowMs={nowMs} />
              </td>
              <td data-label="Last cycles" className="cell-beats">
                {collector.kind === 'streaming' ? (
                  <span className="quiet">streams without cycles</span>
                ) : (
                  <Beats cycles={cycles.get(collector.name) ?? []} slots={BEATS} />
                )}
              </td>
              <td data-label="Success">{successOf(collector)}</td>
              <td data-label="p95">{p95Of(collector)}</td>
              <td data-label="Queue">{isFollowing(collector) && queueDepth !== null ? count(queueDepth) : <None />}</td>
              <td data-label="Next run">
                {stale ? <span className="quiet">unknown</span> : nextOf(collector, sinceSeconds)}
              </td>
            </tr>
            <tr className="why">
              <td colSpan={COLUMNS.length}>
                {stale && 'When it was last seen: '}
                {explainCollector(collector, judgedMs)}
              </td>
            </tr>
          </tbody>
        ))}
      </Table>
    </div>
  )
}

function None() {
  return <span className="quiet">–</span>
}

function p95Of({ kind, statistics: { p95_cycle_duration_seconds: seconds } }: Collector) {
  return kind === 'streaming' || seconds === null ? <None /> : duration(seconds)
}

function successOf({ kind, statistics }: Collector) {
  const { success_rate, successful_cycles, total_cycles } = statistics
  if (kind === 'streaming' || success_rate === null) return <None />
  return (
    <>
      {percent(success_rate, 2)}{' '}
      <small>
        {count(successful_cycles)}/{count(total_cycles)}
      </small>
    </>
  )
}

function nextOf({ next_update_in_seconds: seconds, kind, state }: Collector, sinceSeconds: number) {
  if (seconds === null) return kind === 'streaming' && state === 'running' ? 'live' : <None />
  const left = seconds - sinceSeconds
  return left < 0.5 ? 'now' : `in ${wholeDuration(left)}`
}

/** The age of the newest data against its cadence: the bar is full at twice the cadence, where it is too late. */
function Age({ collector, nowMs }: { collector: Collector; nowMs: number }) {
  const stale = useContext(StaleContext)
  const seen = timeMs(collector.last_update)
  if (seen === null) return <span className="quiet">none yet</span>
  const ageSeconds = Math.max(0, (nowMs - seen) / 1_000)
  const share = Math.min(1, ageSeconds / (2 * collector.interval_seconds))
  return (
    <span className="age">
      <time dateTime={collector.last_update ?? ''}>{ago(collector.last_update, nowMs)}</time>
      <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
        <rect className="rate-rest" width={100} height={4} />
        <rect className={stale ? 'age-stale' : share >= 1 ? 'age-late' : 'age-good'} width={100 * share} height={4} />
      </svg>
      <small>of {wholeDuration(collector.interval_seconds)}</small>
    </span>
  )
}
