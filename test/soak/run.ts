import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startVenueProcess, type VenueProcess } from '../../src/sim/process.ts'
import { Daemon, removeDirectory, temporaryDirectory, venueEnvironment } from '../support/daemon.ts'
import { readProcessMemory } from '../support/memory.ts'
import { describe, judge, type Sample } from './verdict.ts'

const USAGE = `npm run soak -- [options]
  --minutes N      how long it records (30)
  --rate N         frames a second (5000: five times the usual 1,000)
  --markets N      markets, two tokens each (2000)
  --every N        seconds between two samples (5)
  --warm-up N      minutes that are not judged (5, at most a third)
  --out FILE       where samples and verdict go, as JSON`

/** Markets come and go all the time, so that what a subscription leaves behind would pile up. */
const CHURN_MS = 3_000
const PROBE = new URL('./probe.js', import.meta.url).href

interface Settings {
  readonly minutes: number
  readonly rate: number
  readonly markets: number
  readonly every: number
  readonly warmUpMinutes: number
  readonly out: string | null
}

function readSettings(): Settings | null {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    options: {
      minutes: text,
      rate: text,
      markets: text,
      every: text,
      'warm-up': text,
      out: text,
      help: { type: 'boolean' },
    },
  })
  if (values.help) return null
  const minutes = Number(values.minutes ?? 30)
  const warmUpMinutes = Math.min(Number(values['warm-up'] ?? 5), minutes / 3)
  const [rate, markets] = [Number(values.rate ?? 5_000), Number(values.markets ?? 2_000)]
  return { minutes, rate, markets, every: Number(values.every ?? 5), warmUpMinutes, out: values.out ?? null }
}

async function main(): Promise<void> {
  const settings = readSettings()
  if (settings === null) return console.log(USAGE)
  if (readProcessMemory(process.pid) === null) throw new Error('there is no /proc to read memory and descriptors from')
  const { rate, markets } = settings
  const directory = await temporaryDirectory()
  const probeFile = join(directory, 'probe.json')
  const churn = { newMarketEveryMs: CHURN_MS, resolveEveryMs: CHURN_MS }
  const venue = await startVenueProcess({ markets, rate, levels: 15, batchMax: 8, seed: 30, ...churn })
  let daemon: Daemon | null = null
  try {
    daemon = await Daemon.start(join(directory, 'data'), {
      ...venueEnvironment(venue.urls),
      ...everyMinute(),
      NODE_OPTIONS: `--import=${PROBE}`,
      SOAK_PROBE_FILE: probeFile,
    })
    const samples = await soak(settings, daemon, probeFile)
    await finish(settings, daemon, venue, samples)
  } finally {
    await daemon?.end('SIGTERM')
    await venue.stop()
    await removeDirectory(directory)
  }
}

function everyMinute(): Record<string, string> {
  const names = ['MARKETS', 'PRICE', 'ORDERBOOK', 'RESOLUTION']
  return Object.fromEntries(names.map((name) => [`TAPEKEEPER_POLYMARKET_${name}_INTERVAL`, '60s']))
}

async function soak({ minutes, markets, every }: Settings, daemon: Daemon, probeFile: string): Promise<Sample[]> {
  await daemon.whenHealth(
    'nearly every token is subscribed',
    (body) => (body['trade_listener'] as { tokens_subscribed: number }).tokens_subscribed >= markets * 1.9,
    180_000,
  )
  const samples: Sample[] = []
  const startedMs = performance.now()
  for (let due = startedMs; due - startedMs <= minutes * 60_000; due += every * 1_000) {
    await delay(Math.max(0, due - performance.now()))
    samples.push(await take(daemon, probeFile, (performance.now() - startedMs) / 1_000))
    if (samples.length % Math.ceil(60 / every) === 1) console.log(JSON.stringify(samples.at(-1)))
  }
  return samples
}

async function take(daemon: Daemon, probeFile: string, seconds: number): Promise<Sample> {
  const body = await daemon.health()
  const listener = body['trade_listener'] as Record<'frames_received' | 'queue_depth' | 'tokens_subscribed', number>
  const { pid } = daemon.running
  const probe = JSON.parse(readFileSync(probeFile, 'utf8')) as { resources: Record<string, number>; heapUsed: number }
  const { Timeout: timers = 0, ...others } = probe.resources
  return {
    seconds,
    rssMb: ((readProcessMemory(pid)?.rssMib ?? Number.NaN) * 2 ** 20) / 1e6,
    heapMb: probe.heapUsed / 1e6,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: readdirSync(`/proc/${pid}/task`).length,
    timers,
    handles: Object.values(others).reduce((sum, count) => sum + count, 0),
    frames: listener.frames_received,
    queueDepth: listener.queue_depth,
    tokens: listener.tokens_subscribed,
    load: loadavg()[0] ?? 0,
  }
}

async function finish(settings: Settings, daemon: Daemon, venue: VenueProcess, samples: Sample[]): Promise<void> {
  const verdict = judge(samples, settings.warmUpMinutes * 60, settings.rate)
  const body = await daemon.health()
  const { engine } = await venue.account()
  const facts = {
    status: body.status,
    ...{ tape: body['tape'], recorder: body['recorder'], book_checks: body['book_checks'] },
    ...{ trade_listener: body['trade_listener'], venue_missed: engine.missed },
  }
  console.log(JSON.stringify(facts))
  console.log(describe(verdict))
  if (settings.out !== null) writeFileSync(settings.out, `${JSON.stringify({ settings, verdict, facts, samples })}\n`)
  if (verdict.problems.length > 0) process.exitCode = 1
}

await main()
