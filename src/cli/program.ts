import { Command, InvalidArgumentError, Option } from 'commander'
import type { GlobalFlags } from '../config/load.ts'
import { addAlerts } from './alerts-commands.ts'
import type { ConfigFlags } from './config.ts'
import type { DrillFlags } from './drill.ts'
import type { GapsFlags } from './gaps.ts'
import type { LogsFlags } from './logs.ts'
import { addPortfolio } from './portfolio-commands.ts'
import type { RebuildFlags } from './rebuild.ts'
import type { ScrapeFlags } from './scrape.ts'
import { addSimFlags, runSim, type SimFlags, simOptions } from './sim.ts'
import type { VerifyFlags } from './verify.ts'
import { readVersion } from './version.ts'

/**
 * The command line as a tree. Each command loads its code when it runs, so that `--help` stays quick.
 * `finish` is called with the exit code of the command that ran.
 */
export function createProgram(finish: Finish): Command {
  const program = new Command('tapekeeper')
    .description('Records prediction markets around the clock and proves what it recorded.')
    .version(readVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .exitOverride()
    .configureHelp({ helpWidth: 120, showGlobalOptions: false })
    .showHelpAfterError('(tapekeeper --help shows what there is)')
    .addHelpText('after', PROGRAM_EXAMPLES)
  for (const add of COMMANDS) add(program, finish)
  addPortfolio(program, { common, examples, finish })
  addAlerts(program, { common, examples, finish })
  return program
}

/** In the order of the help. */
const COMMANDS = [
  ...[addCollect, addDemo, addStatus, addHealth, addLogs, addDoctor, addConfig],
  ...[addGaps, addVerify, addRebuild, addScrape, addSim, addDrill],
]

/** Is told the exit code. */
type Finish = (code: number) => void

const PROGRAM_EXAMPLES = `
Examples:
  tapekeeper collect                                     record until stopped
  tapekeeper demo                                        the same against a simulated venue, without a network
  tapekeeper status --watch                              what the running recorder does
  tapekeeper gaps --since 24h                            every interval in which something may be missing
  tapekeeper verify --since 24h                          prove what was recorded
  tapekeeper scrape --once                               read the configured feeds and pages now
  tapekeeper config                                      what is configured, and where each value comes from
  psql "$(tapekeeper config --connection-string)"        look into the ledger

Exit codes: 0 ok · 1 unhealthy · 64 usage · 69 something needed is unavailable · 70 internal · 73, 74 cannot write ·
78 configuration`

function addCollect(program: Command, finish: Finish): void {
  common(program.command('collect'))
    .description('Record until stopped. SIGTERM or SIGINT drains and exits; a second one exits at once.')
    .addHelpText(
      'after',
      examples(
        'tapekeeper collect',
        'tapekeeper collect --data-dir /srv/tape --log-level debug',
        'tapekeeper collect --set polymarket.max_markets=100 --set polymarket.price_interval=30s',
        'DATABASE_URL=postgres://me@db.example/tape tapekeeper collect',
      ),
    )
    .action(async (flags: GlobalFlags) => {
      const { runCollect } = await import('./collect.ts')
      finish(await runCollect(flags))
    })
}

function addDemo(program: Command, finish: Finish): void {
  common(program.command('demo'))
    .description('Record a simulated venue that runs on this machine. Needs no network.')
    .option('--markets <count>', 'simulated markets, two tokens each', wholeNumber, 100)
    .option('--rate <frames>', 'frames a second over all markets', wholeNumber, 50)
    .option('--seed <number>', 'the same seed gives the same feed', wholeNumber, 1)
    .addHelpText(
      'after',
      `\nWithout --data-dir, the data goes to a temporary directory that is removed at the end.\n${examples(
        'tapekeeper demo',
        'tapekeeper demo --markets 500 --rate 2000',
        'tapekeeper demo --data-dir ./demo-data',
      )}`,
    )
    .action(async (flags: GlobalFlags & { markets: number; rate: number; seed: number }) => {
      const { runDemo } = await import('./demo.ts')
      finish(await runDemo(flags))
    })
}

function addStatus(program: Command, finish: Finish): void {
  common(program.command('status'), { json: true })
    .description('Show what the running recorder does.')
    .option('-w, --watch', 'show it again every 2 seconds')
    .addHelpText(
      'after',
      examples('tapekeeper status', 'tapekeeper status --watch', 'tapekeeper status --json | jq .status'),
    )
    .action(async (flags: GlobalFlags & { watch?: boolean }) => {
      const { runStatus } = await import('./status.ts')
      finish(await runStatus(flags))
    })
}

function addHealth(program: Command, finish: Finish): void {
  common(program.command('health'), { json: true })
    .description('Exit 0 when the running recorder is healthy or starting, 1 when it is not or does not answer.')
    .addHelpText('after', examples('tapekeeper health', 'HEALTHCHECK CMD ["tapekeeper", "health"]   (in a Dockerfile)'))
    .action(async (flags: GlobalFlags) => {
      const { runHealth } = await import('./health.ts')
      finish(await runHealth(flags))
    })
}

function addLogs(program: Command, finish: Finish): void {
  common(program.command('logs'), { json: true })
    .description('Show the newest entries of the log that the recorder keeps in the ledger.')
    .option('-f, --follow', 'go on with what comes, until stopped')
    .option('--level <level>', 'only this level and worse: debug, info, warning, error or critical')
    .option('-n, --limit <count>', 'how many', wholeNumber, 100)
    .option('--search <words>', 'only entries in which all these words begin')
    .addHelpText(
      'after',
      `\nWorks while a recorder runs and while none does. With --json, one object a line.\n${examples(
        'tapekeeper logs',
        'tapekeeper logs -f --level warning',
        "tapekeeper logs --search 'prices failed' --limit 1000 --json | jq .context",
      )}`,
    )
    .action(async (flags: LogsFlags) => {
      const { runLogs } = await import('./logs.ts')
      finish(await runLogs(flags))
    })
}

function addDoctor(program: Command, finish: Finish): void {
  common(program.command('doctor'), { json: true })
    .description('Look at everything a recorder needs: configuration, machine, disk, database, clock, venue.')
    .addHelpText(
      'after',
      `\nChanges nothing and starts nothing. Exit codes: 0 nothing failed · 1 something did.\n${examples(
        'tapekeeper doctor',
        'tapekeeper doctor --json | jq \'.checks[] | select(.verdict != "ok")\'',
      )}`,
    )
    .action(async (flags: GlobalFlags) => {
      const { runDoctor } = await import('./doctor/doctor.ts')
      finish(await runDoctor(flags))
    })
}

function addConfig(program: Command, finish: Finish): void {
  common(program.command('config'), { json: true })
    .description('Show what is configured, where each value comes from, and how to connect to the ledger.')
    .option('--show-secrets', 'do not mask passwords and tokens')
    .addOption(
      new Option('--connection-string', 'print only the connection string of the ledger, with its password').conflicts(
        'json',
      ),
    )
    .addOption(new Option('--reference', 'print every key there is, as Markdown').conflicts('json'))
    .addOption(new Option('--environment', 'print every key there is, as an environment file').conflicts('json'))
    .addHelpText(
      'after',
      examples('tapekeeper config', 'tapekeeper config --json', 'psql "$(tapekeeper config --connection-string)"'),
    )
    .action(async (flags: ConfigFlags) => {
      const { runConfig } = await import('./config.ts')
      finish(await runConfig(flags))
    })
}

function addGaps(program: Command, finish: Finish): void {
  common(program.command('gaps'), { json: true })
    .description('List every interval in which something may be missing, and how much of the whole was recorded.')
    .option('--since <time>', 'only what overlaps the time from then on: 2026-05-01, 2026-05-01T12:00:00Z, or 36h ago')
    .option('--until <time>', 'only what began before')
    .option('--cause <cause>', 'only this cause, such as disconnect, stall or hash_mismatch')
    .option('--open', 'only what is still missing')
    .option('--market <id or slug>', 'only this market')
    .option('--limit <count>', 'incidents to list, newest first', wholeNumber, 50)
    .option('--markets <count>', 'markets to list, worst first', wholeNumber, 10)
    .addHelpText(
      'after',
      `\nWorks while a recorder runs and while none does. Coverage is the share of the time in which a token was to be
recorded that lies in no gap; time whose silence was proven right counts as covered.\n${examples(
        'tapekeeper gaps',
        'tapekeeper gaps --since 24h --markets 30',
        'tapekeeper gaps --market will-it-rain-tomorrow --json | jq .coverage.streams',
      )}`,
    )
    .action(async (flags: GapsFlags) => {
      const { runGaps } = await import('./gaps.ts')
      finish(await runGaps(flags))
    })
}

function addVerify(program: Command, finish: Finish): void {
  common(program.command('verify'), { json: true })
    .description('Prove the recording: tape against its checksums, books against the venue, ledger against tape.')
    .option('--since <time>', 'only what was received from then on: 2026-05-01, 2026-05-01T12:00:00Z, or 36h ago')
    .option('--until <time>', 'only what was received before')
    .option('--stream <name>', 'only this stream')
    .option('--tape-only', 'only the files of the tape; needs no database')
    .addHelpText(
      'after',
      `\nWorks while a recorder runs and while none does. Changes nothing. Exit codes: 0 nothing found · 1 something
found · 69 the ledger cannot be reached.\n${examples(
        'tapekeeper verify',
        'tapekeeper verify --since 24h',
        'tapekeeper verify --json | jq .ok',
      )}`,
    )
    .action(async (flags: VerifyFlags) => {
      const { runVerify } = await import('./verify.ts')
      finish(await runVerify(flags))
    })
}

function addRebuild(program: Command, finish: Finish): void {
  common(program.command('rebuild'), { json: true })
    .description('Derive the streamed tables again from the tape, in a schema of their own, and compare.')
    .option('--into <schema>', 'name of that schema, which must not exist (default: rebuild_ and the time)')
    .option('--keep', 'keep the schema; otherwise it is dropped at the end')
    .addHelpText(
      'after',
      `\nWorks while a recorder runs and while none does; the tables in use are only read. Needs as much room in the
database as they take. Exit codes: 0 all is the same · 1 something differs · 69 there is no ledger.\n${examples(
        'tapekeeper rebuild',
        'tapekeeper rebuild --into rebuilt --keep',
        'tapekeeper rebuild --json | jq .ok',
      )}`,
    )
    .action(async (flags: RebuildFlags) => {
      const { runRebuild } = await import('./rebuild.ts')
      finish(await runRebuild(flags))
    })
}

function addScrape(program: Command, finish: Finish): void {
  common(program.command('scrape'), { json: true })
    .description('Show what the newest run of the scrapers found, or make a run now.')
    .option('--once', 'ask every source of signals once, now')
    .addHelpText(
      'after',
      `\nWorks while a recorder runs and while none does, also where signals.enabled is false. Exit codes: 0 some source
could be read · 69 none could, or the ledger cannot be reached.\n${examples(
        'tapekeeper scrape',
        'tapekeeper scrape --once --set signals.feeds=techcrunch,reddit:news',
        "tapekeeper scrape --once --json | jq '.sources[] | select(.error)'",
      )}`,
    )
    .action(async (flags: ScrapeFlags) => {
      const { runScrape } = await import('./scrape.ts')
      finish(await runScrape(flags))
    })
}

function addSim(program: Command, finish: Finish): void {
  addSimFlags(program.command('sim'))
    .description('Run a simulated venue, to try a recorder on. Needs no configuration.')
    .option('--json', 'print where it listens as one line of JSON')
    .addHelpText(
      'after',
      examples('tapekeeper sim --markets 500 --rate 2000', 'tapekeeper sim --play frames.jsonl --speed 0'),
    )
    .action(async (flags: SimFlags) => {
      const ended = new AbortController()
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended.abort())
      process.stdout.once('error', () => ended.abort()) // nobody has read where it is
      finish(await runSim(simOptions(flags, ended.signal)))
    })
}

function addDrill(program: Command, finish: Finish): void {
  program
    .command('drill')
    .description('Break a simulated venue and a recorder of its own, and show how long it takes to be told.')
    .option('--only <faults>', 'some of feed, source and queue, with commas')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `\nTouches no recorder, ledger or channel that is configured. Takes a few minutes. Exit codes: 0 every alert and
every recovery was told · 1 one was not.\n${examples('tapekeeper drill', 'tapekeeper drill --only source --json')}`,
    )
    .action(async (flags: DrillFlags) => {
      const { runDrill } = await import('./drill.ts')
      finish(await runDrill(flags))
    })
}

/** The flags of every command that has a configuration. */
function common(command: Command, { json = false } = {}): Command {
  command
    .option('-c, --config <file>', 'configuration file (default: tapekeeper.yaml, when there is one)')
    .option('-d, --data-dir <directory>', 'where the tape and the embedded database are')
    .option('--log-level <level>', 'debug, info, warn, error or fatal')
    .option('--set <key=value>', 'set any key of the configuration (repeatable)', collectValues)
  if (json) command.option('--json', 'print JSON')
  return command
}

function collectValues(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value]
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`
}
