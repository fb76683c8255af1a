import type { LogEntry } from '../../../src/api/contract.ts'
import { Moment } from '../parts/facts.tsx'
import { nameOfLevel } from './log-filter.tsx'

export function keyOfEntry({ id, timestamp, message }: LogEntry): string {
  return id === null ? `${timestamp} ${message}` : String(id)
}

interface RowProps {
  readonly entry: LogEntry
  readonly nowMs: number
  readonly isOpen: boolean
  readonly isMarked: boolean
  onToggle(key: string): void
  onAround(id: number): void
}

/** One entry; opened, its context and the way to its surroundings. */
export function LogRow({ entry, nowMs, isOpen, isMarked, onToggle, onAround }: RowProps) {
  const { id, timestamp, level, message, context } = entry
  const detailsId = `log-${keyOfEntry(entry)}`
  return (
    <tbody className={`log log-${level.toLowerCase()} ${isMarked ? 'log-marked' : ''}`}>
      <tr>
        <td className="log-time">
          <Moment time={timestamp} nowMs={nowMs} />
        </td>
        <td className="log-level">
          <span>{nameOfLevel(level)}</span>
        </td>
        <td className="log-message">
          <button
            type="button"
            className="log-toggle"
            aria-expanded={isOpen}
            aria-controls={isOpen ? detailsId : undefined}
            onClick={() => onToggle(keyOfEntry(entry))}
          >
            {message === '' ? '(no message)' : message}
          </button>
        </td>
      </tr>
      {isOpen && (
        <tr id={detailsId}>
          <td colSpan={3} className="log-details">
            <Context context={context} />
            {id !== null && (
              <button type="button" className="chip" onClick={() => onAround(id)}>
                Show in full stream
              </button>
            )}
          </td>
        </tr>
      )}
    </tbody>
  )
}

function Context({ context }: Pick<LogEntry, 'context'>) {
  const entries = Object.entries(context)
  if (entries.length === 0) return <p className="quiet">No context was logged with it.</p>
  return (
    <dl className="context">
      {entries.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{typeof value === 'string' ? value : JSON.stringify(value, null, 1)}</dd>
        </div>
      ))}
    </dl>
  )
}
