import { Command, InvalidArgumentError, Option } from 'commander'
import type { GlobalFlags } from '../config/load.ts'
import type { RebuildFlags } from './rebuild.ts'
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
  for (const add of [addCollect, addDemo, addStatus, addHealth, addConfig, addVerify, addRebuild, addSim])
    add(program, finish)
  return program
}

/** Is told the exit code. */
type Finish = (code: number) => void

const PROGRAM_EXAMPLES = `
Examples:
  tapekeeper collect                                     record until stopped
  tapekeeper demo                                        the same against a simulated venue, without a network
  tapekeeper status --watch                              what the running recorder does
  tapekeeper verify --since 24h                          prove what was recorded
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
    .addHelpText(
      'after',
      examples('tapekeeper config', 'tapekeeper config --json', 'psql "$(tapekeeper config --connection-string)"'),
    )
    .action(async (flags: GlobalFlags & { showSecrets?: boolean; connectionString?: boolean; reference?: boolean }) => {
      const { runConfig } = await import('./config.ts')
      finish(await runConfig(flags))
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
      finish(await runSim(simOptions(flags, ended.signal)))
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
