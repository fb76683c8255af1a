import type { Clock } from '../core/clock.ts'
import { describeError, TransientError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type {
  Horizon,
  Performance,
  PortfolioContents,
  PortfolioRecalculation,
  RecalculationReport,
  ValuationStore,
} from '../core/portfolio.ts'
import { storeOnceMore } from '../core/store-once-more.ts'
import { positionOf } from './positions.ts'
import { horizonsOf, valuation } from './valuation.ts'

export interface CalculatorOptions {
  readonly store: ValuationStore
  readonly clock: Clock
  readonly log: Logger
}

/** Small, so that reading it does not hold up everything else in the process. */
const PAGE = 25
/** Statements under way at once: whoever asks the API meanwhile is not to notice. */
const AT_ONCE = 2
/** How often a portfolio is valued anew because somebody changed it meanwhile. */
const ATTEMPTS_MAX = 5

/** The time for which portfolios are valued, and its prices. */
interface Moment {
  readonly horizonsMs: Readonly<Record<Horizon, number>>
  readonly value: (contents: PortfolioContents) => Performance
}

/** Values portfolios and stores what came of it, each in one statement. */
export class PortfolioValueCalculator implements PortfolioRecalculation {
  readonly #options: CalculatorOptions

  constructor(options: CalculatorOptions) {
    this.#options = options
  }

  /**
   * Every portfolio, by id. What goes wrong with one is logged and counted and harms no other. Throws when nothing
   * could be read at all, or when the signal aborts.
   */
  async recalculateAllPortfolios(signal: AbortSignal): Promise<RecalculationReport> {
    const { clock, log } = this.#options
    const context = { clock, log, signal }
    const startMs = clock.monotonicMs()
    await this.#refresh()
    const moment = await storeOnceMore(context, 'a question for prices', () => this.#now())
    const loadAfter = (id: number) => {
      const load = () => this.#options.store.loadContents(id, PAGE, moment.horizonsMs)
      return storeOnceMore(context, 'a question for portfolios', load)
    }
    const counts = { portfolios: 0, failed: 0 }
    for (let page = await loadAfter(0); page.length > 0; ) {
      if (signal.aborted) throw new TransientError('the recalculation was stopped')
      const lastId = page.at(-1)?.portfolio.portfolioId ?? 0
      // The next are read while these are valued and stored.
      const [next] = await Promise.allSettled([
        page.length < PAGE ? [] : loadAfter(lastId),
        this.#valueAll(page, moment, counts),
      ])
      if (next.status === 'rejected') throw next.reason
      page = next.value
    }
    const report = { ...counts, durationMs: clock.monotonicMs() - startMs }
    log.debug({ ...report }, `valued ${report.portfolios} portfolios`)
    return report
  }

  /** One portfolio; false when there is none of that id. Throws what goes wrong. */
  async recalculatePortfolio(portfolioId: number): Promise<boolean> {
    const moment = await this.#now()
    const contents = await this.#load(portfolioId, moment)
    if (contents === null) return false
    await this.#value(contents, moment)
    return true
  }

  async #now(): Promise<Moment> {
    const { store, clock } = this.#options
    const horizonsMs = horizonsOf(clock.wallMs())
    return { horizonsMs, value: valuation(await store.loadMarketData(horizonsMs)) }
  }

  /** Costs that were not known may be by now. That it fails is no reason not to value the rest. */
  async #refresh(): Promise<void> {
    const { store, clock, log } = this.#options
    try {
      await store.refreshPositions(positionOf, clock.wallMs())
    } catch (error) {
      log.error({ err: error }, `positions could not be brought up to date: ${describeError(error)}`)
    }
  }

  async #valueAll(
    page: readonly PortfolioContents[],
    moment: Moment,
    counts: { portfolios: number; failed: number },
  ): Promise<void> {
    const { log } = this.#options
    const queue = [...page]
    const work = async () => {
      for (let contents = queue.shift(); contents !== undefined; contents = queue.shift()) {
        counts.portfolios += 1
        try {
          await this.#value(contents, moment)
        } catch (error) {
          counts.failed += 1
          const { name, portfolioId } = contents.portfolio
          log.error({ err: error, portfolioId }, `portfolio ${name} could not be valued: ${describeError(error)}`)
        }
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  }

  async #value(first: PortfolioContents, moment: Moment): Promise<void> {
    const { store } = this.#options
    let contents: PortfolioContents | null = first
    for (let attempt = 0; attempt < ATTEMPTS_MAX && contents !== null; attempt += 1) {
      if (await store.savePerformance(moment.value(contents))) return
      contents = await this.#load(first.portfolio.portfolioId, moment)
    }
    // Gone is fine; changing all the time is not.
    if (contents !== null) throw new TransientError(`it changed ${ATTEMPTS_MAX} times while it was being valued`)
  }

  async #load(portfolioId: number, { horizonsMs }: Moment): Promise<PortfolioContents | null> {
    const found = await this.#options.store.loadContents(portfolioId - 1, 1, horizonsMs)
    return found.find(({ portfolio }) => portfolio.portfolioId === portfolioId) ?? null
  }
}
