import type { Problem, TransactionDraft } from '../core/portfolio.ts'
import { DRAFT_FIELDS, type DraftFields, readDraft } from './drafts.ts'

export type Imported =
  | { readonly ok: true; readonly drafts: readonly TransactionDraft[] }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** More than that is not typed by anybody, and a mistake more often than not. */
const ROWS_MAX = 50_000
const PROBLEMS_MAX = 100
const REQUIRED: readonly string[] = ['symbol', 'side', 'quantity', 'price']
/** Other names that files give to columns. */
const ALIASES: Readonly<Record<string, string>> = {
  date: 'time',
  executed_at: 'time',
  note: 'notes',
  fees: 'fee',
  rate: 'exchange_rate',
}

/**
 * Reads transactions from CSV (RFC 4180) with a header: symbol, side, quantity, price and, if wanted, fee, time, notes,
 * exchange_rate, type, currency, name. Every problem names its line.
 */
export function readImport(text: string, nowMs: number): Imported {
  const parsed = parseCsv(text.replace(/^\uFEFF/, ''))
  if (!parsed.ok) return { ok: false, problems: [parsed.problem] }
  const [header, ...rows] = parsed.rows
  if (header === undefined) return refused('the file is empty', 1)
  const columns = header.cells.map(columnOf)
  const unknown = columns.filter((column) => !DRAFT_FIELDS.some((field) => field === column))
  const lacking = REQUIRED.filter((column) => !columns.includes(column))
  if (unknown.length > 0) {
    return refused(`unknown column ${unknown.join(', ')}; known: ${DRAFT_FIELDS.join(', ')}`, header.line)
  }
  if (lacking.length > 0) return refused(`the column ${lacking.join(', ')} is missing`, header.line)
  if (new Set(columns).size < columns.length) return refused('a column is there twice', header.line)
  if (rows.length === 0) return refused('there is no transaction in the file', header.line)
  if (rows.length > ROWS_MAX) return refused(`more than ${ROWS_MAX} transactions in one file`, header.line)
  return readRows(columns, rows, nowMs)
}

function readRows(columns: readonly string[], rows: readonly Row[], nowMs: number): Imported {
  const drafts: TransactionDraft[] = []
  const problems: Problem[] = []
  for (const { line, cells } of rows) {
    if (cells.length !== columns.length) {
      problems.push({ line, message: `${cells.length} fields where the header has ${columns.length}` })
    } else {
      const fields: DraftFields = Object.fromEntries(columns.map((column, index) => [column, cells[index]]))
      const read = readDraft(fields, line, nowMs)
      if (read.ok) drafts.push(read.draft)
      else problems.push(...read.problems)
    }
    if (problems.length >= PROBLEMS_MAX) {
      problems.push({ line: null, message: 'there may be more: the rest was not read' })
      break
    }
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, drafts }
}

function refused(message: string, line: number): Imported {
  return { ok: false, problems: [{ line, message }] }
}

function columnOf(cell: string): string {
  const name = cell
    .trim()
    .toLowerCase()
    .replaceAll(/[\s-]+/g, '_')
  return ALIASES[name] ?? name
}

interface Row {
  /** Where it begins, from 1. */
  readonly line: number
  readonly cells: readonly string[]
}

type Csv = { readonly ok: true; readonly rows: readonly Row[] } | { readonly ok: false; readonly problem: Problem }

/** One cell and what ends it: a comma, a line break, or the end. */
const CELL = /(?:"((?:[^"]+|"")*)"|([^",\r\n]*))(,|\r\n|\n|\r|$)/y

/** Rows of cells; lines without any text are left out. */
function parseCsv(text: string): Csv {
  const rows: Row[] = []
  let cells: string[] = []
  let line = 1
  let startLine = 1
  for (let at = 0; at < text.length || cells.length > 0; ) {
    CELL.lastIndex = at
    const match = CELL.exec(text)
    if (match === null) return { ok: false, problem: { line, message: 'a quote is not closed, or is in the middle' } }
    const [whole, quoted, plain = '', end] = match
    cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'))
    line += whole.match(/\r\n|\n|\r/g)?.length ?? 0
    at = CELL.lastIndex
    if (end === ',') continue
    if (cells.some((cell) => cell.trim() !== '')) rows.push({ line: startLine, cells })
    cells = []
    startLine = line
  }
  return { ok: true, rows }
}
