import type { ComponentChildren } from 'preact'
import { ago, clockTime, timeMs } from '../words.ts'

/** Names and values, as a description list. */
export function Facts({ children }: { children: ComponentChildren }) {
  return <dl className="facts">{children}</dl>
}

interface FactProps {
  readonly name: string
  readonly children: ComponentChildren
  /** Below the value, smaller. */
  readonly note?: ComponentChildren
}

export function Fact({ name, children, note }: FactProps) {
  return (
    <div className="fact">
      <dt>{name}</dt>
      <dd>
        {children}
        {note !== undefined && <small>{note}</small>}
      </dd>
    </div>
  )
}

/** `12 s ago`, with the moment itself for machines and on pointing. */
export function Ago({ time, nowMs }: { time: string | null; nowMs: number }) {
  if (timeMs(time) === null) return <span className="quiet">never</span>
  return (
    <time dateTime={time ?? ''} title={time ?? ''}>
      {ago(time, nowMs)}
    </time>
  )
}

/** `12:03:04`, local; the moment in UTC on pointing. */
export function Moment({ time, nowMs }: { time: string; nowMs: number }) {
  const ms = timeMs(time)
  if (ms === null) return <span className="quiet">at no time</span>
  return (
    <time dateTime={time} title={time}>
      {clockTime(ms, nowMs)}
    </time>
  )
}
