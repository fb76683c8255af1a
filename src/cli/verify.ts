import type { GlobalFlags } from '../config/load.ts'
import { EXIT, type ExitCode, PermanentError } from '../core/errors.ts'
import { type Inspection, openInspection } from '../ledger/inspection.ts'
import { verifyStream } from '../recorder/verify-stream.ts'
import { readTapeIndex } from '../tape/tape-index.ts'
import { type Verification, verifyTape } from '../tape/verify.ts'
import { type CommandRun, runCommand } from './command-run.ts'
import { isHeld, openLedgerAccess } from './ledger-access.ts'
import { printJson, printResult } from './output.ts'
import { chooseStreams, recorderIdOf, streamKind, tapeDirectory } from './streams.ts'
import { readTimeFlag } from './time-flags.ts'
import { type Interval, isClean, type StreamReport, type VerifyResult, verifyJson, verifyLines } from './verify-view.ts'

export interface VerifyFlags extends GlobalFlags {
  readonly json?: boolean
  readonly since?: string
  readonly until?: string
  readonly stream?: string
  readonly tapeOnly?: boolean
}

const DAY_MS = 86_400_000

/** `tapekeeper verify`: tape against manifest, books against the venue's hashes, ledger against tape. */
export function runVerify(flags: VerifyFlags): Promise<ExitCode> {
  return runCommand(flags, async (run) => {
    const result = await verifyRecording(run, flags)
    run.progress.clear()
    if (flags.json) printJson(verifyJson(result))
    else printResult(verifyLines(result).join('\n'))
    return result.reports.every(isClean) ? EXIT.ok : EXIT.unhealthy
  })
}

/** Checks what the flags ask for. Throws PermanentError (exit code 69) when the ledger cannot be reached. */
export async function verifyRecording(run: CommandRun, flags: VerifyFlags): Promise<VerifyResult> {
  const interval = readInterval(flags, run.clock.wallMs())
  const reports = await (flags.tapeOnly ? verifyTapes(run, flags, interval) : verifyAll(run, flags, interval))
  return { reports, interval }
}

function readInterval({ since, until }: VerifyFlags, nowMs: number): Interval {
  const sinceMs = since === undefined ? null : readTimeFlag('--since', since, nowMs)
  const untilMs = until === undefined ? null : readTimeFlag('--until', until, nowMs)
  if (sinceMs !== null && untilMs !== null && sinceMs >= untilMs) {
    throw new PermanentError('--since must be before --until', { exitCode: EXIT.usage })
  }
  return { sinceMs, untilMs }
}

async function verifyTapes(run: CommandRun, flags: VerifyFlags, interval: Interval): Promise<StreamReport[]> {
  const live = isHeld(run.config.dataDir)
  const reports: StreamReport[] = []
  for (const stream of chooseStreams(run.config, flags.stream)) {
    reports.push({ stream, tape: await checkFiles(run, stream, interval, live), ledger: null, position: null })
  }
  return reports
}

async function verifyAll(run: CommandRun, flags: VerifyFlags, interval: Interval): Promise<StreamReport[]> {
  const { config, clock, log } = run
  const access = await openLedgerAccess(config, clock, log)
  try {
    const ledger = await openInspection(access.target)
    try {
      const reports: StreamReport[] = []
      for (const stream of chooseStreams(config, flags.stream)) {
        const tape = await checkFiles(run, stream, interval, access.recording)
        reports.push({ stream, tape, ...(await checkLedger(run, ledger, stream, interval)) })
      }
      return reports
    } finally {
      await ledger.close()
    }
  } finally {
    await access.close()
  }
}

function checkFiles(run: CommandRun, stream: string, interval: Interval, live: boolean): Promise<Verification> {
  const limits = { ...toUs(interval), live, signal: run.signal }
  return verifyTape(
    tapeDirectory(run.config),
    stream,
    ({ segmentsDone, segments }) => run.progress.show(`${stream}: files of the tape`, segmentsDone, segments),
    limits,
  )
}

async function checkLedger(
  { config, clock, log, signal, progress }: CommandRun,
  ledger: Inspection,
  stream: string,
  interval: Interval,
): Promise<Pick<StreamReport, 'ledger' | 'position'>> {
  const kind = streamKind(stream)
  if (kind === null) return { ledger: null, position: null }
  // The position first: whatever it covers is on the tape, and in the ledger for good.
  const positions = await ledger.positions(stream)
  const own = positions.find(({ recorderId }) => recorderId === recorderIdOf(config)) ?? null
  const directory = tapeDirectory(config)
  const index = readTapeIndex(directory, stream)
  const stranger = own !== null && !index.knows(own.position.segment) ? own.position.segment : null
  const retentionDays = Math.ceil(config.storage.rowsMaxAgeMs / DAY_MS)
  const { sinceUs, untilUs } = toUs(interval)
  const result = await verifyStream({
    tape: {
      directory,
      stream,
      decode: kind.decode,
      retentionMs: retentionDays * DAY_MS,
      index,
      position: stranger === null ? (own?.position ?? null) : null,
      log,
      signal,
    },
    ledger: ledger.ofOrigin(kind.origin),
    createChecker: (facts) => kind.createChecker(facts),
    sinceUs: sinceUs ?? null,
    untilUs: untilUs ?? null,
    // The oldest day may be dropped while we look.
    keptFromMs: (Math.floor(clock.wallMs() / DAY_MS) - retentionDays + 1) * DAY_MS,
    shared: positions.length > 1,
    onProgress: ({ step, done, total }) => progress.show(`${stream}: ${STEPS[step]}`, done, total),
  })
  const position = stranger === null ? null : `the ledger has taken it up to ${stranger}, which is not on this tape`
  return { ledger: result, position }
}

const STEPS = {
  tape: 'rows and books from the tape',
  ledger: 'rows of the ledger',
  differences: 'looking at differences',
} as const

function toUs({ sinceMs, untilMs }: Interval): { sinceUs?: number; untilUs?: number } {
  return {
    ...(sinceMs === null ? {} : { sinceUs: sinceMs * 1000 }),
    ...(untilMs === null ? {} : { untilUs: untilMs * 1000 }),
  }
}
