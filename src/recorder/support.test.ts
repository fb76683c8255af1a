/** What the tests of this folder share: log, tape and ledger in memory, simulated frames. No tests here. */
import type { BookChecker } from '../core/books.ts'
import { type CoverageChanges, type CoverageState, NOTHING_FOLLOWED } from '../core/coverage.ts'
import { TransientError } from '../core/errors.ts'
import { type ConditionId, isTokenId, type TokenId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import type { TokenDirectory } from '../core/market.ts'
import type { StreamBatch, StreamCommit, StreamLedger } from '../core/rows.ts'
import type { MarkKind, TapeBatch, TapeFollower, TapePosition, TapeRecord } from '../core/tape.ts'
import { SimulatedClock } from '../sim/clock.ts'
import { Engine, type Feed } from '../sim/engine.ts'
import { dumpBook, dumpFrame } from '../sim/frames.ts'
import type { SimMarket } from '../sim/market.ts'
import { type PartialVenueOptions, venueOptions } from '../sim/options.ts'
import { createWorld, type World } from '../sim/world.ts'
import type { StreamTape } from './recorder.ts'

/** A logger that keeps its messages. */
export function memoryLog(lines: string[] = []): Logger & { readonly lines: string[] } {
  const keep = (_context: unknown, message: string) => void lines.push(message)
  const log = { lines, debug: keep, info: keep, warn: keep, error: keep, fatal: keep, child: () => log }
  return log
}

export function frame(connection: string, atUs: number, payload: string): TapeRecord {
  return { kind: 'frame', connection, atUs, payload: Buffer.from(payload) }
}

export function mark(connection: string, atUs: number, kind: MarkKind, detail = {}): TapeRecord {
  return { kind: 'mark', connection, atUs, mark: kind, detail }
}

/** The event loop's turn, often enough for promise chains to run to their next wait. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 8; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

export interface MemoryTape extends StreamTape {
  readonly records: TapeRecord[]
  append(...records: TapeRecord[]): void
  /** From now on the tape has an end. */
  end(): void
}

/** A tape in memory. Positions count lines; batches hold at most `batchSize`; what is appended is handed over live. */
export function memoryTape(records: TapeRecord[] = [], batchSize = 7): MemoryTape {
  const onDisk = records.length
  const waiting = new Set<() => void>()
  let ended = false
  const placeOf = (line: number): TapePosition => ({ segment: 'memory', offset: line * 10, line })
  const wake = () => {
    for (const resolve of [...waiting]) resolve()
  }
  const follower = (start: number): TapeFollower => {
    let line = start
    return {
      async next(signal): Promise<TapeBatch | null> {
        while (line >= records.length) {
          if (ended || signal.aborted) return null
          await new Promise<void>((resolve) => {
            const wake = () => {
              waiting.delete(wake)
              signal.removeEventListener('abort', wake)
              resolve()
            }
            waiting.add(wake)
            signal.addEventListener('abort', wake)
          })
        }
        if (signal.aborted) return null
        const live = line >= onDisk
        const batch = records.slice(line, line + batchSize)
        line += batch.length
        return { records: batch, end: placeOf(line), live, damagedLines: 0 }
      },
    }
  }
  return {
    records,
    append(...more) {
      records.push(...more)
      wake()
    },
    end() {
      ended = true
      wake()
    },
    follow: (from) => follower(from?.line ?? 0),
    async *readBack(position, spanUs) {
      const before = records.slice(0, position.line)
      const lastUs = before.at(-1)?.atUs ?? 0
      const first = before.findIndex(({ atUs }) => atUs >= lastUs - spanUs)
      if (first >= 0) yield before.slice(first)
    },
    behind: (position) => (records.length - (position?.line ?? 0)) * 10,
    settled: true,
  }
}

export interface MemoryLedger extends StreamLedger {
  /** Keys of all rows: kind, token or market, venue time, content, ordinal. */
  readonly rows: Set<string>
  readonly deadLetters: string[]
  readonly batches: StreamBatch[]
  readonly position: TapePosition | null
  /** Throws this on the next calls until it is null. */
  failure: Error | null
  attempts: number
  /** Called before (`false`) and after (`true`) a batch is stored; may throw to simulate a crash there. */
  onCommit: (stored: boolean) => void
}

