import { createContext } from 'preact'
import { useContext } from 'preact/compat'
import type { Kind, Verdict } from '../judge.ts'

/** Inside of what may no longer be so, no state is shown as if it were. */
export const StaleContext = createContext(false)

const SHAPES: Readonly<Record<Kind, string>> = {
  good: 'M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13Zm3.4 4.9L7.3 11L4.6 8.4l1-1.1l1.6 1.5l3-3.5Z',
  busy: 'M8 1.5a6.5 6.5 0 1 0 6.5 6.5h-2A4.5 4.5 0 1 1 8 3.5Z',
  warn: 'M8 1.2L15.3 14.4H.7ZM7.2 6v4h1.6V6Zm0 5.1v1.6h1.6v-1.6Z',
  bad:
    'M5 1.2h6L14.8 5v6L11 14.8H5L1.2 11V5Zm.9 3.6L4.8 5.9L6.9 8l-2.1 2.1l1.1 1.1L8 9.1l2.1 2.1l1.1-1.1' +
    'L9.1 8l2.1-2.1l-1.1-1.1L8 6.9Z',
  off: 'M2 2h12v12H2Zm2 5v2h8V7Z',
}

export function shapeOf(kind: Kind): string {
  return SHAPES[kind]
}

/** A state by colour, shape and word. */
export function StateMark({ kind, word }: Verdict) {
  const stale = useContext(StaleContext)
  return (
    <span className={`state ${stale ? 'state-off' : `state-${kind}`}`}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d={SHAPES[stale ? 'off' : kind]} fillRule="evenodd" />
      </svg>
      <span>{stale ? `Was ${word.toLowerCase()}` : word}</span>
    </span>
  )
}
