import { useContext } from 'preact/compat'
import { useLive, useNow } from '../data/hooks.ts'
import type { Snapshot } from '../data/resource.ts'
import type { Verdict } from '../judge.ts'
import { durationInWords, timeMs, wholeDuration } from '../words.ts'
import { Card } from './card.tsx'
import { Ago, Fact, Facts } from './facts.tsx'
import { StaleContext, StateMark } from './state-mark.tsx'

/** What a StatusCard says, whether of the whole recorder or of the fetcher of asset prices. */
export interface Status {
  readonly verdict: Verdict
  /** Why, in words; null when there is nothing to explain. */
  readonly detail: string | null
  readonly lastUpdate: string | null
  readonly nextUpdateInSeconds: number | null
  /** What next updates there are when there is none. */
  readonly noNext: string
  readonly tracked: string
  readonly uptimeSeconds: number
  readonly version: string | null
  readonly extra: readonly (readonly [name: string, value: string])[]
}

interface StatusCardProps<T> {
  readonly of: Snapshot<T>
  readonly title?: string
  readonly read: (data: T) => Status
}

export function StatusCard<T>({ of, title = 'Status', read }: StatusCardProps<T>) {
  return (
    <Card title={title} of={of} className="card-status">
      {(data) => <StatusBody status={read(data)} loadedMs={of.loadedMs ?? 0} />}
    </Card>
  )
}

function StatusBody({ status, loadedMs }: { status: Status; loadedMs: number }) {
  const live = useLive()
  const nowMs = useNow()
  const stale = useContext(StaleContext)
  // what is out of touch does not go on counting
  const sinceSeconds = stale ? 0 : Math.max(0, (live.clock.nowMs() - loadedMs) / 1_000)
  const { verdict, detail, lastUpdate, tracked, version, extra } = status
  return (
    <>
      <p className="big-state">
        <StateMark {...verdict} />
      </p>
      {detail !== null && <p className="detail">{detail}</p>}
      <Facts>
        <Fact name="Last update">
          <Ago time={timeMs(lastUpdate) === null ? null : lastUpdate} nowMs={nowMs} />
        </Fact>
        <Fact name="Next update">
          {stale ? <span className="quiet">unknown</span> : <Countdown status={status} sinceSeconds={sinceSeconds} />}
        </Fact>
        <Fact name="Tracked">{tracked}</Fact>
        <Fact name="Uptime">{durationInWords(status.uptimeSeconds + sinceSeconds)}</Fact>
        {extra.map(([name, value]) => (
          <Fact key={name} name={name}>
            {value}
          </Fact>
        ))}
        {version !== null && <Fact name="Version">{version}</Fact>}
      </Facts>
    </>
  )
}

function Countdown({ status, sinceSeconds }: { status: Status; sinceSeconds: number }) {
  const { nextUpdateInSeconds, noNext } = status
  if (nextUpdateInSeconds === null) return <span className="quiet">{noNext}</span>
  const left = nextUpdateInSeconds - sinceSeconds
  // no live region: a countdown that is read out loud every second helps nobody
  return <span role="timer">{left < 0.5 ? 'now' : `in ${wholeDuration(left)}`}</span>
}
