import { useEffect, useRef, useState } from 'preact/compat'
import type { LogEntry, Logs } from '../../../src/api/contract.ts'
import { useNow, useResource } from '../data/hooks.ts'
import { Card } from '../parts/card.tsx'
import { useHeldRows } from '../parts/held-rows.ts'
import { NewRows } from '../parts/new-rows.tsx'
import { Scroll, Table } from '../parts/table.tsx'
import { count } from '../words.ts'
import { LogFilter, type LogWish } from './log-filter.tsx'
import { LogHistogram } from './log-histogram.tsx'
import { keyOfEntry, LogRow } from './log-row.tsx'

const LIMIT = 200
/** How many entries after the one that was looked for are shown with it. */
const AROUND = 60
const COLUMNS = ['Time', 'Level', 'Message']
const NO_WISH: LogWish = { level: null, search: '' }

/** The log: what happened, filtered, searched, and in its surroundings. */
export function LogsCard() {
  const [wish, setWish] = useState<LogWish>(NO_WISH)
  /** The entry that is shown in the full stream; null: the newest are. */
  const [around, setAround] = useState<number | null>(null)
  const logs = useResource<Logs>(addressOf(wish, around), around === null ? ['log'] : [])
  return (
    <Card
      title="Logs"
      of={logs}
      className="card-wide card-logs"
      aside={<Totals logs={logs.data} />}
      above={<LogFilter wish={wish} onWish={setWish} disabled={around !== null} />}
    >
      {(data) => (
        <>
          {around !== null && (
            <p className="around">
              The full stream around one entry.{' '}
              <button type="button" className="chip" onClick={() => setAround(null)}>
                Back to the newest
              </button>
            </p>
          )}
          <LogHistogram entries={data.logs} />
          <LogList
            entries={data.logs}
            what={addressOf(wish, around)}
            marked={around}
            isFiltered={wish.level !== null || wish.search !== ''}
            onAround={setAround}
          />
        </>
      )}
    </Card>
  )
}

function addressOf({ level, search }: LogWish, around: number | null): string {
  const query = new URLSearchParams({ limit: String(LIMIT) })
  if (around !== null) query.set('before', String(around + AROUND))
  else {
    if (level !== null) query.set('level', level)
    if (search !== '') query.set('search', search)
  }
  return `api/fetcher/logs?${query}`
}

function Totals({ logs }: { logs: Logs | null }) {
  if (logs === null) return null
  return (
    <span className="quiet">
      {logs.logs.length < logs.total ? `newest ${count(logs.logs.length)} of ${count(logs.total)}` : count(logs.total)}
    </span>
  )
}

interface ListProps {
  readonly entries: readonly LogEntry[]
  readonly what: string
  readonly marked: number | null
  readonly isFiltered: boolean
  onAround(id: number): void
}

function LogList({ entries, what, marked, isFiltered, onAround }: ListProps) {
  const nowMs = useNow()
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set())
  const { rows, waiting, show, guard } = useHeldRows(entries, keyOfEntry, { what, hold: open.size > 0 })
  const list = useRef<HTMLElement>(null)
  useEffect(() => {
    const row = list.current?.querySelector<HTMLElement>('.log-marked')
    if (marked !== null && row && list.current) list.current.scrollTop = row.offsetTop - list.current.clientHeight / 3
  }, [marked, rows.length > 0])
  const toggle = (key: string) =>
    setOpen((known) => {
      const next = new Set(known)
      if (!next.delete(key)) next.add(key)
      return next
    })
  if (rows.length === 0) {
    const words = isFiltered ? 'No entry matches the filter.' : 'The log is empty.'
    return <p className="empty">{words}</p>
  }
  return (
    <>
      <NewRows waiting={waiting} what={['entry', 'entries']} show={show} />
      <Scroll what="Log entries" className="scroll-logs" place={list} guard={guard}>
        <Table name="logs" columns={COLUMNS}>
          {rows.map((entry) => (
            <LogRow
              key={keyOfEntry(entry)}
              entry={entry}
              nowMs={nowMs}
              isOpen={open.has(keyOfEntry(entry))}
              isMarked={marked !== null && entry.id === marked}
              onToggle={toggle}
              onAround={onAround}
            />
          ))}
        </Table>
      </Scroll>
    </>
  )
}
