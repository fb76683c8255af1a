import { balance, type Interval, readObligations, readTape, type TapeFacts } from '../faults/evidence.ts'
import { type Daemon, readTapeLines } from './daemon.ts'
import { until } from './processes.ts'

/** Asks a ledger: `Daemon.query`, or a client's. */
export type Query = (sql: string) => Promise<Record<string, unknown>[]>

/** One row of `v_gaps`. */
export interface GapRow extends Interval {
  readonly cause: string
}

/** What the recorder says that it may have missed and what it followed, against what happened at the venue. */
export interface Coverage {
  readonly gaps: readonly GapRow[]
  readonly spans: readonly Interval[]
  readonly tape: TapeFacts
  readonly balance: ReturnType<typeof balance>
}

/** How far the end of a gap may be from the truth. */
const TOLERANCE_MS = 1_000

const BOUNDS =
  'extract(epoch FROM started_at)::float8 * 1000 AS start, extract(epoch FROM ended_at)::float8 * 1000 AS end'

/** Reads everything that there is to say about completeness; `lines` is the whole tape, `accountDir` the venue's. */
export async function readCoverage(query: Query, lines: readonly string[], accountDir: string): Promise<Coverage> {
  const gaps = await readGaps(query)
  const spans = (await query(`SELECT token_id, ${BOUNDS} FROM coverage_spans JOIN tokens USING (token_key)`)).map(
    interval,
  )
  const tape = readTape(lines)
  const obligations = await readObligations(accountDir)
  const { received } = tape
  return { gaps, spans, tape, balance: balance({ obligations, received, spans, gaps, toleranceMs: TOLERANCE_MS }) }
}

/** The same for a daemon. */
export async function readDaemonCoverage(daemon: Daemon, accountDir: string): Promise<Coverage> {
  return await readCoverage((sql) => daemon.query(sql), await readTapeLines(daemon.dataDir), accountDir)
}

/** The same when everything is told, or after some time as it is: what was sent may be on its way to the ledger. */
export async function readSettledCoverage(daemon: Daemon, accountDir: string): Promise<Coverage> {
  const told = async () => {
    const coverage = await readDaemonCoverage(daemon, accountDir)
    return describeSilent(coverage).length === 0 ? coverage : undefined
  }
  return await until('no loss without a gap', told, 30_000).catch(() => readDaemonCoverage(daemon, accountDir))
}

export async function readGaps(query: Query): Promise<GapRow[]> {
  const rows = await query(`SELECT token_id, cause, ${BOUNDS} FROM v_gaps`)
  return rows.map((row) => ({ ...interval(row), cause: String(row['cause']) }))
}

function interval(row: Record<string, unknown>): Interval {
  const end = row['end']
  return {
    token: String(row['token_id']),
    startMs: Number(row['start']),
    endMs: end === null ? Number.POSITIVE_INFINITY : Number(end),
  }
}

export function describeGap({ startMs, endMs, cause }: GapRow): string {
  const end = endMs === Number.POSITIVE_INFINITY ? '…' : new Date(endMs).toISOString().slice(11)
  return `${cause} ${new Date(startMs).toISOString().slice(11)}–${end}`
}

/** What is silently missing, in words: when, what, and the gaps that its token has. */
export function describeSilent({ balance: { silent }, gaps }: Coverage): string[] {
  return silent.map(({ key, token, atMs }) => {
    const near = gaps.filter((gap) => gap.token === token).map(describeGap)
    return `${new Date(atMs).toISOString()} ${key}; its gaps: ${near.join(', ') || 'none'}`
  })
}