/** Stores rows by identity, together with the position, as the real one does. */
export function memoryLedger(): MemoryLedger {
  let place: { position: TapePosition; atUs: number | null } | null = null
  let coverage: CoverageState = NOTHING_FOLLOWED
  const ledger: MemoryLedger = {
    rows: new Set(),
    deadLetters: [],
    batches: [],
    failure: null,
    attempts: 0,
    onCommit: () => {},
    get position() {
      return place?.position ?? null
    },
    loadPosition() {
      return ledger.failure === null ? Promise.resolve(place) : Promise.reject(ledger.failure)
    },
    loadCoverage: () => Promise.resolve(coverage),
    async commitStream(batch): Promise<StreamCommit> {
      ledger.attempts += 1
      await new Promise((resolve) => setImmediate(resolve))
      if (ledger.failure !== null) throw ledger.failure
      ledger.onCommit(false)
      const before = ledger.rows.size
      const add = (kind: string, subject: string, row: { venueMs: number; contentHash: string; ordinal: number }) =>
        void ledger.rows.add([kind, subject, row.venueMs, row.contentHash, row.ordinal].join(' '))
      for (const row of batch.trades) add('trade', row.tokenId, row)
      const tradesInserted = ledger.rows.size - before
      for (const row of batch.tickSizes) add('tick', row.tokenId, row)
      for (const row of batch.lifecycle) add(row.kind, row.market, row)
      ledger.deadLetters.push(...batch.deadLetters.map(({ reason }) => reason))
      ledger.batches.push(batch)
      place = { position: batch.position, atUs: batch.positionAtUs }
      coverage = afterChanges(coverage, batch.coverage)
      ledger.onCommit(true)
      const inserted = ledger.rows.size - before
      const offered = batch.trades.length + batch.tickSizes.length + batch.lifecycle.length
      return {
        tradesInserted,
        tickSizesInserted: 0,
        lifecycleInserted: 0,
        duplicates: offered - inserted,
        poisoned: 0,
      }
    },
  }
  return ledger
}

/** What the real ledger would load after these changes. */
function afterChanges(state: CoverageState, changes: CoverageChanges | null): CoverageState {
  if (changes === null) return state
  const spans = new Map(state.spans.map((span) => [span.token, span]))
  for (const start of changes.spansStarted) spans.set(start.token, { ...start, verifiedUs: null, known: null })
  for (const { token, endedUs, connection, verifiedUs, known } of changes.spans) {
    const span = spans.get(token)
    if (span === undefined) continue
    if (endedUs !== undefined) spans.delete(token)
    else {
      const proof = { verifiedUs: verifiedUs ?? span.verifiedUs, known: known ?? span.known }
      spans.set(token, { ...span, ...proof, connection: connection ?? span.connection })
    }
  }
  const gaps = new Map(state.gaps.map((gap) => [gap.no, gap]))
  for (const gap of changes.gaps) gaps.set(gap.no, gap)
  for (const no of changes.gapsRemoved) gaps.delete(no)
  const nextNo = Math.max(state.nextNo, ...changes.gaps.map(({ no }) => no + 1))
  return { spans: [...spans.values()], gaps: [...gaps.values()].filter(({ endedUs }) => endedUs === null), nextNo }
}

/** Takes every claim for right: for tests that are not about books. */
export function trustingChecker(): BookChecker {
  return {
    noteBook: () => {},
    noteTrade: () => {},
    noteTickSize: () => {},
    check: () => 'match',
    withdraw: () => false,
    settle: () => [],
    abandon: () => [],
    undecided: () => [],
    release: () => {},
    pending: 0,
    unverifiableForms: [],
  }
}

export const unreachable = () => new TransientError('the ledger is away')

export interface SimulatedFrames {
  readonly world: World
  readonly records: TapeRecord[]
  readonly directory: TokenDirectory
}

/** A run of the simulated venue as one or more connections would have recorded it: a dump, then everything. */
export async function simulatedFrames(
  given: PartialVenueOptions,
  runMs: number,
  connections: readonly string[] = ['one'],
  startMs?: number,
): Promise<SimulatedFrames> {
  const options = venueOptions({ markets: 6, rate: 1_000, ...given })
  const clock = new SimulatedClock(startMs)
  const world = createWorld(options, clock.wallMs())
  const records: TapeRecord[] = []
  const add = (text: string) => {
    for (const connection of connections) records.push(frame(connection, clock.wallUs(), text.replace(/\n$/, '')))
  }
  const dump = (markets: readonly SimMarket[]) =>
    add(dumpFrame(markets.flatMap((market) => [dumpBook(market, 0), dumpBook(market, 1)])))
  const known = new Set(world.markets)
  const feed: Feed = {
    wanted: () => true,
    toMarket: (_market, _kind, text) => add(text),
    toToken: (_market, _outcome, _kind, text) => add(text),
    toTokenCustom: (_market, _outcome, _kind, text) => add(text),
    broadcast: (_kind, text) => add(text),
  }
  for (const connection of connections) records.push(mark(connection, clock.wallUs(), 'open'))
  dump(world.markets)
  const engine = new Engine(options, world, feed, clock.monotonicMs())
  for (let elapsedMs = 0; elapsedMs < runMs; elapsedMs += 4) {
    await clock.advance(4)
    engine.advance(clock.wallMs(), () => clock.monotonicMs())
    const created = world.markets.filter((market) => !known.has(market))
    for (const market of created) known.add(market)
    if (created.length > 0) dump(created)
  }
  // Trades follow their books by up to 88 ms.
  engine.paused = true
  await clock.advance(100)
  engine.advance(clock.wallMs(), () => clock.monotonicMs())
  return { world, records, directory: directoryOf(world) }
}

function directoryOf(world: World): TokenDirectory {
  return {
    facts(tokenId: TokenId) {
      const market = world.place(tokenId)?.market
      if (market === undefined || !isTokenId(tokenId)) return undefined
      const { conditionId, minOrderSize, negRisk, version } = market
      // Tick sizes change while it runs, so that only frames know the present one.
      return { tokenId, conditionId: conditionId as ConditionId, tickSize: null, minOrderSize, negRisk, version }
    },
  }
}
