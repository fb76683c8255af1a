import type { Clock } from '../core/clock.ts'
import { type PermanentError, TransientError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type {
  CycleStore,
  DeadLetter,
  DeadLetterStore,
  MarketStore,
  OrderBookStore,
  PriceStore,
  ResolutionStore,
} from '../core/ports.ts'
import type { StreamBatch, StreamCommit, StreamLedger } from '../core/rows.ts'
import type { SignalStore } from '../core/signals.ts'
import type { LedgerStatus } from '../core/status.ts'
import type { TradeBackfillStore } from '../core/trade-backfill.ts'
import { type AssetLedger, assetMethods } from './asset-methods.ts'
import { Connection } from './connection.ts'
import { selectCoverage } from './coverage.ts'
import { insertCycle } from './cycles.ts'
import type { Database, Session } from './database.ts'
import { insertDeadLetters } from './dead-letters.ts'
import { EmbeddedServer } from './embedded.ts'
import { type MaintenanceReport, runMaintenance } from './maintenance.ts'
import { inOrder, lockMetadata, markListed, selectTrackedTokens, upsertMarkets } from './markets.ts'
import { checkOrderBooks, insertOrderBooks } from './order-books.ts'
import { Partitions } from './partitions.ts'
import { checkPrices, insertPrices } from './prices.ts'
import { insertResolutions, selectUnresolved, updateChecked } from './resolutions.ts'
import { signalMethods } from './signal-methods.ts'
import { checkBatch, selectPosition, storeBatch, timesOf } from './stream.ts'
import { connectionStringOf, parseDatabaseUrl } from './target.ts'
import { resolveTokens, TokenKeys } from './tokens.ts'
import { type BackfillScope, tradeBackfillMethods } from './trade-backfill-methods.ts'

export interface LedgerOptions {
  /** A server to use; null for the built-in one. */
  readonly databaseUrl: string | null
  /** Holds the built-in server's files. */
  readonly dataDir: string
  readonly clock: Clock
  readonly log: Logger
  /** `public` when absent; lower case. */
  readonly schema?: string
  /** How long raw rows are kept, days; 90 when absent. */
  readonly retentionDays?: number
  readonly poolSize?: number
  /** Told of a PermanentError found in the background, before there was any contact: the process should end with it. */
  readonly onFatal?: (error: PermanentError) => void
}

/** Transactions for those who bring their queries. Both throw TransientError when the database cannot be reached. */
export interface Sessions {
  /** Reads with a short limit on each statement, `timeoutMs` (3 s unless given). */
  view<T>(work: (session: Session) => Promise<T>, timeoutMs?: number): Promise<T>
  write<T>(work: (session: Session) => Promise<T>): Promise<T>
}

/** The ledger: every port that stores something, over one database. */
export interface Ledger
  extends MarketStore,
    PriceStore,
    OrderBookStore,
    ResolutionStore,
    DeadLetterStore,
    CycleStore,
    AssetLedger,
    SignalStore,
    StreamLedger,
    Sessions {
  /** Kept true; read it, do not write it. */
  readonly status: LedgerStatus
  /**
   * Tries once (starting the built-in server, applying migrations) and goes on in the background: 1, 2, 4 … 30 s.
   * Resolves whether or not there was contact; rejects with PermanentError when there never will be.
   */
  connect(): Promise<void>
  /** What filling the holes of one stream needs. */
  tradeBackfill(scope: BackfillScope): TradeBackfillStore
  /** Upkeep: partitions ahead, retention, purges, the server's log. Call it about once an hour. */
  maintain(nowMs: number): Promise<MaintenanceReport>
  /** One read-only statement with a short limit, for pages and commands. */
  read<Row extends Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<readonly Row[]>
  /** For psql and other tools. Secret. Null before the built-in server's first start. */
  connectionString(): string | null
  /** Closes the connections and stops the built-in server. Bounded in time. */
  close(): Promise<void>
}

const POOL_SIZE = 8
const RETENTION_DAYS = 90
const READ_TIMEOUT_MS = 10_000
const VIEW_TIMEOUT_MS = 3_000
/** Rows per statement of one transaction; 2,000 books are about 2 MB. */
const CHUNK = 2_000

/** Opens the ledger without touching anything yet; throws PermanentError when DATABASE_URL is malformed. */
export function openLedger(options: LedgerOptions): Ledger {
  const { clock, log } = options
  const target = options.databaseUrl === null ? null : parseDatabaseUrl(options.databaseUrl)
  const server = target ?? new EmbeddedServer({ dataDir: options.dataDir, clock, log })
  const cache = new TokenKeys()
  let partitions: Partitions | null = null
  const connection = new Connection({
    server,
    schema: options.schema ?? 'public',
    poolSize: options.poolSize ?? POOL_SIZE,
    clock,
    log,
    onFatal: options.onFatal ?? (() => {}),
    async onContact(database) {
      cache.forget()
      partitions = new Partitions(database, options.retentionDays ?? RETENTION_DAYS)
      await partitions.ensureAhead(clock.wallMs())
    },
  })
  const run = <T>(work: (database: Database, days: Partitions) => Promise<T>) =>
    connection.run(async (database) => {
      if (partitions === null) throw new TransientError('the database is not prepared yet')
      try {
        return await work(database, partitions)
      } catch (error) {
        // A partition may have been dropped behind our back; the next attempt looks again.
        partitions.forget()
        throw error
      }
    })
  return {
    status: connection.status,
    connect: () => connection.connect(),
    ...marketMethods(run),
    ...tickMethods(run, cache, clock),
    ...streamMethods(run, cache, clock),
    ...assetMethods(run),
    ...signalMethods(run),
    tradeBackfill: (scope) => tradeBackfillMethods(run, scope),
    saveCycle: (cycle) => run((database) => database.transaction((session) => insertCycle(session, cycle))),
    saveDeadLetters: (letters) =>
      run((database) => database.transaction((session) => insertDeadLetters(session, letters, clock.wallMs()))),
    maintain: (nowMs) =>
      run((database, days) => {
        if (server instanceof EmbeddedServer) server.trimLog()
        return runMaintenance(database, days, nowMs)
      }),
    read: (text, values) =>
      run(async (database) => {
        const limits = { readOnly: true, statementTimeoutMs: READ_TIMEOUT_MS }
        const result = await database.transaction((session) => session.query(text, values), limits)
        return result.rows as never
      }),
    view: (work, timeoutMs = VIEW_TIMEOUT_MS) =>
      connection.run((database) => database.transaction(work, { readOnly: true, statementTimeoutMs: timeoutMs })),
    write: (work) => connection.run((database) => database.transaction(work)),
    connectionString: () => (server instanceof EmbeddedServer ? server.connectionString() : connectionStringOf(server)),
    async close() {
      await connection.close()
      if (server instanceof EmbeddedServer) await server.stop()
    },
  }
}

type Run = <T>(work: (database: Database, days: Partitions) => Promise<T>) => Promise<T>

function marketMethods(run: Run): MarketStore & ResolutionStore {
  const write = <T>(work: (session: Session) => Promise<T>) => run((database) => database.transaction(work))
  const read = <T>(work: (session: Session) => Promise<T>) =>
    run((database) => database.transaction(work, { readOnly: true }))
  return {
    saveMarkets: (markets, observedMs) =>
      write(async (session) => {
        await lockMetadata(session)
        const sorted = inOrder(markets)
        const changed = await upsertMarkets(session, sorted, observedMs)
        await markListed(session, sorted, observedMs)
        return changed
      }),
    loadTrackedTokens: (limitMarkets) => read((session) => selectTrackedTokens(session, limitMarkets)),
    loadUnresolved: (nowMs, limit) => read((session) => selectUnresolved(session, nowMs, limit)),
    markChecked: (conditionIds, nowMs) =>
      write(async (session) => {
        await lockMetadata(session)
        await updateChecked(session, conditionIds, nowMs)
      }),
    saveResolutions: (resolutions, markets, observedMs) =>
      write(async (session) => {
        await lockMetadata(session)
        await upsertMarkets(session, inOrder(markets), observedMs)
        return insertResolutions(session, resolutions, observedMs)
      }),
  }
}

function tickMethods(run: Run, cache: TokenKeys, clock: Clock): PriceStore & OrderBookStore {
  /** Both kinds of snapshot: the bad to the dead letters, the good by chunks, all in one transaction. */
  async function save<Item extends { tokenId: string; conditionId: string }>(
    checked: { good: readonly Item[]; bad: readonly DeadLetter[] },
    observedMs: number,
    insert: (session: Session, rows: (Item & { tokenKey: number })[], observedMs: number) => Promise<number>,
  ): Promise<number> {
    return run(async (database, days) => {
      const nowMs = clock.wallMs()
      const inTime = days.accepts(observedMs, nowMs)
      const good = inTime ? checked.good : []
      const bad = inTime ? checked.bad : [...checked.bad, ...checked.good.map((item) => untimely(item, observedMs))]
      if (good.length > 0) await days.ensure([observedMs])
      const { stored, keys } = await database.transaction(async (session) => {
        const found = await resolveTokens(session, cache, good)
        const rows = good.map((item) => ({ ...item, tokenKey: found.get(item.tokenId) as number }))
        // Sorted, so that two transactions cannot lock each other's newest rows.
        rows.sort((a, b) => a.tokenKey - b.tokenKey)
        let count = 0
        for (let start = 0; start < rows.length; start += CHUNK) {
          count += await insert(session, rows.slice(start, start + CHUNK), observedMs)
        }
        await insertDeadLetters(session, bad, nowMs)
        return { stored: count, keys: found }
      })
      cache.remember(keys)
      return stored
    })
  }
  return {
    savePrices: (prices, observedMs) => save(checkPrices(prices, observedMs), observedMs, insertPrices),
    saveOrderBooks: (books, observedMs) => save(checkOrderBooks(books, observedMs), observedMs, insertOrderBooks),
  }
}

function untimely(item: unknown, observedMs: number): DeadLetter {
  const reason = `time ${observedMs} is outside the window that is kept`
  return { atMs: observedMs, source: 'snapshots', reason, raw: JSON.stringify(item) }
}

function streamMethods(run: Run, cache: TokenKeys, clock: Clock): StreamLedger {
  return {
    loadPosition: (recorderId, stream) =>
      run((database) =>
        database.transaction((session) => selectPosition(session, recorderId, stream), { readOnly: true }),
      ),
    loadCoverage: (recorderId, stream) =>
      run((database) =>
        database.transaction((session) => selectCoverage(session, recorderId, stream), { readOnly: true }),
      ),
    commitStream: (batch: StreamBatch): Promise<StreamCommit> =>
      run(async (database, days) => {
        const nowMs = clock.wallMs()
        const checked = checkBatch(batch, (venueMs) => days.accepts(venueMs, nowMs))
        await days.ensure(timesOf(checked.batch))
        const { commit, keys } = await database.transaction((session) => storeBatch(session, checked, cache, nowMs))
        cache.remember(keys)
        return commit
      }),
  }
}
