import colors from 'picocolors'
import type { ScrapeRun, SourceProgress } from '../ledger/scrape-runs.ts'
import { columns } from './columns.ts'
import { formatBytes } from './format-bytes.ts'
import { plainText } from './plain-text.ts'

/** A run and its sources, as lines of a terminal. */
export function runLines(run: ScrapeRun): readonly string[] {
  const { sources, startedMs, finishedMs, error } = run
  const head = ['source', 'state', 'items', 'new', 'damaged', 'requests', 'received', ''].map((title) =>
    colors.underline(title),
  )
  const sum = (what: (one: SourceProgress) => number) => sources.reduce((total, one) => total + what(one), 0)
  const failed = sources.filter(({ state }) => state === 'failed').length
  const took = finishedMs === null ? 'not finished' : `${((finishedMs - startedMs) / 1000).toFixed(1)} s`
  const state = run.state === 'succeeded' ? colors.green(run.state) : colors.red(run.state)
  return [
    `run ${run.runId}  ${state}  ${new Date(startedMs).toISOString()}  ${took}`,
    ...(error === null ? [] : [plainText(error, 300)]),
    '',
    ...columns([head, ...sources.map(row)]),
    '',
    `${sum((one) => one.stored)} new signals from ${sources.length} sources, ${failed} failed`,
  ]
}

function row(one: SourceProgress): readonly string[] {
  const { source, state, items, stored, damaged, requests, bytes, error } = one
  const shown = state === 'failed' ? colors.red(state) : state
  const counts = [items, stored, damaged, requests].map(String)
  return [plainText(source, 60), shown, ...counts, formatBytes(bytes), plainText(error ?? '', 120)]
}
