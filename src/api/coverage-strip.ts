import type { TokenCoverageRows, TokenGap } from '../ledger/coverage-reads.ts'
import type { Coverage, CoverageInterval } from './contract.ts'
import { iso } from './reading.ts'

interface Piece {
  readonly fromMs: number
  toMs: number
  readonly state: CoverageInterval['state']
  readonly gap: TokenGap | null
}

/** One token's recording between two moments (Unix ms) as intervals in order and without holes. Pure. */
export function coverageStrip(rows: TokenCoverageRows, fromMs: number, toMs: number): Omit<Coverage, 'token_id'> {
  const pieces = piecesOf(rows, fromMs, toMs)
  const sum = (wanted: (piece: Piece) => boolean) =>
    pieces.filter(wanted).reduce((total, piece) => total + piece.toMs - piece.fromMs, 0)
  const missingMs = sum(({ gap }) => gap !== null && !gap.isQuiet)
  const wantedMs = sum(({ state }) => state !== 'not_recorded')
  return {
    from: iso(fromMs),
    to: iso(toMs),
    intervals: pieces.map(viewOf),
    recorded_seconds: (wantedMs - missingMs) / 1000,
    missing_seconds: missingMs / 1000,
    // Rounded down: 100 means all of it.
    covered_percent: wantedMs === 0 ? null : Math.floor(((wantedMs - missingMs) / wantedMs) * 1_000_000) / 10_000,
  }
}

function piecesOf({ spans, gaps }: TokenCoverageRows, fromMs: number, toMs: number): Piece[] {
  const clip = (ms: number | null) => Math.min(toMs, Math.max(fromMs, Math.round(ms ?? toMs)))
  const edges = [...spans, ...gaps].flatMap(({ startMs, endMs }) => [clip(startMs), clip(endMs)])
  const cuts = [...new Set([fromMs, ...edges, toMs])].sort((a, b) => a - b)
  const pieces: Piece[] = []
  for (const [at, startMs] of cuts.slice(0, -1).entries()) {
    const endMs = cuts[at + 1] as number
    const covers = (one: { startMs: number; endMs: number | null }) =>
      clip(one.startMs) <= startMs && clip(one.endMs) >= endMs
    const around = gaps.filter(covers)
    // Of several, one in which something may be missing says more than one in which nothing is.
    const gap = around.find(({ isQuiet }) => !isQuiet) ?? around[0] ?? null
    const state = gap !== null ? 'gap' : spans.some(covers) ? 'recorded' : 'not_recorded'
    const last = pieces.at(-1)
    if (last !== undefined && last.state === state && last.gap === gap) last.toMs = endMs
    else pieces.push({ fromMs: startMs, toMs: endMs, state, gap })
  }
  return pieces
}

function viewOf({ fromMs, toMs, state, gap }: Piece): CoverageInterval {
  return {
    from: iso(fromMs),
    to: iso(toMs),
    state,
    cause: (gap?.cause ?? null) as CoverageInterval['cause'],
    gap_id: gap?.gapId ?? null,
    proven_quiet: gap?.isQuiet ?? false,
  }
}
