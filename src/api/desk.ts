import type { Clock } from '../core/clock.ts'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { Appended, Portfolio, TransactionDraft } from '../core/portfolio.ts'
import type { AssetLedger } from '../ledger/asset-methods.ts'
import { positionOf } from '../portfolio/positions.ts'
import { PortfolioValueCalculator } from '../portfolio/recalculation.ts'

/** Everything over the API that changes portfolios and assets. */
export interface Desk extends Pick<AssetLedger, 'ensureAsset' | 'untrackAsset'> {
  /** Null when there is one of that name. */
  createPortfolio(name: string, currency: string): Promise<Portfolio | null>
  /** All of them or none, and the value that follows. */
  append(portfolioId: number, drafts: readonly TransactionDraft[], dryRun: boolean): Promise<Appended>
}

export function createDesk(ledger: AssetLedger, clock: Clock, log: Logger): Desk {
  const calculator = new PortfolioValueCalculator({ store: ledger, clock, log })
  // What was asked for is stored by now; the value follows with the next prices at the latest.
  const revalue = async (portfolioId: number) => {
    await calculator.recalculatePortfolio(portfolioId).catch((error: unknown) => {
      log.warn({ err: error, portfolioId }, `a portfolio could not be valued yet: ${describeError(error)}`)
    })
  }
  return {
    ensureAsset: (asset) => ledger.ensureAsset(asset),
    untrackAsset: (symbol) => ledger.untrackAsset(symbol),
    async createPortfolio(name, currency) {
      const made = await ledger.createPortfolio(name, currency)
      if (made !== null) await revalue(made.portfolioId)
      return made
    },
    async append(portfolioId, drafts, dryRun) {
      const options = { dryRun, nowMs: clock.wallMs() }
      const result = await ledger.appendTransactions(portfolioId, drafts, positionOf, options)
      if (result.ok && !dryRun) await revalue(portfolioId)
      return result
    },
  }
}
