import type { Asset } from '../../src/core/assets.ts'
import { TransientError } from '../../src/core/errors.ts'
import type { FinishedCycle } from '../../src/core/ports.ts'
import type { Ledger } from '../../src/ledger/ledger.ts'
import { PortfolioValueCalculator } from '../../src/portfolio/recalculation.ts'
import { Supervisor } from '../../src/runtime/supervisor.ts'
import { createAssetsSource } from '../../src/sources/assets/index.ts'
import { Drive } from '../support/drive.ts'

export const INTERVAL_MS = 600_000
const DAY_MS = 86_400_000

/** What the price API does when it is asked for one symbol. */
export type Behaviour =
  | { readonly kind: 'price'; readonly price: number; readonly latencyMs: number }
  | { readonly kind: 'error'; readonly message: string; readonly latencyMs: number }
  | { readonly kind: 'nonsense'; readonly answer: unknown }

export interface CycleScript {
  /** By the position of the asset; the rest answer with a price. */
  readonly answers: readonly Behaviour[]
  /** How often storing prices fails in this cycle. */
  readonly failingStores: number
  /** Whether reading prices for portfolios fails. */
  readonly failingValues: boolean
  /** Nothing is answered at all. */
  readonly isDown?: boolean
}

export interface Run {
  readonly drive: Drive
  readonly cycles: FinishedCycle[]
  /** On the wall clock: when each call began, and whether it went well. */
  readonly stores: { readonly atMs: number; readonly ok: boolean }[]
  readonly valuations: { readonly atMs: number; readonly ok: boolean }[]
  readonly startMs: number
}

let days = 0

/**
 * Runs the real cycle code – supervisor, loop, collector, parser, ledger, valuation – for as many cycles as there are
 * scripts. Each run has days of its own in the one database.
 */
export async function runCycles(ledger: Ledger, scripts: readonly CycleScript[]): Promise<Run> {
  days += 2
  const startMs = Date.UTC(2020, 0, 1) + days * DAY_MS
  const drive = new Drive(startMs)
  const { clock, log } = drive
  const run: Run = { drive, cycles: [], stores: [], valuations: [], startMs }
  const scriptNow = () => scripts[Math.min(scripts.length - 1, Math.floor(clock.monotonicMs() / INTERVAL_MS))]
  let storesLeft = -1
  let cycleOfStores = -1
  const store: Ledger = {
    ...ledger,
    async saveAttempts(attempts) {
      const cycle = Math.floor(clock.monotonicMs() / INTERVAL_MS)
      if (cycle !== cycleOfStores) storesLeft = scriptNow()?.failingStores ?? 0
      cycleOfStores = cycle
      const ok = storesLeft <= 0
      run.stores.push({ atMs: clock.wallMs(), ok })
      storesLeft -= 1
      if (!ok) throw new TransientError('the database did not take it')
      return ledger.saveAttempts(attempts)
    },
    async loadMarketData(horizonsMs) {
      const ok = !scriptNow()?.failingValues
      run.valuations.push({ atMs: clock.wallMs(), ok })
      if (!ok) throw new TransientError('the database is away')
      return ledger.loadMarketData(horizonsMs)
    },
  }
  const watched = drive.watch(store)
  const getJson = async (url: string | URL): Promise<unknown> => {
    const symbol = decodeURIComponent(String(url).split('/').at(-1) ?? '')
    const script = scriptNow()
    if (script?.isDown) throw new TransientError('connect ECONNREFUSED')
    const behaviour = script?.answers[Number(/\d+$/.exec(symbol)?.[0] ?? 0)]
    return answerWith(behaviour, symbol, drive)
  }
  const { prices } = createAssetsSource({
    settings: {
      priceIntervalMs: INTERVAL_MS,
      requestDelayMs: 10,
      yahooUrl: 'http://prices.test',
      critical: { prices: true, backfill: false },
    },
    http: { getJson },
    store: watched,
    portfolios: new PortfolioValueCalculator({ store: watched, clock, log }),
    clock,
    log,
    claimant: 'test',
  })
  const saveCycle = async (cycle: FinishedCycle) => {
    run.cycles.push(cycle)
  }
  const supervisor = new Supervisor({ clock, random: () => 0, log, cycles: { saveCycle } })
  supervisor.addPolling(prices)
  supervisor.start()
  await drive.until(scripts.length * INTERVAL_MS - 1)
  await drive.through(supervisor.stop(1_000))
  return run
}

async function answerWith(behaviour: Behaviour | undefined, symbol: string, { clock }: Drive): Promise<unknown> {
  const latencyMs = behaviour !== undefined && 'latencyMs' in behaviour ? behaviour.latencyMs : 20
  await clock.sleep(latencyMs, new AbortController().signal)
  if (behaviour?.kind === 'error') throw new TransientError(behaviour.message)
  if (behaviour?.kind === 'nonsense') return behaviour.answer
  const price = behaviour?.price ?? 100
  const meta = { symbol, currency: 'USD', regularMarketPrice: price, regularMarketTime: clock.wallMs() / 1000 }
  return { chart: { result: [{ meta, timestamp: [], indicators: { quote: [{}] } }], error: null } }
}

export interface LoggedUpdate {
  readonly asset_id: number
  readonly success: boolean
  readonly price: string | null
  readonly error: string | null
  readonly at_ms: number
  readonly duration_ms: number
}

/** The rows of `price_update_log` of one run, oldest first. */
export async function updatesOf(ledger: Ledger, { startMs }: Run): Promise<readonly LoggedUpdate[]> {
  const rows = await ledger.read<LoggedUpdate & Record<string, unknown>>(
    `SELECT asset_id, success, price, error, (extract(epoch FROM at) * 1000)::float8 AS at_ms, duration_ms
     FROM price_update_log
     WHERE at >= to_timestamp($1 / 1000.0) AND at < to_timestamp($1 / 1000.0) + interval '2 days'
     ORDER BY at, id`,
    [startMs],
  )
  return rows
}

/** Assets `P0`, `P1`, … as the collector sees them. */
export async function makeAssets(ledger: Ledger, count: number): Promise<readonly Asset[]> {
  const assets: Asset[] = []
  for (let n = 0; n < count; n += 1) {
    assets.push(await ledger.ensureAsset({ symbol: `P${n}`, type: 'stock', name: null, currency: 'USD' }))
  }
  return assets
}
