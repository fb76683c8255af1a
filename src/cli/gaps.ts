import type { GlobalFlags } from '../config/load.ts'
import { EXIT, type ExitCode, PermanentError } from '../core/errors.ts'
import {
  type CoverageQuestion,
  type DownSince,
  findMarkets,
  GAP_CAUSES,
  type GapCause,
  type IncidentFilter,
  lastSeenUs,
  selectCoverage,
  selectIncidents,
} from '../ledger/coverage-report.ts'
import { type Inspection, openInspection } from '../ledger/inspection.ts'
import { readTapeIndex } from '../tape/tape-index.ts'
import { type CommandRun, runCommand } from './command-run.ts'
import { downIncident, type GapsResult, gapsJson, gapsLines } from './gaps-view.ts'
import { type LedgerAccess, openLedgerAccess } from './ledger-access.ts'
import { printJson, printResult } from './output.ts'
import { ROW_STREAM, recorderIdOf, tapeDirectory } from './streams.ts'
import { readTimeFlag } from './time-flags.ts'

export interface GapsFlags extends GlobalFlags {
  readonly json?: boolean
  readonly since?: string
  readonly until?: string
  readonly cause?: string
  readonly open?: boolean
  readonly market?: string
  /** Incidents that are listed. */
  readonly limit: number
  /** Markets that are listed, the worst first. */
  readonly markets: number
}

/** `tapekeeper gaps`: every interval in which something may be missing, and how much of the whole that is. */
export function runGaps(flags: GapsFlags): Promise<ExitCode> {
  return runCommand(flags, async (run) => {
    const result = await readGaps(run, flags)
    run.progress.clear()
    if (flags.json) printJson(gapsJson(result))
    else printResult(gapsLines(result).join('\n'))
    return EXIT.ok
  })
}

/** Reads what the flags ask for. Throws PermanentError: exit code 64 for a flag, 69 without a ledger. */
export async function readGaps(run: CommandRun, flags: GapsFlags): Promise<GapsResult> {
  const { config, clock, log, progress } = run
  const nowMs = clock.wallMs()
  const cause = readCause(flags.cause)
  const sinceMs = flags.since === undefined ? null : readTimeFlag('--since', flags.since, nowMs)
  const untilMs = flags.until === undefined ? nowMs : Math.min(nowMs, readTimeFlag('--until', flags.until, nowMs))
  if (sinceMs !== null && sinceMs >= untilMs) throw usage('--since must be before --until, and before now')
  progress.show('opening the ledger')
  const access = await openLedgerAccess(config, clock, log)
  try {
    const ledger = await openInspection(access.target)
    try {
      const conditionIds = flags.market === undefined ? null : await marketsOf(ledger, flags.market)
      const down = await findDown(run, access, ledger)
      const question = { sinceMs, untilMs, conditionIds, down: isWithin(down, untilMs) ? down : null }
      return await ask(run, ledger, { ...question, cause, openOnly: flags.open ?? false, limit: flags.limit }, flags)
    } finally {
      await ledger.close()
    }
  } finally {
    await access.close()
  }
}

async function ask(run: CommandRun, ledger: Inspection, filter: IncidentFilter, flags: GapsFlags): Promise<GapsResult> {
  run.progress.show('reading incidents')
  const { incidents, total } = await selectIncidents(ledger, filter)
  run.progress.show('adding up coverage')
  const coverage = await selectCoverage(ledger, filter satisfies CoverageQuestion, flags.markets)
  const wantsDown = filter.cause === null || filter.cause === 'down'
  const followed = filter.down === null ? 0 : await countFollowed(ledger, filter.down, filter.conditionIds)
  const down = filter.down !== null && wantsDown && followed > 0 ? [downIncident(filter.down, filter, followed)] : []
  return {
    interval: { sinceMs: filter.sinceMs, untilMs: filter.untilMs },
    market: flags.market ?? null,
    filtered: filter.cause !== null || filter.openOnly,
    incidents: [...down, ...incidents].slice(0, flags.limit),
    total: total + down.length,
    ...coverage,
  }
}

/** When no recorder runs here, nobody writes the row that says so: it is found from the tape at the next start. */
async function findDown({ config }: CommandRun, access: LedgerAccess, ledger: Inspection): Promise<DownSince | null> {
  const recorderId = recorderIdOf(config)
  if (access.recording || recorderId === null) return null
  const stored = await lastSeenUs(ledger, recorderId, ROW_STREAM)
  if (stored === null) return null
  // What the ledger has not taken yet was recorded all the same.
  const last = readTapeIndex(tapeDirectory(config), ROW_STREAM).segments.at(-1)
  return { recorderId, stream: ROW_STREAM, sinceUs: Math.max(stored, last?.lastAtUs ?? 0) }
}

function isWithin(down: DownSince | null, untilMs: number): boolean {
  return down !== null && down.sinceUs < untilMs * 1000
}

async function countFollowed(
  ledger: Inspection,
  { recorderId, stream }: DownSince,
  conditionIds: readonly string[] | null,
): Promise<number> {
  const rows = await ledger.read<{ count: number }>(
    `SELECT count(DISTINCT token_key)::integer AS count FROM coverage_spans JOIN tokens USING (token_key)
     WHERE recorder_id = $1 AND stream = $2 AND ended_at IS NULL
       AND ($3::jsonb IS NULL OR $3::jsonb ? condition_id)`,
    [recorderId, stream, conditionIds === null ? null : JSON.stringify(conditionIds)],
  )
  return rows[0]?.count ?? 0
}

async function marketsOf(ledger: Inspection, name: string): Promise<readonly string[]> {
  const found = await findMarkets(ledger, name)
  if (found.length === 0) throw usage(`--market ${name}: the ledger knows no market of this condition id or slug`)
  return found
}

function readCause(text: string | undefined): GapCause | null {
  if (text === undefined) return null
  const cause = GAP_CAUSES.find((known) => known === text)
  if (cause === undefined) throw usage(`--cause ${text}: it must be one of ${GAP_CAUSES.join(', ')}`)
  return cause
}

function usage(message: string): PermanentError {
  return new PermanentError(message, { exitCode: EXIT.usage })
}
