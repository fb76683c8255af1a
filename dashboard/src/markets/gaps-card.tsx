import type { Gap, Gaps } from '../../../src/api/contract.ts'
import { useNow, useResource } from '../data/hooks.ts'
import { Card } from '../parts/card.tsx'
import { Moment } from '../parts/facts.tsx'
import { HeldTable } from '../parts/table.tsx'
import { count, plural, timeMs, wholeDuration } from '../words.ts'
import { causeInWords } from './coverage-card.tsx'

const LIMIT = 50

/** The gaps of one outcome: why, how long, and what was recovered. */
export function GapsCard({ tokenId }: { tokenId: string }) {
  const gaps = useResource<Gaps>(`api/gaps?token_id=${tokenId}&limit=${LIMIT}`, ['gap'])
  return (
    <Card
      title="Gaps"
      of={gaps}
      className="card-wide"
      empty={(data) => (data.gaps.length === 0 ? 'There is no gap: nothing is known to be missing.' : null)}
      aside={gaps.data?.next_before ? <span className="quiet">the newest {LIMIT}</span> : null}
    >
      {(data) => <GapsTable gaps={data.gaps} what={tokenId} />}
    </Card>
  )
}

const COLUMNS = ['Since', 'Length', 'Cause', 'Of how many tokens', 'Recovered']
const keyOfGap = ({ gap_id }: Gap) => String(gap_id)

function GapsTable({ gaps, what }: { gaps: readonly Gap[]; what: string }) {
  const nowMs = useNow()
  return (
    <HeldTable
      name="gaps stacks"
      columns={COLUMNS}
      newest={gaps}
      keyOf={keyOfGap}
      what={what}
      words={['gap', 'gaps']}
      scrolls="Gaps"
    >
      {(rows) => rows.map((gap) => <GapRow key={gap.gap_id} gap={gap} nowMs={nowMs} />)}
    </HeldTable>
  )
}

function GapRow({ gap, nowMs }: { gap: Gap; nowMs: number }) {
  return (
    <tr>
      <td data-label="Since">
        <Moment time={gap.started_at} nowMs={nowMs} />
      </td>
      <td data-label="Length">{lengthOf(gap, nowMs)}</td>
      <td data-label="Cause">{causeInWords(gap.cause)}</td>
      <td data-label="Tokens">
        {plural(gap.token_count, 'token')}
        {gap.quiet_token_count > 0 && `, ${count(gap.quiet_token_count)} proven quiet`}
      </td>
      <td data-label="Recovered">{recovered(gap)}</td>
    </tr>
  )
}

function lengthOf({ started_at, ended_at }: Gap, nowMs: number): string {
  const fromMs = timeMs(started_at)
  const toMs = timeMs(ended_at)
  if (fromMs === null) return '–'
  return toMs === null
    ? `open for ${wholeDuration((nowMs - fromMs) / 1_000)}`
    : wholeDuration(Math.max(0, toMs - fromMs) / 1_000)
}

function recovered({ recovered_trades, backfill_complete, backfill_error }: Gap): string {
  const trades = plural(recovered_trades, 'trade')
  if (backfill_error !== null) return `${trades}; the rest could not be fetched: ${backfill_error}`
  if (backfill_complete === null) return recovered_trades === 0 ? 'not tried yet' : trades
  return backfill_complete ? `${trades}, complete` : `${trades}, not all`
}
