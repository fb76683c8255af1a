import { scrapeRunView } from '../api/signal-views.ts'
import type { GlobalFlags } from '../config/load.ts'
import { describeError, EXIT, type ExitCode, PermanentError } from '../core/errors.ts'
import { createScraping } from '../daemon/signals.ts'
import { type Ledger, openLedger } from '../ledger/ledger.ts'
import { type ScrapeRun, selectRuns } from '../ledger/scrape-runs.ts'
import { rememberedRecorderId } from '../runtime/recorder-id.ts'
import { Scope } from '../runtime/scope.ts'
import { type CommandRun, runCommand } from './command-run.ts'
import { openLedgerAccess } from './ledger-access.ts'
import { printJson, printMessage, printResult } from './output.ts'
import { runLines } from './scrape-view.ts'
import { readVersion } from './version.ts'

export interface ScrapeFlags extends GlobalFlags {
  readonly json?: boolean
  readonly once?: boolean
}

/** `tapekeeper scrape`: the newest run; with `--once`, one that is made now, whether or not a recorder runs. */
export function runScrape(flags: ScrapeFlags): Promise<ExitCode> {
  return runCommand(flags, async (run) => {
    const scope = new Scope()
    try {
      const ledger = await open(run, scope, flags.once ?? false)
      const error = flags.once ? await scrape(run, ledger, scope) : null
      const [newest] = await ledger.view((session) => selectRuns(session, 1, null))
      run.progress.clear()
      if (newest !== undefined) print(newest, flags)
      else printMessage(error ?? 'nothing was scraped yet: tapekeeper scrape --once')
      return error === null ? EXIT.ok : EXIT.unavailable
    } finally {
      await scope.close()
    }
  })
}

async function open({ config, clock, log }: CommandRun, scope: Scope, create: boolean): Promise<Ledger> {
  const access = await openLedgerAccess(config, clock, log, { create })
  scope.onRelease(() => access.close())
  const { connectionString: databaseUrl } = access
  const ledger = openLedger({ databaseUrl, dataDir: config.dataDir, clock, log, poolSize: 4 })
  scope.onRelease(() => ledger.close())
  await ledger.connect()
  return ledger
}

/** One cycle, told as it goes; returns why it failed, null when it did not. */
async function scrape({ config, clock, log, progress, signal }: CommandRun, ledger: Ledger, scope: Scope) {
  const { feeds, hackernewsUrl, pages } = config.signals
  if (feeds.length + pages.length === 0 && hackernewsUrl === null) {
    throw new PermanentError('there is nothing to scrape: set signals.feeds or signals.pages')
  }
  const recorderId = config.recorderId ?? rememberedRecorderId(config.dataDir)
  const options = { config, clock, version: readVersion() }
  progress.show('scraping', 0, 1)
  const collector = createScraping(scope, { options, ledger, recorderId }, 'command', ({ source, done, total }) =>
    progress.show(`${done} of ${total}: ${source}`, done, total),
  )
  try {
    await collector.collectOnce({ signal, clock, log })
    return null
  } catch (error) {
    if (signal.aborted) throw error
    return describeError(error)
  }
}

function print(run: ScrapeRun, flags: ScrapeFlags): void {
  if (flags.json) printJson(scrapeRunView(run))
  else printResult(runLines(run).join('\n'))
}
