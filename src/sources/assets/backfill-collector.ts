import {
  type BackfillEnd,
  type BackfillStore,
  type BackfillTask,
  type PriceSource,
  type TransactionSignal,
  UnknownAssetError,
} from '../../core/assets.ts'
import type { StreamContext, StreamingCollector } from '../../core/collector.ts'
import { describeError, TransientError } from '../../core/errors.ts'
import { storeOnceMore } from '../../core/store-once-more.ts'
import { isAskedToWait, PAUSE_MS } from './polite.ts'

export interface BackfillCollectorOptions {
  readonly sources: readonly PriceSource[]
  readonly store: BackfillStore & TransactionSignal
  /** Stands in the queue for what this program has taken. */
  readonly claimant: string
  readonly critical: boolean
  /** Between two requests, ms. */
  readonly requestDelayMs: number
}

const NAME = 'assets.backfill'
/** The queue is looked at this often although nobody notified. */
const SCAN_MS = 60_000
const FAILURES_MAX = 8
const BACKOFF_MS = { first: 60_000, last: 6 * 3_600_000 }

/**
 * Fetches the history of what was bought. Waits for notifications on a connection of its own; without that it throws,
 * and looks at the whole queue again when it is started anew.
 */
export function createBackfillCollector(options: BackfillCollectorOptions): StreamingCollector {
  return { name: NAME, critical: options.critical, run: (context) => new Backfill(options, context).run() }
}

class Backfill {
  readonly #options: BackfillCollectorOptions
  readonly #context: StreamContext
  /** Wakes whoever waits for the next look at the queue. */
  #wake = new AbortController()
  #isNotified = false
  /** Per source: when it may be asked again, Unix ms. */
  readonly #pausedUntilMs = new Map<string, number>()

  constructor(options: BackfillCollectorOptions, context: StreamContext) {
    this.#options = options
    this.#context = context
  }

  async run(): Promise<void> {
    const { signal, status } = this.#context
    const stop = new AbortController()
    const follow = () => stop.abort()
    signal.addEventListener('abort', follow, { once: true })
    if (signal.aborted) stop.abort()
    status.connectionsWanted = 1
    stop.signal.addEventListener('abort', () => this.#wake.abort(), { once: true })
    const listening = this.#listen(stop.signal)
    const working = this.#work(stop.signal)
    try {
      await Promise.race([listening, working])
    } finally {
      stop.abort()
      signal.removeEventListener('abort', follow)
      status.connectionsActive = 0
      await Promise.allSettled([listening, working])
    }
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const { status, clock } = this.#context
    await this.#options.store.listenForTransactions(() => {
      if (status.connectionsActive === 0) status.lastReconnectMs = clock.wallMs()
      status.connectionsActive = 1
      this.#isNotified = true
      this.#wake.abort()
    }, signal)
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { store, claimant } = this.#options
    const { clock, status } = this.#context
    const released = await this.#once('what was left in progress', () =>
      store.releaseBackfills(claimant, clock.wallMs()),
    )
    if (released > 0) this.#context.log.info({ released }, `history of ${released} assets goes on where it stopped`)
    while (!signal.aborted) {
      this.#isNotified = false
      await this.#once('what history is wanted', () => store.enqueueBackfills(clock.wallMs()))
      await this.#drain(signal)
      status.lastUsefulMs = clock.wallMs()
      await this.#rest(signal)
    }
  }

  async #drain(signal: AbortSignal): Promise<void> {
    const { store, claimant, requestDelayMs } = this.#options
    const { clock } = this.#context
    while (!signal.aborted) {
      const task = await this.#once('the next in the queue', () => store.claimBackfill(claimant, clock.wallMs()))
      if (task === null) return
      const end = await this.#fetch(task, signal)
      if (signal.aborted) return // the lease ends, or the next start takes it back
      await this.#once('the state of the queue', () => store.endBackfill(task.asset.assetId, end, clock.wallMs()))
      await clock.sleep(requestDelayMs, signal)
    }
  }

  async #fetch(task: BackfillTask, signal: AbortSignal): Promise<BackfillEnd> {
    const { sources, store, requestDelayMs } = this.#options
    const { clock, log, status } = this.#context
    const { asset, gaps } = task
    const source = sources.find((one) => one.serves(asset.type))
    if (source === undefined) return { state: 'failed', error: `no source has prices of type ${asset.type}` }
    const pausedUntilMs = this.#pausedUntilMs.get(source.name) ?? 0
    if (pausedUntilMs > clock.wallMs()) {
      return { state: 'rate_limited', retryAtMs: pausedUntilMs, error: `${source.name} asked us to wait` }
    }
    try {
      let stored = 0
      for (const range of gaps) {
        if (signal.aborted) break
        const history = await source.history(asset, range, signal)
        if (asset.currency !== null && history.currency !== asset.currency) {
          const error = `${asset.symbol} is priced in ${asset.currency}, and its history came in ${history.currency}`
          return { state: 'failed', error }
        }
        stored += await this.#once(`the history of ${asset.symbol}`, () =>
          store.saveHistory(asset, source.name, range, history, clock.wallMs()),
        )
        status.lastDataMs = clock.wallMs()
        await clock.sleep(requestDelayMs, signal)
      }
      log.info({ symbol: asset.symbol, stored }, `history of ${asset.symbol}: ${stored} days stored`)
      return { state: 'completed' }
    } catch (error) {
      return this.#failed(task, source, error)
    }
  }

  #failed({ asset, attempts }: BackfillTask, source: PriceSource, error: unknown): BackfillEnd {
    const { clock, log } = this.#context
    const text = describeError(error)
    if (error instanceof UnknownAssetError) {
      log.warn({ symbol: asset.symbol }, `there is no history of ${asset.symbol}: ${text}`)
      return { state: 'failed', error: text }
    }
    if (error instanceof TransientError && isAskedToWait(error)) {
      const retryAtMs = clock.wallMs() + (error.retryAfterMs ?? PAUSE_MS)
      this.#pausedUntilMs.set(source.name, retryAtMs)
      log.warn({ symbol: asset.symbol, source: source.name }, `history of ${asset.symbol} has to wait: ${text}`)
      return { state: 'rate_limited', retryAtMs, error: text }
    }
    if (attempts >= FAILURES_MAX) {
      log.error({ err: error, symbol: asset.symbol }, `history of ${asset.symbol} failed ${attempts} times: ${text}`)
      return { state: 'failed', error: text }
    }
    const delayMs = Math.min(BACKOFF_MS.last, BACKOFF_MS.first * 2 ** (attempts - 1))
    log.warn({ err: error, symbol: asset.symbol, attempts }, `history of ${asset.symbol} failed: ${text}`)
    return { state: 'pending', retryAtMs: clock.wallMs() + delayMs, error: text }
  }

  /** Until somebody notifies, the next row is due, or it is time to look anyway. */
  async #rest(signal: AbortSignal): Promise<void> {
    const { clock } = this.#context
    this.#wake = new AbortController()
    const dueMs = await this.#once('when the next is due', () => this.#options.store.nextBackfillMs())
    if (this.#isNotified || signal.aborted) return
    const untilDueMs = dueMs === null ? SCAN_MS : Math.max(0, dueMs - clock.wallMs())
    await clock.sleep(Math.min(SCAN_MS, untilDueMs), this.#wake.signal)
  }

  /** A database error is logged and tried exactly once more after 1 s; after that the collector starts anew. */
  #once<T>(what: string, operation: () => Promise<T>): Promise<T> {
    return storeOnceMore(this.#context, what, operation)
  }
}
