import colors from 'picocolors'
import type { SchemaDifference, TableComparison } from '../ledger/compare-schemas.ts'
import { columns } from './columns.ts'

export interface RebuildResult {
  /** null when it was dropped again. */
  readonly schema: string | null
  readonly tables: readonly TableComparison[]
  /** Rows and frames that became dead letters. */
  readonly refused: number
}

const SHOWN_MAX = 20

/** True when the ledger holds exactly what the tape says. */
export function isSame({ tables }: RebuildResult): boolean {
  return tables.every(({ differing }) => differing === 0)
}

/** The result for people. */
export function rebuildLines(result: RebuildResult): readonly string[] {
  const head = ['table', 'rebuilt', 'in the ledger', 'differing'].map((title) => colors.underline(title))
  const rows = result.tables.map(({ table, rebuilt, ledger, differing }) => {
    const verdict = differing === 0 ? colors.green('none') : colors.red(count(differing))
    return [table, count(rebuilt), count(ledger), verdict]
  })
  const lines = [...columns([head, ...rows]), '']
  if (result.refused > 0) lines.push(`${count(result.refused)} rows or frames were refused again (dead letters)`, '')
  const differences = result.tables.flatMap((table) => table.differences)
  lines.push(...columns(differences.slice(0, SHOWN_MAX).map(cells)))
  const total = result.tables.reduce((sum, { differing }) => sum + differing, 0)
  if (total > SHOWN_MAX) lines.push(`… and ${count(total - SHOWN_MAX)} more (--json lists up to 1,000 a table)`)
  if (total > 0) lines.push('')
  lines.push(total === 0 ? 'The ledger holds what the tape says.' : 'The ledger does not hold what the tape says.')
  if (result.schema !== null) lines.push(`The rebuilt tables are in the schema ${result.schema}.`)
  return lines
}

function cells({ table, kind, subject, at, columns: changed }: SchemaDifference): string[] {
  const what = Object.entries(changed).map(([column, { rebuilt, ledger }]) => {
    return `${column}: rebuilt ${cut(rebuilt)}, ledger ${cut(ledger)}`
  })
  return [table, at, kind, `${table === 'market_events' ? 'market' : 'token'} ${subject ?? '?'}`, what.join('; ')]
}

/** The result for programs. */
export function rebuildJson(result: RebuildResult): unknown {
  return {
    ok: isSame(result),
    schema: result.schema,
    refused: result.refused,
    tables: result.tables.map(({ table, rebuilt, ledger, differing, differences }) => ({
      table,
      rebuilt,
      in_ledger: ledger,
      differing,
      differences: differences.map(({ kind, subject, at, columns: changed }) => {
        const id = table === 'market_events' ? { condition_id: subject } : { token_id: subject }
        return { kind, ...id, at, columns: changed }
      }),
    })),
  }
}

function count(value: number): string {
  return value.toLocaleString('en')
}

function cut(text: string | null): string {
  if (text === null) return 'nothing'
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
