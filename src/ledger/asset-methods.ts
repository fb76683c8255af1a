import type { AssetPriceStore, BackfillStore, OutcomePriceReader, TransactionSignal } from '../core/assets.ts'
import type { Appended, Portfolio, PositionMaker, TransactionStore, ValuationStore } from '../core/portfolio.ts'
import { insertAttempts } from './asset-prices.ts'
import {
  type AssetQuery,
  type EnsuredAsset,
  ensureAsset,
  type ListedAsset,
  type NewAsset,
  selectAssets,
  selectTrackedAssets,
  trackCurrencyPairs,
  type Untracked,
  untrackAsset,
} from './assets.ts'
import * as queue from './backfill-queue.ts'
import type { Database, Session } from './database.ts'
import { selectOutcomeDays, selectOutcomePrices } from './outcome-prices.ts'
import {
  type PortfolioDetail,
  type PortfolioView,
  type Snapshot,
  selectPortfolioView,
  selectPortfolioViews,
  selectSnapshots,
  selectTransactionViews,
  type TransactionView,
} from './portfolio-views.ts'
import { appendDrafts, insertPortfolio, selectPortfolio } from './portfolios.ts'
import { listenForTransactions } from './transaction-listener.ts'
import { refreshUncertain, selectUncertain, type Uncertain } from './uncertain-positions.ts'
import { selectContents, selectMarketData, upsertPerformance } from './valuations.ts'

/** Everything about assets and portfolios. Each call is one transaction. */
export interface AssetLedger
  extends AssetPriceStore,
    OutcomePriceReader,
    BackfillStore,
    TransactionSignal,
    TransactionStore,
    ValuationStore {
  ensureAsset(asset: NewAsset): Promise<EnsuredAsset>
  untrackAsset(symbol: string): Promise<Untracked>
  listAssets(query: AssetQuery): Promise<readonly ListedAsset[]>
  listBackfills(limit: number): Promise<readonly queue.BackfillStatus[]>
  /** Null when there is one of that name. */
  createPortfolio(name: string, currency: string): Promise<Portfolio | null>
  /** By name, else by number. */
  findPortfolio(nameOrId: string): Promise<Portfolio | null>
  listPortfolios(limit: number, offset: number): Promise<readonly PortfolioView[]>
  showPortfolio(nameOrId: string): Promise<PortfolioDetail | null>
  listSnapshots(portfolioId: number, days: number): Promise<readonly Snapshot[]>
  /** Newest first. */
  listTransactions(portfolioId: number, limit: number, offset: number): Promise<readonly TransactionView[]>
}

/** Runs work with the database, making contact first where it is missing. */
type Run = <T>(work: (database: Database) => Promise<T>) => Promise<T>

/** A big import writes many rows; it still must not hold a portfolio for ever. */
const APPEND_TIMEOUT_MS = 120_000
/** Seen by everybody at once; what a power cut takes of it is worked out again after the next prices. */
const DERIVED = { waitForDisk: false }
/** Positions that are looked at together. */
const UNCERTAIN_PAGE = 1_000

export function assetMethods(run: Run): AssetLedger {
  const write = <T>(work: (session: Session) => Promise<T>) => run((database) => database.transaction(work))
  const read = <T>(work: (session: Session) => Promise<T>) =>
    run((database) => database.transaction(work, { readOnly: true }))
  return {
    async loadTrackedAssets() {
      await write(trackCurrencyPairs)
      return read(selectTrackedAssets)
    },
    saveAttempts: (attempts) => write((session) => insertAttempts(session, attempts)),
    loadOutcomePrices: (tokenIds) => read((session) => selectOutcomePrices(session, tokenIds)),
    loadOutcomeDays: (tokenId, range) => read((session) => selectOutcomeDays(session, tokenId, range)),
    ensureAsset: (asset) => write((session) => ensureAsset(session, asset)),
    untrackAsset: (symbol) => write((session) => untrackAsset(session, symbol)),
    listAssets: (query) => read((session) => selectAssets(session, query)),
    listenForTransactions: (onSignal, signal) =>
      run(async (database) => database).then((database) => listenForTransactions(database, onSignal, signal)),
    ...backfillMethods(write, read),
    ...portfolioMethods(run, write, read),
  }
}

