import type { Asset, AssetPriceStore, PriceSource, QuoteAttempt, SourcedAttempt } from '../../core/assets.ts'
import type { CollectorContext, CycleResult, PollingCollector } from '../../core/collector.ts'
import { describeError, TransientError } from '../../core/errors.ts'
import type { PortfolioRecalculation } from '../../core/portfolio.ts'
import { storeOnceMore } from '../../core/store-once-more.ts'

export interface PricesCollectorOptions {
  readonly sources: readonly PriceSource[]
  readonly store: AssetPriceStore
  /** What portfolios are worth follows every cycle that went well; what happens there never harms the cycle. */
  readonly portfolios: PortfolioRecalculation
  readonly intervalMs: number
  readonly critical: boolean
}

const NAME = 'assets.prices'
/** Nothing new is asked for after this share of the cadence: the next cycle must find its time free. */
const ASKING_SHARE = 0.8
const ATTEMPTS_PER_TRANSACTION = 500
/** Values are expected this soon after the prices, ms. */
const RECALCULATION_MS_MAX = 30_000

/** The price of every tracked asset, then the value of every portfolio. */
export function createPricesCollector(options: PricesCollectorOptions): PollingCollector {
  const { intervalMs, critical } = options
  return { name: NAME, intervalMs, critical, collectOnce: (context) => collectOnce(options, context) }
}

async function collectOnce(options: PricesCollectorOptions, context: CollectorContext): Promise<CycleResult> {
  const { store } = options
  const deadlineMs = context.clock.monotonicMs() + ASKING_SHARE * options.intervalMs
  const assets = await storeOnceMore(context, 'a question for tracked assets', () => store.loadTrackedAssets())
  const attempts = await askAll(options, assets, deadlineMs, context)
  context.signal.throwIfAborted()
  const stored = await saveAll(store, attempts, context)
  const outcome = judge(assets, attempts, context)
  if (assets.length > 0 && outcome.succeeded === 0) {
    throw new TransientError(`none of ${assets.length} assets has a price: ${outcome.example}`)
  }
  if (attempts.length > 0 && stored.transactions === 0) throw stored.error
  await recalculate(options.portfolios, context)
  const details: Record<string, number | string> = {
    assets: assets.length,
    succeeded: outcome.succeeded,
    failed: assets.length - outcome.succeeded,
    attempts: attempts.length,
  }
  if (stored.error !== null) details['partial'] = describeError(stored.error)
  return { items: stored.rows, details }
}

/** Each source is asked for what it serves, all of them at the same time. What one throws is its assets' failure. */
async function askAll(
  { sources }: PricesCollectorOptions,
  assets: readonly Asset[],
  deadlineMs: number,
  context: CollectorContext,
): Promise<readonly SourcedAttempt[]> {
  const { clock, signal } = context
  const asked = sources.map(async (source): Promise<readonly SourcedAttempt[]> => {
    const served = assets.filter(({ type }) => source.serves(type))
    if (served.length === 0) return []
    const startedMs = clock.wallMs()
    const failed = (asset: Asset, error: string): QuoteAttempt => {
      return { asset, startedMs, durationMs: 0, answer: { ok: false, error } }
    }
    const askSource = async () => source.quotes(served, { signal, deadlineMs })
    const attempts = await askSource().catch((error: unknown) => {
      context.log.error({ err: error }, `${source.name} could not be asked for prices: ${describeError(error)}`)
      return served.map((asset) => failed(asset, describeError(error)))
    })
    return attempts.map((attempt) => ({ ...checked(attempt), source: source.name }))
  })
  return (await Promise.all(asked)).flat()
}

/** A price in another currency than before is another thing. */
function checked(attempt: QuoteAttempt): QuoteAttempt {
  const { asset, answer } = attempt
  if (!answer.ok || asset.currency === null || asset.currency === answer.quote.currency) return attempt
  const error = `${asset.symbol} is priced in ${asset.currency}, and came in ${answer.quote.currency}`
  return { ...attempt, answer: { ok: false, error } }
}

interface Stored {
  readonly rows: number
  readonly transactions: number
  readonly error: unknown
}

/** In chunks, each tried once more; what one cannot store does not keep the next from it. */
async function saveAll(
  store: AssetPriceStore,
  attempts: readonly SourcedAttempt[],
  context: CollectorContext,
): Promise<Stored> {
  let rows = 0
  let transactions = 0
  let failure: unknown = null
  for (let at = 0; at < attempts.length; at += ATTEMPTS_PER_TRANSACTION) {
    const chunk = attempts.slice(at, at + ATTEMPTS_PER_TRANSACTION)
    try {
      rows += await storeOnceMore(context, 'asset prices', () => store.saveAttempts(chunk))
      transactions += 1
    } catch (error) {
      context.signal.throwIfAborted()
      context.log.error({ err: error }, `${chunk.length} asset prices could not be stored: ${describeError(error)}`)
      failure = error
    }
  }
  return { rows, transactions, error: failure }
}

/** How many assets got a price, and what one that did not was told. Warns when most got none. */
function judge(assets: readonly Asset[], attempts: readonly SourcedAttempt[], { log }: CollectorContext) {
  const priced = new Set(attempts.flatMap(({ asset, answer }) => (answer.ok ? [asset.assetId] : [])))
  const failed = attempts.findLast(({ asset, answer }) => !answer.ok && !priced.has(asset.assetId))
  const example = failed === undefined || failed.answer.ok ? 'no source serves them' : failed.answer.error
  const failures = assets.length - priced.size
  if (failures * 2 > assets.length) {
    log.warn({ failures, assets: assets.length }, `${failures} of ${assets.length} assets have no price: ${example}`)
  }
  return { succeeded: priced.size, example }
}

async function recalculate(portfolios: PortfolioRecalculation, context: CollectorContext): Promise<void> {
  const { log, signal } = context
  try {
    const { failed, durationMs, portfolios: count } = await portfolios.recalculateAllPortfolios(signal)
    if (failed > 0) log.warn({ failed, count }, `${failed} of ${count} portfolios could not be valued`)
    if (durationMs > RECALCULATION_MS_MAX) {
      log.warn({ durationMs, count }, `valuing ${count} portfolios took ${Math.round(durationMs / 1000)} s`)
    }
  } catch (error) {
    if (signal.aborted) return
    log.error({ err: error }, `portfolios could not be valued: ${describeError(error)}`)
  }
}
