import { computeHealth, type DaemonHealth, getHealth, type HealthStatus, isoTime } from '../core/health.ts'
import type { BookCheckCounts, BookComparisonCounts, StatusBoard } from '../core/status.ts'

/** What `GET /health` answers. Times are ISO 8601 UTC. */
export interface HealthBody extends DaemonHealth {
  status: HealthStatus
  reasons: readonly string[]
  timestamp: string
  last_scrape_time: string | null
  last_scrape_success: boolean | null
  scrape_count: number
  error_count: number
  version: string
  tape: TapeHealth
  ledger: LedgerHealth
  recorder: RecorderHealth
  book_checks: BookCheckCounts
  coverage: CoverageHealth
}

export interface CoverageHealth {
  /** Incidents since start; `tapekeeper gaps` lists them. */
  gaps_opened: number
  /** Tokens without a fresh book since one. */
  tokens_in_doubt: number
  /** Books of the stream against those that were fetched over REST. */
  comparisons: BookComparisonCounts
}

export interface TapeHealth {
  state: string
  trouble: string | null
  frames_accepted: number
  bytes_accepted: number
  frames_refused: number
  pending_bytes: number
  segments: number
  bytes_on_disk: number
  damaged_lines: number
}

export interface LedgerHealth {
  state: string
  trouble: string | null
  kind: string
  server_version: string | null
}

export interface RecorderHealth {
  caught_up: boolean
  behind_bytes: number | null
  trouble: string | null
  duplicates: number
  rejects: number
  dead_letters: number
  unknown_events: number
  books_kept: number
}

/** The health report in the words of the API; `nowMs` is Unix ms. */
export function healthBody(board: StatusBoard, nowMs: number): HealthBody {
  const report = computeHealth(board)
  const { tape, ledger, recorder } = board
  return {
    status: report.status,
    reasons: report.reasons,
    timestamp: isoTime(nowMs) ?? '',
    last_scrape_time: isoTime(report.lastScrapeMs),
    last_scrape_success: report.lastScrapeOk,
    scrape_count: report.scrapeCount,
    error_count: report.errorCount,
    version: board.version,
    ...getHealth(board),
    tape: {
      state: tape.state,
      trouble: tape.trouble,
      frames_accepted: tape.framesAccepted,
      bytes_accepted: tape.bytesAccepted,
      frames_refused: tape.framesRefused,
      pending_bytes: tape.pendingBytes,
      segments: tape.segments,
      bytes_on_disk: tape.bytesOnDisk,
      damaged_lines: tape.damagedLines,
    },
    ledger: {
      state: ledger.state,
      trouble: ledger.trouble,
      kind: ledger.kind,
      server_version: ledger.serverVersion,
    },
    recorder: {
      caught_up: recorder.caughtUp,
      behind_bytes: recorder.behindBytes,
      trouble: recorder.trouble,
      duplicates: recorder.duplicates,
      rejects: recorder.rejects,
      dead_letters: recorder.deadLetters,
      unknown_events: recorder.unknownEvents,
      books_kept: recorder.booksKept,
    },
    book_checks: { ...recorder.checks },
    coverage: {
      gaps_opened: recorder.gapsOpened,
      tokens_in_doubt: recorder.tokensInDoubt,
      comparisons: { ...recorder.comparisons },
    },
  }
}
