import { useEffect, useRef, useState } from 'preact/compat'

/**
 * New rows without moving those that are being read: values change in place, what is new waits behind a button until
 * the reader wants it.
 */
export function mergeHeld<Row>(shown: readonly Row[], newest: readonly Row[], keyOf: (row: Row) => string) {
  const fresh = new Map(newest.map((row) => [keyOf(row), row]))
  const known = new Set(shown.map(keyOf))
  return {
    rows: shown.map((row) => fresh.get(keyOf(row)) ?? row),
    waiting: newest.filter((row) => !known.has(keyOf(row))).length,
  }
}

const NOBODY = { pointer: false, focus: false, scrolled: false }

export interface HeldRows<Row> {
  readonly rows: readonly Row[]
  /** How many new ones wait. */
  readonly waiting: number
  show(): void
  /** For the element around the rows: while somebody is in there, nothing moves. */
  readonly guard: {
    onPointerEnter(): void
    onPointerLeave(event: PointerEvent): void
    onFocusCapture(): void
    onBlurCapture(event: FocusEvent): void
    onScroll(event: Event): void
  }
}

/** `what` names what is listed: another filter shows its own rows at once. */
export function useHeldRows<Row>(
  newest: readonly Row[],
  keyOf: (row: Row) => string,
  { what, hold = false }: { what: string; hold?: boolean },
): HeldRows<Row> {
  const [reading, setReading] = useState(NOBODY)
  const held = hold || reading.pointer || reading.focus || reading.scrolled
  const kept = useRef<{ what: string; rows: readonly Row[] }>({ what, rows: newest })
  const [, redraw] = useState(0)
  const mustShow = !held || kept.current.what !== what || kept.current.rows.length === 0
  const merged = mustShow ? { rows: newest, waiting: 0 } : mergeHeld(kept.current.rows, newest, keyOf)
  useEffect(() => {
    kept.current = { what, rows: merged.rows }
  })
  const change = (part: Partial<typeof NOBODY>) => setReading((now) => ({ ...now, ...part }))
  return {
    ...merged,
    show() {
      kept.current = { what, rows: [] }
      if (reading.pointer) change({ pointer: false })
      redraw((times) => times + 1)
    },
    guard: {
      onPointerEnter: () => change({ pointer: true }),
      onPointerLeave({ pointerType }) {
        // A finger is lifted at once, and its owner reads on: the rows wait until the new ones are asked for.
        if (pointerType !== 'touch') change({ pointer: false })
      },
      onFocusCapture: () => change({ focus: true }),
      onBlurCapture(event) {
        const inside = (event.currentTarget as Element | null)?.contains(event.relatedTarget as Node | null) === true
        change({ focus: inside })
      },
      onScroll: (event) => change({ scrolled: (event.currentTarget as Element).scrollTop > 4 }),
    },
  }
}
