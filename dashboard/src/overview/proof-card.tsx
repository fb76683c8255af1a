import type { ComponentChildren } from 'preact'
import type { Health } from '../../../src/api/contract.ts'
import type { Snapshot } from '../data/resource.ts'
import type { Verdict } from '../judge.ts'
import { Card } from '../parts/card.tsx'
import { StateMark } from '../parts/state-mark.tsx'
import { bytes, compact, plural } from '../words.ts'

/** What is recorded, where it is, and how far it is proven. */
export function ProofCard({ of }: { of: Snapshot<Health> }) {
  return (
    <Card title="Recording" of={of} className="card-wide card-proof">
      {(health) => (
        <ul className="tiles">
          <TapeTile health={health} />
          <LedgerTile health={health} />
          <BooksTile health={health} />
          <GapsTile health={health} />
        </ul>
      )}
    </Card>
  )
}

interface TileProps {
  readonly name: string
  readonly what: string
  readonly verdict: Verdict
  readonly children: ComponentChildren
}

function Tile({ name, what, verdict, children }: TileProps) {
  return (
    <li className="tile">
      <h3>
        {name} <small>{what}</small>
      </h3>
      <StateMark {...verdict} />
      <p>{children}</p>
    </li>
  )
}

function TapeTile({ health: { tape } }: { health: Health }) {
  const verdict: Verdict = tape.state === 'ok' ? { kind: 'good', word: 'Accepting' } : { kind: 'bad', word: tape.state }
  return (
    <Tile name="Tape" what="every frame, as it came" verdict={verdict}>
      {compact(tape.frames_accepted)} frames accepted, {bytes(tape.bytes_on_disk)} on disk
      {tape.frames_refused > 0 && `, ${plural(tape.frames_refused, 'frame')} refused`}
      {tape.damaged_lines > 0 && `, ${plural(tape.damaged_lines, 'damaged line')}`}
      {tape.trouble !== null && `. ${tape.trouble}`}
    </Tile>
  )
}

function LedgerTile({ health: { ledger, recorder, trade_listener: trades } }: { health: Health }) {
  const states: Readonly<Record<string, Verdict>> = {
    ok: recorder.caught_up ? { kind: 'good', word: 'Caught up' } : { kind: 'busy', word: 'Following' },
    connecting: { kind: 'busy', word: 'Connecting' },
    unavailable: { kind: 'bad', word: 'Unavailable' },
  }
  const verdict = states[ledger.state] ?? { kind: 'off', word: ledger.state }
  const waiting = trades.queue_depth === 0 ? 'nothing waits' : `${plural(trades.queue_depth, 'frame')} wait`
  return (
    <Tile name="Ledger" what="rows in PostgreSQL" verdict={verdict}>
      {compact(trades.trades_inserted)} trades stored since start, {waiting}
      {recorder.dead_letters > 0 && `, ${plural(recorder.dead_letters, 'dead letter')}`}
      {ledger.trouble !== null && `. ${ledger.trouble}`}
    </Tile>
  )
}

function BooksTile({ health: { book_checks: checks, recorder } }: { health: Health }) {
  const all = checks.match + checks.mismatch
  const verdict: Verdict =
    checks.mismatch > 0
      ? { kind: 'warn', word: plural(checks.mismatch, 'mismatch', 'mismatches') }
      : all === 0
        ? { kind: 'busy', word: 'Nothing checked yet' }
        : { kind: 'good', word: 'All match' }
  return (
    <Tile name="Books" what="against the venue’s hashes" verdict={verdict}>
      {compact(checks.match)} of {compact(all)} checks match, {plural(recorder.books_kept, 'book')} kept
      {checks.unverifiable > 0 && `, ${compact(checks.unverifiable)} cannot be verified`}
    </Tile>
  )
}

function GapsTile({ health: { coverage } }: { health: Health }) {
  const { gaps_opened: gaps, tokens_in_doubt: doubted } = coverage
  const verdict: Verdict =
    doubted > 0
      ? { kind: 'warn', word: `${plural(doubted, 'token')} in doubt` }
      : { kind: 'good', word: gaps === 0 ? 'No gap' : 'None open' }
  return (
    <Tile name="Gaps" what="where something may be missing" verdict={verdict}>
      {gaps === 0 ? 'None' : plural(gaps, 'gap')} since start, {compact(coverage.comparisons.equal)} times silence was
      proven right
    </Tile>
  )
}
