import { type Command, InvalidArgumentError } from 'commander'
import type { Clock } from '../core/clock.ts'
import { EXIT } from '../core/errors.ts'
import type { PartialVenueOptions } from '../sim/options.ts'
import type { RunningProxy } from '../sim/proxy.ts'
import type { Venue } from '../sim/venue.ts'
import { printMessage, printResult } from './output.ts'

/** `tapekeeper sim` as the command line gives it. Times are seconds. */
export interface SimFlags {
  readonly host?: string
  readonly port?: number
  readonly seed?: number
  readonly markets?: number
  readonly v2Share?: number
  readonly rate?: number
  readonly levels?: number
  readonly batch?: number
  readonly tradeShare?: number
  readonly newMarketEvery?: number
  readonly resolveEvery?: number
  readonly paused?: boolean
  readonly play?: string
  readonly speed?: number
  readonly playGamma?: readonly string[]
  readonly accountDir?: string
  readonly proxy?: boolean
  readonly json?: boolean
}

/** What `runSim` needs: the venue's options, how to speak, and when to end. */
export type SimOptions = PartialVenueOptions & {
  readonly json?: boolean
  /** With a proxy in front that can spoil the connections. */
  readonly proxy?: boolean
  readonly signal: AbortSignal
}

/** The flags of `tapekeeper sim`, one line each. */
export function addSimFlags(command: Command): Command {
  return command
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <number>', 'port; 0 takes any free one (default: 0)', decimal)
    .option('--seed <number>', 'the same seed gives the same history (default: 1)', decimal)
    .option('--markets <count>', 'simulated markets, two tokens each (default: 100; 0 with a recording)', decimal)
    .option('--v2-share <share>', 'share of markets in the V2 form, 0 to 1 (default: 0.1)', decimal)
    .option('--rate <frames>', 'frames a second over all markets (default: 50)', decimal)
    .option('--levels <count>', 'most price levels a side (default: 20)', decimal)
    .option('--batch <count>', 'most price changes that share one hash (default: 6)', decimal)
    .option('--trade-share <share>', 'share of engine steps that are matches (default: 0.1)', decimal)
    .option('--new-market-every <seconds>', 'create a market this often (default: never)', decimal)
    .option('--resolve-every <seconds>', 'resolve a market this often (default: never)', decimal)
    .option('--paused', 'generate nothing until told to resume')
    .option('--play <file>', 'play a recorded frame file to whoever subscribes to its tokens')
    .option('--speed <factor>', 'pace of the recording; 0 is as fast as possible (default: 1)', decimal)
    .option('--play-gamma <file>', 'serve raw Gamma markets from a file (repeatable)', collect)
    .option('--account-dir <directory>', 'keep every frame sent, one file a connection, and a journal of what happened')
    .option('--proxy', 'put a proxy in front that can delay, cut and silence connections')
}

/** The command line's flags as options. */
export function simOptions(flags: SimFlags, signal: AbortSignal): SimOptions {
  return {
    signal,
    json: flags.json ?? false,
    proxy: flags.proxy ?? false,
    host: flags.host,
    port: flags.port,
    seed: flags.seed,
    markets: flags.markets,
    v2Share: flags.v2Share,
    rate: flags.rate,
    levels: flags.levels,
    batchMax: flags.batch,
    tradeShare: flags.tradeShare,
    newMarketEveryMs: flags.newMarketEvery === undefined ? undefined : flags.newMarketEvery * 1_000,
    resolveEveryMs: flags.resolveEvery === undefined ? undefined : flags.resolveEvery * 1_000,
    paused: flags.paused,
    play: flags.play,
    playSpeed: flags.speed,
    playGamma: flags.playGamma,
    accountDir: flags.accountDir,
  }
}

/** Runs a simulated venue until the signal aborts; returns the exit code. Throws PermanentError on bad options. */
export async function runSim({ json, proxy: withProxy, signal, ...given }: SimOptions): Promise<number> {
  // Loaded here so that --help does not wait for it.
  const { venueOptions } = await import('../sim/options.ts')
  const { environmentOf, readyLine, throughPort } = await import('../sim/ready.ts')
  const { startVenue } = await import('../sim/venue.ts')
  const { systemClock } = await import('../runtime/system-clock.ts')
  const options = venueOptions(given)
  const clock = systemClock()
  const venue = await startVenue(options, clock)
  const proxy = withProxy ? await openProxy(venue, options.seed, clock) : undefined
  if (json) printResult(readyLine(venue, proxy))
  else {
    printResult(
      `A simulated venue is running: ${options.markets} markets, ${options.rate} frames/s, seed ${options.seed}.`,
    )
    if (options.play !== null) printResult(`It plays ${options.play} to whoever subscribes to its tokens.`)
    const urls = proxy === undefined ? venue.urls : throughPort(venue.urls, proxy.port)
    printResult('To record it, set:')
    for (const [name, url] of Object.entries(environmentOf(urls))) printResult(`  export ${name}=${url}`)
    printResult(`What it sent, by its own account: ${venue.control.replace(/control$/, 'account')}`)
    if (proxy !== undefined) printResult(`Faults of the connections: POST to ${proxy.control}`)
    printResult('Ctrl-C ends it.')
  }
  if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
  const sent = describeSent(venue)
  await proxy?.close()
  await venue.close()
  printMessage(sent)
  return EXIT.ok
}

async function openProxy(venue: Venue, seed: number, clock: Clock): Promise<RunningProxy> {
  const { startProxy } = await import('../sim/proxy.ts')
  return await startProxy({ target: venue.urls.ws, seed }, clock)
}

function describeSent(venue: Venue): string {
  const { totals, connections } = venue.account()
  return `Sent ${totals.frames} frames with ${totals.trades} trades to ${connections.length} connections.`
}

function decimal(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.')
  return value
}

function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value]
}
