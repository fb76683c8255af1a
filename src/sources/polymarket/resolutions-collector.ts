import type { CollectorContext, CycleResult, PollingCollector } from '../../core/collector.ts'
import { describeError } from '../../core/errors.ts'
import type { ConditionId } from '../../core/ids.ts'
import type { Market, Resolution } from '../../core/market.ts'
import type { ResolutionStore } from '../../core/ports.ts'
import { storeOnceMore } from '../../core/store-once-more.ts'
import type { BadInput } from './bad-input.ts'
import { type StoredChunks, storeChunks } from './chunks.ts'
import type { ClobClient } from './clob.ts'
import type { ClobMarket } from './clob-market-parser.ts'
import type { GammaClient } from './gamma.ts'
import type { MarketReader } from './market-reader.ts'
import type { TokenRegistry } from './token-registry.ts'
import { inferWinner, needsConfirmation, resolutionOf } from './winner.ts'

export interface ResolutionsCollectorOptions {
  readonly gamma: GammaClient
  readonly clob: ClobClient
  readonly store: ResolutionStore
  readonly registry: TokenRegistry
  readonly reader: MarketReader
  readonly badInput: BadInput
  readonly intervalMs: number
  readonly critical: boolean
  /** Pages of the newest closed markets that one cycle reads at most. */
  readonly closedPagesMax?: number
}

const NAME = 'polymarket.resolutions'
const CLOSED_PAGES_MAX = 10
const LOOKUPS_MAX = 500
const CONFIRMATIONS_MAX = 50
const MARKETS_PER_TRANSACTION = 500
const SETTLED_MAX = 20_000

interface Work extends ResolutionsCollectorOptions {
  /** Markets whose resolution is stored: not stored again, and a page of nothing else ends the sweep. Bounded. */
  readonly settled: Set<ConditionId>
}

/** Markets that were fetched, and the error of what could not be. */
interface Fetched {
  readonly markets: readonly Market[]
  readonly error: unknown
}

interface Finding {
  readonly market: Market
  readonly resolution: Resolution | null
}

/** Finds out how markets ended: the newest closed ones, and those that the ledger knows without an end. */
export function createResolutionsCollector(options: ResolutionsCollectorOptions): PollingCollector {
  const work: Work = { ...options, settled: new Set() }
  const { intervalMs, critical } = options
  return { name: NAME, intervalMs, critical, collectOnce: (context) => collectOnce(work, context) }
}

async function collectOnce(work: Work, context: CollectorContext): Promise<CycleResult> {
  const closed = await sweepClosed(work, context)
  const due = await loadDue(work, context)
  const known = new Set(closed.markets.map((market) => market.conditionId))
  const asked = due.ids.filter((id) => !known.has(id))
  const lookedUp = await lookUp(work, asked, context)
  const markets = uniqueMarkets([...lookedUp.markets, ...closed.markets])
  const error = closed.error ?? lookedUp.error ?? due.error
  if (error !== null && markets.length === 0) throw error

  const ended = markets.filter((market) => market.closed)
  work.registry.retire(ended.map((market) => market.conditionId))
  const { findings, clobAsked } = await findEnds(work, markets, context)
  const stored = await saveFindings(work, findings, context)
  // What could not be looked up at all is not checked; it would go to the end of the queue unseen.
  const checked = lookedUp.error !== null && lookedUp.markets.length === 0 ? [] : due.ids
  const markError = await markChecked(work, checked, context)
  await work.badInput.flush(context)
  const count = (end: string) => findings.filter(({ resolution }) => (resolution?.result ?? 'unknown') === end).length
  const details: Record<string, number | string> = {
    observed: markets.length,
    swept: closed.markets.length,
    due: due.ids.length,
    winners: count('winner'),
    splits: count('split'),
    unknown: count('unknown'),
    clob_asked: clobAsked,
  }
  const partial = error ?? stored.trouble ?? markError
  if (partial !== null) details['partial'] = describeError(partial)
  return { items: stored.rows, details }
}

