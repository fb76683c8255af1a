import type { Command } from 'commander'
import type { GlobalFlags } from '../config/load.ts'
import type { AddFlags } from './portfolio.ts'

interface Tools {
  /** Adds the flags of every command that has a configuration. */
  readonly common: (command: Command, options?: { json?: boolean }) => Command
  readonly examples: (...lines: readonly string[]) => string
  readonly finish: (code: number) => void
}

/** `tapekeeper portfolio …`. */
export function addPortfolio(program: Command, tools: Tools): void {
  const { common, examples, finish } = tools
  const portfolio = program
    .command('portfolio')
    .description('Keep portfolios: what was bought and sold, and what it is worth.')
    .addHelpText(
      'after',
      `\nWorks while a recorder runs and while none does. Prices need a recorder with assets.enabled.\n${examples(
        'tapekeeper portfolio create savings --currency EUR',
        'tapekeeper portfolio add-transaction savings buy AAPL 10 187.15 --fee 1 --time 2026-05-01',
        'tapekeeper portfolio import savings trades.csv --dry-run',
        'tapekeeper portfolio show savings',
      )}`,
    )
  common(portfolio.command('create <name>'), { json: true })
    .description('Make a portfolio.')
    .option('--currency <code>', 'what its value is counted in', 'USD')
    .action(async (name: string, flags: GlobalFlags & { currency: string; json?: boolean }) => {
      const { runCreate } = await import('./portfolio.ts')
      finish(await runCreate(name, flags))
    })
  common(portfolio.command('list'), { json: true })
    .description('List portfolios with their value.')
    .action(async (flags: GlobalFlags & { json?: boolean }) => {
      const { runList } = await import('./portfolio.ts')
      finish(await runList(flags))
    })
  common(portfolio.command('show <portfolio>'), { json: true })
    .description('Show what a portfolio holds, what it is worth and how that changed.')
    .action(async (name: string, flags: GlobalFlags & { json?: boolean }) => {
      const { runShow } = await import('./portfolio.ts')
      finish(await runShow(name, flags))
    })
  addTransactionCommands(portfolio, tools)
}

function addTransactionCommands(portfolio: Command, { common, examples, finish }: Tools): void {
  common(portfolio.command('add-transaction <portfolio> <side> <symbol> <quantity> <price>'), { json: true })
    .description('Add one purchase or sale: side is buy or sell, the price is in the currency of the asset.')
    .option('--fee <money>', 'what it cost, in the currency of the asset (default: 0)')
    .option('--time <time>', '2026-05-01 or 2026-05-01T14:30:00Z (default: now)')
    .option('--notes <text>', 'anything worth remembering')
    .option(
      '--exchange-rate <rate>',
      "the portfolio's currency for one of the asset's (default: the rate of that time)",
    )
    .option('--type <type>', 'of a new asset: stock, etf, crypto, fund, currency, commodity or outcome')
    .option('--currency <code>', 'of a new asset (default: what its first price says)')
    .option('--name <text>', 'of a new asset')
    .addHelpText(
      'after',
      examples(
        'tapekeeper portfolio add-transaction savings buy BTC-USD 0.05 61250',
        'tapekeeper portfolio add-transaction savings sell AAPL 4 201.3 --time 2026-05-04T15:00:00Z',
        'tapekeeper portfolio add-transaction savings buy 7269…10 100 0.37 --type outcome',
      ),
    )
    .action(async (...given: [string, string, string, string, string, AddFlags]) => {
      const [name, side, symbol, quantity, price, flags] = given
      const { runAdd } = await import('./portfolio.ts')
      finish(await runAdd(name, { side, symbol, quantity, price }, flags))
    })
  common(portfolio.command('import <portfolio> <csv>'), { json: true })
    .description('Add the transactions of a CSV file, all of them or none.')
    .option('--dry-run', 'say what would happen, and store nothing')
    .addHelpText(
      'after',
      `\nThe first line names the columns: symbol, side, quantity, price and, if wanted, fee, time, notes,
exchange_rate, type, currency, name.\n${examples('tapekeeper portfolio import savings trades.csv --dry-run')}`,
    )
    .action(async (name: string, path: string, flags: GlobalFlags & { dryRun?: boolean; json?: boolean }) => {
      const { runImport } = await import('./portfolio.ts')
      finish(await runImport(name, path, flags))
    })
}
