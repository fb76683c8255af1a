import type { ComponentChildren } from 'preact'
import { useId } from 'preact/compat'
import { isStale, useLive, useLiveState, useNow } from '../data/hooks.ts'
import type { RequestError } from '../data/request.ts'
import type { Snapshot } from '../data/resource.ts'
import { clockTime, wholeDuration } from '../words.ts'
import { StaleContext } from './state-mark.tsx'

export interface CardProps<T> {
  readonly title: string
  readonly of: Snapshot<T>
  /** Words for when there is nothing to show; null when there is something. */
  readonly empty?: (data: T) => string | null
  /** To the right of the title. */
  readonly aside?: ComponentChildren
  /** Above the content, and there whatever becomes of that: what is typed into must not go away. */
  readonly above?: ComponentChildren
  readonly className?: string
  readonly children: (data: T) => ComponentChildren
}

/** One part of a view. Loading, empty, failed and out of touch look and read differently. */
export function Card<T>({ title, of, empty, aside, above, className = '', children }: CardProps<T>) {
  const id = useId()
  const live = useLive()
  const stale = isStale(of, live)
  return (
    <section className={`card ${className} ${stale ? 'is-stale' : ''}`} aria-labelledby={id}>
      <header className="card-head">
        <h2 id={id}>{title}</h2>
        {aside}
      </header>
      {stale && <LastSeen of={of} />}
      {above}
      <StaleContext.Provider value={stale}>
        <Content of={of} title={title} empty={empty}>
          {children}
        </Content>
      </StaleContext.Provider>
    </section>
  )
}

type ContentProps<T> = Pick<CardProps<T>, 'of' | 'title' | 'children'> & { empty: CardProps<T>['empty'] | undefined }

function Content<T>({ of: { data, problem }, title, empty, children }: ContentProps<T>) {
  const { paused } = useLiveState()
  if (data === null) {
    if (problem !== null) return <Failure problem={problem} />
    return paused ? (
      <p className="empty">The page is paused, so this is not loaded. Press p to go on.</p>
    ) : (
      <Loading what={title} />
    )
  }
  const words = empty?.(data) ?? null
  return words === null ? children(data) : <p className="empty">{words}</p>
}

function Loading({ what }: { what: string }) {
  return (
    <div className="loading" role="status">
      <span className="unseen">Loading {what.toLowerCase()} …</span>
      <i />
      <i />
      <i />
    </div>
  )
}

function Failure({ problem: { status, message } }: { problem: RequestError }) {
  if (status === 0) {
    return (
      <p className="failure failure-away">
        <strong>No connection.</strong> {message}. The page keeps trying; nothing is recorded through this page, so
        nothing is lost by it.
      </p>
    )
  }
  return (
    <p className="failure">
      <strong>Could not be loaded.</strong> {message}. The page tries again every 10 seconds.
    </p>
  )
}

/** When what is shown was last known to be so, and why it is not newer. */
function LastSeen({ of: { loadedMs, problem } }: { of: Snapshot<unknown> }) {
  const live = useLive()
  useNow() // counts up
  if (loadedMs === null) return null
  const nowMs = live.clock.nowMs()
  return (
    <p className="last-seen">
      Last seen {clockTime(loadedMs, nowMs)}, {wholeDuration((nowMs - loadedMs) / 1_000)} ago
      {problem === null ? '.' : `: ${problem.message}.`}
    </p>
  )
}