type InSession = <T>(work: (session: Session) => Promise<T>) => Promise<T>

function backfillMethods(write: InSession, read: InSession) {
  return {
    enqueueBackfills: (nowMs) => write((session) => queue.enqueue(session, nowMs)),
    claimBackfill: (claimant, nowMs) => write((session) => queue.claim(session, claimant, nowMs)),
    saveHistory: (asset, source, range, history, nowMs) =>
      write((session) => queue.storeHistory(session, asset, source, range, history, nowMs)),
    endBackfill: (assetId, end, nowMs) => write((session) => queue.finish(session, assetId, end, nowMs)),
    nextBackfillMs: () => read(queue.nextDueMs),
    releaseBackfills: (claimant, nowMs) => write((session) => queue.release(session, claimant, nowMs)),
    listBackfills: (limit) => read((session) => queue.selectBackfills(session, limit)),
  } satisfies Partial<AssetLedger>
}

function portfolioMethods(run: Run, write: InSession, read: InSession) {
  return {
    createPortfolio: (name, currency) => write((session) => insertPortfolio(session, name, currency)),
    findPortfolio: (nameOrId) => read((session) => selectPortfolio(session, nameOrId)),
    listPortfolios: (limit, offset) => read((session) => selectPortfolioViews(session, limit, offset)),
    showPortfolio: (nameOrId) => read((session) => selectPortfolioView(session, nameOrId)),
    listSnapshots: (portfolioId, days) => read((session) => selectSnapshots(session, portfolioId, days)),
    listTransactions: (portfolioId, limit, offset) =>
      read((session) => selectTransactionViews(session, portfolioId, limit, offset)),
    appendTransactions: (portfolioId, drafts, make, { dryRun, nowMs }) =>
      undoable(run, async (session) => {
        const result = await appendDrafts(session, portfolioId, drafts, make, nowMs)
        return { result, keep: result.ok && !dryRun }
      }),
    refreshPositions: (make, nowMs) => refreshPositions(write, make, nowMs),
    loadMarketData: (horizonsMs) => read((session) => selectMarketData(session, horizonsMs)),
    loadContents: (afterId, limit, horizonsMs) =>
      read((session) => selectContents(session, afterId, limit, horizonsMs)),
    savePerformance: (performance) =>
      run((database) => database.transaction((session) => upsertPerformance(session, performance), DERIVED)),
  } satisfies Partial<AssetLedger>
}

async function refreshPositions(write: InSession, make: PositionMaker, nowMs: number): Promise<number> {
  const changed = new Set<number>()
  for (let after: Uncertain | undefined = { portfolioId: 0, assetId: 0 }; after !== undefined; ) {
    const from: Uncertain = after
    after = await write(async (session) => {
      const page = await selectUncertain(session, from, UNCERTAIN_PAGE)
      const ids = page.length === 0 ? [] : await refreshUncertain(session, page, make, nowMs)
      for (const id of ids) changed.add(id)
      return page.at(-1)
    })
  }
  return changed.size
}

/** Leaves a transaction on purpose. */
class Undo extends Error {
  override readonly name = 'Undo'
}

/** One transaction whose outcome may be taken back: what it found out is returned either way. */
async function undoable(
  run: Run,
  work: (session: Session) => Promise<{ readonly result: Appended; readonly keep: boolean }>,
): Promise<Appended> {
  let found: Appended | null = null
  try {
    await run((database) =>
      database.transaction(
        async (session) => {
          const { result, keep } = await work(session)
          found = result
          if (!keep) throw new Undo()
        },
        { statementTimeoutMs: APPEND_TIMEOUT_MS },
      ),
    )
  } catch (error) {
    if (!(error instanceof Undo)) throw error
  }
  if (found === null) throw new Error('a transaction ended without a result')
  return found
}
