import { useEffect, useState } from 'preact/compat'
import type { LogLevel } from '../../../src/api/contract.ts'
import { useLive } from '../data/hooks.ts'

/** Which entries are wanted. */
export interface LogWish {
  /** null: of every level. */
  readonly level: LogLevel | null
  readonly search: string
}

const LEVELS: readonly LogLevel[] = ['CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG']
const TYPING_MS = 250

interface FilterProps {
  readonly wish: LogWish
  readonly disabled: boolean
  onWish(wish: LogWish): void
}

export function LogFilter({ wish, disabled, onWish }: FilterProps) {
  const live = useLive()
  const [typed, setTyped] = useState(wish.search)
  useEffect(() => {
    const search = typed.trim()
    if (search === wish.search) return
    // not for every letter
    return live.clock.after(TYPING_MS, () => onWish({ ...wish, search }))
  }, [typed, wish, onWish, live])
  return (
    <div className="filters">
      <label>
        <span>Level</span>
        <select
          value={wish.level ?? ''}
          disabled={disabled}
          onChange={(event) => onWish({ ...wish, level: levelOf(event.currentTarget.value) })}
        >
          <option value="">All</option>
          {LEVELS.map((level) => (
            <option key={level} value={level}>
              {nameOfLevel(level)}
            </option>
          ))}
        </select>
      </label>
      <label className="search">
        <span>Search</span>
        <input
          type="search"
          data-search
          value={typed}
          disabled={disabled}
          maxLength={200}
          placeholder="words of the message"
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
      </label>
    </div>
  )
}

function levelOf(text: string): LogLevel | null {
  return LEVELS.find((level) => level === text) ?? null
}

/** `WARNING` → `Warning`. */
export function nameOfLevel(level: LogLevel): string {
  return level.slice(0, 1) + level.slice(1).toLowerCase()
}
