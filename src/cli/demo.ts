import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../config/config.ts'
import type { GlobalFlags } from '../config/load.ts'
import { formatAddress } from '../config/values.ts'
import type { ExitCode } from '../core/errors.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { startVenueProcess } from '../sim/process.ts'
import type { VenueUrls } from '../sim/venue.ts'
import { runCollect } from './collect.ts'
import { healthUrl } from './daemon-client.ts'
import { makeSamplePortfolio, SAMPLE } from './demo-portfolio.ts'
import { loadForProcess } from './load.ts'
import { printMessage } from './output.ts'

export interface DemoFlags extends GlobalFlags {
  readonly markets: number
  readonly rate: number
  readonly seed: number
}

/** Short, so that something happens while one looks. */
const CADENCES = [
  'polymarket.markets_interval=10s',
  'polymarket.price_interval=5s',
  'polymarket.orderbook_interval=10s',
  'polymarket.resolution_interval=10s',
  'assets.price_interval=10s',
  'assets.request_delay=10ms',
  'signals.interval=15s',
  'signals.request_delay=10ms',
]
const LIFECYCLE_EVERY_MS = 15_000

/** `tapekeeper demo`: the recorder against a simulated venue in a process of its own. Needs no network. */
export async function runDemo(flags: DemoFlags): Promise<ExitCode> {
  loadForProcess(flags) // says what is wrong before anything is made
  const temporary = flags.dataDir === undefined ? await makeTemporary() : null
  try {
    const venue = await startVenueProcess({
      markets: flags.markets,
      rate: flags.rate,
      seed: flags.seed,
      newMarketEveryMs: LIFECYCLE_EVERY_MS,
      resolveEveryMs: LIFECYCLE_EVERY_MS,
    })
    try {
      const demo = await demoFlags(flags, temporary ?? flags.dataDir, venue.urls)
      await makeSamplePortfolio(demo, venue, systemClock().wallMs())
      describe(loadForProcess(demo).config, flags, temporary !== null)
      return await runCollect(demo)
    } finally {
      await venue.stop()
    }
  } finally {
    if (temporary !== null) await rm(temporary, { recursive: true, force: true })
  }
}

/** The embedded server may run as another user (it refuses root), who must be able to pass through. */
async function makeTemporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'tapekeeper-demo-'))
  await chmod(directory, 0o755)
  return directory
}

/** The caller's flags, pointed to the venue. What the caller sets comes last and wins. */
async function demoFlags(flags: GlobalFlags, dataDir: string | undefined, urls: VenueUrls): Promise<GlobalFlags> {
  const set = [
    // simulated data must not get into a ledger of one's own by accident
    'database.url=',
    'polymarket.enabled=true',
    `polymarket.gamma_url=${urls.gamma}`,
    `polymarket.clob_url=${urls.clob}`,
    `polymarket.data_url=${urls.data}`,
    `polymarket.ws_url=${urls.ws}`,
    'assets.enabled=true',
    `assets.yahoo_url=${urls.yahoo}`,
    ...demoSignals(urls.news),
    ...CADENCES,
    ...(flags.set ?? []),
  ]
  const demo = { ...flags, dataDir, set }
  const { config } = loadForProcess(demo)
  const port = await usablePort(config.health.port, config.health.host)
  const apiPort = await usablePort(config.api.port, config.api.host)
  const address = formatAddress({ host: config.api.host, port: apiPort })
  return { ...demo, set: [...set, `health.port=${port}`, `api.address=${address}`] }
}

/** Two feeds, Hacker News and a page of the simulated press, which now and then has something new. */
function demoSignals(newsUrl: string): readonly string[] {
  const page = { name: 'harbour', url: `${newsUrl}/page/harbour?grow=60000`, item: 'article.post', title: 'h2' }
  return [
    'signals.enabled=true',
    `signals.feeds=dispatch=${newsUrl}/feed/dispatch?grow=20000,wire=${newsUrl}/feed/wire?grow=45000`,
    `signals.hackernews.url=${newsUrl}/hn`,
    `signals.pages=${JSON.stringify([{ ...page, summary: 'p.teaser', time: 'time' }])}`,
    'signals.keywords=copper price,river festival,lunar lander',
    'signals.companies=Nordwind Energy,Acme Robotics',
    'signals.allow_private=true',
  ]
}

/** The port itself when nobody has it, else a free one: a recorder may be running beside the demo. */
async function usablePort(wanted: number, host: string): Promise<number> {
  return (await tryPort(wanted, host)) ?? (await tryPort(0, host)) ?? wanted
}

function tryPort(port: number, host: string): Promise<number | null> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(null))
    server.listen({ port, host }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : null))
    })
  })
}

function describe(config: Config, flags: DemoFlags, isTemporary: boolean): void {
  const lines = [
    `Demo: a simulated venue with ${flags.markets} markets and ${flags.rate} frames a second. No network is used.`,
    `  data    ${config.dataDir}${isTemporary ? ' (removed at the end)' : ''}`,
    `  health  ${healthUrl(config)}`,
    `  page    http://${formatAddress(config.api)}/`,
    `  watch   npx tapekeeper status --watch --set health.port=${config.health.port}`,
    `  assets  npx tapekeeper portfolio show ${SAMPLE} --data-dir ${config.dataDir}`,
    `  news    npx tapekeeper scrape --data-dir ${config.dataDir}`,
    `  query   psql "$(npx tapekeeper config --connection-string --data-dir ${config.dataDir})"`,
    'Ctrl-C ends it.',
  ]
  for (const line of lines) printMessage(line)
}
