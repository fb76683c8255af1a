import { readFileSync, statSync } from 'node:fs'
import { portfolioJson, positionsJson, snapshotJson, transactionJson } from '../api/portfolio-view.ts'
import type { GlobalFlags } from '../config/load.ts'
import { describeError, EXIT, type ExitCode, PermanentError } from '../core/errors.ts'
import type { Appended, Portfolio, Problem, TransactionDraft } from '../core/portfolio.ts'
import { type Ledger, openLedger } from '../ledger/ledger.ts'
import { currencyProblem, type DraftFields, portfolioNameProblem, readDraft } from '../portfolio/drafts.ts'
import { readImport } from '../portfolio/import.ts'
import { positionOf } from '../portfolio/positions.ts'
import { PortfolioValueCalculator } from '../portfolio/recalculation.ts'
import { type CommandRun, runCommand } from './command-run.ts'
import { openLedgerAccess } from './ledger-access.ts'
import { printJson, printMessage, printResult } from './output.ts'
import { listLines, showLines } from './portfolio-view.ts'

type ReadFlags = GlobalFlags & { readonly json?: boolean }

export interface AddFlags extends ReadFlags {
  readonly fee?: string
  readonly time?: string
  readonly notes?: string
  readonly exchangeRate?: string
  readonly type?: string
  readonly currency?: string
  readonly name?: string
}

const LISTED_MAX = 1_000
const SHOWN_TRANSACTIONS = 20
const SHOWN_DAYS = 366
const IMPORT_BYTES_MAX = 20_000_000

/** `tapekeeper portfolio create`. */
export function runCreate(name: string, flags: ReadFlags & { readonly currency: string }): Promise<ExitCode> {
  const currency = flags.currency.toUpperCase()
  const problem = portfolioNameProblem(name) ?? currencyProblem(currency)
  if (problem !== null) throw usage(problem)
  return withLedger(flags, async ({ ledger, run }) => {
    const made = await ledger.createPortfolio(name, currency)
    if (made === null) throw usage(`there is a portfolio ${name} already`)
    await calculator(ledger, run).recalculatePortfolio(made.portfolioId)
    if (flags.json) printJson(portfolioJson({ ...made, value: null }))
    else printResult(`made the portfolio ${name} in ${currency}`)
    return EXIT.ok
  })
}

/** `tapekeeper portfolio list`. */
export function runList(flags: ReadFlags): Promise<ExitCode> {
  return withLedger(flags, async ({ ledger }) => {
    const portfolios = await ledger.listPortfolios(LISTED_MAX, 0)
    if (flags.json) printJson(portfolios.map(portfolioJson))
    else if (portfolios.length === 0) printMessage('there is no portfolio yet: tapekeeper portfolio create <name>')
    else printResult(listLines(portfolios).join('\n'))
    return EXIT.ok
  })
}

/** `tapekeeper portfolio show`. */
export function runShow(name: string, flags: ReadFlags): Promise<ExitCode> {
  return withLedger(flags, async ({ ledger, run }) => {
    const found = await find(ledger, name)
    // What a recorder without assets, or none, has not done.
    await calculator(ledger, run).recalculatePortfolio(found.portfolioId)
    const view = await ledger.showPortfolio(String(found.portfolioId))
    if (view === null) throw usage(`there is no portfolio ${name}`)
    const snapshots = await ledger.listSnapshots(found.portfolioId, SHOWN_DAYS)
    const transactions = await ledger.listTransactions(found.portfolioId, SHOWN_TRANSACTIONS, 0)
    if (flags.json) {
      printJson({
        ...portfolioJson(view),
        positions: positionsJson(view),
        snapshots: snapshots.map(snapshotJson),
        transactions: transactions.map(transactionJson),
      })
    } else printResult(showLines(view, transactions).join('\n'))
    return EXIT.ok
  })
}

/** `tapekeeper portfolio add-transaction`. */
export function runAdd(
  name: string,
  given: Required<Pick<DraftFields, 'side' | 'symbol' | 'quantity' | 'price'>>,
  flags: AddFlags,
): Promise<ExitCode> {
  return withLedger(flags, async ({ ledger, run }) => {
    const { fee, time, notes, exchangeRate, type, currency, name: assetName } = flags
    const fields = { ...given, fee, time, notes, exchange_rate: exchangeRate, type, currency, name: assetName }
    const read = readDraft(fields, null, run.clock.wallMs())
    if (!read.ok) throw refusal(read.problems)
    const portfolio = await find(ledger, name)
    const added = await append(ledger, run, portfolio, [read.draft], false)
    if (!added.ok) throw refusal(added.problems)
    const { side, quantity, symbol, price } = read.draft
    if (flags.json) printJson({ ok: true, added: 1, new_assets: added.newAssets })
    else printResult(`${portfolio.name}: ${side} ${quantity} ${symbol} at ${price}`)
    tellAboutPrices(run)
    return EXIT.ok
  })
}

