import type { Command } from 'commander'
import type { GlobalFlags } from '../config/load.ts'
import type { AlertsFlags } from './alerts.ts'

interface Tools {
  /** Adds the flags of every command that has a configuration. */
  readonly common: (command: Command, options?: { json?: boolean }) => Command
  readonly examples: (...lines: readonly string[]) => string
  readonly finish: (code: number) => void
}

/** `tapekeeper alerts …`. */
export function addAlerts(program: Command, { common, examples, finish }: Tools): void {
  const alerts = program
    .command('alerts')
    .description('Show what is wrong and what was, as it was told to people; test the ways to tell them.')
    .addHelpText(
      'after',
      `\nWorks while a recorder runs and while none does.\n${examples(
        'tapekeeper alerts',
        'tapekeeper alerts list --json | jq .open',
        'tapekeeper alerts test',
      )}`,
    )
  common(alerts.command('list', { isDefault: true }), { json: true })
    .description('List open alerts, those that are over, and messages that could not be delivered yet.')
    .option('-n, --limit <count>', 'how many that are over', '10')
    .action(async (flags: AlertsFlags) => {
      const { runAlerts } = await import('./alerts.ts')
      finish(await runAlerts(flags))
    })
  common(alerts.command('test'), { json: true })
    .description('Send a test message to every channel that is configured. Exit code 69 when one does not take it.')
    .action(async (flags: GlobalFlags) => {
      const { runAlertsTest } = await import('./alerts.ts')
      finish(await runAlertsTest(flags))
    })
}
