import type { CollectorContext, CycleResult, PollingCollector } from '../../core/collector.ts'
import { describeError, TransientError } from '../../core/errors.ts'
import type { RunTrigger, SignalStore, SourceOutcome, StoredSignals } from '../../core/signals.ts'
import { storeOnceMore } from '../../core/store-once-more.ts'
import type { DocumentClient } from '../../runtime/document-client.ts'
import type { Interests } from './interests.ts'
import { linkSignals } from './link-signals.ts'
import { type SourceResult, scrapeSource } from './scrape-source.ts'
import type { Scraper } from './scraper.ts'

/** One source that has been dealt with. */
export interface ScrapeProgress extends SourceOutcome, StoredSignals {
  readonly done: number
  readonly total: number
}

export interface ScrapeOptions {
  readonly scrapers: readonly Scraper[]
  readonly store: SignalStore
  readonly client: DocumentClient
  readonly interests: Interests
  readonly intervalMs: number
  readonly critical: boolean
  readonly recorderId: string
  readonly trigger: RunTrigger
  readonly onProgress?: (progress: ScrapeProgress) => void
}

const NAME = 'signals.scrape'
const AT_ONCE = 8
/** No source is begun after this share of the cadence: the next cycle must find its time free. */
const ASKING_SHARE = 0.8
const TOLD_FAILURES_MAX = 10
const NOTHING: StoredSignals = { stored: 0, repeated: 0 }

/**
 * Asks every source and stores what is new. What fails in one is told and touches no other; the cycle itself fails when
 * the ledger does not take it, or when there are sources and not one of them could be read.
 */
export function createScrapeCollector(options: ScrapeOptions): PollingCollector {
  const { intervalMs, critical } = options
  const turns = [...options.scrapers]
  return { name: NAME, intervalMs, critical, collectOnce: (context) => collectOnce(options, turns, context) }
}

/** `turns`: every scraper in the order of this cycle; left in that of the next. */
async function collectOnce(options: ScrapeOptions, turns: Scraper[], context: CollectorContext): Promise<CycleResult> {
  const { store, scrapers, recorderId, trigger } = options
  const { clock } = context
  const begun = { recorderId, trigger, startedMs: clock.wallMs(), sources: scrapers.map(({ name }) => name) }
  const runId = await storeOnceMore(context, 'the start of a run', () => store.beginRun(begun))
  const progress = await scrapeAll(options, turns, runId, context)
  context.signal.throwIfAborted()
  const failures = progress.filter(({ state }) => state === 'failed')
  const told = failures.slice(0, TOLD_FAILURES_MAX).map(({ source, error }) => `${source}: ${error}`)
  const isLost = failures.length > 0 && failures.length === scrapers.length
  const error = isLost ? `none of ${scrapers.length} sources could be read: ${told[0]}` : null
  const links = isLost ? 0 : await link(options, context)
  const state = isLost ? ('failed' as const) : ('succeeded' as const)
  const finished = { state, finishedMs: clock.wallMs(), error }
  await storeOnceMore(context, 'the end of a run', () => store.finishRun(runId, finished))
  if (error !== null) throw new TransientError(error)
  const sum = (what: (one: ScrapeProgress) => number) => progress.reduce((total, one) => total + what(one), 0)
  const details: Record<string, number | string> = {
    run: runId,
    sources: scrapers.length,
    failed: failures.length,
    unchanged: progress.filter((one) => one.state === 'unchanged').length,
    repeated: sum((one) => one.repeated),
    damaged: sum((one) => one.damaged),
    links,
    requests: sum((one) => one.requests),
    bytes: sum((one) => one.bytes),
  }
  if (told.length > 0) details['failures'] = told.join('; ').slice(0, 1_000)
  return { items: sum((one) => one.stored), details }
}

/**
 * Several at a time, in the order in which they are configured; but whom a cycle had no time for is first in the next,
 * or slow ones at the beginning would keep the others waiting for ever.
 */
async function scrapeAll(
  options: ScrapeOptions,
  turns: Scraper[],
  runId: number,
  context: CollectorContext,
): Promise<ScrapeProgress[]> {
  const { scrapers, intervalMs } = options
  const { clock, signal } = context
  const deadlineMs = clock.monotonicMs() + ASKING_SHARE * intervalMs
  const finished: ScrapeProgress[] = []
  const waiting = [...turns]
  const late = new Set<Scraper>()
  const work = async () => {
    for (let scraper = waiting.shift(); scraper !== undefined; scraper = waiting.shift()) {
      if (signal.aborted) return
      const isLate = clock.monotonicMs() > deadlineMs
      if (isLate) late.add(scraper)
      const result = isLate ? notAsked(scraper, clock.wallMs()) : await ask(scraper, options, context)
      if (signal.aborted) return
      const stored = await save(result, options, runId, context)
      const progress = { ...stored, done: finished.length + 1, total: scrapers.length }
      finished.push(progress)
      options.onProgress?.(progress)
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, scrapers.length) }, work))
  turns.splice(0, turns.length, ...late, ...turns.filter((scraper) => !late.has(scraper)))
  return finished
}

async function ask(scraper: Scraper, options: ScrapeOptions, context: CollectorContext): Promise<SourceResult> {
  const { store, client, interests } = options
  const { clock, signal } = context
  try {
    const what = `a question for ${scraper.name}`
    const known = await storeOnceMore(context, what, () => store.loadDocumentState(scraper.name))
    const storedKeys = (hashes: readonly string[]) => storeOnceMore(context, what, () => store.loadKnownKeys(hashes))
    return await scrapeSource(scraper, { clock, client, interests, known, storedKeys }, signal)
  } catch (error) {
    return notAsked(scraper, clock.wallMs(), `the ledger did not answer: ${describeError(error)}`)
  }
}

function notAsked({ name }: Scraper, startedMs: number, error = 'not read: the cycle had no time left'): SourceResult {
  const nothing = { durationMs: 0, requests: 0, bytes: 0, items: 0, damaged: 0, dropped: 0 }
  return { outcome: { source: name, state: 'failed', startedMs, error, ...nothing }, signals: [], document: null }
}

/** What cannot be stored is as if it had not been asked for: it is read again in the next cycle. */
async function save(
  { outcome, signals, document }: SourceResult,
  { store }: ScrapeOptions,
  runId: number,
  context: CollectorContext,
): Promise<SourceOutcome & StoredSignals> {
  const { source, error } = outcome
  if (error !== null) context.log.warn({ source }, `${source}: ${error}`)
  try {
    const what = `what ${source} gave`
    const stored = await storeOnceMore(context, what, () => store.saveSource(runId, outcome, signals, document))
    return { ...outcome, ...stored }
  } catch (failure) {
    context.signal.throwIfAborted()
    const words = `could not be stored: ${describeError(failure)}`
    context.log.error({ err: failure, source }, `${source}: ${words}`)
    const lost: SourceOutcome = { ...outcome, state: 'failed', error: words }
    // The ledger may take the note where it did not take the items.
    await store.saveSource(runId, lost, [], null).catch((other: unknown) => {
      context.log.error({ err: other, source }, `${source}: its progress is not stored either: ${describeError(other)}`)
    })
    return { ...lost, ...NOTHING }
  }
}

/** The signals are stored; what they are linked to can be found out in the next cycle. */
async function link({ store, interests }: ScrapeOptions, context: CollectorContext): Promise<number> {
  try {
    return await linkSignals(store, interests, context)
  } catch (error) {
    context.signal.throwIfAborted()
    context.log.error({ err: error }, `signals could not be linked to markets: ${describeError(error)}`)
    return 0
  }
}