/** `tapekeeper portfolio import`: all or nothing, and with `--dry-run` nothing. */
export function runImport(
  name: string,
  path: string,
  flags: ReadFlags & { readonly dryRun?: boolean },
): Promise<ExitCode> {
  return withLedger(flags, async ({ ledger, run }) => {
    const portfolio = await find(ledger, name)
    const read = readImport(readText(path), run.clock.wallMs())
    const dryRun = flags.dryRun ?? false
    const result = read.ok ? await append(ledger, run, portfolio, read.drafts, dryRun) : read
    if (!result.ok) {
      if (flags.json) printJson({ ok: false, dry_run: dryRun, problems: result.problems })
      for (const { line, message } of result.problems)
        printMessage(line === null ? message : `${path}:${line} ${message}`)
      printMessage(`nothing was imported: ${result.problems.length} problems`)
      return EXIT.usage
    }
    const { added, newAssets } = result
    if (flags.json) printJson({ ok: true, dry_run: dryRun, added, new_assets: newAssets })
    else {
      const fresh = newAssets.length === 0 ? '' : `; new assets: ${newAssets.join(', ')}`
      printResult(`${portfolio.name}: ${dryRun ? 'would import' : 'imported'} ${added} transactions${fresh}`)
    }
    if (!dryRun) tellAboutPrices(run)
    return EXIT.ok
  })
}

/** Makes a portfolio with purchases, where there is none of that name yet. Throws when one of them is refused. */
export async function addSample(
  flags: GlobalFlags,
  name: string,
  currency: string,
  rows: readonly DraftFields[],
): Promise<void> {
  await withLedger(flags, async ({ ledger, run }) => {
    const made = await ledger.createPortfolio(name, currency)
    if (made === null) return EXIT.ok
    const drafts = rows.map((row) => {
      const read = readDraft({ side: 'buy', ...row }, null, run.clock.wallMs())
      if (!read.ok) throw refusal(read.problems)
      return read.draft
    })
    const added = await append(ledger, run, made, drafts, false)
    if (!added.ok) throw refusal(added.problems)
    run.signal.throwIfAborted()
    return EXIT.ok
  })
}

interface Room {
  readonly ledger: Ledger
  readonly run: CommandRun
}

/** Reaches the ledger, making it where there is none yet: a portfolio may be there before the first recording. */
function withLedger(flags: GlobalFlags, work: (room: Room) => Promise<ExitCode>): Promise<ExitCode> {
  return runCommand(flags, async (run) => {
    const { config, clock, log } = run
    const access = await openLedgerAccess(config, clock, log, { create: true })
    try {
      const databaseUrl = access.connectionString
      const ledger = openLedger({ databaseUrl, dataDir: config.dataDir, clock, log, poolSize: 2 })
      try {
        await ledger.connect()
        return await work({ ledger, run })
      } finally {
        await ledger.close()
      }
    } finally {
      await access.close()
    }
  })
}

async function append(
  ledger: Ledger,
  run: CommandRun,
  { portfolioId }: Portfolio,
  drafts: readonly TransactionDraft[],
  dryRun: boolean,
): Promise<Appended> {
  const nowMs = run.clock.wallMs()
  const result = await ledger.appendTransactions(portfolioId, drafts, positionOf, { dryRun, nowMs })
  if (result.ok && !dryRun) {
    // The transactions are stored; the value follows with the next prices at the latest.
    await calculator(ledger, run)
      .recalculatePortfolio(portfolioId)
      .catch((error: unknown) => printMessage(`the portfolio could not be valued yet: ${describeError(error)}`))
  }
  return result
}

function calculator(ledger: Ledger, { clock, log }: CommandRun): PortfolioValueCalculator {
  return new PortfolioValueCalculator({ store: ledger, clock, log })
}

async function find(ledger: Ledger, name: string): Promise<Portfolio> {
  const found = await ledger.findPortfolio(name)
  if (found === null) throw usage(`there is no portfolio ${name}`)
  return found
}

function tellAboutPrices({ config }: CommandRun): void {
  if (!config.assets.enabled) printMessage('no prices are recorded: assets.enabled is false')
}

function readText(path: string): string {
  try {
    if (statSync(path).size > IMPORT_BYTES_MAX) throw usage(`${path} is larger than ${IMPORT_BYTES_MAX / 1e6} MB`)
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof PermanentError) throw error
    throw new PermanentError(`cannot read ${path}: ${describeError(error)}`, { exitCode: EXIT.usage, cause: error })
  }
}

function refusal(problems: readonly Problem[]): PermanentError {
  return usage(problems.map(({ message }) => message).join('; '))
}

function usage(message: string): PermanentError {
  return new PermanentError(message, { exitCode: EXIT.usage })
}
