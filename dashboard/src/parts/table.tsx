import type { ComponentChildren, Ref } from 'preact'
import { type HeldRows, useHeldRows } from './held-rows.ts'
import { NewRows } from './new-rows.tsx'

/** The name of a column; together with `number` where its cells hold numbers. */
export type Column = string | readonly [name: string, kind: 'number']

interface TableProps {
  /** Its class; `stacks` in it makes blocks of its rows where the page is narrow. */
  readonly name: string
  readonly columns: readonly Column[]
  /** Its bodies. */
  readonly children: ComponentChildren
}

export function Table({ name, columns, children }: TableProps) {
  return (
    <table className={name}>
      <thead>
        <tr>
          {columns.map((column) => {
            const [text, kind = ''] = typeof column === 'string' ? [column] : column
            return (
              <th key={text} scope="col" className={kind}>
                {text}
              </th>
            )
          })}
        </tr>
      </thead>
      {children}
    </table>
  )
}

interface ScrollProps {
  readonly what: string
  readonly className?: string
  readonly guard: HeldRows<unknown>['guard']
  readonly place?: Ref<HTMLElement>
  readonly children: ComponentChildren
}

/** Rows in a place of limited height, which the keyboard reaches too. */
export function Scroll({ what, className = '', guard, place = null, children }: ScrollProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section className={`scroll ${className}`} tabIndex={0} aria-label={`${what}, scrolling`} ref={place} {...guard}>
      {children}
    </section>
  )
}

interface HeldTableProps<Row> extends Omit<TableProps, 'children'> {
  readonly newest: readonly Row[]
  readonly keyOf: (row: Row) => string
  /** What is listed, see `useHeldRows`. */
  readonly what: string
  /** One row, and several. */
  readonly words: readonly [one: string, many: string]
  /** Its name where it scrolls; without one it is as high as it is. */
  readonly scrolls?: string
  readonly children: (rows: readonly Row[]) => ComponentChildren
}

/** A table whose rows do not move under the reader. */
export function HeldTable<Row>(props: HeldTableProps<Row>) {
  const { newest, keyOf, what, words, scrolls, name, columns, children } = props
  const { rows, waiting, show, guard } = useHeldRows(newest, keyOf, { what })
  const table = (
    <Table name={name} columns={columns}>
      <tbody>{children(rows)}</tbody>
    </Table>
  )
  return (
    <>
      <NewRows waiting={waiting} what={words} show={show} />
      {scrolls === undefined ? (
        <div {...guard}>{table}</div>
      ) : (
        <Scroll what={scrolls} guard={guard}>
          {table}
        </Scroll>
      )}
    </>
  )
}