/** Newest first, until a page brings nothing new. */
async function sweepClosed(work: Work, context: CollectorContext): Promise<Fetched> {
  const markets: Market[] = []
  const pagesMax = work.closedPagesMax ?? CLOSED_PAGES_MAX
  let pages = 0
  try {
    const query = { closed: true, order: 'closedTime', ascending: false }
    for await (const rows of work.gamma.listMarkets(query, context.signal)) {
      const read = work.reader.read(NAME, rows, context).markets
      const fresh = read.filter((market) => !work.settled.has(market.conditionId))
      markets.push(...fresh)
      pages += 1
      if (fresh.length === 0 || pages >= pagesMax) break
    }
    return { markets, error: null }
  } catch (error) {
    context.log.warn({ err: error, pages }, `the newest closed markets could not be listed: ${describeError(error)}`)
    return { markets, error }
  }
}

async function loadDue(work: Work, context: CollectorContext) {
  const nowMs = context.clock.wallMs()
  try {
    const load = () => work.store.loadUnresolved(nowMs, LOOKUPS_MAX)
    return { ids: await storeOnceMore(context, 'a question for unresolved markets', load), error: null }
  } catch (error) {
    context.log.warn({ err: error }, `unresolved markets could not be loaded: ${describeError(error)}`)
    return { ids: [], error }
  }
}

async function markChecked(work: Work, ids: readonly ConditionId[], context: CollectorContext): Promise<unknown> {
  if (ids.length === 0) return null
  const nowMs = context.clock.wallMs()
  try {
    await storeOnceMore(context, 'what was checked', () => work.store.markChecked(ids, nowMs))
    return null
  } catch (error) {
    context.log.error({ err: error }, `what was checked could not be noted: ${describeError(error)}`)
    return error
  }
}

async function lookUp(work: Work, ids: readonly ConditionId[], context: CollectorContext): Promise<Fetched> {
  if (ids.length === 0) return { markets: [], error: null }
  try {
    const answer = await work.gamma.lookupMarkets(ids, context.signal)
    const { markets } = work.reader.read(NAME, answer.markets, context)
    return { markets, error: answer.failures[0] ?? null }
  } catch (error) {
    context.log.warn({ err: error }, `unresolved markets could not be looked up: ${describeError(error)}`)
    return { markets: [], error }
  }
}

function uniqueMarkets(markets: readonly Market[]): readonly Market[] {
  return [...new Map(markets.map((market) => [market.conditionId, market])).values()]
}

/** Asks the CLOB where Gamma leaves a doubt; a market that is not reached waits for a later cycle. */
async function findEnds(work: Work, markets: readonly Market[], context: CollectorContext) {
  const detectedAt = new Date(context.clock.wallMs()).toISOString()
  const findings: Finding[] = []
  let clobAsked = 0
  for (const market of markets) {
    let row: ClobMarket | null = null
    if (needsConfirmation(inferWinner(market)) && clobAsked < CONFIRMATIONS_MAX && !context.signal.aborted) {
      clobAsked += 1
      row = await askClob(work, market.conditionId, context)
    }
    findings.push({ market, resolution: resolutionOf(market, row, detectedAt) })
  }
  return { findings, clobAsked }
}

async function askClob(work: Work, conditionId: ConditionId, context: CollectorContext): Promise<ClobMarket | null> {
  try {
    return await work.clob.market(conditionId, context.signal)
  } catch (error) {
    context.log.debug({ err: error, conditionId }, `the CLOB could not confirm an end: ${describeError(error)}`)
    return null
  }
}

function saveFindings(work: Work, findings: readonly Finding[], context: CollectorContext): Promise<StoredChunks> {
  const observedMs = context.clock.wallMs()
  return storeChunks(context, {
    what: 'resolutions',
    items: findings,
    chunkSize: MARKETS_PER_TRANSACTION,
    store: async (chunk) => {
      const resolutions = chunk.flatMap(({ resolution }) => (resolution === null ? [] : [resolution]))
      const markets = chunk.map(({ market }) => market)
      const rows = await work.store.saveResolutions(resolutions, markets, observedMs)
      if (work.settled.size > SETTLED_MAX) work.settled.clear()
      for (const { conditionId } of resolutions) work.settled.add(conditionId)
      return rows
    },
  })
}
